"""The second round at the matcher: asks owners about their tickets, and keeps the answers.

Each owner sees its own tickets and the name of the other party. Questions are asked in two
steps, about the same tickets: for their field rows, then, each with a share, for rows in which
the references of likely pairs open. The questions to two parties are cut at the same pairs,
so that two answers of the first step can be joined without the rest; those of the second are
joined by their tags, as a whole.
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
from linkage.job import Job, JobState, Refinement
from linkage.log.canonical import JsonObject
from linkage.matcher.jobs import MATCHER, job_for
from linkage.matcher.journal import Journal
from linkage.matcher.match_log import MatchLog
from linkage.namerow import NameForm, told_types
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
        n_tickets: about how many tickets.
        questions: packed tickets for fields, their shares for names, question by question.
    """

    own: int
    other: int
    n_tickets: int
    questions: list[bytes]


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
        nothing = not any(of_owner.n_tickets for of_owner in asked)
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
            for row in [] if nothing else rows:
                transaction.add_refinement(row)
            self._journal.record(
                transaction, "refine", MATCHER, agreement, entry, job_id=job.job_id
            )
        # Nothing is asked before it is in the published log how much.
        self._log.publish()
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
        for index, content in enumerate(asked.questions):
            name = _asked_name(kind, asked.own, asked.other, index)
            self._artefacts.write(dataset_of(job.job_id), name, content)
        parties = job.spec.parties
        row = RefinementRow(
            job.job_id, parties[asked.own], parties[asked.other], len(asked.questions), 0
        )
        if kind is QuestionKind.NAMES:
            # No digest of shares: where there are few pairs, an owner that knows its own could
            # try which of the other's give it, and so learn which are likely.
            return row, {"tickets": asked.n_tickets}
        digest = hashlib.sha256(b"".join(asked.questions)).hexdigest()
        return row, {"tickets": asked.n_tickets, "digest": digest}

    def forget(self, job: Job) -> None:
        """Remove all questions and answers of a job."""
        self._remove(job, *(form.format(kind.value) for form in _KEPT for kind in QuestionKind))

    def forget_rows(self, job: Job) -> None:
        """Remove the field rows of a job. What was asked about is asked about once more."""
        self._remove(job, _ANSWER.format(QuestionKind.FIELDS.value))

    def _remove(self, job: Job, *beginnings: str) -> None:
        for name in self._artefacts.names(dataset_of(job.job_id)):
            if name.startswith(beginnings):
                self._artefacts.remove(dataset_of(job.job_id), name)

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
                tickets = self._asked(job, QuestionKind.FIELDS, own, other, index)
                shares = b""
                if kind is QuestionKind.NAMES:
                    shares = self._asked(job, kind, own, other, index)
                answered = index < row.next_chunk
                yield Question(row.counterpart, kind, index, tickets, answered, shares)

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
        own, other = (job.spec.parties.index(name) for name in (who.party, counterpart))
        # At once, so that a broken answer is refused to its sender and not found by a worker.
        asked = self._asked(job, kind, own, other, index)
        if kind is QuestionKind.FIELDS:
            form = row_form(job)
            n = len(Tickets.unpacked(asked, job.spec.codes.block_bytes))
            _check_length(answer, n * form.n_bytes)
            split_rows(np.frombuffer(answer, np.uint8).reshape(-1, form.n_bytes), form)
        else:
            names = name_form(job, own, other)
            _check_length(answer, len(names.shares(asked)) * names.row.itemsize)
            self._check_tags(job, own, other, index, names.rows(answer)["tag"])
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

    def rows(self, job: Job, own: int, other: int, index: int) -> NDArray[np.uint8]:
        """Return the field rows that an owner sent for a question, shape (n, n_bytes)."""
        name = _answer_name(QuestionKind.FIELDS, own, other, index)
        content = self._artefacts.read(dataset_of(job.job_id), name)
        return np.frombuffer(content, dtype=np.uint8).reshape(-1, row_form(job).n_bytes)

    def names(self, job: Job, own: int, other: int) -> Iterator[NDArray[np.void]]:
        """Yield the rows in which an owner names its records, by ascending tag, in pieces."""
        with self._metadata.read() as transaction:
            rows = transaction.refinements(job.job_id)
        whose = job.spec.parties[own], job.spec.parties[other]
        for row in rows:
            if (row.party, row.counterpart) == whose:
                for index in range(row.n_chunks):
                    yield self._name_rows(job, own, other, index)

    def _name_rows(self, job: Job, own: int, other: int, index: int) -> NDArray[np.void]:
        name = _answer_name(QuestionKind.NAMES, own, other, index)
        content = self._artefacts.read(dataset_of(job.job_id), name)
        return name_form(job, own, other).rows(content)

    def _check_tags(
        self, job: Job, own: int, other: int, index: int, tags: NDArray[np.uint64]
    ) -> None:
        """Check that tags ascend, and come after all that were sent before.

        Raises:
            MalformedMessageError: they do not.
        """
        # Questions of a small party may be empty, and so may be their answers.
        pieces = (self._name_rows(job, own, other, i)["tag"] for i in range(index - 1, -1, -1))
        before = next(filter(len, pieces), tags[:0])[-1:]
        whole = np.concatenate([before, tags])
        if (whole[1:] <= whole[:-1]).any():
            raise MalformedMessageError("an answer with tags twice, or in another order")

    def _asked(self, job: Job, kind: QuestionKind, own: int, other: int, index: int) -> bytes:
        name = _asked_name(kind, own, other, index)
        return self._artefacts.read(dataset_of(job.job_id), name)

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


def name_form(job: Job, own: int, other: int) -> NameForm:
    """Return what the shares and rows of two parties of a job hold."""
    return NameForm.between(job.spec, job.spec.parties[own], job.spec.parties[other])


def pairs_per_question(job: Job) -> int:
    """Return how many pairs' fields are asked for at once.

    Questions and answers of both kinds fit into one message each: what is answered need not
    come again where a line breaks.
    """
    names = NameForm.of_steps(len(told_types(job.spec))).row.itemsize
    width = max(row_form(job).n_bytes, names, 1 + ticket_bytes(job.spec.codes.block_bytes))
    return min(_MOST_PAIRS, MAX_CHUNK_BYTES // width)


def _check_state(job: Job | None, state: JobState) -> None:
    if job is None or job.state is not state:
        raise JobStateError("the job has ended")


def _check_length(answer: bytes, n_bytes: int) -> None:
    if len(answer) != n_bytes:
        raise MalformedMessageError("an answer of another length than was asked for")


_ASKED, _ANSWER = _KEPT = "asked-{}-", "answer-{}-"


def _asked_name(kind: QuestionKind, own: int, other: int, index: int) -> str:
    return f"{_ASKED.format(kind.value)}{own}-{other}-{index:06}"


def _answer_name(kind: QuestionKind, own: int, other: int, index: int) -> str:
    return f"{_ANSWER.format(kind.value)}{own}-{other}-{index:06}"
