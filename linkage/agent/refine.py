"""The agent's part in the second round: it answers about its own tickets.

A ticket leads to one record and one key, so what is answered follows from what is asked, and
no key ever serves two pairs. Records are named once, for all tickets together that the agent
was asked about. What a curious matcher could try beyond that is refused here.
"""

import datetime
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from linkage.agent.blocktokens import book_of, meetings, name_keys
from linkage.agent.client import MatcherClient
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.fieldrows import ColumnsDigest, FieldRows
from linkage.agent.references import References
from linkage.agent.session import Session
from linkage.agent.spool import Spool
from linkage.batch import Question, QuestionKind
from linkage.encode.names import NameKeys
from linkage.encode.oncetokens import Side
from linkage.encode.pairkeys import pair_keys
from linkage.encode.tickets import TicketBook
from linkage.errors import (
    DeniedError,
    JobStateError,
    MalformedMessageError,
    NotFoundError,
    RecordError,
    UnavailableError,
)
from linkage.job import DRAWN_PER_RECORD, REFERENCE_BYTES, Job, JobState, Refinement
from linkage.namerow import NameForm
from linkage.store.artefacts import ArtefactStore
from linkage.ticket import DRAWN, Tickets, ticket_bytes

_ANSWERED_DAYS = 365
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
        self._rows, self._references = _read(session, references, spool)
        own, self._token_bytes = self._references, session.codes.block_bytes
        party, parties = session.config.party, job.spec.parties
        others = [name for name in parties if name != party]
        self._sides: dict[str, Side] = {}
        self._keys, self._books = dict[str, bytes](), dict[str, TicketBook]()
        self._name_keys, self._forms = dict[str, NameKeys](), dict[str, NameForm]()
        for other, meeting in zip(others, meetings(job.job_id, party, parties), strict=True):
            self._sides[other] = meeting[1]
            left, right = (party, other) if meeting[1] == "left" else (other, party)
            self._keys[other] = session.key.refine_key(job.job_id, left, right)
            self._name_keys[other] = name_keys(session.key, meeting)
            self._forms[other] = NameForm.between(job.spec, party, other)
            self._books[other] = book_of(session.schema, session.key, meeting, own.tobytes())
        self._guard = _Guard(session.store, job, refinement, len(own), today)

    def check(self, question: Question) -> tuple[Tickets, NDArray[np.int64]]:
        """Check a question for fields; return its tickets and the own record of each.

        Raises:
            DeniedError: it asks for more than the terms allow, or about what is not ours.
        """
        tickets, records = self._read_tickets(question)
        self._guard.check(question, tickets, records)
        return tickets, records

    def n_asked(self, question: Question) -> int:
        """Return how many tickets a question is about."""
        return len(question.tickets) // (1 + ticket_bytes(self._token_bytes))

    def answers(self, questions: Iterable[Question]) -> Iterator[tuple[Question, bytes]]:
        """Yield questions with their answers, but those that were answered before.

        Raises:
            DeniedError: one asks for more than the terms allow, or about what is not ours.
        """
        for (_, kind), of_kind in itertools.groupby(questions, _subject):
            if kind is QuestionKind.NAMES:
                yield from self.name(of_kind)
                continue
            for question in of_kind:
                if question.answered:
                    self.check(question)
                else:
                    yield question, self.answer(question)

    def answer(self, question: Question) -> bytes:
        """Return the answer to a question for fields.

        Raises:
            DeniedError: it asks for more than the terms allow, or about what is not ours.
        """
        tickets, records = self.check(question)
        key, side = self._keys[question.counterpart], self._sides[question.counterpart]
        return self._rows.encode(records, pair_keys(key, tickets), side).tobytes()

    def name(self, questions: Iterable[Question]) -> Iterator[tuple[Question, bytes]]:
        """Yield the answers to all questions for names about one counterpart, from the first.

        Of those that were answered before none.

        Raises:
            DeniedError: they ask for more than the terms allow, or about what is not ours.
        """
        asked, ends = list[Question](), [0]
        # Buffers that grow where they are: what was read is held once.
        tags, records, shares = bytearray(), bytearray(), bytearray()
        for question in questions:
            of_tags, of_records, of_shares = self._named(question)
            tags += of_tags.tobytes()
            records += of_records.astype(np.int32).tobytes()
            shares += of_shares.tobytes()
            ends.append(ends[-1] + len(of_tags))
            asked.append(replace(question, tickets=b"", shares=b""))
        if not asked:
            return
        counterpart = asked[0].counterpart
        self._guard.check_names(counterpart)
        all_tags, all_records = np.frombuffer(tags, np.uint64), np.frombuffer(records, np.int32)
        all_shares = self._forms[counterpart].shares(shares)
        order = np.argsort(all_tags)
        keys, side = self._name_keys[counterpart], self._sides[counterpart]
        for question, (first, end) in zip(asked, itertools.pairwise(ends), strict=True):
            if not question.answered:
                those = order[first:end]
                own = self._references[all_records[those]]
                own_bytes = own.view(np.uint8).reshape(-1, REFERENCE_BYTES)
                rows = keys.rows(side, all_tags[those], all_shares[those], own_bytes)
                yield question, rows.tobytes()

    def _named(
        self, question: Question
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.void]]:
        """Return tags, own records and shares of a question for names: of drawn pairs nothing."""
        tickets, records = self._read_tickets(question)
        shares = self._forms[question.counterpart].shares(question.shares)
        own = tickets.entry != DRAWN
        if len(shares) != own.sum():
            raise MalformedMessageError("not as many shares as tickets")
        words = np.sort(np.column_stack([shares["own"], shares["opens"]]), axis=1)
        # Each equal word more is a way of opening that a matcher could tell from others.
        if (words[:, 1:] == words[:, :-1]).any():
            raise MalformedMessageError("a share that has a word twice")
        self._guard.check_shares(question)
        tags = self._name_keys[question.counterpart].tags(tickets.at(own))
        return tags, records[own], shares

    def _read_tickets(self, question: Question) -> tuple[Tickets, NDArray[np.int64]]:
        if question.counterpart not in self._books:
            raise DeniedError("NOT_A_PARTY", f"asked about pairs with {question.counterpart}")
        tickets = Tickets.unpacked(question.tickets, self._token_bytes)
        return tickets, self._books[question.counterpart].records(tickets)


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

    def asked() -> Iterator[Question]:
        done = 0
        for question in client.questions(job_id):
            done += answerer.n_asked(question)
            on_pairs(done)
            yield question

    def answers() -> Iterator[tuple[Question, bytes]]:
        for question, answer in answerer.answers(asked()):
            yield question, answer
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


