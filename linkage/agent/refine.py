"""The agent's part in the second round: it answers about its own tickets.

A ticket leads to one record and one key, so what is answered follows from what is asked, and
no key ever serves two pairs. What a curious matcher could try beyond that is refused here.
"""

import datetime
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from linkage.agent.blocktokens import book_of, meetings
from linkage.agent.client import MatcherClient
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.fieldrows import ColumnsDigest, FieldRows
from linkage.agent.references import References
from linkage.agent.session import Session
from linkage.agent.spool import Spool
from linkage.batch import Question, QuestionKind
from linkage.encode.oncetokens import Side
from linkage.encode.pairkeys import pair_keys, secret_order
from linkage.encode.tickets import TicketBook
from linkage.errors import (
    DeniedError,
    JobStateError,
    NotFoundError,
    RecordError,
    UnavailableError,
)
from linkage.job import DRAWN_PER_RECORD, REFERENCE_BYTES, Job, JobState, Refinement
from linkage.store.artefacts import ArtefactStore
from linkage.ticket import DRAWN, Tickets, ticket_bytes

_ANSWERED_DAYS = 365
# Records are named in so many parts: one for each band of probability.
MOST_BANDS = 3
# A record with more likely pairs is named no more: how often it is could mark a comparison.
MOST_NAMED = 20
_NOBODY = np.zeros(1, dtype=f"V{REFERENCE_BYTES}")
_ODD = np.uint64(0x9E3779B97F4A7C15)
ASKING = frozenset({JobState.REFINING, JobState.NAMING})


class Answerer:
    """Answers the questions of one job.

    Args:
        session: the agent at work.
        job: the job, whose terms have been checked.
        references: the own references.
        spool: the batch of the job, and the records that it was made of.
        today: the day of the run.

    Raises:
        RecordError: the batch was made elsewhere, or this version reads its records
            otherwise: another value under the same one-time key could be compared with the
            first.
    """

    def __init__(
        self,
        session: Session,
        job: Job,
        references: References,
        spool: Spool,
        today: datetime.date,
    ) -> None:
        refinement = job.spec.refinement
        if refinement is None:
            raise ValueError("a job of one round asks nothing")
        self._rows, own = _read(session, references, spool)
        self._references = np.concatenate([own, _NOBODY])  # the last one is number -1
        self._token_bytes = session.codes.block_bytes
        party, parties = session.config.party, job.spec.parties
        others = [name for name in parties if name != party]
        self._sides: dict[str, Side] = {}
        self._keys, self._books = dict[str, bytes](), dict[str, TicketBook]()
        for other, meeting in zip(others, meetings(job.job_id, party, parties), strict=True):
            self._sides[other] = meeting[1]
            left, right = (party, other) if meeting[1] == "left" else (other, party)
            self._keys[other] = session.key.refine_key(job.job_id, left, right)
            self._books[other] = book_of(session.schema, session.key, meeting, own.tobytes())
        self._guard = _Guard(session.store, job, refinement, len(own), today)

    def check(self, question: Question) -> tuple[Tickets, NDArray[np.int64]]:
        """Check a question; return its tickets and the own record of each, -1 for nobody.

        Those of names are in the secret order.

        Raises:
            DeniedError: it asks for more than the terms allow, or about what is not ours.
        """
        if question.counterpart not in self._books:
            raise DeniedError("NOT_A_PARTY", f"asked about pairs with {question.counterpart}")
        tickets = Tickets.unpacked(question.tickets, self._token_bytes)
        records = self._books[question.counterpart].records(tickets)
        if question.kind is QuestionKind.NAMES:
            order = secret_order(self._keys[question.counterpart], tickets)
            tickets, records = tickets.at(order), records[order]
        return tickets, self._guard.check(question, tickets, records)

    def n_asked(self, question: Question) -> int:
        """Return how many tickets a question is about."""
        return len(question.tickets) // (1 + ticket_bytes(self._token_bytes))

    def answer(self, question: Question) -> bytes:
        """Return the answer to a question.

        Raises:
            DeniedError: it asks for more than the terms allow, or about what is not ours.
        """
        tickets, records = self.check(question)
        if question.kind is QuestionKind.NAMES:
            return self._references[records].tobytes()
        key, side = self._keys[question.counterpart], self._sides[question.counterpart]
        return self._rows.encode(records, pair_keys(key, tickets), side).tobytes()


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
        UnavailableError: the matcher stayed away longer than patience lasts.
    """

    def answers() -> Iterator[tuple[Question, bytes]]:
        done = 0
        for question in client.questions(job_id):
            done += answerer.n_asked(question)
            on_pairs(done)
            if question.answered:
                answerer.check(question)
                continue
            yield question, answerer.answer(question)
            sent.append(question.index)

    sent = list[int]()
    while True:
        before = len(sent)
        try:
            client.answer(job_id, answers())
        except JobStateError:
            # Nothing is asked any more: all answers had arrived before a line broke, or the
            # job has ended. Whoever follows it is told which.
            return
        except UnavailableError as error:
            # Connections end from time to time: patience counts only where nothing got through.
            if len(sent) > before:
                client.patience.reached()
            client.patience.wait(error)
        else:
            client.patience.reached()
            return


def _read(
    session: Session, references: References, spool: Spool
) -> tuple[FieldRows, NDArray[np.void]]:
    """Return the field rows and the references of all records of a batch.

    Raises:
        RecordError: they are not what was encoded.
    """
    seen = ColumnsDigest()
    normaliser = RecordNormaliser(session.schema, session.source)
    rows, parts = FieldRows(session.schema), list[bytes]()
    for table in spool.records():
        columns = normaliser.columns(table)
        seen.add(columns)
        rows.add(columns)
        parts.append(references.of(cast("list[str]", table["record_id"].to_pylist())))
    if seen.digest() != spool.source_digest():
        raise RecordError(
            "the source file or this program reads the records otherwise than when they were "
            "encoded: run the job with both as they were, or cancel it and request another one"
        )
    return rows, np.frombuffer(b"".join(parts), dtype=f"V{REFERENCE_BYTES}")


@dataclass
class _Asked:
    """What has been asked about one counterpart in this run."""

    # How often each record was named, shape (n_records,).
    named: NDArray[np.int64]
    next_index: int = 0
    n_tickets: int = 0
    # Numbers of what was asked, in ascending runs, each more than twice as long as the next.
    seen: list[NDArray[np.uint64]] = field(default_factory=list)

    def name(self, records: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count records that are named; return them with -1 for each that was too often."""
        order = np.argsort(records, kind="stable")
        ascending = records[order]
        among = np.arange(len(records)) - np.searchsorted(ascending, ascending)
        before = np.empty_like(records)
        before[order] = self.named[ascending] + among
        np.add.at(self.named, records, 1)
        return np.where(before < MOST_NAMED, records, -1)

    def add(self, tickets: Tickets) -> bool:
        """Add what is asked; return whether no token has been asked about before."""
        new = np.sort(tickets.token * _ODD + tickets.entry)
        again = (new[1:] == new[:-1]).any()
        for run in self.seen:
            again |= (run[np.searchsorted(run, new).clip(max=len(run) - 1)] == new).any()
        if len(new):
            self.seen.append(new)
        while len(self.seen) > 1 and len(self.seen[-2]) <= 2 * len(self.seen[-1]):
            self.seen.append(np.sort(np.concatenate([self.seen.pop(), self.seen.pop()])))
        return not again


