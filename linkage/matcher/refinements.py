"""The second round at the matcher: asks the owners about pairs, and keeps their answers.

Each owner sees its own records and the name of the other party, never the other record.
All chunks of a pair of parties are cut at the same pair numbers, so that the two answers
to a chunk can be joined without the rest.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from linkage.batch import MAX_CHUNK_BYTES, Question
from linkage.engine.refinement import NOBODY, RefinePairs
from linkage.errors import JobStateError, MalformedMessageError
from linkage.fieldrow import row_bytes, split_rows
from linkage.job import REFERENCE_BYTES, Job, JobState
from linkage.log.canonical import JsonObject
from linkage.matcher.jobs import MATCHER, job_for
from linkage.matcher.journal import Journal
from linkage.matcher.match_log import MatchLog
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import Metadata, RefinementRow

NUMBER_BYTES = 4
_ASKED_BYTES = NUMBER_BYTES + REFERENCE_BYTES
_MOST_PAIRS = 4096


class Refinements:
    """The second rounds of a matcher's jobs.

    Args:
        metadata: the database.
        artefacts: where questions and answers are kept.
        journal: makes log entries.
        log: publishes them.
        on_ready: called when the answers of a job are complete.
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

    def begin(
        self,
        job: Job,
        questions: dict[tuple[int, int], RefinePairs],
        references: Sequence[NDArray[np.uint8]],
    ) -> None:
        """Ask the owners about pairs.

        Args:
            job: a job that has been compared.
            questions: pairs by the numbers of their two parties.
            references: of each party's records, shape (n, 16).

        Raises:
            JobStateError: the job has ended.
        """
        asked: dict[str, JsonObject] = {}
        rows = []
        for (left, right), pairs in questions.items():
            self._artefacts.write(
                dataset_of(job.job_id), _pairs_name(left, right), _pairs_to_bytes(pairs)
            )
            for own, other, records in ((left, right, pairs.left), (right, left, pairs.right)):
                row, summary = self._ask(job, own, other, records, references[own])
                rows.append(row)
                asked[f"{row.party} {row.counterpart}"] = summary
        with self._metadata.write() as transaction:
            now = transaction.job(job.job_id)
            if now is None or now.state is not JobState.COMPARING:
                raise JobStateError("the job has ended")
            # A start before this one may have come as far.
            transaction.clear_refinements(job.job_id)
            for row in rows:
                transaction.add_refinement(row)
            self._journal.record(
                transaction,
                "refine",
                MATCHER,
                job.spec.agreement_id,
                {"job": job.job_id, "asked": asked},
                job_id=job.job_id,
            )
        # Nothing is asked before it is in the published log how much.
        self._log.publish()
        with self._metadata.write() as transaction:
            now = transaction.job(job.job_id)
            if now is None or now.state is not JobState.COMPARING:
                raise JobStateError("the job has ended")
            transaction.set_state(job.job_id, JobState.REFINING)
            until = int(self._journal.clock()) + job.spec.collect_timeout_s
            transaction.set_deadline(job.job_id, until)

    def forget(self, job: Job) -> None:
        """Remove questions and answers of a job that is done with them."""
        dataset = dataset_of(job.job_id)
        for name in self._artefacts.names(dataset):
            if name.startswith(("refine-", "asked-", "rows-")):
                self._artefacts.remove(dataset, name)

    def _ask(
        self,
        job: Job,
        own: int,
        other: int,
        records: NDArray[np.int32],
        references: NDArray[np.uint8],
    ) -> tuple[RefinementRow, JsonObject]:
        """Keep the chunks that one owner is asked about another's records."""
        step = pairs_per_chunk(job)
        digest, n_asked = hashlib.sha256(), 0
        n_chunks = -(-len(records) // step)
        for index in range(n_chunks):
            of_chunk = records[index * step : (index + 1) * step]
            there = np.flatnonzero(of_chunk != NOBODY)
            numbers = (index * step + there).astype("<u4").tobytes()
            content = numbers + references[of_chunk[there]].tobytes()
            self._artefacts.write(dataset_of(job.job_id), _asked_name(own, other, index), content)
            digest.update(content)
            n_asked += len(there)
        parties = job.spec.parties
        row = RefinementRow(job.job_id, parties[own], parties[other], n_chunks, 0)
        return row, {"pairs": n_asked, "digest": digest.hexdigest()}

    def questions(self, party: str, job_id: str) -> Iterator[Question]:
        """Yield all chunks that a party is to answer.

        Raises:
            NotFoundError: the job is none of the party's.
            JobStateError: the job asks nothing now.
        """
        job, rows = self._refining(party, job_id)
        own = job.spec.parties.index(party)
        for row in rows:
            other = job.spec.parties.index(row.counterpart)
            for index in range(row.n_chunks):
                content = self._artefacts.read(dataset_of(job_id), _asked_name(own, other, index))
                split = len(content) // _ASKED_BYTES * NUMBER_BYTES
                yield Question(
                    row.counterpart,
                    index,
                    content[:split],
                    content[split:],
                    index < row.next_chunk,
                )

    def answer(self, party: str, job_id: str, counterpart: str, index: int, rows: bytes) -> None:
        """Keep the answer to a chunk; one that is there already changes nothing.

        Raises:
            NotFoundError: the job is none of the party's.
            JobStateError: the job asks nothing now.
            MalformedMessageError: no such chunk, out of its turn, or not as many rows as
                pairs.
        """
        job, known = self._refining(party, job_id)
        row = next((row for row in known if row.counterpart == counterpart), None)
        if row is None or index >= row.n_chunks:
            raise MalformedMessageError("an answer to what was not asked")
        if index < row.next_chunk:
            return
        if index > row.next_chunk:
            raise MalformedMessageError(f"answer {index}: the next one is {row.next_chunk}")
        own, other = (job.spec.parties.index(name) for name in (party, counterpart))
        asked = self._artefacts.read(dataset_of(job_id), _asked_name(own, other, index))
        _check_rows(rows, len(asked) // _ASKED_BYTES, job)
        self._artefacts.write(dataset_of(job_id), _rows_name(own, other, index), rows)
        with self._metadata.write() as transaction:
            still = transaction.job(job_id)
            if still is None or still.state is not JobState.REFINING:
                raise JobStateError("the job asks nothing now")
            # Read again: the same answers may be sent twice, after a line broke.
            if row not in transaction.refinements(job_id):
                return
            transaction.set_answered(job_id, party, counterpart, index + 1)
            complete = all(r.next_chunk == r.n_chunks for r in transaction.refinements(job_id))
            if complete:
                transaction.set_state(job_id, JobState.SOLVING)
        if complete:
            self._on_ready()

    def pairs(self, job_id: str, left: int, right: int) -> RefinePairs:
        """Return the pairs of two parties of a job."""
        content = self._artefacts.read(dataset_of(job_id), _pairs_name(left, right))
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return RefinePairs(arrays["left"], arrays["right"], arrays["drawn"])

    def answers(
        self, job: Job, left: int, right: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yield the answers to all pairs that both owners were asked about, chunk by chunk.

        Returns:
            Numbers of the pairs, and the rows of both owners.
        """
        pairs, step = self.pairs(job.job_id, left, right), pairs_per_chunk(job)
        for index in range(-(-len(pairs) // step)):
            part = slice(index * step, (index + 1) * step)
            of_left, of_right = pairs.left[part] != NOBODY, pairs.right[part] != NOBODY
            both = of_left & of_right
            yield (
                index * step + np.flatnonzero(both),
                self._rows(job, left, right, index)[both[of_left]],
                self._rows(job, right, left, index)[both[of_right]],
            )

    def _rows(self, job: Job, own: int, other: int, index: int) -> NDArray[np.uint8]:
        content = self._artefacts.read(dataset_of(job.job_id), _rows_name(own, other, index))
        return np.frombuffer(content, dtype=np.uint8).reshape(-1, _row_bytes(job))

    def _refining(self, party: str, job_id: str) -> tuple[Job, list[RefinementRow]]:
        with self._metadata.read() as transaction:
            job = job_for(transaction, party, job_id)
            if job.state is not JobState.REFINING:
                raise JobStateError(f"the job is {job.state.value}: it asks nothing now")
            rows = [row for row in transaction.refinements(job_id) if row.party == party]
        return job, rows


def dataset_of(job_id: str) -> str:
    """Return the name of a job's dataset of artefacts."""
    return f"job-{job_id}"


def pairs_per_chunk(job: Job) -> int:
    """Return how many pairs a chunk has, so that its answer fits into a message."""
    return min(_MOST_PAIRS, MAX_CHUNK_BYTES // _row_bytes(job))


def _row_bytes(job: Job) -> int:
    assert job.spec.refinement is not None  # noqa: S101 -- callers have checked the rounds
    return row_bytes(len(job.spec.refinement.types))


def _check_rows(rows: bytes, n_pairs: int, job: Job) -> None:
    if len(rows) != n_pairs * _row_bytes(job):
        raise MalformedMessageError("an answer of another length than the question asks for")
    assert job.spec.refinement is not None  # noqa: S101
    # At once, so that a broken answer is refused to its sender and not found by a worker.
    split_rows(
        np.frombuffer(rows, np.uint8).reshape(n_pairs, _row_bytes(job)),
        len(job.spec.refinement.types),
    )


def _pairs_to_bytes(pairs: RefinePairs) -> bytes:
    content = io.BytesIO()
    np.savez(content, left=pairs.left, right=pairs.right, drawn=pairs.drawn)
    return content.getvalue()


def _asked_name(own: int, other: int, index: int) -> str:
    return f"asked-{own}-{other}-{index:06}"


def _pairs_name(left: int, right: int) -> str:
    return f"refine-{left}-{right}"


def _rows_name(own: int, other: int, index: int) -> str:
    return f"rows-{own}-{other}-{index:06}"
