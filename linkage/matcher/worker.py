"""Runs jobs whose uploads are complete: compare, solve, release.

One thread takes jobs one after another; the comparing inside a job uses all
threads of the engine. Every finished task is kept before the next is counted, so
a matcher that stops in the middle goes on where it was. A result is released only
after its leaf is in a published checkpoint.
"""

import io
import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import structlog
from numpy.typing import NDArray

from linkage.block.shared import equal_pairs, meeting_pairs, shared_pairs
from linkage.compare.candidates import Candidates, concatenate
from linkage.engine.executor import Executor
from linkage.engine.local import run_task, warm_up
from linkage.engine.plan import Task, plan
from linkage.engine.records import Inputs, prepare
from linkage.engine.refinement import CERTAIN, probability_at, similarity_at
from linkage.errors import (
    DeniedError,
    JobStateError,
    QuotaExceededError,
    RecordError,
    UnavailableError,
)
from linkage.job import COORDINATOR, Job, JobCounts, JobState
from linkage.log.canonical import Json, JsonObject, format_json
from linkage.matcher.batches import read_tokens, read_upload
from linkage.matcher.cosignatures import Cosignatures
from linkage.matcher.decisions import Decisions, NotAllowedError, verdict
from linkage.matcher.jobs import MATCHER, Jobs
from linkage.matcher.journal import Journal
from linkage.matcher.match_log import MatchLog
from linkage.matcher.pair_keys import PairKeys
from linkage.matcher.refinements import Refinements, dataset_of
from linkage.matcher.results import results_of, write_results
from linkage.matcher.retention import Kind, Retention
from linkage.matcher.two_rounds import ComparedPairs, TwoRounds, batch_size, comparisons_of
from linkage.result import MATCH, UNDETERMINED, Part, result_digest
from linkage.solve.agreed import Solution, solve_surely
from linkage.solve.counts import floor_of, told_counts
from linkage.solve.groups import pairs_between
from linkage.solve.links import answers_of, grades_of, links_of_pair
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import BatchRow, Metadata, Transaction
from linkage.tracing import span

# A link whose every pair has this probability is a match; between this and the threshold it
# is undetermined.
_SURE = similarity_at(0.95)
_PAIRS = "pairs-"
METHOD_VERSION = "padan-greedy/2"
_POLL_S = 1.0
_PAUSE_S = 5.0
_RUNNABLE = (
    JobState.PLANNED,
    JobState.COMPARING,
    JobState.SCORING,
    JobState.SOLVING,
    JobState.AWAITING_COSIGNATURES,
)


@dataclass(frozen=True)
class _Records:
    """The records of a job, party by party in the order of its specification.

    And how pairs of them compare, for those who are told.
    """

    sizes: list[int]
    references: NDArray[np.uint8]
    compared: Mapping[tuple[int, int], ComparedPairs] = field(default_factory=dict)

    @cached_property
    def party_of(self) -> NDArray[np.uint8]:
        return np.repeat(np.arange(len(self.sizes), dtype=np.uint8), self.sizes)

    def first(self, party: int) -> int:
        return sum(self.sizes[:party])


@dataclass(frozen=True)
class _Uploads:
    """The records of a job of one round, and what of them is compared."""

    records: _Records
    inputs: Inputs


