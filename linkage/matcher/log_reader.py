"""The match log as its readers see it: leaves for all, bodies for those they concern."""

from keys.identity import Identity
from linkage.errors import MalformedMessageError
from linkage.matcher.match_log import MatchLog
from linkage.store.metadata import Metadata, StoredEntry


class LogReader:
    """Reads the log for parties and auditors.

    Args:
        metadata: the database.
        log: the published log.
    """

    PAGE = 512

    def __init__(self, metadata: Metadata, log: MatchLog) -> None:
        self._metadata, self._log = metadata, log

    def checkpoint(self) -> bytes:
        """Return the last published checkpoint.

        Raises:
            UnavailableError: nothing has been published yet.
        """
        return self._log.checkpoint()

    def entries(self, reader: Identity, start: int, end: int) -> list[StoredEntry]:
        """Return a range of entries, without the bodies that are not the reader's.

        Raises:
            MalformedMessageError: the range is empty or too long.
        """
        if not start < end <= start + self.PAGE:
            raise MalformedMessageError("entries are read from a start to a later end")
        with self._metadata.read() as transaction:
            entries = transaction.entries(start, end)
            mine = (
                None
                if reader.role == "auditor"
                else {job.spec.agreement_id for job in transaction.jobs_of(reader.name, 2**31)}
            )
        if mine is None:
            return entries
        return [
            entry
            if entry.agreement_id in mine
            else StoredEntry(entry.leaf, entry.agreement_id, index=entry.index)
            for entry in entries
        ]

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the proof that a leaf is in the tree of a size."""
        return self._log.inclusion_proof(index, size)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of one size grew out of a smaller one."""
        return self._log.consistency_proof(old, new)
