"""The match log as its readers see it: leaves for all, bodies for those they concern."""

from keys.identity import Identity
from linkage.agreement.denial import DENIALS
from linkage.errors import MalformedMessageError
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.entry import parse_entry
from linkage.log.note import parse_note
from linkage.matcher.jobs import sees
from linkage.matcher.ledger import Ledger, body_of
from linkage.matcher.match_log import MatchLog
from linkage.store.metadata import Metadata, StoredEntry

_FOR_PARTIES = ("lookup.", "rights.", "incident.", "destruction")
# An office has results: what is said against their rows is for it, too.
_FOR_OFFICES = ("rights.",)


class LogReader:
    """Reads the log for parties and auditors.

    Args:
        metadata: the database.
        log: the published log.
        ledger: knows the parties of agreements.
    """

    PAGE = 512

    def __init__(self, metadata: Metadata, log: MatchLog, ledger: Ledger) -> None:
        self._metadata, self._log, self._ledger = metadata, log, ledger

    def checkpoint(self) -> bytes:
        """Return the last published checkpoint.

        Raises:
            UnavailableError: nothing has been published yet.
        """
        return self._log.checkpoint()

    def size(self) -> int:
        """Return the number of published entries."""
        return parse_checkpoint(parse_note(self._log.checkpoint()).text).size

    def entries(self, reader: Identity, start: int, end: int) -> list[StoredEntry]:
        """Return a range of published entries, without the bodies that are not the reader's.

        A body is for the parties of its own job and for auditors; one about lookups, rights of
        persons, incidents or destruction for the parties of its agreement, and for who left it only
        what is older. Naming an agreement in a request of one's own opens nothing.

        Raises:
            MalformedMessageError: the range is empty, too long, or not published.
        """
        if not start < end <= min(start + self.PAGE, self.size()):
            raise MalformedMessageError(f"entries are read from 0 up to {self.size()}")
        with self._metadata.read() as transaction:
            entries = transaction.entries(start, end)
            jobs = {entry.job_id for entry in entries if entry.job_id is not None}
            mine = {job_id for job_id in jobs if sees(transaction.job(job_id), reader)}
        if reader.role == "auditor":
            return entries
        return [
            entry
            if (entry.job_id in mine and not _tells_more(entry)) or self._tells(entry, reader)
            else StoredEntry(entry.leaf, entry.agreement_id, index=entry.index)
            for entry in entries
        ]

    def _tells(self, entry: StoredEntry, reader: Identity) -> bool:
        """Return whether an entry says to all parties of an agreement what the reader may know."""
        told = {"party": _FOR_PARTIES, "office": _FOR_OFFICES}.get(reader.role, ())
        if entry.job_id is not None or entry.body is None:
            return False
        if not parse_entry(entry.leaf).type.startswith(told):
            return False
        agreements = self._ledger.known.agreements
        return agreements.is_for(entry.agreement_id or "", reader.party, entry.index)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the proof that a leaf is in the tree of a size."""
        return self._log.inclusion_proof(index, size)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of one size grew out of a smaller one."""
        return self._log.consistency_proof(old, new)


def _tells_more(entry: StoredEntry) -> bool:
    """Return whether a body says more of a denial than callers are told: for auditors alone."""
    if entry.body is None or not parse_entry(entry.leaf).type.startswith("job."):
        return False
    code = (body_of(entry) or {}).get("code")
    denial = DENIALS.get(code) if isinstance(code, str) else None
    return denial is not None and denial.outward != code
