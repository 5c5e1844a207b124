"""Jobs: asked for, decided on, followed, ended. Moves a job up to its planning.

Comparing and releasing are `worker`'s. Every step is logged in the transaction
that makes it, and published before it is answered.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace

from keys.identity import Identity
from linkage.agreement.decision import Decision
from linkage.agreement.request import check_repeat, request_digest
from linkage.errors import DeniedError, JobStateError, NotFoundError
from linkage.job import REQUEST_METHOD, Job, JobSpec, JobState
from linkage.log.canonical import JsonObject
from linkage.matcher.cosignatures import Cosignatures
from linkage.matcher.decisions import (
    Decisions,
    Signed,
    evidence,
    verdict,
)
from linkage.matcher.journal import Journal
from linkage.matcher.match_log import MatchLog
from linkage.matcher.refusals import Refusals, path_of, told
from linkage.rpc.peer import Peer
from linkage.store.metadata import Metadata, RequestRow, Transaction

MATCHER = "matcher"
_CANCELLABLE = frozenset(state for state in JobState if not state.final)
_WAITING = (
    JobState.COLLECTING,
    JobState.REFINING,
    JobState.NAMING,
    JobState.AWAITING_COSIGNATURES,
)
_RUNNING = _CANCELLABLE - {JobState.REQUESTED, JobState.AUTHORISED}


class TurnedAway(Exception):  # noqa: N818 -- never leaves this module
    """A denied request of a flood: counted, and no job."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Jobs:
    """The jobs of a matcher.

    Args:
        metadata: the database.
        journal: makes log entries.
        log: publishes them.
        decisions: says what is allowed.
        cosignatures: of the parties, which a release waits for.
        refusals: logs what is refused.
        on_cancel: told the id of a job that was cancelled.
    """

    def __init__(
        self,
        metadata: Metadata,
        journal: Journal,
        log: MatchLog,
        decisions: Decisions,
        cosignatures: Cosignatures,
        refusals: Refusals,
        on_cancel: Callable[[str], None],
    ) -> None:
        self._metadata, self._journal, self._log = metadata, journal, log
        self._decisions, self._cosignatures = decisions, cosignatures
        self._refusals, self._on_cancel = refusals, on_cancel

    def request(self, peer: Peer, content: bytes, spec: JobSpec) -> Job:
        """Decide on a request, and return the job that it made.

        The same request again returns the same job. A job that is denied is logged
        and returned like any other; its state and reason say why.

        Args:
            peer: who asks.
            content: the signed request.
            spec: what is asked.

        Raises:
            MalformedMessageError: the request is not signed.
            DeniedError: it does not count, or its id was used for something else.
        """
        refused: DeniedError | None = None
        with self._metadata.write() as transaction:
            try:
                signed = self._decisions.signed(
                    transaction, peer, content, REQUEST_METHOD, spec.to_bytes(), spec
                )
                job = self._made(transaction, signed, spec)
            except TurnedAway as error:
                refused = told(error.code)
            except DeniedError as error:
                refused = self._refusals.record(transaction, peer, REQUEST_METHOD, error)
        self._log.publish()
        if refused is not None:
            raise refused
        return job

    def _made(self, transaction: Transaction, signed: Signed, spec: JobSpec) -> Job:
        """Return the job that a request makes, or made before."""
        party, request = signed.peer.identity.party, signed.request
        known = transaction.job_of_request(party, request.id)
        first = transaction.request_of(known.job_id).sha256 if known else None
        if check_repeat(first, signed.envelope) and known is not None:
            return known
        now = int(transaction.time(self._journal.clock).timestamp())
        job = Job(
            job_id=uuid.uuid4().hex,
            requester=party,
            spec=spec,
            state=JobState.REQUESTED,
            requested_at=now,
            collect_until=now + spec.collect_timeout_s,
            office=signed.peer.identity.office,
        )
        decision = self._decisions.submit(transaction, signed, spec)
        if not decision.allowed and not self._refusals.has_leaf(signed.peer, decision.code):
            raise TurnedAway(decision.code)
        body: JsonObject = {"spec": spec.to_json(), **evidence(signed)}
        asked = self._record(transaction, "job.request", path_of(signed.peer), job, body)
        word = "job.authorise" if decision.allowed else "job.deny"
        self._record(transaction, word, MATCHER, job, verdict(decision), asked, *decision.leaves)
        code, reason = ("", "") if decision.allowed else decision.outward()
        state = JobState.COLLECTING if decision.allowed else JobState.DENIED
        job = replace(job, state=state, reason_code=code, reason=reason)
        digest = request_digest(signed.envelope)
        row = RequestRow(request.id, digest, signed.peer.identity.uri, signed.peer.key)
        transaction.add_job(job, row)
        return job

    def get(self, who: Identity, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: there is none of this id that the caller takes part in, or sees.
        """
        with self._metadata.read() as transaction:
            return _job_seen_by(transaction, who, job_id)

    def newest(self, who: Identity, limit: int) -> list[Job]:
        """Return the jobs that a caller takes part in, of a party also its offices'.

        Those that go on come first, the newest of them before all others: however many are denied
        or have ended, none that waits for somebody is left out for them.
        """
        with self._metadata.read() as transaction:
            return transaction.jobs_of(who.party, limit, who.office)

    def cancel(self, who: Identity, job_id: str) -> Job:
        """End a job before its release.

        Raises:
            NotFoundError: there is none of this id that the caller takes part in, or sees.
            JobStateError: it has ended already.
        """
        with self._metadata.write() as transaction:
            job = _job_seen_by(transaction, who, job_id)
            if job.state not in _CANCELLABLE:
                raise JobStateError(f"the job is {job.state.value}: there is nothing to cancel")
            reason = f"cancelled by {who.name}"
            self._end(transaction, job, JobState.CANCELLED, "CANCELLED", reason)
        self._on_cancel(job_id)
        self._log.publish()
        return self.get(who, job_id)

    def expire(self) -> list[str]:
        """End the jobs that a party kept waiting for too long; return their ids."""
        now = self._journal.clock()
        ended = []
        with self._metadata.write() as transaction:
            for job in transaction.jobs_in(*_WAITING):
                if now < job.collect_until:
                    continue
                if job.state is JobState.AWAITING_COSIGNATURES:
                    leaf = transaction.result_leaf(job.job_id) or 0
                    spec = job.spec
                    missing = self._cosignatures.missing(spec.agreement_id, spec.parties, leaf)
                    code = "COSIGNATURE_MISSING"
                    reason = f"the log was not cosigned in time by: {', '.join(missing)}"
                elif job.state is JobState.COLLECTING:
                    code, missing = "UPLOAD_MISSING", job.missing
                    reason = f"no complete upload in time from: {', '.join(missing)}"
                else:
                    code, missing = "ANSWER_MISSING", job.silent
                    reason = f"no complete answers in time from: {', '.join(missing)}"
                self._end(transaction, job, JobState.EXPIRED, code, reason)
                ended.append(job.job_id)
        if ended:
            self._log.publish()
        return ended

    def recheck(self) -> list[str]:
        """End the jobs that may not go on, as the log has it now; return their ids.

        So a stop of an agreement, or a revoked key, reaches jobs that run.
        """
        ended = []
        with self._metadata.write() as transaction:
            for job in transaction.jobs_in(*_RUNNING):
                decision = self._decisions.start(
                    transaction, job, transaction.request_of(job.job_id)
                )
                if not decision.allowed:
                    code, reason = decision.outward()
                    self._end(transaction, job, JobState.CANCELLED, code, reason, decision)
                    ended.append(job.job_id)
        for job_id in ended:
            self._on_cancel(job_id)
        if ended:
            self._log.publish()
        return ended

    def fail(self, job_id: str, code: str, reason: str, decision: Decision | None = None) -> None:
        """End a job that cannot be finished.

        Args:
            job_id: the job.
            code: why, as its parties are told.
            reason: the same in words.
            decision: the denial that it is, for the log.
        """
        with self._metadata.write() as transaction:
            job = transaction.job(job_id)
            if job is None or job.state.final:
                return
            self._end(transaction, job, JobState.FAILED, code, reason, decision)
        self._log.publish()

    def _end(
        self,
        transaction: Transaction,
        job: Job,
        state: JobState,
        code: str,
        reason: str,
        decision: Decision | None = None,
    ) -> None:
        transaction.set_state(job.job_id, state, code, reason)
        body: JsonObject = {"code": code} if decision is None else verdict(decision)
        leaves = decision.leaves if decision else ()
        self._record(transaction, f"job.{state.value}", MATCHER, job, body, *leaves)

    def _record(
        self,
        transaction: Transaction,
        leaf_type: str,
        actor: str,
        job: Job,
        body: JsonObject,
        *refs: int,
    ) -> int:
        whole: JsonObject = {"job": job.job_id, **body}
        agreement = job.spec.agreement_id
        return self._journal.record(
            transaction, leaf_type, actor, agreement, whole, refs, job.job_id
        )


def job_for(transaction: Transaction, who: Identity, job_id: str) -> Job:
    """Return a job that a caller takes part in: what is asked and told in it is for it.

    Raises:
        NotFoundError: there is none; the text does not tell whether another has it.
    """
    job = _job_seen_by(transaction, who, job_id)
    if job.actor_of(who.party) != who.path:
        raise _no_such_job()
    return job


def sees(job: Job | None, who: Identity) -> bool:
    """Return whether a job is known to somebody: who takes part, and the head office of who does.

    A head office answers for its offices: it sees what they ask for, how far it is and what the
    log says of it, and may end it. What is uploaded and found stays theirs.
    """
    if job is None or who.party not in (*job.spec.parties, job.requester):
        return False
    # A coordinator or auditor may have a party's name.
    return who.role == "party" or job.actor_of(who.party) == who.path


def _job_seen_by(transaction: Transaction, who: Identity, job_id: str) -> Job:
    job = transaction.job(job_id)
    if job is None or not sees(job, who):
        raise _no_such_job()
    return job


def _no_such_job() -> NotFoundError:
    return NotFoundError("no such job of yours: list your jobs to see their ids")
