"""Counts of lookups: the number of every answer, quotas, and the log's leaf of each minute.

An answer has its number, and is counted, in a transaction that ends before the answer
leaves. So numbers go on where they were after a crash, and a gap in what a caller has got
is an answer that was lost on its way. Refusals are counted in memory until their minute
is logged.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from linkage.errors import QuotaExceededError
from linkage.log.canonical import Json
from linkage.matcher.journal import Journal
from linkage.matcher.match_log import MatchLog
from linkage.store.metadata import Metadata
from linkage.store.registers import LookupRow, LookupRows

MINUTE_S = 60
_MATCHER = "matcher"


@dataclass(frozen=True)
class Route:
    """Who asks whose register under which agreement."""

    agreement_id: str
    caller: str
    register: str


class LookupCounts:
    """The counts of a matcher.

    Args:
        metadata: the database.
        journal: makes log entries.
        log: publishes them.
        per_minute: most lookups of each route in a minute.
    """

    def __init__(
        self, metadata: Metadata, journal: Journal, log: MatchLog, per_minute: Mapping[Route, int]
    ) -> None:
        self._metadata, self._journal, self._log = metadata, journal, log
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._minute = self._now()
        self._asked: Counter[Route] = Counter()
        self._refused: Counter[tuple[int, Route]] = Counter()
        self._sequence: dict[str, int] = {}
        # All minutes before this one are logged.
        self._logged = 0
        with metadata.read() as transaction:
            for row in LookupRows(transaction.connection).since(self._minute):
                # A restart gives nobody a second quota.
                self._asked[Route(row.agreement_id, row.caller, row.register)] += row.answered

    def admit(self, route: Route) -> None:
        """Take one lookup off a route's quota of this minute.

        Raises:
            QuotaExceededError: there is none left.
        """
        with self._lock:
            now = self._now()
            if now != self._minute:
                self._minute, self._asked = now, Counter()
            most = self._per_minute[route]
            if self._asked[route] >= most:
                self._refused[now, route] += 1
                raise QuotaExceededError(
                    f"{most} lookups a minute are agreed for {route.caller} in the register of "
                    f"{route.register}: wait for the next minute"
                )
            self._asked[route] += 1

    def refuse(self, route: Route) -> None:
        """Count a lookup that was refused."""
        with self._lock:
            self._refused[self._now(), route] += 1

    def number(self, routes: Sequence[Route]) -> list[int]:
        """Count answers that are about to leave, and return their numbers, in their order.

        To be called by one thread only.

        Raises:
            UnavailableError: the database cannot keep them: nothing may leave.
        """
        minute = self._now()
        given = dict(self._sequence)
        numbers = []
        rows: dict[Route, LookupRow] = {}
        with self._metadata.write() as transaction:
            table = LookupRows(transaction.connection)
            for route in routes:
                agreement = route.agreement_id
                if agreement not in given:
                    given[agreement] = table.last_sequence(agreement)
                given[agreement] += 1
                numbers.append(given[agreement])
                before = rows.get(route)
                rows[route] = LookupRow(
                    agreement,
                    minute,
                    route.caller,
                    route.register,
                    answered=1 + (before.answered if before else 0),
                    sequence=given[agreement],
                )
            for row in rows.values():
                table.count(row)
        self._sequence = given
        return numbers

    def log_minutes(self) -> int:
        """Log every minute that has ended and is not logged yet; return how many leaves.

        One leaf for each agreement and minute with lookups: how many each caller got an
        answer to and was refused, and the last number of an answer.
        """
        now = self._now()
        if now == self._logged:
            return 0
        with self._lock:
            ended = {key: n for key, n in self._refused.items() if key[0] < now}
            for key in ended:
                del self._refused[key]
        with self._metadata.write() as transaction:
            table = LookupRows(transaction.connection)
            for (minute, route), refused in ended.items():
                row = LookupRow(route.agreement_id, minute, route.caller, route.register)
                table.count(LookupRow(**{**vars(row), "refused": refused}))
            n_leaves = 0
            for (minute, agreement), group in groupby(
                table.not_logged(now), lambda row: (row.minute, row.agreement_id)
            ):
                rows = list(group)
                counts: list[Json] = [
                    {
                        "caller": row.caller,
                        "register": row.register,
                        "answered": row.answered,
                        "refused": row.refused,
                    }
                    for row in rows
                ]
                body: dict[str, Json] = {
                    "minute": minute * MINUTE_S,
                    "counts": counts,
                    "answered": sum(row.answered for row in rows),
                    "last": max(row.sequence for row in rows),
                }
                leaf = self._journal.record(transaction, "lookup.minute", _MATCHER, agreement, body)
                table.set_logged(agreement, minute, leaf)
                n_leaves += 1
        if n_leaves:
            self._log.publish()
        self._logged = now
        return n_leaves

    def _now(self) -> int:
        return int(self._journal.clock()) // MINUTE_S
