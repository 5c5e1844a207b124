"""The agent's part in a job, from the request to the result on disk.

Every step can be repeated: a run that was stopped anywhere goes on where it was.
"""

import datetime
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from linkage.agent.asked import as_asked
from linkage.agent.blocktokens import all_tickets, block_tokens, meetings
from linkage.agent.client import MatcherClient, Progress
from linkage.agent.compared import Compared
from linkage.agent.config import load_gate
from linkage.agent.cosigning import check_cosigned
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.participants import Participants, participants_of
from linkage.agent.profile import Profiling, SourceProfile
from linkage.agent.receipts import Receipts
from linkage.agent.references import References
from linkage.agent.refine import ASKING, Answerer, answer_all
from linkage.agent.refusals import RefusedFile
from linkage.agent.restricted import without
from linkage.agent.result import VerifiedResult, verify_result, write_result
from linkage.agent.rights import Rights
from linkage.agent.session import Session
from linkage.agent.source import Source
from linkage.agent.spool import Reading, Spool
from linkage.agent.tickets import left_out
from linkage.agreement.articles import Level
from linkage.agreement.model import Agreement as AgreementTerms
from linkage.batch import Manifest
from linkage.encode.encoder import Encoder
from linkage.encode.oncetokens import BlockValues
from linkage.errors import (
    DeniedError,
    JobStateError,
    MalformedMessageError,
    RecordError,
    UnavailableError,
)
from linkage.gate import GateResult, accepts
from linkage.job import COORDINATOR, Job, JobSpec, JobState
from linkage.log.entry import parse_entry
from linkage.normalise.columns import FlaggedColumn
from linkage.schema import LinkageSchema

_SPOOL_DAYS, _SYNC_S = 30, 60.0
_EPOCH_DAYS = 365
_LOOKS, _LOOK_S = 10, 0.2


class Reporter(Protocol):
    """Told how a run goes on."""

    def encoding(self, n_records: int, n_all: int | None = None) -> None:
        """`n_records` have been encoded so far, of `n_all` where that is known."""

    def changed(self, n_records: int) -> None:
        """Of what an earlier run encoded, only the first `n_records` are still the same."""

    def quality(self, profile: SourceProfile) -> None:
        """What was noticed in the records, before anything of them is sent."""

    def uploading(self, chunk: int, n_chunks: int) -> None:
        """A chunk is being sent."""

    def answering(self, n_pairs: int) -> None:
        """`n_pairs` have been answered in the second round so far."""

    def waiting(self, progress: Progress) -> None:
        """The matcher's progress changed."""

    def not_cosigned(self, reason: str) -> None:
        """The matcher has not taken this party's cosignature; it is sent again."""

    def away(self, away_s: float, pause_s: float, left_s: float) -> None:
        """Nothing has got through for `away_s`; the next try is in `pause_s`, the last `left_s`."""


@dataclass(frozen=True)
class Outcome:
    """What a run brought.

    Attributes:
        job: the job at its end.
        n_records: records uploaded; None where this agent's spool is not at hand.
        n_links: own records that were linked; 0 where only counts or nothing are told.
        files: the files of the result by level; none where nothing is told.
        notes: what is doubtful of the result: the matcher says so, or it was changed.
        refused: the list of own records that were left out, None where there are none.
        receipt: shows that the log has the result; None where nothing is told.
    """

    job: Job
    n_records: int | None
    n_links: int
    files: Mapping[str, Path]
    notes: tuple[str, ...] = ()
    refused: Path | None = None
    receipt: Path | None = None

    @property
    def path(self) -> Path:
        """The file of the highest level."""
        return self.files[max(self.files)]


def request_job(
    session: Session,
    client: MatcherClient,
    parties: tuple[str, ...],
    collect_timeout_s: int,
    level: Level,
) -> Job:
    """Ask the matcher for a job of these parties under the session's agreement.

    Args:
        session: the agent at work.
        client: calls of the party.
        parties: all parties of the job.
        collect_timeout_s: seconds that they have to upload.
        level: the highest result level that is asked for, for anybody.

    Raises:
        DeniedError: the matcher's decision.
    """
    match, agreed = session.schema.match, session.config.agreement.parties
    standing = session.requests.standing(client)
    # In the order of the agreement, which says who is the one in one-to-many.
    strangers = [party for party in parties if party not in agreed]
    parties = (*(party for party in agreed if party in parties), *strangers)
    job = client.request_job(
        JobSpec(
            agreement_id=session.config.agreement.id,
            agreement_sha256=bytes.fromhex(standing.version.digest),
            purpose=session.config.agreement.purpose,
            attributes=attributes_of(session.schema),
            parties=parties,
            codes=session.codes,
            threshold=session.schema.threshold,
            cardinality=match.cardinality,
            collect_timeout_s=collect_timeout_s,
            refinement=session.refinement,
            results=results_of(
                standing.agreement, parties, level, two_rounds=session.refinement is not None
            ),
        )
    )
    if job.state is JobState.DENIED:
        raise DeniedError(job.reason_code, job.reason)
    return job


