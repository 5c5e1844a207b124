"""Logs that are read while they grow: a matcher that is asked, or a folder that is published."""

from collections.abc import Iterable
from pathlib import Path

import grpc

from linkage.errors import SignatureError, UnavailableError
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.cosigned import verify_cosigned
from linkage.log.entry import parse_body
from linkage.log.note import parse_note
from linkage.log.policy import Policy
from linkage.rpc.channel import repeated
from linkage.rpc.entries import entries_in
from linkage.rpc.patience import Patience
from linkage.store.log_copy import Logged
from linkage.store.log_files import LogFiles
from linkage.v1 import log_pb2, log_pb2_grpc

_DEADLINE_S = 30.0
_STREAM_DEADLINE_S = 3600.0
_ANY_SIZE = 2**63
# So many cosigned checkpoints a matcher keeps; one that goes on for ever is not followed.
_MOST_KEPT = 64


class MatcherLog:
    """The log of a matcher, as an auditor: every body is shown.

    Args:
        channel: an open channel.
        patience_s: how long to try again while the matcher cannot be reached.
    """

    complete = True

    def __init__(self, channel: grpc.Channel, patience_s: float = 10.0) -> None:
        self._stub = log_pb2_grpc.LogServiceStub(channel)
        self._patience = Patience(patience_s)

    def checkpoint(self) -> bytes:
        """Return the last signed checkpoint."""
        return self._checkpoint(log_pb2.GetCheckpointRequest())

    def cosigned(self, trust: Policy) -> bytes:
        """Return the newest checkpoint that the quorum has cosigned, or else that anybody has."""
        newest, below = b"", _ANY_SIZE
        for _ in range(_MOST_KEPT):
            note = self._checkpoint(log_pb2.GetCheckpointRequest(cosigned_before=below))
            if not note:
                break
            newest = newest or note
            try:
                verify_cosigned(note, trust)
            except SignatureError:
                below = parse_checkpoint(parse_note(note).text).size
            else:
                return note
        return newest

    def entries(self, start: int, end: int) -> list[Logged]:
        """Return entries of the log, in their order.

        Raises:
            MalformedMessageError: the matcher sent others than were asked for.
        """
        request = log_pb2.GetEntriesRequest(start=start, end=end)
        found = repeated(
            lambda: entries_in(
                self._stub.GetEntries(request, timeout=_STREAM_DEADLINE_S), start, end
            ),
            self._patience,
        )
        return [Logged(entry.leaf, entry.opening, entry.body) for entry in found]

    def _checkpoint(self, request: log_pb2.GetCheckpointRequest) -> bytes:
        return repeated(
            lambda: self._stub.GetCheckpoint(request, timeout=_DEADLINE_S), self._patience
        ).checkpoint


class PublishedLog:
    """A folder of checkpoint and tiles (C2SP tlog-tiles), and bodies where they are published.

    Args:
        folder: the folder.
    """

    complete = False

    def __init__(self, folder: Path) -> None:
        self._folder, self._files = folder, LogFiles(folder)

    def checkpoint(self) -> bytes:
        """Return the last signed checkpoint."""
        note = self._files.read_checkpoint()
        if note is None:
            raise UnavailableError(f"{self._folder}: there is no checkpoint")
        return note

    def cosigned(self, trust: Policy) -> bytes:
        """Return the last signed checkpoint: what is published has its lines."""
        del trust
        return self.checkpoint()

    def entries(self, start: int, end: int) -> Iterable[Logged]:
        """Return entries of the log, in their order."""
        bodies = dict(self._files.read_bodies())
        for index, leaf in enumerate(self._files.read_entries(end)[start:], start):
            opening, body = parse_body(bodies[index]) if index in bodies else (b"", b"")
            yield Logged(leaf, opening, body)
