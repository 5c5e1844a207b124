"""The agent's part in the second round: it answers about its own tickets.

A ticket leads to one record and one key, so what is answered follows from what is asked, and
no key ever serves two pairs. What a curious matcher could try beyond that is refused here.
"""

import datetime
import hashlib
from collections import Counter
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
from linkage.agent.source import Source
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
_TRIES = 5
# The most that the matcher asks at once.
MAX_TICKETS = 32_768
# Parts in which records are named may be smaller so many times: one for each band.
MOST_BANDS = 3
# Of parts that are larger most records must be new, and no record has more likely pairs.
_FEW, _MOST_NAMED = 8, 20
_ODD = np.uint64(0x9E3779B97F4A7C15)
ASKING = frozenset({JobState.REFINING, JobState.NAMING})


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
        self._rows, self._references = _read(session, references, source_digest)
        self._token_bytes = session.codes.block_bytes
        party, parties = session.config.party, job.spec.parties
        others = [name for name in parties if name != party]
        self._sides: dict[str, Side] = {}
        self._keys, self._books = dict[str, bytes](), dict[str, TicketBook]()
        for other, meeting in zip(others, meetings(job.job_id, party, parties), strict=True):
            self._sides[other] = meeting[1]
            left, right = (party, other) if meeting[1] == "left" else (other, party)
            self._keys[other] = session.key.refine_key(job.job_id, left, right)
            self._books[other] = book_of(
                session.schema, session.key, meeting, self._references.tobytes()
            )
        self._guard = _Guard(session.store, job, refinement, len(self._references), today)

    def check(self, question: Question) -> tuple[Tickets, NDArray[np.int64]]:
        """Check a question; return its tickets and the own record of each.

        Raises:
            DeniedError: it asks for more than the terms allow, or about what is not ours.
        """
        if question.counterpart not in self._books:
            raise DeniedError("NOT_A_PARTY", f"asked about pairs with {question.counterpart}")
        tickets = Tickets.unpacked(question.tickets, self._token_bytes)
        records = self._books[question.counterpart].records(tickets)
        self._guard.check(question, tickets, records)
        return tickets, records

    def n_asked(self, question: Question) -> int:
        """Return how many tickets a question is about."""
        return len(question.tickets) // (1 + ticket_bytes(self._token_bytes))

    def answer(self, question: Question) -> bytes:
        """Return the answer to a question.

        Raises:
            DeniedError: it asks for more than the terms allow, or about what is not ours.
        """
        tickets, records = self.check(question)
        key, side = self._keys[question.counterpart], self._sides[question.counterpart]
        if question.kind is QuestionKind.NAMES:
            return self._references[records[secret_order(key, tickets)]].tobytes()
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
        UnavailableError: the matcher went away several times.
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


def _read(
    session: Session, references: References, source_digest: bytes
) -> tuple[FieldRows, NDArray[np.void]]:
    """Return the field rows and the references of all records of the source.

    Raises:
        RecordError: the source is another one than that which was encoded.
    """
    seen = ColumnsDigest()
    normaliser = RecordNormaliser(session.schema, session.source)
    rows, parts = FieldRows(session.schema), list[bytes]()
    for table in Source(session.source, session.schema).chunks():
        columns = normaliser.columns(table)
        seen.add(columns)
        rows.add(columns)
        parts.append(references.of(cast("list[str]", table["record_id"].to_pylist())))
    if seen.digest() != source_digest:
        raise RecordError(
            "the source has changed since it was encoded for this job: run the job with the "
            "source as it was, or cancel it and request another one"
        )
    return rows, np.frombuffer(b"".join(parts), dtype=f"V{REFERENCE_BYTES}")


@dataclass
class _Asked:
    """What has been asked about one counterpart in this run."""

    next_index: int = 0
    n_tickets: int = 0
    small: int = 0
    # How often each record was named.
    named: Counter[int] = field(default_factory=Counter)
    # Numbers of what was asked, in ascending runs, each more than twice as long as the next.
    seen: list[NDArray[np.uint64]] = field(default_factory=list)

    def named_again(self, records: NDArray[np.int64]) -> bool:
        """Count records that are to be named; return whether they tell one from the others.

        Two parts with nearly the same records, by other tickets, tell the one in which they
        differ; one that is named more often than others is told by that.
        """
        before = np.fromiter((r in self.named for r in records.tolist()), np.bool_, len(records))
        self.named.update(records.tolist())
        again = len(records) >= _FEW and bool(before.mean() > 1 / 2)
        return again or max((self.named[r] for r in records.tolist()), default=0) > _MOST_NAMED

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
    under one key could be compared. Counted is how much is asked, and in how small parts
    records are to be named: of a chunk with one ticket the order would hide nothing.
    """

    def __init__(
        self,
        store: ArtefactStore,
        job: Job,
        refinement: Refinement,
        n_records: int,
        today: datetime.date,
    ) -> None:
        self._store = store
        self._most = {
            QuestionKind.FIELDS: refinement.pairs_per_record * n_records,
            QuestionKind.NAMES: refinement.candidates * n_records,
        }
        self._most_drawn = DRAWN_PER_RECORD * n_records
        self._dataset = f"answered-{job.job_id}"
        store.create(self._dataset, today + datetime.timedelta(days=_ANSWERED_DAYS))
        self._asked: dict[tuple[str, QuestionKind], _Asked] = {}

    def check(self, question: Question, tickets: Tickets, records: NDArray[np.int64]) -> None:
        """Check a question, and keep what it asked before it is answered.

        Raises:
            DeniedError: see the class.
        """
        of_whom = question.counterpart, question.kind
        if question.index == 0:
            # A stream that broke is begun again from its first chunk.
            self._asked[of_whom] = _Asked()
        asked = self._asked.setdefault(of_whom, _Asked())
        if question.index != asked.next_index or len(tickets) > MAX_TICKETS:
            raise DeniedError("OUT_OF_ORDER", "the matcher asks out of order, or too much at once")
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
            asked.small += len(tickets) < MAX_TICKETS
            if asked.small > MOST_BANDS or len(drawn) or asked.named_again(records):
                raise DeniedError(
                    "NAMES_TOO_FINE", "the matcher asks who records are in too small parts"
                )
        self._keep(question)

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