class _Guard:
    """Refuses questions that would tell more than the terms of the job allow.

    A token is asked about once: the sums of marks tell a matcher how far apart the numbers of
    some records are, and so how to turn the ticket of one into that of another. Two rows
    under one key could be compared. Counted is how much is asked. Records are named in no
    more parts than there are bands of probability: whatever the matcher puts into each, it
    tells apart no more than the records of one part, of two, and of three, and inside of each
    the order hides who is whose.
    """

    def __init__(
        self,
        store: ArtefactStore,
        job: Job,
        refinement: Refinement,
        n_records: int,
        today: datetime.date,
    ) -> None:
        self._store, self._n_records = store, n_records
        self._most = {
            QuestionKind.FIELDS: refinement.pairs_per_record * n_records,
            QuestionKind.NAMES: refinement.candidates * n_records,
        }
        self._most_drawn = DRAWN_PER_RECORD * n_records
        self._dataset = f"answered-{job.job_id}"
        store.create(self._dataset, today + datetime.timedelta(days=_ANSWERED_DAYS))
        self._asked: dict[tuple[str, QuestionKind], _Asked] = {}

    def check(
        self, question: Question, tickets: Tickets, records: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Check a question, and keep what it asked before it is answered.

        Returns:
            The record that each ticket is answered with, -1 for nobody.

        Raises:
            DeniedError: see the class.
        """
        of_whom = question.counterpart, question.kind
        if question.index == 0:
            # A stream that broke is begun again from its first question.
            self._asked[of_whom] = _Asked(np.zeros(self._n_records, np.int64))
        asked = self._asked.get(of_whom)
        if asked is None or question.index != asked.next_index:
            raise DeniedError("OUT_OF_ORDER", "the matcher asks out of order")
        asked.next_index += 1
        asked.n_tickets += len(tickets)
        if asked.n_tickets > self._most[question.kind]:
            raise DeniedError(
                "TOO_MANY_PAIRS",
                f"the matcher asks for {question.kind.value} more than "
                f"{self._most[question.kind]} times",
            )
        drawn = tickets.token[tickets.entry == DRAWN]
        # Under a later number a record is drawn again: one could be compared with everybody.
        if (drawn >= self._most_drawn).any():
            raise DeniedError(
                "TOO_MANY_PAIRS", f"the matcher draws more than {self._most_drawn} pairs"
            )
        if not asked.add(tickets):
            raise DeniedError("ASKED_TWICE", "the matcher asks about one ticket twice")
        if question.kind is QuestionKind.NAMES:
            if question.index >= MOST_BANDS or len(drawn):
                raise DeniedError(
                    "NAMES_TOO_FINE", "the matcher asks who records are in too many parts"
                )
            records = asked.name(records)
        self._keep(question)
        return records

    def _keep(self, question: Question) -> None:
        """Keep what was asked; the same place may never ask something else."""
        name = f"{question.kind.value}.{question.counterpart}.{question.index:06}"
        digest = hashlib.sha256(question.tickets).digest()
        # Another run of this agent may be asked at the same time.
        with self._store.locked(self._dataset):
            try:
                kept = self._store.read(self._dataset, name)
            except NotFoundError:
                self._store.write(self._dataset, name, digest)
                return
        if kept != digest:
            raise DeniedError(
                "ASKED_ANEW", "the matcher asks another question in the place of an earlier one"
            )
