"""The agent as a witness of the match log.

It cosigns a checkpoint only after its own copy of the log has grown to it, so its line says: this
log has all that I saw before. The copy on disk is what it remembers; whoever shows it another
history later has signed the evidence himself.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from linkage.agent.client import MatcherClient
from linkage.agent.mirror import Mirror
from linkage.agreement.cosigners import has_cosigned
from linkage.agreement.state import State
from linkage.agreement.witnesses import lines_missing
from linkage.errors import DeniedError, MalformedMessageError, SignatureError
from linkage.job import JobState
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.note import Note, format_note, is_signed_by, parse_note, signed_line

POLL_S = 0.2
"""Seconds between two looks for a checkpoint to cosign."""
_TRIES = 10
_LOOKED_AT = 8


class Witness:
    """One party as a witness.

    Args:
        mirror: its copy of the log.
        cosigners: its keys.
    """

    def __init__(self, mirror: Mirror, cosigners: Sequence[Cosigner]) -> None:
        self._mirror, self._cosigners = mirror, tuple(cosigners)

    def cosign(self, client: MatcherClient) -> int:
        """Cosign the checkpoint that the parties cosign now, if it is not signed yet.

        Returns:
            The number of entries under it.

        Raises:
            VerificationError: it contradicts this party's copy of the log.
        """
        note = client.checkpoint(to_cosign=True)
        self._mirror.follow(note, client)
        read = parse_note(note)
        lines = [
            signed_line(read.text.encode(), one)
            for one in self._cosigners
            if not is_signed_by(read, [one.key])
        ]
        if lines:
            client.add_cosignature(format_note(Note(read.text, (*read.signatures, *lines))))
        return parse_checkpoint(read.text).size

    def cosign_all(
        self, client: MatcherClient, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Cosign until all that the log holds now is under a checkpoint with this party's line.

        Raises:
            MalformedMessageError: the matcher does not take the line.
            VerificationError: as `cosign`.
        """
        size = parse_checkpoint(parse_note(client.checkpoint()).text).size
        refused = 0
        while True:
            try:
                if self.cosign(client) >= size:
                    return
            except MalformedMessageError:
                # The checkpoint's turn may be over when the line arrives: ask again.
                refused += 1
                if refused == _TRIES:
                    raise
            sleep(POLL_S)

    def attend(
        self,
        client: MatcherClient,
        job_id: str,
        on_refused: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Cosign until a job waits for cosignatures no more.

        Args:
            client: calls of the party.
            job_id: the job.
            on_refused: told why the matcher did not take a line; it is sent again.
            sleep: waits.
        """
        while client.job(job_id).state is JobState.AWAITING_COSIGNATURES:
            try:
                self.cosign(client)
            except (MalformedMessageError, DeniedError) as error:
                # The checkpoint's turn may be over when the line arrives: ask again. And others
                # may stand in for a party whose key was revoked.
                on_refused(str(error))
            sleep(POLL_S)


class Witnessed:
    """How far each of some parties has cosigned the log that this party has a copy of.

    A line of a party, under a checkpoint that the own copy has too, says that the party's copy is
    the same up to there. All need not have cosigned the same checkpoint.

    Args:
        mirror: the own copy.
        parties: whose lines count, by the keys that the own copy has.
        floor: a number of entries of which nobody asks who has cosigned them.
    """

    def __init__(self, mirror: Mirror, parties: Iterable[str], floor: int) -> None:
        self._mirror, self._floor = mirror, floor
        self._sizes = dict.fromkeys(parties, 0)
        self._checked: set[str] = set()

    @property
    def size(self) -> int:
        """The number of entries that all have cosigned."""
        return min(self._sizes.values())

    def lacking(self, size: int) -> tuple[str, ...]:
        """Return who has not cosigned so many entries."""
        return tuple(party for party, known in self._sizes.items() if known < size)

    def update(self, client: MatcherClient, now: datetime) -> None:
        """Look through the cosigned checkpoints, the newest first, until all parties are found.

        The first time all that the matcher keeps, then the newest: lines come to these.

        Args:
            client: calls of the party.
            now: the time; lines count by the keys that count then.

        Raises:
            VerificationError: one contradicts the own copy.
            MalformedMessageError: the matcher's answer is none to what was asked.
        """
        most = _LOOKED_AT if self._checked else None
        note, n_looked, found = client.checkpoint(to_cosign=True), 0, set[str]()
        while note and len(found) < len(self._sizes) and n_looked != most:
            read, n_looked = parse_note(note), n_looked + 1
            if read.text not in self._checked:
                self._mirror.follow(note, client)
                self._checked.add(read.text)
            size = parse_checkpoint(read.text).size
            for party in self._sizes.keys() - found:
                if has_cosigned(read, self._mirror.state.principals.of_party(party), now):
                    found.add(party)
                    self._sizes[party] = max(size, self._sizes[party])
            if size <= max(self._floor, self.size):
                return
            note = client.cosigned(size)
            if note and parse_checkpoint(parse_note(note).text).size >= size:
                raise MalformedMessageError("the matcher answered with no earlier checkpoint")


def check_cosigned(note: bytes, state: State, agreement_id: str, parties: Sequence[str]) -> None:
    """Check that all of some parties have cosigned a checkpoint, or who stands in for them.

    By the keys that they had there: what was released stays good whatever keys come and go.

    Args:
        note: the checkpoint; that it is the log's is checked elsewhere.
        state: what the own copy of the log says.
        agreement_id: the agreement, which says who stands in.
        parties: who has to have cosigned.

    Raises:
        SignatureError: naming those who have not.
    """
    missing = lines_missing(parse_note(note), state, agreement_id, parties)
    if missing:
        raise SignatureError(
            f"the result came under a checkpoint that {', '.join(missing)} did not cosign"
        )
