"""Requests that are refused: each in the log, and those of a flood by the minute.

A leaf of its own has each of the first refusals that a caller meets in a minute; the others of
that minute are counted by code, and get one leaf together. So nobody fills the log by asking
for what is not to be had, and no refusal is missing from it. A matcher that is killed loses the
counts of the minute at hand, and nothing else.
"""

import threading
from collections import Counter

from linkage.agreement.denial import outward
from linkage.errors import DeniedError
from linkage.log.canonical import JsonObject
from linkage.matcher.journal import Clock, Journal
from linkage.rpc.peer import Peer
from linkage.store.metadata import Metadata, Transaction

# Leaves that a caller's refusals get in a minute; a person who mends a setting meets fewer.
MOST_LEAVES = 20
_MINUTE_S = 60


class Refusals:
    """Logs requests that do not count, or are not allowed.

    Args:
        journal: makes log entries.
        clock: the matcher's clock.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock
        self._leaves: Counter[tuple[int, str]] = Counter()
        self._beyond: dict[tuple[int, str], Counter[str]] = {}
        self._lock = threading.Lock()

    def has_leaf(self, peer: Peer, code: str) -> bool:
        """Count a refusal; return whether it gets a leaf of its own."""
        key = (self._minute(), path_of(peer))
        with self._lock:
            if self._leaves[key] < MOST_LEAVES:
                self._leaves[key] += 1
                return True
            self._beyond.setdefault(key, Counter())[code] += 1
            return False

    def record(
        self, transaction: Transaction, peer: Peer, method: str, error: DeniedError
    ) -> DeniedError:
        """Log a request that does not count; return what its sender is told.

        The entry is of no agreement and no job: for auditors alone.
        """
        if self.has_leaf(peer, error.code):
            body: JsonObject = {
                "method": method,
                "key": peer.key,
                "code": error.code,
                "rules": list(error.rules),
            }
            self._journal.record(transaction, "job.refuse", path_of(peer), None, body)
        return told(error.code)

    def log_minutes(self, metadata: Metadata, *, whole: bool = False) -> int:
        """Log the counts of the minutes that have ended; return how many leaves that made.

        Args:
            metadata: the database.
            whole: also those of the minute at hand, as nothing more will come.
        """
        now = self._minute()
        with self._lock:
            due = sorted(key for key in self._beyond if whole or key[0] < now)
            counts = {key: dict(sorted(self._beyond[key].items())) for key in due}
        if counts:
            with metadata.write() as transaction:
                for (minute, caller), codes in counts.items():
                    body: JsonObject = {"minute": minute, "codes": codes}
                    self._journal.record(transaction, "job.refusals", caller, None, body)
        with self._lock:
            for key in due:
                del self._beyond[key]
            for key in [key for key in self._leaves if key[0] < now]:
                del self._leaves[key]
        return len(due)

    def _minute(self) -> int:
        return int(self._clock()) // _MINUTE_S


def path_of(peer: Peer) -> str:
    """Return what log entries name a caller by: role and name."""
    return peer.identity.path


def told(code: str) -> DeniedError:
    """Return what a caller is told of a denial: no more than it may know, its rules neither."""
    outer, text = outward(code)
    return DeniedError(outer, text)
