"""The second round at the matcher: asks owners about their tickets, and keeps the answers.

Each owner sees its own tickets and the name of the other party. Questions are asked in two
steps, and those of the second take the place of the first's: for the field rows of all
tickets asked about, then for the references of the likely pairs, all of a band at once. The
questions to two parties are cut at the same pairs, so that two answers can be joined
without the rest.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keys.identity import Identity
from linkage.batch import MAX_CHUNK_BYTES, Question, QuestionKind
from linkage.errors import JobStateError, MalformedMessageError
from linkage.fieldrow import RowForm, split_rows
from linkage.job import REFERENCE_BYTES, Job, JobState, Refinement
from linkage.log.canonical import JsonObject
from linkage.matcher.jobs import MATCHER, job_for
from linkage.matcher.journal import Journal
from linkage.matcher.match_log import MatchLog
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import Metadata, RefinementRow
from linkage.ticket import Tickets, ticket_bytes

_MOST_PAIRS = 4096
_ASKS = {JobState.REFINING: QuestionKind.FIELDS, JobState.NAMING: QuestionKind.NAMES}
# What a job is before it asks, and after the last answer.
_BEFORE = {QuestionKind.FIELDS: JobState.COMPARING, QuestionKind.NAMES: JobState.SCORING}
_AFTER = {QuestionKind.FIELDS: JobState.SCORING, QuestionKind.NAMES: JobState.SOLVING}


@dataclass(frozen=True)
class Asked:
    """What one owner is asked about another's records.

    Attributes:
        own: number of the party that is asked.
        other: number of the other owner.
        questions: tickets, question by question.
    """

    own: int
    other: int
    questions: list[Tickets]


class Refinements:
    """The second rounds of a matcher's jobs.

    Args:
        metadata: the database.
        artefacts: where questions and answers are kept.
        journal: makes log entries.
        log: publishes them.
        on_ready: called when the answers of a step are complete.
    """

    def __init__(
        self,
        metadata: Metadata,
        artefacts: ArtefactStore,
        journal: Journal,
        log: MatchLog,
        on_ready: Callable[[], None],
    ) -> None:
        self._metadata, self._artefacts = metadata, artefacts
        self._journal, self._log = journal, log
        self._on_ready = on_ready

    def ask(self, job: Job, kind: QuestionKind, asked: list[Asked]) -> None:
        """Ask the owners; with nothing to ask the job goes on at once.

        Raises:
            JobStateError: the job has ended.
        """
        rows, body = [], dict[str, JsonObject]()
        for of_owner in asked:
            row, summary = self._keep(job, kind, of_owner)
            rows.append(row)
            body[f"{row.party} {row.counterpart}"] = summary
        entry: JsonObject = {"job": job.job_id, "kind": kind.value, "asked": body}
        agreement = job.spec.agreement_id
        with self._metadata.write() as transaction:
            _check_state(transaction.job(job.job_id), _BEFORE[kind])
            # A start before this one may have come as far.
            transaction.clear_refinements(job.job_id)
            for row in rows:
                transaction.add_refinement(row)
            self._journal.record(
                transaction, "refine", MATCHER, agreement, entry, job_id=job.job_id
            )
        # Nothing is asked before it is in the published log how much.
        self._log.publish()
        nothing = not any(row.n_chunks for row in rows)
        state = next(state for state, asks in _ASKS.items() if asks is kind)
        with self._metadata.write() as transaction:
            _check_state(transaction.job(job.job_id), _BEFORE[kind])
            transaction.set_state(job.job_id, _AFTER[kind] if nothing else state)
            until = int(self._journal.clock()) + job.spec.collect_timeout_s
            transaction.set_deadline(job.job_id, until)
        if nothing:
            self._on_ready()

    def _keep(self, job: Job, kind: QuestionKind, asked: Asked) -> tuple[RefinementRow, JsonObject]:
        """Keep the questions that one owner is asked."""
        digest, n_asked = hashlib.sha256(), 0
        for index, tickets in enumerate(asked.questions):
            content = tickets.packed(job.spec.codes.block_bytes)
            name = _asked_name(kind, asked.own, asked.other, index)
            self._artefacts.write(dataset_of(job.job_id), name, content)
            digest.update(content)
            n_asked += len(tickets)
        parties = job.spec.parties
        row = RefinementRow(
            job.job_id, parties[asked.own], parties[asked.other], len(asked.questions), 0
        )
        return row, {"tickets": n_asked, "digest": digest.hexdigest()}

    def forget(self, job: Job, kind: QuestionKind | None = None) -> None:
        """Remove questions and answers that a job is done with; by default all."""
        dataset = dataset_of(job.job_id)
        kinds = QuestionKind if kind is None else (kind,)
        for name in self._artefacts.names(dataset):
            if any(name.startswith((f"asked-{k.value}-", f"answer-{k.value}-")) for k in kinds):
                self._artefacts.remove(dataset, name)

    def questions(self, who: Identity, job_id: str) -> Iterator[Question]:
        """Yield all that a party is asked now, to whoever takes part for it.

        Raises:
            NotFoundError: the job is none of the caller's.
            JobStateError: the job asks nothing now.
        """
        job, kind, rows = self._asking(who, job_id)
        own = job.spec.parties.index(who.party)
        for row in rows:
            other = job.spec.parties.index(row.counterpart)
            for index in range(row.n_chunks):
                name = _asked_name(kind, own, other, index)
                content = self._artefacts.read(dataset_of(job_id), name)
                yield Question(row.counterpart, kind, index, content, index < row.next_chunk)

    def answer(
        self,
        who: Identity,
        job_id: str,
        counterpart: str,
        kind: QuestionKind,
        index: int,
        answer: bytes,
    ) -> None:
        """Keep the answer to a question; one that is there already changes nothing.

        Raises:
            NotFoundError: the job is none of the caller's.
            JobStateError: the job asks nothing now, or something else.
            MalformedMessageError: no such question, out of its turn, or no answer to it.
        """
        job, row = self._row(who, job_id, counterpart, kind, index)
        if index < row.next_chunk:
            return
        if index > row.next_chunk:
            raise MalformedMessageError(f"answer {index}: the next one is {row.next_chunk}")
        # At once, so that a broken answer is refused to its sender and not found by a worker.
        if len(answer) != self._answer_bytes(job, row, kind, index):
            raise MalformedMessageError("an answer of another length than was asked for")
        if kind is QuestionKind.FIELDS:
            form = row_form(job)
            split_rows(np.frombuffer(answer, np.uint8).reshape(-1, form.n_bytes), form)
        own, other = (job.spec.parties.index(name) for name in (who.party, counterpart))
        self._artefacts.write(dataset_of(job_id), _answer_name(kind, own, other, index), answer)
        with self._metadata.write() as transaction:
            _check_state(transaction.job(job_id), job.state)
            # Read again: the same answers may be sent twice, after a line broke.
            if row not in transaction.refinements(job_id):
                return
            transaction.set_answered(job_id, who.party, counterpart, index + 1)
            complete = all(r.next_chunk == r.n_chunks for r in transaction.refinements(job_id))
            if complete:
                transaction.set_state(job_id, _AFTER[kind])
        if complete:
            self._on_ready()

    def check_length(
        self,
        who: Identity,
        job_id: str,
        counterpart: str,
        kind: QuestionKind,
        index: int,
        n_bytes: int,
    ) -> None:
        """Check that an answer of which so much has come is not too long already.

        Raises:
            NotFoundError: the job is none of the caller's.
            JobStateError: the job asks nothing now, or something else.
            MalformedMessageError: no such question, or it is too long.
        """
        job, row = self._row(who, job_id, counterpart, kind, index)
        if n_bytes > self._answer_bytes(job, row, kind, index):
            raise MalformedMessageError("an answer of another length than was asked for")

    def rows(self, job: Job, own: int, other: int, index: int) -> NDArray[np.uint8]:
        """Return the field rows that an owner sent for a question, shape (n, n_bytes)."""
        name = _answer_name(QuestionKind.FIELDS, own, other, index)
        content = self._artefacts.read(dataset_of(job.job_id), name)
        return np.frombuffer(content, dtype=np.uint8).reshape(-1, row_form(job).n_bytes)

    def names(self, job: Job, own: int, other: int, index: int) -> NDArray[np.uint8]:
        """Return the references that an owner sent for a band, shape (n, 16).

        Zeros stand for a record that its owner names no more.
        """
        name = _answer_name(QuestionKind.NAMES, own, other, index)
        content = self._artefacts.read(dataset_of(job.job_id), name)
        return np.frombuffer(content, dtype=np.uint8).reshape(-1, REFERENCE_BYTES)

    def _answer_bytes(self, job: Job, row: RefinementRow, kind: QuestionKind, index: int) -> int:
        """Return how long the answer to a question must be."""
        own, other = (job.spec.parties.index(name) for name in (row.party, row.counterpart))
        asked = self._artefacts.read(dataset_of(job.job_id), _asked_name(kind, own, other, index))
        width = row_form(job).n_bytes if kind is QuestionKind.FIELDS else REFERENCE_BYTES
        return len(Tickets.unpacked(asked, job.spec.codes.block_bytes)) * width

    def _row(
        self, who: Identity, job_id: str, counterpart: str, kind: QuestionKind, index: int
    ) -> tuple[Job, RefinementRow]:
        """Return the job, and how far a party is with the questions about another one."""
        job, now, known = self._asking(who, job_id)
        if kind is not now:
            raise JobStateError(f"the job asks for {now.value} now")
        row = next((row for row in known if row.counterpart == counterpart), None)
        if row is None or index >= row.n_chunks:
            raise MalformedMessageError("an answer to what was not asked")
        return job, row

    def _asking(self, who: Identity, job_id: str) -> tuple[Job, QuestionKind, list[RefinementRow]]:
        with self._metadata.read() as transaction:
            job = job_for(transaction, who, job_id)
            kind = _ASKS.get(job.state)
            if kind is None:
                raise JobStateError(f"the job is {job.state.value}: it asks nothing now")
            rows = [row for row in transaction.refinements(job_id) if row.party == who.party]
        return job, kind, rows


def dataset_of(job_id: str) -> str:
    """Return the name of a job's dataset of artefacts."""
    return f"job-{job_id}"


def refinement_of(job: Job) -> Refinement:
    """Return what a job says of its second round.

    Raises:
        JobStateError: it has none.
    """
    if job.spec.refinement is None:
        raise JobStateError("a job of one round asks nothing")
    return job.spec.refinement


def row_form(job: Job) -> RowForm:
    """Return what a field row of a job holds."""
    refinement = refinement_of(job)
    return RowForm(len(refinement.types), len(refinement.identifiers))


def pairs_per_question(job: Job) -> int:
    """Return how many pairs' fields are asked for at once.

    Question and answer fit into one message each: what is answered need not come again
    where a line breaks.
    """
    width = max(row_form(job).n_bytes, 1 + ticket_bytes(job.spec.codes.block_bytes))
    return min(_MOST_PAIRS, MAX_CHUNK_BYTES // width)


def _check_state(job: Job | None, state: JobState) -> None:
    if job is None or job.state is not state:
        raise JobStateError("the job has ended")


def _asked_name(kind: QuestionKind, own: int, other: int, index: int) -> str:
    return f"asked-{kind.value}-{own}-{other}-{index:06}"


def _answer_name(kind: QuestionKind, own: int, other: int, index: int) -> str:
    return f"answer-{kind.value}-{own}-{other}-{index:06}"
