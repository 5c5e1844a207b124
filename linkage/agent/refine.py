"""The agent's part in the second round: field filters for pairs of its own records.

What a curious matcher could try is refused here. A number of a pair stands for one own
record for ever: two records under one number would get two filters under one key, which
could be compared. Each record is asked about no more often than the job's terms allow.
"""

import datetime
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from linkage.agent.client import MatcherClient
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.fieldrows import ColumnsDigest, FieldRows
from linkage.agent.references import References
from linkage.agent.session import Session
from linkage.agent.source import Source
from linkage.batch import Question
from linkage.encode.fields import Side
from linkage.encode.pairkeys import pair_keys
from linkage.errors import (
    DeniedError,
    JobStateError,
    NotFoundError,
    RecordError,
    UnavailableError,
)
from linkage.job import REFERENCE_BYTES, Job, Refinement
from linkage.store.artefacts import ArtefactStore

_ANSWERED_DAYS = 365
_TRIES = 5
# More than the matcher ever asks at once.
MAX_PAIRS = 4096


class Answerer:
    """Answers the questions of one job.

    Args:
        session: the agent at work.
        job: the job, whose terms have been checked.
        references: the own references.
        source_digest: digest of the source that the batch was made of.
        today: the day of the run.

    Raises:
        RecordError: the source cannot be used, or has changed: another value under the
            same one-time key could be compared with the first.
    """

    def __init__(
        self,
        session: Session,
        job: Job,
        references: References,
        source_digest: bytes,
        today: datetime.date,
    ) -> None:
        refinement = job.spec.refinement
        if refinement is None:
            raise ValueError("a job of one round asks nothing")
        self._session, self._job = session, job
        self._records = _Records(session, references, source_digest)
        self._guard = _Guard(
            session.store, job, refinement, session.config.party, len(self._records.rows), today
        )

    def check(self, question: Question) -> NDArray[np.int64]:
        """Check a question and return the own record of each of its pairs.

        Raises:
            DeniedError: it asks for more than the terms allow.
            RecordError: a reference is none of ours.
        """
        records = self._records.numbers(question.references)
        self._guard.check(question, records)
        return records

    def rows(self, question: Question) -> bytes:
        """Return the answer to a question.

        Raises:
            DeniedError: the question asks for more than the terms allow.
            RecordError: a reference is none of ours.
        """
        records = self.check(question)
        party, other = self._session.config.party, question.counterpart
        order = self._job.spec.parties
        first = order.index(party) < order.index(other)
        left, right = (party, other) if first else (other, party)
        key = self._session.key.refine_key(self._job.job_id, left, right)
        keys = pair_keys(key, np.frombuffer(question.pairs, "<u4"))
        side: Side = "left" if first else "right"
        return self._records.rows.encode(records, keys, side).tobytes()


def answer_all(
    client: MatcherClient,
    job_id: str,
    answerer: Answerer,
    on_pairs: Callable[[int], None],
) -> None:
    """Answer everything that is asked in a job, from wherever an earlier try stopped.

    Args:
        client: calls of the party.
        job_id: the job.
        answerer: makes the answers.
        on_pairs: told the number of pairs answered so far.

    Raises:
        DeniedError: a question asks for more than the terms allow.
        UnavailableError: the matcher went away several times.
    """

    def answers() -> Iterator[tuple[Question, bytes]]:
        done = 0
        for question in client.questions(job_id):
            done += len(question.references) // REFERENCE_BYTES
            on_pairs(done)
            if question.answered:
                answerer.check(question)
                continue
            yield question, answerer.rows(question)
            sent.append(question.index)

    left, sent = _TRIES, list[int]()
    while True:
        before = len(sent)
        try:
            client.answer(job_id, answers())
        except JobStateError:
            # Nothing is asked any more: all answers had arrived before a line broke, or the
            # job has ended. Whoever follows it is told which.
            return
        except UnavailableError:
            # Connections end from time to time: tries count only where nothing went through.
            left = _TRIES if len(sent) > before else left - 1
            if not left:
                raise
            client.job(job_id)  # waits for the matcher
        else:
            return