class Worker:
    """Runs jobs on a thread of its own.

    Args:
        metadata: the database.
        artefacts: uploads, candidate pairs and results.
        journal: makes log entries.
        log: publishes them.
        jobs: told of jobs that fail.
        refinements: asks the owners in the second round.
        decisions: says what is allowed.
        cosignatures: of the parties, which a release waits for.
        pair_keys: keys of the link ids.
        executor: compares.
        retention: says how long they are kept.
        max_candidates: most candidate pairs of one job.
        max_comparisons: most comparisons of one job; where all pairs are more, only
            records that share a token are compared.
        screen_loss: see `engine.local.run_task`; for jobs of one round.
    """

    def __init__(
        self,
        metadata: Metadata,
        artefacts: ArtefactStore,
        journal: Journal,
        log: MatchLog,
        jobs: Jobs,
        refinements: Refinements,
        decisions: Decisions,
        cosignatures: Cosignatures,
        pair_keys: PairKeys,
        *,
        executor: Executor,
        retention: Retention,
        max_candidates: int,
        max_comparisons: int,
        screen_loss: float,
    ) -> None:
        self._metadata, self._artefacts = metadata, artefacts
        self._journal, self._match_log, self._jobs = journal, log, jobs
        self._decisions, self._cosignatures = decisions, cosignatures
        self._two_rounds = TwoRounds(metadata, artefacts, refinements, max_candidates)
        self._pair_keys, self._executor = pair_keys, executor
        self._retention, self._max_candidates = retention, max_candidates
        self._max_comparisons, self._screen_loss = max_comparisons, screen_loss
        self._wake = threading.Event()
        self._not_before: dict[str, float] = {}
        self._cancelled: dict[str, threading.Event] = {}
        # Jobs whose needless files this process has removed.
        self._forgotten: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker")
        self._log = structlog.get_logger("worker")

    def start(self) -> None:
        """Start the thread; it begins with what an earlier run left unfinished."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop after the tasks at hand; unfinished jobs go on at the next start."""
        self._stopping.set()
        for event in list(self._cancelled.values()):
            event.set()
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Look for jobs to run now; the thread also looks by itself from time to time."""
        self._wake.set()

    def cancel(self, job_id: str) -> None:
        """Stop a running job after the tasks at hand."""
        event = self._cancelled.get(job_id)
        if event is not None:
            event.set()

    def _run(self) -> None:
        warm_up()
        while not self._stopping.is_set():
            # The database is the queue: a wake-up that got lost costs a second, not a job.
            self._wake.wait(_POLL_S)
            self._wake.clear()
            try:
                # What was committed while the disk took no more waits for nobody else's entry.
                self._match_log.publish()
                for job_id in self._runnable():
                    if not self._stopping.is_set():
                        self._run_one(job_id)
            except Exception as error:  # noqa: BLE001 -- the worker goes on, whatever it was
                self._log.error("worker failed", error=type(error).__name__)

    def _runnable(self) -> list[str]:
        with self._metadata.read() as transaction:
            jobs = transaction.jobs_in(*_RUNNABLE)
        now = time.monotonic()
        return [job.job_id for job in jobs if self._not_before.get(job.job_id, 0.0) <= now]

    def _run_one(self, job_id: str) -> None:
        self._cancelled[job_id] = threading.Event()
        try:
            self.run_job(job_id)
        except NotAllowedError as error:
            self._jobs.fail(job_id, error.code, str(error), error.decision)
        except (QuotaExceededError, DeniedError) as error:
            self._jobs.fail(job_id, error.code, str(error))
        except RecordError as error:
            self._jobs.fail(job_id, "BATCH_UNUSABLE", str(error))
        except JobStateError:
            self._log.info("job stopped", job=job_id)
        except (UnavailableError, OSError) as error:
            # Disk full, database gone: the job waits and goes on where it was.
            self._not_before[job_id] = time.monotonic() + _PAUSE_S
            self._log.error("job waits", job=job_id, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 -- the job fails, the worker goes on
            self._log.error("job failed", job=job_id, error=type(error).__name__)
            self._jobs.fail(job_id, "INTERNAL", "the matcher failed: ask its operator")
        finally:
            del self._cancelled[job_id]

    def run_job(self, job_id: str) -> None:
        """Bring a job from its planning to its release.

        Raises:
            JobStateError: it was cancelled, or is not to be run.
            QuotaExceededError: more candidate pairs than this matcher takes.
            DeniedError: it may not start, or not be released.
            LinkageError: an upload cannot be read.
        """
        with self._metadata.read() as transaction:
            job = transaction.job(job_id)
        if job is None or job.state not in _RUNNABLE:
            raise JobStateError("the job is not to be run")
        if job.state is JobState.AWAITING_COSIGNATURES:
            self._release_cosigned(job)
            return
        with span("job", **{"padan.job": job_id, "padan.state": job.state.value}):
            if job.spec.refinement is not None:
                self._two_round_job(job)
            else:
                self._one_round_job(job)

    def _one_round_job(self, job: Job) -> None:
        uploads = self._load(job)
        candidates = concatenate(
            found.shifted(uploads.records.first(task.left), uploads.records.first(task.right))
            for task, found in self._compare(job, uploads)
        )
        self._enter(job.job_id, JobState.SOLVING)
        # Grades come with the second round: codes alone do not tell how sure a link is.
        found = _solved(job, uploads.records, candidates, job.spec.threshold)
        self._release(job, uploads.records, found, (), sure=0.0)
        self._forget(job)

    def _two_round_job(self, job: Job) -> None:
        match job.state:
            case JobState.SCORING:
                self._two_rounds.score(job)
            case JobState.SOLVING:
                named = self._two_rounds.named(job)
                for parties, n in named.closed.items():
                    if n:
                        # For the operator alone: a party that is told nothing could spoil one
                        # row, and learn from the number whether its pair was likely.
                        self._log.warning(
                            "pairs could not be opened",
                            job=job.job_id,
                            parties=" ".join(parties),
                            n=n,
                        )
                records = _Records(named.sizes, named.references, named.compared)
                threshold = similarity_at(job.spec.threshold)
                # Where a model doubts itself, nothing is sure.
                sure = 1.0 if named.doubtful else _SURE
                found = _solved(job, records, named.candidates, threshold, CERTAIN, sure)
                self._release(job, records, found, named.notes, sure=sure)
                self._forget(job)
            case _:
                n_tickets = self._two_rounds.n_tickets(job)
                if job.state is JobState.PLANNED:
                    self._log_plan(job, n_tickets)
                self._create("work", dataset_of(job.job_id), job)
                started = time.monotonic()
                n_met = self._two_rounds.meet(job)
                counts = JobCounts(n_tickets, n_tickets, n_met, 0, time.monotonic() - started)
                with self._metadata.write() as transaction:
                    transaction.set_counts(job.job_id, counts)

    def _forget(self, job: Job) -> None:
        """Remove what a job needed until its result was made."""
        if job.spec.refinement is not None:
            self._two_rounds.forget(job)
        # Nobody is told how alike which records are.
        for name in self._artefacts.names(dataset_of(job.job_id)):
            if name.startswith(_PAIRS):
                self._artefacts.remove(dataset_of(job.job_id), name)
        self._forgotten.add(job.job_id)

    def _load(self, job: Job) -> _Uploads:
        with self._metadata.read() as transaction:
            batches = {batch.party: batch for batch in transaction.batches_of(job.job_id)}
        uploads = [read_upload(self._artefacts, batches[party]) for party in job.spec.parties]
        for party, own in zip(job.spec.parties, uploads, strict=True):
            # Two records under one reference would give two persons one link id.
            if len(np.unique(own.references, axis=0)) < len(own.references):
                raise RecordError(f"the batch of {party} has two records under one reference")
        sizes = [len(own.references) for own in uploads]
        in_order, shared = [batches[party] for party in job.spec.parties], {}
        for left, right in itertools.combinations(range(len(sizes)), 2):
            equal = equal_pairs(uploads[left].exact, uploads[right].exact)
            met = self._meetings(job, in_order, left, right)
            shared[left, right] = shared_pairs(itertools.chain([equal], met))
        return _Uploads(
            _Records(sizes, np.concatenate([own.references for own in uploads])),
            Inputs(
                [prepare(own.codes, job.spec.codes.scheme, own.exact) for own in uploads],
                shared,
                job.spec.codes.block_entries > 0,
            ),
        )

    def _meetings(
        self, job: Job, batches: list[BatchRow], left: int, right: int
    ) -> Iterator[NDArray[np.uint64]]:
        """Yield the pairs of two parties that each block entry brings together."""
        for entry in range(job.spec.codes.block_entries):
            # A party's other parties are counted without itself.
            yield meeting_pairs(
                read_tokens(self._artefacts, batches[left], right - 1, entry),
                read_tokens(self._artefacts, batches[right], left, entry),
            )

    def _compare(self, job: Job, uploads: _Uploads) -> list[tuple[Task, Candidates]]:
        """Return the pairs that each task found; record numbers count in each party."""
        tasks = plan(uploads.inputs, self._max_comparisons)
        with self._metadata.read() as transaction:
            done = transaction.done_tasks(job.job_id)
        planned = sum(task.comparisons for task in tasks)
        if planned > self._max_comparisons:
            raise QuotaExceededError(
                f"{planned:,} comparisons, also with blocks: this matcher makes "
                f"{self._max_comparisons:,} in a job: link fewer records, or agree on blocks "
                "that tell more",
                "TOO_MANY_COMPARISONS",
            )
        if job.state is JobState.PLANNED:
            self._log_plan(job, planned)
        dataset = dataset_of(job.job_id)
        self._create("work", dataset, job)
        parts = {number: self._read_pairs(dataset, number) for number in done}
        compared = sum(tasks[number].comparisons for number in done)
        n_pairs = sum(done.values())
        before_s, started = job.counts.comparing_s, time.monotonic()
        remaining = [number for number in range(len(tasks)) if number not in done]

        results = self._executor.run_all(
            [tasks[number] for number in remaining],
            uploads.inputs,
            run_task,
            (job.spec.threshold, self._screen_loss),
            self._cancelled.get(job.job_id),
        )
        for number, (task, found) in zip(remaining, results, strict=True):
            n_pairs += len(found)
            if n_pairs > self._max_candidates:
                raise QuotaExceededError(
                    f"more than {self._max_candidates} pairs reach the similarity of "
                    f"{job.spec.threshold:.4f}: raise the threshold, or compare more attributes",
                    "TOO_MANY_CANDIDATES",
                )
            parts[number] = found
            compared += task.comparisons
            self._write_pairs(dataset, number, found)
            counts = JobCounts(planned, compared, n_pairs, 0, before_s + time.monotonic() - started)
            with self._metadata.write() as transaction:
                transaction.add_task(job.job_id, number, len(found))
                transaction.set_counts(job.job_id, counts)
        return [(task, parts[number]) for number, task in enumerate(tasks)]

    def _log_plan(self, job: Job, planned: int) -> None:
        with self._metadata.write() as transaction:
            _running(transaction, job.job_id)
            made_by = transaction.request_of(job.job_id)
            decision = self._decisions.start(transaction, job, made_by)
            if not decision.allowed:
                raise NotAllowedError(decision)
            body: JsonObject = {
                "job": job.job_id,
                "comparisons": planned,
                "screen_loss": repr(self._screen_loss),
                **verdict(decision),
            }
            self._record(transaction, job, "job.plan", body, *decision.leaves)
            transaction.set_counts(job.job_id, JobCounts(comparisons_planned=planned))
            transaction.set_state(job.job_id, JobState.COMPARING)
        self._match_log.publish()

    def _release(
        self, job: Job, records: _Records, found: Solution, notes: tuple[str, ...], *, sure: float
    ) -> None:
        self._create("result", results_of(job.job_id), job)
        digests = dict[str, Json]()
        for recipient, parts in self._parts(job, records, found).items():
            salt = write_results(self._artefacts, results_of(job.job_id), recipient, parts)
            digests[recipient] = result_digest(salt, parts).hex()
        n_links = pairs_between(found.label, records.party_of)
        body: JsonObject = {
            "job": job.job_id,
            "method": METHOD_VERSION,
            "bands": _bands_of(job, sure),
            "notes": list(notes),
            "results": digests,
        }
        with self._metadata.write() as transaction:
            _running(transaction, job.job_id)
            self._check_release(transaction, job)
            result = self._result_leaf(transaction, job, body)
            transaction.set_result_leaf(job.job_id, result)
            counts = _running(transaction, job.job_id).counts
            transaction.set_counts(job.job_id, replace(counts, links=n_links))
            until = int(self._journal.clock()) + job.spec.collect_timeout_s
            transaction.set_deadline(job.job_id, until)
            transaction.set_state(job.job_id, JobState.AWAITING_COSIGNATURES)
        self._match_log.publish()

    def _release_cosigned(self, job: Job) -> None:
        """Release a result once all parties have cosigned a checkpoint over its leaf."""
        with self._metadata.read() as transaction:
            leaf = transaction.result_leaf(job.job_id)
        if leaf is None:
            raise JobStateError("a result that was never logged")
        # Again: the matcher may have stopped between the result and this.
        if job.job_id not in self._forgotten:
            self._forget(job)
        note = self._cosignatures.complete(job.spec.agreement_id, job.spec.parties, leaf)
        if note is None:
            return
        with self._metadata.write() as transaction:
            _running(transaction, job.job_id)
            # Time has passed since it was decided on.
            self._check_release(transaction, job)
            self._record(transaction, job, "release", {"job": job.job_id}, leaf)
            transaction.set_cosigned(job.job_id, note)
            transaction.set_state(job.job_id, JobState.RELEASED)
        self._forgotten.discard(job.job_id)
        self._match_log.publish()

    def _check_release(self, transaction: Transaction, job: Job) -> None:
        """Check that each party may get its result now.

        Raises:
            DeniedError: one may not.
        """
        uploads = {b.party: (b.actor, b.key) for b in transaction.batches_of(job.job_id)}
        decision = self._decisions.release(
            transaction, job, [uploads[party] for party in job.spec.parties]
        )
        if not decision.allowed:
            raise NotAllowedError(decision)

    def _parts(self, job: Job, records: _Records, found: Solution) -> dict[str, list[Part]]:
        """Return what everybody is told, by recipient: what nobody is told is not even made."""
        told: dict[str, list[Part]] = {}
        for source, recipient, level in job.spec.results:
            part = self._part(job, records, found, (recipient, source, level))
            told.setdefault(recipient, []).append(part)
        return told

    def _part(
        self,
        job: Job,
        records: _Records,
        found: Solution,
        wanted: tuple[str, str, str],
    ) -> Part:
        recipient, source, level = wanted
        parties = job.spec.parties
        if level == "R0":
            return Part(source, level, counts=self._counts(job, records, found, wanted))
        own, other = parties.index(recipient), parties.index(source)
        if level == "R3":
            pair = min(own, other), max(own, other)
            key = self._pair_keys.key(job.spec.agreement_id, (parties[pair[0]], parties[pair[1]]))
            grades = grades_of(found.label, found.surely)
            sides = links_of_pair(
                found.label, records.party_of, records.references, grades, pair, key
            )
            references, link_ids, own_grades = sides[pair.index(own)]
            return Part(source, level, references, own_grades, link_ids)
        answers = answers_of(found, records.party_of, records.references, own, [other])
        compared = b""
        if level == "R2":
            pairs = records.compared[min(own, other), max(own, other)]
            compared = comparisons_of(pairs, found.label, records.references, own < other)
        return Part(source, level, *answers, comparisons=compared)

    def _counts(
        self,
        job: Job,
        records: _Records,
        found: Solution,
        wanted: tuple[str, str, str],
    ) -> tuple[int, ...]:
        """Return what is told of how many records were linked.

        A party is told of its own records and one other party, the coordinator of a source's
        records and all others.
        """
        recipient, source, _ = wanted
        parties, of_party = job.spec.parties, recipient
        others = [parties.index(source)]
        if recipient == COORDINATOR:
            of_party = source
            others = [number for number, party in enumerate(parties) if party != source]
        _, grades = answers_of(
            found, records.party_of, records.references, parties.index(of_party), others
        )
        with self._metadata.read() as transaction:
            batches = {batch.party: batch for batch in transaction.batches_of(job.job_id)}
        n_records = batch_size(batches[of_party])
        cells = {"match": grades.count(MATCH), "undetermined": grades.count(UNDETERMINED)}
        told = told_counts(n_records, cells)
        # A party knows how many it has.
        shown = floor_of(n_records) if recipient == COORDINATOR else n_records
        return shown, told["match"], told["undetermined"]

    def _result_leaf(self, transaction: Transaction, job: Job, body: JsonObject) -> int:
        """Return the leaf that commits to a result, logged now or before a restart."""
        logged = transaction.result_leaf(job.job_id)
        # Another version of the matcher may have come to another result before.
        if logged is not None and transaction.entries(logged, logged + 1)[0].body == format_json(
            body
        ):
            return logged
        return self._record(transaction, job, "result", body)

    def _record(
        self, transaction: Transaction, job: Job, leaf_type: str, body: JsonObject, *refs: int
    ) -> int:
        return self._journal.record(
            transaction, leaf_type, MATCHER, job.spec.agreement_id, body, refs, job.job_id
        )

    def _enter(self, job_id: str, state: JobState) -> None:
        with self._metadata.write() as transaction:
            _running(transaction, job_id)
            transaction.set_state(job_id, state)

    def _create(self, kind: Kind, dataset: str, job: Job) -> None:
        self._retention.create(dataset, kind, job.spec.agreement_id, job.job_id)

    def _write_pairs(self, dataset: str, number: int, pairs: Candidates) -> None:
        out = io.BytesIO()
        np.savez(out, left=pairs.left, right=pairs.right, similarity=pairs.similarity)
        self._artefacts.write(dataset, f"{_PAIRS}{number:06}", out.getvalue())

    def _read_pairs(self, dataset: str, number: int) -> Candidates:
        content = self._artefacts.read(dataset, f"{_PAIRS}{number:06}")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return Candidates(arrays["left"], arrays["right"], arrays["similarity"])


def _solved(
    job: Job,
    records: _Records,
    candidates: Candidates,
    threshold: float,
    certain: float = 0.0,
    sure: float = 0.0,
) -> Solution:
    """Return the groups of a job; pairs that are not certain join groups only with support."""
    n_parties, cardinality = len(records.sizes), job.spec.cardinality
    return solve_surely(
        candidates, records.party_of, n_parties, cardinality, threshold, certain, sure
    )


def _bands_of(job: Job, sure: float) -> JsonObject:
    """Return what range of scores each grade stands for: all that is told of a score.

    A finer one would let a prober find out, job by job, how near a made-up record comes.
    """
    least = f"{job.spec.threshold:.4g}"
    if job.spec.refinement is None:
        return {"match": f"similarity {least} to 1"}
    parted = f"{probability_at(sure):.4g}"
    if probability_at(sure) <= job.spec.threshold:
        return {"match": f"probability {least} to 1"}
    return {
        "match": f"probability {parted} to 1",
        "undetermined": f"probability {least} to {parted}",
    }


def _running(transaction: Transaction, job_id: str) -> Job:
    """Return a job that has not ended.

    Raises:
        JobStateError: it has: nothing more is done for it.
    """
    job = transaction.job(job_id)
    if job is None or job.state.final:
        raise JobStateError("the job has ended")
    return job
