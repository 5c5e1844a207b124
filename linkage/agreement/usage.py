"""How much of an agreement was used, as its confidential leaves have it: the log's state.

Bodies of these leaves go to an agreement's parties and to auditors only. Who reads the log
without them sees all agreements and keys, and counts nothing. But for grants (`grants`) they are
the matcher's own words: what was signed by others stands inside them, and auditors check it there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone

from linkage.agreement.refusal import Refused
from linkage.agreement.values import path_of
from linkage.log.canonical import Json, JsonObject
from linkage.log.entry import Entry

# Days of agreements and quotas are those of western Indonesia, where their parties sign.
WIB = timezone(timedelta(hours=7))
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[!-~]{1,255}")


def day_of(time: datetime) -> date:
    """Return the day of a time in western Indonesia (UTC+7)."""
    try:
        return time.astimezone(WIB).date()
    except OverflowError:  # the first and the last hours that can be written
        return time.date()


@dataclass(frozen=True)
class Day:
    """What one caller used of one agreement on one day."""

    jobs: int = 0
    records: int = 0
    lookups: int = 0


@dataclass(frozen=True)
class GateFact:
    """A risk gate's result, as its leaf has it.

    Attributes:
        schema_id: under which they were encoded.
        epoch: and in which epoch.
        rate: highest rate of persons named, by its bound.
        void: whether an attack did not even break its control.
        structure: whether an attack that names nobody exceeded its limit.
        valid_until: the end of its time.
        leaf: where it is in the log.
    """

    schema_id: str
    epoch: int
    rate: float
    void: bool
    structure: bool
    valid_until: datetime
    leaf: int


@dataclass(frozen=True)
class Grant:
    """Leave to look up, for a number and a time.

    Attributes:
        id: its name.
        agreement: under which.
        caller: to whom, as `party/x` or `office/x/y`.
        register: whose register.
        number: how many lookups.
        per_minute: how many of them in one minute.
        valid_from: the first moment.
        valid_until: the end.
        leaf: where it is in the log.
        revoked: the leaf that ended it before its time.
        on_probing: `alarm` or `refuse`, where lookups look like probing.
    """

    id: str
    agreement: str
    caller: str
    register: str
    number: int
    per_minute: int
    valid_from: datetime
    valid_until: datetime
    leaf: int
    revoked: int | None = None
    on_probing: str = "alarm"


@dataclass(frozen=True)
class Usage:
    """All counts.

    Attributes:
        jobs: authorised jobs of each agreement.
        days: use by agreement, day and caller.
        asked: callers of jobs that are not decided yet, by job.
        gates: gate results by agreement, party and digest.
        grants: grants by their id.
        unread: confidential leaves whose bodies the reader did not have.
    """

    jobs: Mapping[str, int] = field(default_factory=dict)
    days: Mapping[str, Mapping[date, Mapping[str, Day]]] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    gates: Mapping[tuple[str, str, str], GateFact] = field(default_factory=dict)
    grants: Mapping[str, Grant] = field(default_factory=dict)
    unread: int = 0

    def on(self, agreement: str, caller: str, day: date) -> Day:
        """Return what a caller used of an agreement on a day."""
        return self._of(agreement, day).get(caller, Day())

    def by_party(self, agreement: str, party: str, day: date) -> Day:
        """Return what a party and all its offices used of an agreement on a day."""
        found = [
            used
            for caller, used in self._of(agreement, day).items()
            if caller == f"party/{party}" or caller.startswith(f"office/{party}/")
        ]
        return Day(
            sum(used.jobs for used in found),
            sum(used.records for used in found),
            sum(used.lookups for used in found),
        )

    def _of(self, agreement: str, day: date) -> Mapping[str, Day]:
        return self.days.get(agreement, {}).get(day, {})

    def after(self, index: int, entry: Entry, body: JsonObject | None) -> "Usage":
        """Return the counts with one confidential leaf more.

        Args:
            index: its leaf index.
            entry: the leaf.
            body: what it committed to, which the caller has checked; None if not at hand.

        Raises:
            Refused: the body is not what leaves of its type have.
        """
        if body is None:
            return replace(self, unread=self.unread + 1)
        if entry.type == "job.request":
            asked = {**self.asked, _name(body.get("job")): path_of(entry.actor)}
            return replace(self, asked=asked)
        if entry.type in ("job.authorise", "job.deny"):
            return _decided(self, entry, _name(body.get("job")))
        # Counted when it is admitted: uploads at the same time count against each other.
        if entry.type == "job.admit":
            n_records, agreement = _count(body.get("n_records")), entry.agreement or ""
            caller = path_of(entry.actor)
            return _used(self, agreement, day_of(entry.time), caller, records=n_records)
        if entry.type == "gate":
            return replace(self, gates={**self.gates, **_gate(index, entry, body)})
        return self

    def granted(self, grant: Grant) -> "Usage":
        """Return the counts with one grant more; it is used on the day on which it begins."""
        day = day_of(grant.valid_from)
        counted = _used(self, grant.agreement, day, grant.caller, lookups=grant.number)
        return replace(counted, grants={**self.grants, grant.id: grant})


def _decided(usage: Usage, entry: Entry, job: str) -> Usage:
    caller = usage.asked.get(job)
    if caller is None:
        raise Refused("NO_SUCH_JOB")
    left = {name: who for name, who in usage.asked.items() if name != job}
    if entry.type == "job.deny":
        return replace(usage, asked=left)
    agreement = entry.agreement or ""
    jobs = {**usage.jobs, agreement: usage.jobs.get(agreement, 0) + 1}
    asked = replace(usage, asked=left, jobs=jobs)
    return _used(asked, agreement, day_of(entry.time), caller, jobs=1)


def _used(
    usage: Usage,
    agreement: str,
    day: date,
    caller: str,
    jobs: int = 0,
    records: int = 0,
    lookups: int = 0,
) -> Usage:
    before = usage.on(agreement, caller, day)
    now = Day(before.jobs + jobs, before.records + records, before.lookups + lookups)
    days = usage.days.get(agreement, {})
    callers = {**days.get(day, {}), caller: now}
    return replace(usage, days={**usage.days, agreement: {**days, day: callers}})


def _gate(index: int, entry: Entry, body: JsonObject) -> dict[tuple[str, str, str], GateFact]:
    rate, void, structure = (body.get(name) for name in ("rate", "void", "structure"))
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise Refused("MALFORMED")
    if not isinstance(void, bool) or not isinstance(structure, bool):
        raise Refused("MALFORMED")
    fact = GateFact(
        schema_id=_digest(body.get("schema_id")),
        epoch=_count(body.get("epoch")),
        rate=float(rate),
        void=void,
        structure=structure,
        valid_until=_time(body.get("valid_until")),
        leaf=index,
    )
    return {(entry.agreement or "", _name(body.get("party")), _digest(body.get("gate"))): fact}


def _name(value: Json) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise Refused("MALFORMED")
    return value


def _digest(value: Json) -> str:
    if not isinstance(value, str) or _DIGEST.fullmatch(value) is None:
        raise Refused("MALFORMED")
    return value


def _count(value: Json) -> int:
    if type(value) is not int or value < 0:
        raise Refused("MALFORMED")
    return value


def _time(value: Json) -> datetime:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.utcoffset() != timedelta(0):
        raise Refused("MALFORMED")
    return time.astimezone(UTC)