class _Records:
    """The own records by their references."""

    def __init__(self, session: Session, references: References, source_digest: bytes) -> None:
        seen = ColumnsDigest()
        normaliser = RecordNormaliser(session.schema, session.source)
        self.rows = FieldRows(session.schema)
        parts = []
        for table in Source(session.source, session.schema).chunks():
            columns = normaliser.columns(table)
            seen.add(columns)
            self.rows.add(columns)
            parts.append(references.of(cast("list[str]", table["record_id"].to_pylist())))
        if seen.digest() != source_digest:
            raise RecordError(
                "the source has changed since it was encoded for this job: run the job with the "
                "source as it was, or cancel it and request another one"
            )
        own = np.frombuffer(b"".join(parts), dtype="V16")
        self._order = np.argsort(own, kind="stable")
        self._sorted = own[self._order]

    def numbers(self, references: bytes) -> NDArray[np.int64]:
        """Return which record of the source each reference is, shape (n,)."""
        wanted = np.frombuffer(references, dtype="V16")
        at = np.searchsorted(self._sorted, wanted).clip(max=max(len(self.rows) - 1, 0))
        if (self._sorted[at] != wanted).any():
            raise RecordError(
                "the matcher asks about a record that is not in the source: run the job with the "
                "source it was begun with"
            )
        numbers: NDArray[np.int64] = self._order[at]
        return numbers


@dataclass
class _Asked:
    """What has been asked about one counterpart in this run."""

    next_index: int
    next_pair: int
    of_record: NDArray[np.int64]


class _Guard:
    """Refuses questions that would tell more than the terms of the job allow."""

    def __init__(
        self,
        store: ArtefactStore,
        job: Job,
        refinement: Refinement,
        party: str,
        n_records: int,
        today: datetime.date,
    ) -> None:
        self._store = store
        self._others = frozenset(job.spec.parties) - {party}
        self._most, self._n_records = refinement.pairs_per_record, n_records
        self._dataset = f"answered-{job.job_id}"
        store.create(self._dataset, today + datetime.timedelta(days=_ANSWERED_DAYS))
        self._asked: dict[str, _Asked] = {}

    def check(self, question: Question, records: NDArray[np.int64]) -> None:
        """Check a question, and keep what it asked before it is answered.

        Raises:
            DeniedError: see the class.
        """
        counterpart, index = question.counterpart, question.index
        if counterpart not in self._others:
            raise DeniedError("NOT_A_PARTY", f"asked about pairs with {counterpart}")
        asked = self._asked.get(counterpart)
        if asked is None or index == 0:
            # A stream that broke is begun again from its first chunk.
            asked = _Asked(0, 0, np.zeros(self._n_records, dtype=np.int64))
            self._asked[counterpart] = asked
        pairs = np.frombuffer(question.pairs, "<u4").astype(np.int64)
        ascending = len(pairs) == 0 or (
            pairs[0] >= asked.next_pair and bool((np.diff(pairs) > 0).all())
        )
        if index != asked.next_index or not ascending or len(pairs) > MAX_PAIRS:
            raise DeniedError("PAIR_ASKED_TWICE", "the matcher asks about a pair out of its order")
        np.add.at(asked.of_record, records, 1)
        if len(records) and asked.of_record[records].max() > self._most:
            raise DeniedError(
                "TOO_MANY_PAIRS",
                f"the matcher asks more than {self._most} times about one record",
            )
        asked.next_index += 1
        asked.next_pair = int(pairs[-1]) + 1 if len(pairs) else asked.next_pair
        self._keep(question)

    def _keep(self, question: Question) -> None:
        """Keep what was asked; the same place may never ask something else."""
        name = f"{question.counterpart}.{question.index:06}"
        digest = hashlib.sha256(question.pairs + question.references).digest()
        # Another run of this agent may be asked at the same time.
        with self._store.locked(self._dataset):
            try:
                kept = self._store.read(self._dataset, name)
            except NotFoundError:
                self._store.write(self._dataset, name, digest)
                return
        if kept != digest:
            raise DeniedError(
                "PAIR_ASKED_TWICE", "the matcher asks about other records under the same numbers"
            )