def results_of(
    agreement: AgreementTerms, parties: tuple[str, ...], level: Level, *, two_rounds: bool
) -> tuple[tuple[str, str, str], ...]:
    """Return what everybody is told: what the agreement gives, and no more than was asked for.

    Args:
        agreement: the version in force.
        parties: of the job.
        level: the highest that is asked for.
        two_rounds: whether attributes are compared one by one; R2 needs it.
    """
    found = list[tuple[str, str, str]]()
    for result in agreement.results:
        if result.source in parties and result.recipient in (*parties, COORDINATOR):
            least = min(level, result.level)
            found.append((result.source, result.recipient, least))
    return tuple((a, b, "R1" if at == "R2" and not two_rounds else at) for a, b, at in found)


def attributes_of(schema: LinkageSchema) -> tuple[tuple[str, str], ...]:
    """Return name and element of each attribute, as an agreement lists them."""
    return tuple((one.name, one.element or one.of_type.element) for one in schema.attributes)


def run_job(
    session: Session,
    client: MatcherClient,
    job_id: str,
    reporter: Reporter,
    today: datetime.date,
) -> Outcome:
    """Take part in a job: encode, upload, wait, fetch, verify, join.

    Raises:
        SchemaMismatchError: the job runs under another schema than ours.
        KeyMismatchError: the requester holds another key than ours.
        DeniedError: the job's terms are not those of our settings, or nobody asked for it.
        RecordError: the source cannot be used.
        JobStateError: the job ended without a release.
        VerificationError: the result or the log does not hold.
    """
    client.patience.on_away = reporter.away
    job = client.job(job_id)
    standing = session.requests.standing(client)
    if not job.state.final:
        job = _as_asked(session, client, job)
    check_spec(session, job)
    check_results(standing.agreement, job)
    agreement, rights = session.config.agreement, _Rights(session, client)
    spool = Spool(session.store, job_id, today + datetime.timedelta(days=_SPOOL_DAYS))
    if job.state.final and job.state is not JobState.RELEASED:
        spool.forget_chunks()
        raise JobStateError(f"the job ended as {job.state.value}: {job.reason}")
    # What others told, and what is due to them, counts before a record is encoded.
    rights.sync()
    until = today + datetime.timedelta(days=_EPOCH_DAYS)
    references = References(session.store, agreement, until)
    # A second run of this job on this machine waits here: two would number records twice.
    with spool.locked():
        manifest = spool.manifest()
        if session.config.party not in job.uploaded:
            # Before a record is read: a batch without its gate would be encoded for nothing.
            gate = gate_result(session)
            if manifest is None:
                own = Participants(references, session.store, job_id, until)
                manifest = _encode(session, job, spool, own, reporter)
            _upload(client, job_id, spool, manifest, gate, reporter)
    # What an office asked for its head office's witness cosigns.
    cosigns = session.identity.role != "office"
    answerer, answered = None, set[JobState]()
    for progress in client.watch(job_id):
        reporter.waiting(progress)
        rights.sync_if_due()
        waits = progress.state in ASKING and session.config.party in progress.waiting_for
        if waits and progress.state not in answered:
            answerer = answerer or Answerer(session, job, references, spool, today)
            answer_all(client, job_id, answerer, reporter.answering)
            # What is told now may be older than the answer.
            answered.add(progress.state)
        if progress.state is JobState.AWAITING_COSIGNATURES and cosigns:
            session.witness.attend(client, job_id, reporter.not_cosigned)
    job = client.job(job_id)
    if job.state is not JobState.RELEASED:
        spool.forget_chunks()
        raise JobStateError(f"the job ended as {job.state.value}: {job.reason}")
    files, n_links, notes = dict[str, Path](), 0, tuple[str, ...]()
    # Who is told nothing has nothing to fetch.
    if job.spec.told(session.config.party):
        result, files, notes = _fetch(session, client, job, references)
        n_links = sum(len(part) for part in result.parts)
    # New links of records about which others have to be told, or were; each row has its state.
    rights.sync()
    # The release has its leaf only now: under this party's line nobody can take it back. The
    # result is here in any case.
    receipts = _receipts(session)
    with suppress(UnavailableError, DeniedError, MalformedMessageError):
        if cosigns:
            session.witness.cosign_all(client)
        receipts.complete(client)
    spool.forget_chunks()
    refused = _refused_file(session, job_id)
    n_records = manifest.n_records if manifest else None
    left_out = refused if refused.exists() else None
    return Outcome(job, n_records, n_links, files, notes, left_out, receipts.of(job_id))


