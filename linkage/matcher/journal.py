"""Log entries of the matcher: made inside the transaction that they record."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from linkage.errors import UnavailableError
from linkage.log.canonical import JsonObject, format_json
from linkage.log.entry import (
    OPENING_BYTES,
    Entry,
    commit_body,
    format_entry,
    is_confidential,
    parse_entry,
)
from linkage.store.metadata import NewEntry, Transaction

# So far back a clock may be set without harm: verifiers allow as much.
SKEW = timedelta(minutes=5)
# Seconds since 1970.
Clock = Callable[[], float]


def time_of(clock: Clock) -> datetime:
    """Return the time of a clock in UTC and whole seconds, as entries have it."""
    return datetime.fromtimestamp(int(clock()), UTC)


class Journal:
    """Appends entries, each with its time, and a commitment where it is confidential.

    Args:
        clock: the matcher's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def _time(self, transaction: Transaction) -> datetime:
        """Return the time of an entry: never before that of the one before it.

        Raises:
            UnavailableError: the clock is further behind than clocks are.
        """
        time, size = transaction.time(self.clock), transaction.entry_count()
        if size == 0:
            return time
        last = parse_entry(transaction.entries(size - 1, size)[0].leaf).time
        if last - time > SKEW:
            raise UnavailableError(
                f"the clock is behind the log, whose last entry is of {last:%Y-%m-%d %H:%M:%S} "
                "UTC: set the clock"
            )
        return max(time, last)

    def record(
        self,
        transaction: Transaction,
        leaf_type: str,
        actor: str,
        agreement_id: str | None,
        body: JsonObject,
        refs: Sequence[int] = (),
        job_id: str | None = None,
    ) -> int:
        """Append an entry and return its index.

        Args:
            transaction: the transaction that makes the recorded change.
            leaf_type: type of the leaf.
            actor: who caused it, as role/name.
            agreement_id: the agreement it belongs to, if any.
            body: what happened: ids, counts and digests, never personal data.
            refs: indexes of earlier leaves that it builds on.
            job_id: the job it belongs to: whose parties may read its body.
        """
        time = self._time(transaction)
        ref = tuple(sorted(set(refs)))
        if not is_confidential(leaf_type):
            entry = Entry(leaf_type, time, actor, agreement_id, ref, body=body)
            return transaction.append(NewEntry(format_entry(entry), agreement_id, job_id))
        opening, content = os.urandom(OPENING_BYTES), format_json(body)
        commitment = commit_body(opening, content)
        entry = Entry(leaf_type, time, actor, agreement_id, ref, commitment=commitment)
        return transaction.append(
            NewEntry(format_entry(entry), agreement_id, job_id, opening, content)
        )
