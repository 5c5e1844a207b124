"""When the key of an epoch has had its time, and what a new one costs.

Pure functions of what the log says and of the time. A new epoch is due when the key is old,
when a party or an office that held it was removed, when one may have lost it, and when the
agreement asks for other algorithms. The first and the last are planned: both keys are in use
for a while, so that what was begun can be finished. After a removal or a loss nothing more
runs under the old key.

Encodings are never carried over: they are made again from the records, for there is no way
from one key to the other without both and the values.

Source: NIST SP 800-57 part 1 revision 5, sections 5.3 (cryptoperiods) and 7 (key states).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise

PERIOD = timedelta(days=90)
OVERLAP = timedelta(days=14)


class Reason(Enum):
    """Why a new epoch is due."""

    AGE = "age"
    ALGORITHM = "algorithm"
    REMOVAL = "removal"
    LOSS = "suspected-loss"

    @property
    def at_once(self) -> bool:
        """Whether the old key may not even finish what it began."""
        return self in {Reason.REMOVAL, Reason.LOSS}


@dataclass(frozen=True)
class Event:
    """Something in the log that ends an epoch before its time.

    Attributes:
        reason: any but `AGE`.
        at: time of its log entry.
        holder: which party or office; "" for an algorithm.
    """

    reason: Reason
    at: datetime
    holder: str = ""


@dataclass(frozen=True)
class KeyedEpoch:
    """An epoch whose exchange is complete.

    Attributes:
        number: of the epoch.
        began: time of the first message of its exchange.
        completed: time of the last confirm.
        holders: parties, and offices that were given the key.
    """

    number: int
    began: datetime
    completed: datetime
    holders: frozenset[str]


@dataclass(frozen=True)
class Due:
    """A reason for a new epoch, since when it holds, and whose doing it is."""

    reason: Reason
    since: datetime
    holder: str = ""


def end_of(
    completed: datetime, successor: datetime | None, longest: timedelta, overlap: timedelta
) -> datetime:
    """Return when nothing more is done under a key.

    A successor that was made after the end of its time brings it no overlap: what has ended
    does not come back.

    Args:
        completed: when it was made.
        successor: when the one after it was; None if there is none.
        longest: how long it serves without a successor.
        overlap: how long it serves beside one.
    """
    expires = completed + longest
    return expires if successor is None or successor >= expires else successor + overlap


def reasons_for_new(
    epoch: KeyedEpoch, events: Iterable[Event], now: datetime, period: timedelta = PERIOD
) -> list[Due]:
    """Return why a new epoch is due by now, the longest due first; empty if it is not.

    Args:
        epoch: the newest one.
        events: of the agreement; those before the exchange began, and of who never held the
            key, do not count.
        now: the time.
        period: how long a key is in use.
    """
    due = [
        Due(event.reason, event.at, event.holder)
        for event in events
        if epoch.began <= event.at <= now
        and (event.reason is Reason.ALGORITHM or event.holder in epoch.holders)
    ]
    if now >= epoch.completed + period:
        due.append(Due(Reason.AGE, epoch.completed + period))
    return sorted(due, key=lambda one: (one.since, one.reason.value, one.holder))


@dataclass(frozen=True)
class Usable:
    """Which epochs may be worked under.

    Attributes:
        current: for whatever begins now; None: nothing may begin.
        finishing: for what was begun under them, and nothing else; the newest first.
    """

    current: int | None
    finishing: tuple[int, ...]


def usable_epochs(
    epochs: Sequence[KeyedEpoch],
    events: Sequence[Event],
    now: datetime,
    period: timedelta = PERIOD,
    overlap: timedelta = OVERLAP,
) -> Usable:
    """Return which epochs of an agreement may be worked under now.

    Args:
        epochs: those that are complete by now.
        events: of the agreement.
        now: the time.
        period: how long a key is in use.
        overlap: how long it may then wait for the next, and the next beside it.
    """

    def stands(epoch: KeyedEpoch) -> bool:
        due = reasons_for_new(epoch, events, now, period)
        return not any(one.reason.at_once for one in due)

    newest_first = sorted(epochs, key=lambda epoch: -epoch.number)
    if not newest_first:
        return Usable(None, ())
    newest = newest_first[0]
    longest = period + overlap
    in_time = now < end_of(newest.completed, None, longest, overlap)
    return Usable(
        current=newest.number if in_time and stands(newest) else None,
        finishing=tuple(
            old.number
            for successor, old in pairwise(newest_first)
            if now < end_of(old.completed, successor.completed, longest, overlap) and stands(old)
        ),
    )


def destroy_from(
    successor: KeyedEpoch, retained_until: Iterable[datetime], overlap: timedelta = OVERLAP
) -> datetime:
    """Return from when the key before a complete epoch is to be destroyed.

    Args:
        successor: the epoch after it.
        retained_until: ends of retention of the jobs that ran under it.
        overlap: how long both keys are in use.
    """
    return max([successor.completed + overlap, *retained_until])


@dataclass(frozen=True)
class Holding:
    """What a party has under the old key.

    Attributes:
        party: the party.
        records: whose encodings, and references, stand with the matcher: in batches that
            later jobs build on, and in registers for lookups.
        registers: number of those registers.
        offices: those that hold the key and stay.
        records_per_s: how many records it encodes in a second.
    """

    party: str
    records: int
    registers: int
    offices: tuple[str, ...]
    records_per_s: float


@dataclass(frozen=True)
class JobUnder:
    """A job that is not finished, and the epoch it was begun under."""

    job_id: str
    epoch: int


@dataclass(frozen=True)
class Cost:
    """What a new epoch asks of all.

    Attributes:
        epoch: its number.
        due: why; empty when nobody has to.
        messages: signed messages of the exchange and the delegations, in the log.
        latest: when the exchange is over if all take the time they have.
        records: to be read, normalised and encoded again, each with a new reference, by party.
        encode_s: seconds that takes, by party.
        registers: for lookups, to be built again, by party.
        delegations: offices that the key is sealed to, by party.
        jobs_to_finish: go on under the old key, within the overlap.
        jobs_to_repeat: end now, and are requested again under the new key.
    """

    epoch: int
    due: tuple[Due, ...]
    messages: int
    latest: datetime
    records: dict[str, int]
    encode_s: dict[str, float]
    registers: dict[str, int]
    delegations: dict[str, tuple[str, ...]]
    jobs_to_finish: tuple[str, ...]
    jobs_to_repeat: tuple[str, ...]


def cost_of_new(
    begun: int,
    due: Sequence[Due],
    holdings: Sequence[Holding],
    jobs: Iterable[JobUnder],
    usable: Usable,
    now: datetime,
    step_time: timedelta,
) -> Cost:
    """Return what a new epoch costs, were it begun now.

    Args:
        begun: the greatest number of an epoch that was ever begun, complete or not.
        due: why, as `reasons_for_new` says.
        holdings: of all parties that go on.
        jobs: those that are not finished.
        usable: as `usable_epochs` says.
        now: the time.
        step_time: of the exchange.
    """
    offices = {held.party: held.offices for held in holdings}
    open_jobs = list(jobs)
    going_on = {usable.current, *usable.finishing}
    return Cost(
        epoch=begun + 1,
        due=tuple(due),
        messages=3 * len(holdings) + sum(len(names) for names in offices.values()),
        latest=now + 4 * step_time,
        records={held.party: held.records for held in holdings},
        encode_s={held.party: held.records / held.records_per_s for held in holdings},
        registers={held.party: held.registers for held in holdings},
        delegations=offices,
        jobs_to_finish=tuple(job.job_id for job in open_jobs if job.epoch in going_on),
        jobs_to_repeat=tuple(job.job_id for job in open_jobs if job.epoch not in going_on),
    )