def _as_asked(session: Session, client: MatcherClient, job: Job) -> Job:
    """Return a job with who asked for it by the own copy of the log.

    Raises:
        DeniedError: nobody asked for it, or not for this.
    """
    copy = session.mirror.copy
    for _ in range(_LOOKS):
        entries = [parse_entry(leaf) for leaf in copy.leaves(copy.size)]
        asked = as_asked(job, entries, copy.bodies(), session.mirror.state)
        if asked is not None:
            return asked
        # A job is told of a moment before its leaf is published.
        time.sleep(_LOOK_S)
        session.mirror.update(client)
    raise DeniedError(
        "NOT_ASKED",
        f"job {job.job_id}: the log has no request for it. Nothing is sent: tell the auditors",
    )


class _Rights:
    """Persons' rights in a long run: what others tell is heeded while it goes on."""

    def __init__(self, session: Session, client: MatcherClient) -> None:
        self._session, self._client, self._synced = session, client, 0.0

    def sync(self) -> None:
        Rights(self._session, datetime.datetime.now(datetime.UTC)).sync(self._client)
        self._synced = time.monotonic()

    def sync_if_due(self) -> None:
        if time.monotonic() - self._synced > _SYNC_S:
            self.sync()


def check_spec(session: Session, job: Job) -> None:
    """Check that a job is what this agent's own settings allow, before anything is encoded.

    The requester chose the job's terms. Under a threshold of its choice a party could
    find out how alike its records are to anyone's, so no term is taken on trust.

    Raises:
        SchemaMismatchError: the job runs under another schema than ours.
        KeyMismatchError: the requester holds another key than ours.
        DeniedError: another agreement, threshold, cardinality or party, or a job of an office.
    """
    spec, agreement = job.spec, session.config.agreement
    session.codes.check_same(spec.codes, f"{job.requester}, who requested this job")
    strangers = [party for party in spec.parties if party not in agreement.parties]
    wrong = {
        f"agreement {spec.agreement_id}": spec.agreement_id != agreement.id,
        f"purpose {spec.purpose}": spec.purpose != agreement.purpose,
        "other attributes than the schema's": spec.attributes != attributes_of(session.schema),
        f"threshold {spec.threshold}": spec.threshold != session.schema.threshold,
        "another second round": spec.refinement != session.refinement,
        f"cardinality {spec.cardinality}": spec.cardinality != session.schema.match.cardinality,
        f"parties outside the agreement: {', '.join(strangers)}": bool(strangers),
        "parties in another order than the agreement's": list(spec.parties)
        != [party for party in agreement.parties if party in spec.parties],
        "this party is not in it": session.config.party not in spec.parties,
        f"{job.actor_of(session.config.party)} takes part in it for this party": (
            job.actor_of(session.config.party) != session.identity.path
        ),
    }
    if any(wrong.values()):
        terms = "; ".join(term for term, differs in wrong.items() if differs)
        raise DeniedError(
            "TERMS_DIFFER", f"{job.requester} asked for other terms than our settings: {terms}"
        )


def check_results(agreement: AgreementTerms, job: Job) -> None:
    """Check who asked for a job and what it tells against the agreement, whatever was allowed.

    Raises:
        DeniedError: an office asked that may not, or somebody is told more than is agreed.
    """
    asking = agreement.by_id.get(job.requester)
    if job.office and (asking is None or not asking.lets_ask(job.office)):
        raise DeniedError(
            "OFFICE_NOT_AGREED",
            f"the agreement does not let the office {job.office} of {job.requester} ask for jobs",
        )
    for source, recipient, level in job.spec.results:
        agreed = agreement.level(source, recipient)
        if agreed is None or level > agreed:
            raise DeniedError(
                "LEVEL_NOT_AGREED",
                f"{job.requester} asked that {recipient} is told {level} of the records of "
                f"{source}: the agreement gives {agreed or 'nothing'}",
            )


