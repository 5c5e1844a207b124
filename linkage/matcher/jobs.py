"""Jobs: asked for, decided on, followed, ended. Moves a job up to its planning.

Comparing and releasing are `worker`'s. Every step is logged in the transaction
that makes it, and published before it is answered.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace

from linkage.errors import JobStateError, NotFoundError
from linkage.job import Job, JobSpec, JobState
from linkage.log.canonical import JsonObject
from linkage.matcher.journal import Journal
from linkage.matcher.match_log import MatchLog
from linkage.store.metadata import Metadata, Transaction

MATCHER = "matcher"
_CANCELLABLE = frozenset(JobState) - {state for state in JobState if state.final}


class Jobs:
    """The jobs of a matcher.

    Args:
        metadata: the database.
        journal: makes log entries.
        log: publishes them.
        parties: parties that take part in this service.
        on_cancel: told the id of a job that was cancelled.
    """

    def __init__(
        self,
        metadata: Metadata,
        journal: Journal,
        log: MatchLog,
        parties: frozenset[str],
        on_cancel: Callable[[str], None],
    ) -> None:
        self._metadata, self._journal, self._log = metadata, journal, log
        self._parties, self._on_cancel = parties, on_cancel

    def request(self, party: str, request_id: bytes, spec: JobSpec) -> Job:
        """Decide on a request, and return the job that it made.

        The same request again returns the same job. A job that is denied is logged
        and returned like any other; its state and reason say why.

        Args:
            party: who asks.
            request_id: 16 random bytes, chosen by the party.
            spec: what is asked.

        Raises:
            JobStateError: the request id was used for something else.
        """
        with self._metadata.write() as transaction:
            known = transaction.job_of_request(party, request_id)
            if known is not None:
                if known.spec != spec:
                    raise JobStateError("this request id was used for another job: draw a new one")
                return known
            now = int(self._journal.clock())
            job = Job(
                job_id=uuid.uuid4().hex,
                requester=party,
                spec=spec,
                state=JobState.REQUESTED,
                requested_at=now,
                collect_until=now + spec.collect_timeout_s,
            )
            asked = self._record(
                transaction, "job.request", f"party/{party}", job, _spec_body(spec)
            )
            code, reason = self._decide(party, spec)
            verdict = "job.deny" if code else "job.authorise"
            self._record(transaction, verdict, MATCHER, job, {"code": code or "OK"}, asked)
            state = JobState.DENIED if code else JobState.COLLECTING
            job = replace(job, state=state, reason_code=code, reason=reason)
            transaction.add_job(job, request_id)
        self._log.publish()
        return job

    def get(self, party: str, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: there is none of this id that the party takes part in.
        """
        with self._metadata.read() as transaction:
            return job_for(transaction, party, job_id)

    def newest(self, party: str, limit: int) -> list[Job]:
        """Return the newest jobs that a party takes part in."""
        with self._metadata.read() as transaction:
            return transaction.jobs_of(party, limit)

    def cancel(self, party: str, job_id: str) -> Job:
        """End a job before its release.

        Raises:
            NotFoundError: there is none of this id that the party takes part in.
            JobStateError: it has ended already.
        """
        with self._metadata.write() as transaction:
            job = job_for(transaction, party, job_id)
            if job.state not in _CANCELLABLE:
                raise JobStateError(f"the job is {job.state.value}: there is nothing to cancel")
            self._end(transaction, job, JobState.CANCELLED, "CANCELLED", f"cancelled by {party}")
        self._on_cancel(job_id)
        self._log.publish()
        return self.get(party, job_id)

    def expire(self) -> list[str]:
        """End the jobs that a party did not upload or answer for in time; return their ids."""
        now = self._journal.clock()
        ended = []
        with self._metadata.write() as transaction:
            for job in transaction.jobs_in(JobState.COLLECTING, JobState.REFINING, JobState.NAMING):
                if now < job.collect_until:
                    continue
                if job.state is JobState.COLLECTING:
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

    def fail(self, job_id: str, code: str, reason: str) -> None:
        """End a job that cannot be finished."""
        with self._metadata.write() as transaction:
            job = transaction.job(job_id)
            if job is None or job.state.final:
                return
            self._end(transaction, job, JobState.FAILED, code, reason)
        self._log.publish()

    def _decide(self, party: str, spec: JobSpec) -> tuple[str, str]:
        """Return the code and text of a refusal, or two empty texts."""
        if party not in spec.parties:
            return "NOT_A_PARTY", "the requesting party does not take part in the job"
        unknown = [name for name in spec.parties if name not in self._parties]
        if unknown:
            return "UNKNOWN_PARTY", f"not a party of this service: {', '.join(unknown)}"
        return "", ""

    def _end(
        self, transaction: Transaction, job: Job, state: JobState, code: str, reason: str
    ) -> None:
        transaction.set_state(job.job_id, state, code, reason)
        self._record(transaction, f"job.{state.value}", MATCHER, job, {"code": code})

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


def job_for(transaction: Transaction, party: str, job_id: str) -> Job:
    """Return a job that a party takes part in.

    Raises:
        NotFoundError: there is none; the text does not tell whether another party has it.
    """
    job = transaction.job(job_id)
    if job is None or (party not in job.spec.parties and party != job.requester):
        raise NotFoundError("no such job of yours: list your jobs to see their ids")
    return job


def _spec_body(spec: JobSpec) -> JsonObject:
    return {
        "parties": list(spec.parties),
        "schema_id": spec.codes.schema_id.hex(),
        "epoch": spec.codes.epoch,
        "scheme": spec.codes.scheme,
        "code_bits": spec.codes.code_bits,
        "threshold": repr(spec.threshold),
        "cardinality": spec.cardinality,
        "rounds": 1 if spec.refinement is None else 2,
        "candidates": 0 if spec.refinement is None else spec.refinement.candidates,
        "decoys": spec.refinement is not None and spec.refinement.decoys,
    }
