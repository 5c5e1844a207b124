"""The trail of a record: which linkages it was used in, for whom, and on which basis.

What an agency has to be able to tell the person whom a record is about (UU 27/2022 articles 5 to 7,
PP 33/2026). It is read on the agency's machine alone, from its own copy of the log, its own map of
references, and its own results; nobody is asked, so nobody learns whom the question was about.

A job in the trail may be one whose records are not known any more, or were never encoded here: that
is said, and not passed over.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from linkage.agent.config import AgentConfig, Agreement
from linkage.agent.mirror import Mirror
from linkage.agent.participants import participants_of
from linkage.agent.references import References, references_of
from linkage.agent.result import file_of
from linkage.agreement.jobs import JobRecord, read_jobs
from linkage.agreement.model import Agreement as SignedAgreement
from linkage.errors import NotFoundError, RecordError
from linkage.log.entry import parse_entry
from linkage.log.policy import Policy
from linkage.store.artefacts import ArtefactStore

# Levels that tell of a record whether it was linked, and the columns that say so.
_NAMING = {"R1": ["found"], "R2": ["grade"], "R3": ["link_id", "grade"]}


@dataclass(frozen=True)
class FoundLink:
    """A link that a job brought for a record.

    Attributes:
        counterpart: whose record it is with.
        link_id: equal at both parties; "" below result level R3.
        grade: match or undetermined.
    """

    counterpart: str
    link_id: str
    grade: str


@dataclass(frozen=True)
class Use:
    """One job that a record went into.

    Attributes:
        record: the record's number in the agency; None where it is not known whether any, or
            this one, went into the job.
        job: the job.
        agreement: the agreement.
        version: digest of the version of it that counted.
        title: its title, in Indonesian.
        purpose: what for, in Indonesian; the code where the agreement is not in this copy.
        basis: legal basis and article of each party and direction.
        requester: who asked.
        counterparts: the other parties.
        attributes: what was compared.
        asked: when the job was asked for.
        released: when its result was; None if it never was.
        outcome: code of the decision, or under which it ended.
        links: what it brought for the record.
        links_known: whether that is known: the result was fetched here, or there was none.
        leaves: the job's entries in the match log.
    """

    record: str | None
    job: str
    agreement: str
    version: str
    title: str
    purpose: str
    basis: tuple[str, ...]
    requester: str
    counterparts: tuple[str, ...]
    attributes: tuple[str, ...]
    asked: datetime.datetime
    released: datetime.datetime | None
    outcome: str
    links: tuple[FoundLink, ...] = ()
    links_known: bool = True
    leaves: tuple[int, ...] = ()


@dataclass(frozen=True)
class Trail:
    """What is known of a question.

    Attributes:
        uses: in the order of the log.
        unknown: jobs of which it is not known any more which records went into them.
        size: entries of the copy of the log that was read.
        withheld: entries of jobs of other parties, which say nothing here; among them would be
            those whose bodies this copy lacks.
    """

    uses: tuple[Use, ...]
    unknown: tuple[Use, ...]
    size: int
    withheld: int


@dataclass(frozen=True)
class _Maps:
    """The maps of references of an agent, by agreement and epoch."""

    config: AgentConfig
    store: ArtefactStore
    opened: dict[tuple[str, int], References | None] = field(default_factory=dict)

    def of(self, agreement: str, epoch: int) -> References | None:
        """Return a map, None where there is none."""
        if (agreement, epoch) not in self.opened:
            fields = {"id": agreement, "epoch": epoch}
            named = self.config.agreement.model_copy(update=fields)
            self.opened[agreement, epoch] = self._open(named)
        return self.opened[agreement, epoch]

    def _open(self, named: Agreement) -> References | None:
        if not self.store.exists(references_of(named)):
            return None
        try:
            # It exists, so this is not the day of its end.
            return References(self.store, named, datetime.date.max)
        except NotFoundError:  # its end has come
            return None


def read_trail(
    config: AgentConfig,
    trust: Policy,
    record: str | None = None,
    job: str | None = None,
    agreement: str | None = None,
) -> Trail:
    """Return in which jobs the own records were used.

    Args:
        config: settings of the agent.
        trust: the trust file.
        record: the record that is asked about; None for all.
        job: only this job.
        agreement: only jobs under this agreement.

    Raises:
        VerificationError: the copy of the log on disk does not hold.
        RecordError: a result on disk cannot be read.
    """
    mirror = Mirror(config.work / "log", trust)
    maps = _Maps(config, ArtefactStore(config.work / "artefacts", config.work / "keystore"))
    copy = mirror.copy
    entries = [parse_entry(leaf) for leaf in copy.leaves(copy.size)]
    bodies = copy.bodies()
    uses: list[Use] = []
    unknown: list[Use] = []
    for one in read_jobs(entries, bodies):
        chosen = job in (None, one.job) and agreement in (None, one.agreement)
        if not chosen or config.party not in one.parties or config.party not in one.batches:
            continue
        version = mirror.state.agreements.versions.get(one.version)
        use = _use(config.party, one, version.agreement if version else None)
        records = _records(maps, one, record)
        if records is None:
            unknown.append(use)
        else:
            uses += _with_links(config, use, records)
    withheld = sum(
        entry.commitment is not None and index not in bodies for index, entry in enumerate(entries)
    )
    return Trail(tuple(uses), tuple(unknown), copy.size, withheld)


def _records(maps: _Maps, job: JobRecord, wanted: str | None) -> list[str] | None:
    """Return those of the wanted records that went into a job; None where that is not known."""
    numbers = participants_of(maps.store, job.job)
    references = maps.of(job.agreement, job.epoch)
    if numbers is None or references is None:
        return None
    if wanted is None:
        return references.numbered(numbers)
    # A corrected record has had several references.
    return [wanted] if np.isin(references.numbers_of(wanted), numbers).any() else []


def _use(party: str, job: JobRecord, agreed: SignedAgreement | None) -> Use:
    return Use(
        record=None,
        job=job.job,
        agreement=job.agreement,
        version=job.version,
        title=agreed.title.id if agreed else "",
        purpose=agreed.purpose.text.id if agreed else job.purpose,
        basis=tuple(
            f"{one.party} ({one.direction}): {one.basis}, {one.article}"
            for one in (agreed.legal_basis if agreed else ())
            if one.party in job.parties
        ),
        requester=job.requester,
        counterparts=tuple(other for other in job.parties if other != party),
        attributes=job.attributes,
        asked=job.asked,
        released=job.released,
        outcome=job.ended or job.outcome,
        leaves=job.leaves,
    )


def _with_links(config: AgentConfig, use: Use, records: list[str]) -> Iterator[Use]:
    """Yield a job's use of each record, with the links that were found for it."""
    links: dict[str, list[FoundLink]] = {record: [] for record in records}
    folder = config.work / "results"
    paths = {level: file_of(folder, use.job, level) for level in _NAMING}
    known = any(path.exists() for path in paths.values()) or use.released is None
    for level, path in paths.items():
        if path.exists():
            for record, link in _links(path, level, records):
                if link not in links[record]:
                    links[record].append(link)
    for record, found in links.items():
        yield replace(use, record=record, links=tuple(found), links_known=known)


def _links(path: Path, level: str, records: list[str]) -> Iterator[tuple[str, FoundLink]]:
    columns = ["record_id", "counterpart", *_NAMING[level]]
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()), include_columns=columns
    )
    try:
        table = pa_csv.read_csv(str(path), convert_options=options)
    except (pa.ArrowException, OSError) as error:
        raise RecordError(f"{path}: the result cannot be read: fetch it again") from error
    table = table.filter(pc.is_in(table["record_id"], value_set=pa.array(records, pa.string())))
    for row in table.to_pylist():
        grade = row.get("grade") or {"yes": "match"}.get(row["found"], row["found"])
        if grade != "no":
            yield row["record_id"], FoundLink(row["counterpart"], row.get("link_id", ""), grade)