def gate_result(session: Session) -> GateResult | None:
    """Return the risk gate's result that speaks for this party, if there is one.

    Raises:
        DeniedError: the result is not good for this schema, epoch, time or limit.
        ConfigError: it cannot be read.
    """
    gate = session.config.gate
    if gate is None:
        return None
    result = load_gate(gate.result)
    epoch, now = session.config.agreement.epoch, datetime.datetime.now(datetime.UTC)
    refusal = accepts(result, session.codes.schema_id, epoch, gate.limit, now)
    if refusal is not None:
        raise DeniedError(
            refusal,
            f"{gate.result.name} does not speak for this batch: run `padan attack --out` again, "
            "with this schema and epoch, and look at what it finds",
        )
    return result


def _upload(
    client: MatcherClient,
    job_id: str,
    spool: Spool,
    manifest: Manifest,
    gate: GateResult | None,
    reporter: Reporter,
) -> None:
    n_chunks = len(manifest.chunk_sha256)
    if gate is not None:
        manifest = replace(manifest, gate_sha256=gate.digest())
    client.upload(
        job_id,
        manifest,
        lambda index: spool.chunk(manifest, index),
        lambda index: reporter.uploading(index, n_chunks),
        gate.to_bytes() if gate is not None else b"",
    )


def _encode(
    session: Session,
    job: Job,
    spool: Spool,
    own: Participants,
    reporter: Reporter,
) -> Manifest:
    normaliser = RecordNormaliser(session.schema, session.source)
    quality = Profiling(session.schema)

    def columns_of(table: pa.Table) -> dict[str, FlaggedColumn]:
        columns = normaliser.columns(table)
        quality.add(columns, table)
        return columns

    with RefusedFile(_refused_file(session, job.job_id)) as refused:
        source = Source(session.source, session.schema, on_refused=refused.add)
        tables = _counted(source, left_out(session.store), reporter.encoding)
        reading = Reading(tables, columns_of, own, reporter.changed, own.keep)
        manifest = _fill(session, job, spool, reading)
    reporter.quality(quality.profile())
    return manifest


def _refused_file(session: Session, job_id: str) -> Path:
    return session.config.work / "refused" / f"{job_id}.csv"


def _fill(session: Session, job: Job, spool: Spool, reading: Reading) -> Manifest:
    with_whom = meetings(job.job_id, session.config.party, job.spec.parties)
    schema, key = session.schema, session.key
    if session.refinement is None:
        return spool.fill(
            reading,
            Encoder(schema, key, os.urandom).encode,
            session.codes,
            lambda values, refs, first: block_tokens(schema, key, values, with_whom, refs, first),
        )
    return spool.fill_tickets(
        reading,
        BlockValues(schema, key.block_key).of,
        session.codes,
        lambda values, refs, first: all_tickets(schema, key, values, with_whom, refs, first),
    )


def _counted(
    source: Source, left_out: frozenset[str], on_records: Callable[[int, int | None], None]
) -> Iterator[pa.Table]:
    n_records, n_all = 0, source.n_records()
    on_records(0, n_all)
    for table in without(source.chunks(), left_out):
        yield table
        n_records += len(table)
        on_records(n_records, n_all)


def _fetch(
    session: Session, client: MatcherClient, job: Job, references: References
) -> tuple[VerifiedResult, dict[str, Path], tuple[str, ...]]:
    """Fetch the own result, verify it, join it to the own records; say what is doubtful."""
    header, pieces = client.results(job.job_id)
    party = session.config.party
    told = job.spec.told(party)
    result = verify_result(
        header, pieces, trust=session.trust, party=party, job_id=job.job_id, told=told
    )
    state = session.mirror.follow(result.note, client)
    # The own one too: a party that cosigned knows the log up to there.
    check_cosigned(result.note, state, job.spec.agreement_id, job.spec.parties)
    compared = None
    if job.spec.refinement is not None:
        compared = Compared(session, job.job_id, job.spec.parties)
    numbers = participants_of(session.store, job.job_id)
    # Who is answered yes or no is answered for all records.
    if numbers is None and "R1" in told.values():
        raise RecordError(
            "what was uploaded is not known with this work folder: fetch the result where the "
            "batch was encoded"
        )
    own = references.numbered(numbers) if numbers is not None else []
    files = write_result(_results(session), result, references, own, compared)
    _receipts(session).write(result)
    return result, files, (*result.notes, *(compared.notes if compared is not None else ()))


def _results(session: Session) -> Path:
    """Return where the results of an agent are."""
    return session.config.work / "results"


def _receipts(session: Session) -> Receipts:
    return Receipts(_results(session), session.trust, session.mirror)
