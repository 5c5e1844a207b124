"""Log entries of the matcher: made inside the transaction that they record."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
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
        entry = Entry(
            leaf_type, self._time(transaction), actor, agreement_id, tuple(sorted(set(refs)))
        )
        _, made = with_body(entry, body, job_id)
        return transaction.append(made)


def with_body(entry: Entry, body: JsonObject, job_id: str | None = None) -> tuple[Entry, NewEntry]:
    """Return an entry with its body, or a commitment to it where it is confidential.

    Args:
        entry: without either.
        body: what happened.
        job_id: the job it belongs to: whose parties may read its body.

    Returns:
        The entry, and what the database keeps of it.
    """
    if not is_confidential(entry.type):
        entry = replace(entry, body=body)
        return entry, NewEntry(format_entry(entry), entry.agreement, job_id)
    opening, content = os.urandom(OPENING_BYTES), format_json(body)
    entry = replace(entry, commitment=commit_body(opening, content))
    return entry, NewEntry(format_entry(entry), entry.agreement, job_id, opening, content)
