"""Counts of lookups: the number of every answer, quotas, and the log's leaf of each minute.

An answer has its number, and is counted with the request that its caller signed, in a
transaction that ends before the answer leaves. So numbers go on where they were after a crash,
and a gap in what a caller has got is an answer that was lost on its way. Refusals are counted
in memory until their minute is logged.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from linkage.agreement.usage import Grant
from linkage.errors import NotFoundError, QuotaExceededError
from linkage.log.canonical import Json
from linkage.log.hashing import leaf_hash
from linkage.log.tree import root_of
from linkage.matcher.journal import Journal
from linkage.matcher.match_log import MatchLog
from linkage.store.metadata import Metadata, Transaction
from linkage.store.registers import LookupRequestRow, LookupRow, LookupRows

MINUTE_S = 60
_DAY = 24 * 60
_MATCHER = "matcher"
# Rows of counts in one leaf: their body has to fit into a message of the log.
_ROWS_PER_LEAF = 128


@dataclass(frozen=True)
class Route:
    """Who asks whose register under which agreement, and under which grant.

    Attributes:
        agreement_id: the agreement.
        caller: role and name of who asks.
        register: the party whose register it is.
        grant: name of the grant; "" for none.
    """

    agreement_id: str
    caller: str
    register: str
    grant: str = ""

    @classmethod
    def of(cls, grant: Grant) -> "Route":
        """Return the route that a grant opens."""
        return cls(grant.agreement, grant.caller, grant.register, grant.id)


@dataclass(frozen=True)
class Admitted:
    """A lookup that may be answered.

    Attributes:
        grant: under which grant.
        key: digest of the key of the caller's certificate.
        cosigned: size of the checkpoint that covers the grant.
        request: the envelope that the caller signed.
        digest: `request_digest` of it.
    """

    grant: Grant
    key: str
    cosigned: int
    request: bytes
    digest: bytes


class LookupCounts:
    """The counts of a matcher.

    Args:
        metadata: the database.
        journal: makes log entries.
        log: publishes them.
    """

    def __init__(self, metadata: Metadata, journal: Journal, log: MatchLog) -> None:
        self._metadata, self._journal, self._log = metadata, journal, log
        self._lock = threading.Lock()
        self._minute = self._now()
        # By grant: asked in this minute, on their way to a number, and numbers given.
        self._asked: Counter[str] = Counter()
        self._coming: Counter[str] = Counter()
        self._refused: Counter[tuple[int, Route]] = Counter()
        # All minutes before this one are logged.
        self._logged = 0
        # The last day on which requests were forgotten.
        self._forgotten = -1
        with metadata.read() as transaction:
            table = LookupRows(transaction.connection)
            # A grant lasts a day at most.
            self._given = table.used(self._minute - 2 * _DAY)
            for row in table.since(self._minute):
                # A restart gives nobody a second quota.
                self._asked[row.grant_id] += row.answered

    def used(self, grant: str) -> int:
        """Return how many lookups were made under a grant, with those at hand."""
        with self._lock:
            return self._given.get(grant, 0) + self._coming[grant]

    def admit(self, grant: Grant) -> None:
        """Take one lookup off a grant; what was taken goes to `number` or `release`.

        Raises:
            QuotaExceededError: there is none left in this minute.
        """
        with self._lock:
            now = self._now()
            if now != self._minute:
                self._minute, self._asked = now, Counter()
            if self._asked[grant.id] >= grant.per_minute:
                self._refused[now, Route.of(grant)] += 1
                raise QuotaExceededError(
                    f"{grant.per_minute} lookups a minute are granted to {grant.caller} in the "
                    f"register of {grant.register}: wait for the next minute"
                )
            self._asked[grant.id] += 1
            self._coming[grant.id] += 1

    def release(self, grants: Sequence[str]) -> None:
        """Give back lookups that got no number: they were not answered."""
        with self._lock:
            self._coming.subtract(grants)

    def refuse(self, route: Route) -> None:
        """Count a lookup that was refused."""
        with self._lock:
            self._refused[self._now(), route] += 1

    def number(self, admitted: Sequence[Admitted]) -> list[int]:
        """Count answers that are about to leave, and return their numbers, in their order.

        To be called by one thread at a time.

        Raises:
            UnavailableError: the database cannot keep them: nothing may leave.
        """
        given = {one.grant.id: self._given.get(one.grant.id, 0) for one in admitted}
        numbers, rows, requests = [], dict[str, LookupRow](), list[LookupRequestRow]()
        with self._metadata.write() as transaction:
            # Read here, where no minute is being logged: what is added to one that has its leaf
            # is in no leaf. Not before the last one logged, should the clock be set back.
            minute = max(self._now(), self._logged)
            for one in admitted:
                grant = one.grant
                given[grant.id] += 1
                numbers.append(given[grant.id])
                before = rows.get(grant.id)
                rows[grant.id] = LookupRow(
                    grant.agreement,
                    minute,
                    grant.caller,
                    grant.register,
                    grant.id,
                    key=one.key,
                    cosigned=one.cosigned,
                    answered=1 + (before.answered if before else 0),
                    sequence=given[grant.id],
                )
                requests.append(LookupRequestRow(grant.id, given[grant.id], minute, one.request))
            table = LookupRows(transaction.connection)
            for row in rows.values():
                table.count(row)
            table.add_requests(requests)
        with self._lock:
            self._given |= given
            self._coming.subtract(one.grant.id for one in admitted)
        return numbers

    def recent_requests(self) -> list[bytes]:
        """Return the signed requests that were answered in the last minutes, of all callers."""
        with self._metadata.read() as transaction:
            rows = LookupRows(transaction.connection).requests_since(self._now() - 10)
        return [row.request for row in rows]

    def requests_of(self, leaf: int) -> list[LookupRequestRow]:
        """Return the signed requests that a leaf has the Merkle root of, in its order.

        Raises:
            NotFoundError: the leaf records no minute of lookups.
        """
        with self._metadata.read() as transaction:
            table = LookupRows(transaction.connection)
            if not (rows := table.of_leaf(leaf)):
                raise NotFoundError("this leaf records no lookups")
            return table.requests_of(rows[0].minute, [row.grant_id for row in rows])

    def forget_requests(self, days: int) -> None:
        """Delete the signed requests that are older than some days; once a day is enough."""
        today = self._now() // _DAY
        if today == self._forgotten:
            return
        with self._metadata.write() as transaction:
            LookupRows(transaction.connection).forget_requests(self._now() - days * _DAY)
        self._forgotten = today

    def log_minutes(self) -> int:
        """Log every minute that has ended and is not logged yet; return how many leaves.

        One leaf, or a few, for each agreement and minute with lookups: how many each caller got
        an answer to and was refused, the last number of an answer, and the Merkle root of the
        requests that were answered.
        """
        now = self._now()
        if now == self._logged:
            return 0
        with self._lock:
            ended = {key: n for key, n in self._refused.items() if key[0] < now}
        with self._metadata.write() as transaction:
            table = LookupRows(transaction.connection)
            for (minute, route), refused in ended.items():
                row = LookupRow(
                    route.agreement_id, minute, route.caller, route.register, route.grant
                )
                table.count(replace(row, refused=refused))
            n_leaves = 0
            for (minute, agreement), group in groupby(
                table.not_logged(now), lambda row: (row.minute, row.agreement_id)
            ):
                rows = list(group)
                for first in range(0, len(rows), _ROWS_PER_LEAF):
                    self._record(transaction, minute, agreement, rows[first:][:_ROWS_PER_LEAF])
                    n_leaves += 1
        with self._lock:  # kept until here: nothing is lost while the database is away
            for key in ended:
                del self._refused[key]
        if n_leaves:
            self._log.publish()
        self._logged = now
        return n_leaves

    def _record(
        self, transaction: Transaction, minute: int, agreement: str, rows: Sequence[LookupRow]
    ) -> None:
        table = LookupRows(transaction.connection)
        counts: list[Json] = [
            {
                "grant": row.grant_id,
                "caller": row.caller,
                "register": row.register,
                "key": row.key,
                "cosigned": row.cosigned,
                "answered": row.answered,
                "refused": row.refused,
                "last": row.sequence,
            }
            for row in rows
        ]
        requests = table.requests_of(minute, [row.grant_id for row in rows])
        body: dict[str, Json] = {
            "minute": minute * MINUTE_S,
            "counts": counts,
            "answered": sum(row.answered for row in rows),
            "root": root_of([leaf_hash(one.request) for one in requests]).hex(),
        }
        leaf = self._journal.record(transaction, "lookup.minute", _MATCHER, agreement, body)
        for row in rows:
            table.set_logged(row, leaf)

    def _now(self) -> int:
        return int(self._journal.clock()) // MINUTE_S
