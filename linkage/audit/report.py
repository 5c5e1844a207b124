"""The report: who had what linked with whom, under which agreement and for what.

Read from the leaves of a verified bundle, so it is as complete as the bodies in it. It
is what a record of processing needs of the matcher (UU 27/2022 art. 31, PP 33/2026 art. 74),
and it says which jobs a key touched, once that key turns out to be in other hands. Whether the
jobs were allowed is for the replay to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from linkage.agreement.jobs import JobRecord
from linkage.agreement.state import State, replay
from linkage.audit.verify import Contents


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