def _subject(question: Question) -> tuple[str, QuestionKind]:
    return question.counterpart, question.kind


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

    # Tickets of each record, shape (n_records,).
    of_record: NDArray[np.int64]
    next_index: int = 0
    n_tickets: int = 0
    # Numbers of what was asked, in ascending runs, each more than twice as long as the next.
    seen: list[NDArray[np.uint64]] = field(default_factory=list)

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


@dataclass
class _Shared:
    """The shares that have come about one counterpart in this run."""

    n: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


class _Guard:
    """Refuses questions that would tell more than the terms of the job allow.

    A token is asked about once: the sums of marks tell a matcher how far apart the numbers of
    some records are, and so how to turn the ticket of one into that of another. Two rows
    under one key could be compared. Counted is how much is asked, in all and of one record.
    Records are named once, for exactly the tickets whose fields were asked for, under one set of
    shares: what opens under one and not under another would tell which ticket is whose.
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
        self._most = refinement.pairs_per_record * n_records
        self._most_drawn = DRAWN_PER_RECORD * n_records
        # All that a record has: more are made by turning those of others into its own.
        self._most_of_record = job.spec.codes.block_entries * job.spec.codes.block_copies
        self._dataset = f"answered-{job.job_id}"
        store.create(self._dataset, today + datetime.timedelta(days=_ANSWERED_DAYS))
        self._asked, self._shared = dict[str, _Asked](), dict[str, _Shared]()

    def check(self, question: Question, tickets: Tickets, records: NDArray[np.int64]) -> None:
        """Check a question for fields, and keep what it asked before it is answered.

        Raises:
            DeniedError: see the class.
        """
        if question.index == 0:
            # A stream that broke is begun again from its first question.
            self._asked[question.counterpart] = _Asked(np.zeros(self._n_records, np.int64))
        asked = self._asked.get(question.counterpart)
        if asked is None or question.index != asked.next_index:
            raise _out_of_order()
        asked.next_index += 1
        asked.n_tickets += len(tickets)
        if asked.n_tickets > self._most:
            raise DeniedError(
                "TOO_MANY_PAIRS", f"the matcher asks for fields more than {self._most} times"
            )
        drawn = tickets.entry == DRAWN
        # Under a later number a record is drawn again: one could be compared with everybody.
        if (tickets.token[drawn] >= self._most_drawn).any():
            raise DeniedError(
                "TOO_MANY_PAIRS", f"the matcher draws more than {self._most_drawn} pairs"
            )
        if not asked.add(tickets):
            raise DeniedError("ASKED_TWICE", "the matcher asks about one ticket twice")
        own = records[~drawn]
        np.add.at(asked.of_record, own, 1)
        if (asked.of_record[own] > self._most_of_record).any():
            raise DeniedError(
                "TOO_MANY_PAIRS",
                f"the matcher asks about more than {self._most_of_record} tickets of one record",
            )
        self._keep(_place(question), hashlib.sha256(question.tickets).digest())

    def check_shares(self, question: Question) -> None:
        """Check that a question for names is about what was asked in its place for fields.

        Raises:
            DeniedError: it is not, or out of order.
        """
        if question.index == 0:
            self._shared[question.counterpart] = _Shared()
        shared = self._shared.get(question.counterpart)
        if shared is None or question.index != shared.n:
            raise _out_of_order()
        shared.n += 1
        try:
            kept = self._store.read(self._dataset, _place(question))
        except NotFoundError:
            kept = b""
        if kept != hashlib.sha256(question.tickets).digest():
            raise DeniedError(
                "NAMES_NOT_ASKED", "the matcher asks who records are that it did not ask about"
            )
        shared.digest.update(question.shares)

    def check_names(self, counterpart: str) -> None:
        """Check that shares have come for all that was asked about, and keep which.

        Raises:
            DeniedError: some are missing, or other ones were sent before.
        """
        beginning = _fields_of(counterpart)
        n_asked = sum(name.startswith(beginning) for name in self._store.names(self._dataset))
        shared = self._shared[counterpart]
        if shared.n != n_asked:
            raise DeniedError(
                "NAMES_IN_PARTS", "the matcher asks who some of the records are, and not all"
            )
        self._keep(f"names.{counterpart}", shared.digest.digest())

    def _keep(self, name: str, digest: bytes) -> None:
        """Keep what was asked; the same place may never ask something else."""
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


def _fields_of(counterpart: str) -> str:
    return f"{QuestionKind.FIELDS.value}.{counterpart}."


def _place(question: Question) -> str:
    """Return under what the digest is kept of the tickets that a question is about."""
    return f"{_fields_of(question.counterpart)}{question.index:06}"


def _out_of_order() -> DeniedError:
    return DeniedError("OUT_OF_ORDER", "the matcher asks out of order")
