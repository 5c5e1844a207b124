"""The report: who had what linked with whom, under which agreement and for what.

Read from the leaves of a verified bundle, so it is as complete as its bodies. Jobs, lookups and
records are counted for each agreement and month, with the record of processing of each agreement.
Whether the jobs were allowed is for the replay to say.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from linkage.agreement.jobs import JobRecord
from linkage.agreement.state import State, replay
from linkage.agreement.usage import day_of
from linkage.audit.processing import Element, record_of_processing
from linkage.audit.verify import Contents
from linkage.log.canonical import Json, JsonObject


@dataclass(frozen=True)
class Period:
    """What was done in one month.

    Args:
        month: year and month in western Indonesia, such as 2026-11.
        jobs: number of jobs by outcome.
        released: how many of them gave a result.
        records: by party, how many it uploaded.
        lookups: by caller and register, how many were answered.
        refused: likewise, how many were refused.
    """

    month: str
    jobs: Mapping[str, int]
    released: int
    records: Mapping[str, int]
    lookups: Mapping[str, int]
    refused: Mapping[str, int]


@dataclass(frozen=True)
class AgreementRecord:
    """What was done under one agreement.

    Args:
        agreement: its id.
        purpose: its purpose, in Indonesian; empty where no such agreement came into force.
        basis: of each party and direction, legal basis and article.
        jobs: number of jobs by outcome.
        released: how many of them gave a result.
        records: by party, how many it uploaded in all.
        periods: the same and lookups, month by month.
        entries: number of entries by type, jobs and lookups left out.
        processing: the record of processing; empty where there is no agreement.
        told: how many jobs told whom what, such as `dukcapil -> imigrasi (R2)`.
        requesters: how many jobs who asked for, as `party/x` or `office/x/y`.
    """

    agreement: str
    purpose: str
    basis: tuple[str, ...]
    jobs: Mapping[str, int]
    released: int
    records: Mapping[str, int]
    periods: tuple[Period, ...] = ()
    entries: Mapping[str, int] = field(default_factory=dict)
    processing: tuple[Element, ...] = ()
    told: Mapping[str, int] = field(default_factory=dict)
    requesters: Mapping[str, int] = field(default_factory=dict)


@dataclass
class _Minutes:
    """Lookups of one agreement and month."""

    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


def by_agreement(
    contents: Contents,
    jobs: Iterable[JobRecord],
    first: date | None = None,
    last: date | None = None,
    agreement: str | None = None,
) -> list[AgreementRecord]:
    """Return some jobs, and all else, added up for each agreement.

    Args:
        contents: of a bundle that was verified.
        jobs: the jobs to count.
        first: count lookups and other entries from this day on.
        last: and up to this one.
        agreement: only this one.
    """
    state = replay(contents.entries, contents.bodies)
    grouped: dict[str, list[JobRecord]] = {}
    for job in jobs:
        grouped.setdefault(job.agreement, []).append(job)
    minutes: dict[str, dict[str, _Minutes]] = {}
    others: dict[str, Counter[str]] = {}
    for index, entry in enumerate(contents.entries):
        day, name = entry.time.date(), entry.agreement
        chosen = name is not None and agreement in (None, name)
        if name is None or not chosen or not (first or day) <= day <= (last or day):
            continue
        body = contents.bodies.get(index)
        if entry.type == "lookup.minute" and body is not None:
            of_month = minutes.setdefault(name, {}).setdefault(
                _month(day_of(entry.time)), _Minutes()
            )
            _add_minute(of_month, body)
        elif not entry.type.startswith(("job.", "lookup.minute")):
            others.setdefault(name, Counter())[entry.type] += 1
    names = sorted(grouped.keys() | minutes.keys() | others.keys())
    return [
        _added_up(
            state, name, grouped.get(name, []), minutes.get(name, {}), others.get(name, Counter())
        )
        for name in names
    ]


def _added_up(
    state: State,
    name: str,
    jobs: Sequence[JobRecord],
    minutes: Mapping[str, _Minutes],
    entries: Counter[str],
) -> AgreementRecord:
    standing = state.agreements.get(name)
    agreed = standing.agreement if standing is not None else None
    by_month: dict[str, list[JobRecord]] = {month: [] for month in minutes}
    for job in jobs:
        by_month.setdefault(_month(day_of(job.asked)), []).append(job)
    return AgreementRecord(
        name,
        agreed.purpose.text.id if agreed else "",
        tuple(
            f"{one.party} ({one.direction}): {one.basis}, {one.article}"
            for one in (agreed.legal_basis if agreed else ())
        ),
        _outcomes(jobs),
        _released(jobs),
        _records(jobs),
        tuple(
            Period(
                month,
                _outcomes(by_month[month]),
                _released(by_month[month]),
                _records(by_month[month]),
                dict(minutes[month].answered) if month in minutes else {},
                dict(minutes[month].refused) if month in minutes else {},
            )
            for month in sorted(by_month)
        ),
        dict(sorted(entries.items())),
        record_of_processing(agreed, entries) if agreed else (),
        dict(Counter(told for job in jobs if job.released for told in job.results)),
        dict(Counter(job.requester for job in jobs)),
    )


def _outcomes(jobs: Iterable[JobRecord]) -> dict[str, int]:
    return dict(Counter(job.outcome for job in jobs))


def _released(jobs: Iterable[JobRecord]) -> int:
    return sum(job.released is not None for job in jobs)


def _records(jobs: Iterable[JobRecord]) -> dict[str, int]:
    records: Counter[str] = Counter()
    for job in jobs:
        records.update(job.records)
    return dict(records)


def _add_minute(minutes: _Minutes, body: JsonObject) -> None:
    counts = body.get("counts")
    for one in counts if isinstance(counts, list) else []:
        if isinstance(one, dict):
            route = f"{one.get('caller')} -> {one.get('register')}"
            minutes.answered[route] += _number(one.get("answered"))
            minutes.refused[route] += _number(one.get("refused"))


def _number(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _month(day: date) -> str:
    return f"{day:%Y-%m}"
