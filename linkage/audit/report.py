"""The report: who had what linked with whom, under which agreement and for what.

Read from the leaves of a verified bundle, so it is as complete as the bodies in it. It
is what a record of processing needs of the matcher (UU 27/2022 art. 31, PP 33/2026 art. 74),
and it says which jobs a key touched, once that key turns out to be in other hands. Whether the
jobs were allowed is for the replay to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from linkage.agreement.state import State, replay
from linkage.audit.verify import Contents
from linkage.log.canonical import Json, JsonObject

UNDECIDED = ""
"""The outcome of a job that was asked for and not decided."""


@dataclass(frozen=True)
class JobRecord:
    """What the log says of one job.

    Args:
        job: its id.
        agreement: the agreement that it names.
        version: digest of the version that it names.
        purpose: the purpose code that it names.
        requester: who asked, as `party/x` or `office/x/y`.
        asked: when.
        parties: whose records were to be compared.
        attributes: names of what was to be compared.
        outcome: code of the decision.
        records: by party, how many it uploaded.
        comparisons: how many were planned.
        released: when the result was.
        keys: by caller, the key of the certificate that it used (SHA-256 of its SPKI).
        leaves: indexes of all its leaves.
    """

    job: str
    agreement: str
    version: str
    purpose: str
    requester: str
    asked: datetime
    parties: tuple[str, ...]
    attributes: tuple[str, ...]
    outcome: str = UNDECIDED
    records: Mapping[str, int] = field(default_factory=dict)
    comparisons: int | None = None
    released: datetime | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    leaves: tuple[int, ...] = ()


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
    """

    agreement: str
    purpose: str
    basis: tuple[str, ...]
    jobs: Mapping[str, int]
    released: int
    records: Mapping[str, int]


def read_jobs(contents: Contents) -> list[JobRecord]:
    """Return what a log says of its jobs, in the order in which they were asked for.

    Bodies that are not there are passed over, and so are those that are not what the
    matcher writes: the replay names them.
    """
    jobs: dict[str, JobRecord] = {}
    for index, entry in enumerate(contents.entries):
        body = contents.bodies.get(index)
        name = body.get("job") if body is not None else None
        if body is None or not isinstance(name, str):
            continue
        if entry.type == "job.request" and name not in jobs:
            spec = _object(body.get("spec"))
            jobs[name] = JobRecord(
                job=name,
                agreement=entry.agreement or "",
                version=_text(spec, "agreement_sha256"),
                purpose=_text(spec, "purpose"),
                requester=entry.actor,
                asked=entry.time,
                parties=_names(spec.get("parties")),
                attributes=tuple(
                    one[0] for one in map(_names, _list(spec.get("attributes"))) if one
                ),
            )
        job = jobs.get(name)
        if job is None:
            continue
        job = replace(job, leaves=(*job.leaves, index))
        if entry.type in ("job.authorise", "job.deny"):
            job = replace(job, outcome=_text(body, "code"))
        elif entry.type == "batch":
            party = entry.actor.split("/")[1] if "/" in entry.actor else entry.actor
            job = replace(job, records={**job.records, party: _number(body.get("n_records"))})
        elif entry.type == "job.plan":
            job = replace(job, comparisons=_number(body.get("comparisons")))
        elif entry.type == "release":
            job = replace(job, released=entry.time)
        if "key" in body:
            job = replace(job, keys={**job.keys, entry.actor: _text(body, "key")})
        jobs[name] = job
    return list(jobs.values())


def by_agreement(contents: Contents, jobs: Iterable[JobRecord]) -> list[AgreementRecord]:
    """Return some jobs added up for each agreement that they name."""
    state = replay(contents.entries, contents.bodies)
    grouped: dict[str, list[JobRecord]] = {}
    for job in jobs:
        grouped.setdefault(job.agreement, []).append(job)
    return [_added_up(state, name, grouped[name]) for name in sorted(grouped)]


def _added_up(state: State, name: str, jobs: Sequence[JobRecord]) -> AgreementRecord:
    outcomes: dict[str, int] = {}
    records: dict[str, int] = {}
    for job in jobs:
        outcomes[job.outcome] = outcomes.get(job.outcome, 0) + 1
        for party, n_records in job.records.items():
            records[party] = records.get(party, 0) + n_records
    standing = state.agreements.get(name)
    agreed = standing.agreement if standing is not None else None
    return AgreementRecord(
        name,
        agreed.purpose.text.id if agreed else "",
        tuple(
            f"{one.party} ({one.direction}): {one.basis}, {one.article}"
            for one in (agreed.legal_basis if agreed else ())
        ),
        outcomes,
        sum(job.released is not None for job in jobs),
        records,
    )


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else []


def _names(value: Json) -> tuple[str, ...]:
    return tuple(one for one in _list(value) if isinstance(one, str))


def _text(body: JsonObject, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _number(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
