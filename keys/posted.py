"""Signed messages as they were posted: of each kind, who said what."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from keys.dsse import Envelope
from keys.messages import Abort, Commit, Confirm, Seal, message_digest

M = TypeVar("M", Commit, Seal, Confirm, Abort)


@dataclass(frozen=True)
class Posted(Generic[M]):
    """A message, the envelope it came in, and the digest by which others name it."""

    message: M
    envelope: Envelope
    digest: bytes


class Board(Generic[M]):
    """The messages of one kind."""

    def __init__(self) -> None:
        self._of: dict[str, dict[bytes, Posted[M]]] = {}

    def keep(self, message: M, envelope: Envelope) -> None:
        """Take a message; one that is there already changes nothing."""
        posted = self._of.setdefault(message.party, {})
        # Two prove as much as two thousand, and take less room.
        if len(posted) < 2:
            digest = message_digest(envelope)
            posted[digest] = Posted(message, envelope, digest)

    def of(self, party: str) -> list[Posted[M]]:
        """Return the messages of a party, in the order of their digests."""
        posted = self._of.get(party, {})
        return [posted[digest] for digest in sorted(posted)]

    def only(self, party: str) -> Posted[M] | None:
        """Return the message of a party, if it has exactly one."""
        posted = self.of(party)
        return posted[0] if len(posted) == 1 else None

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._of)
