"""Jobs that stand in the middle of their second round, for tests."""

import datetime
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from in_process import Service
from test_job import Upload

from linkage.agent.blocktokens import book_of, meetings
from linkage.agent.client import MatcherClient
from linkage.agent.encoding import RecordValues
from linkage.agent.references import References
from linkage.agent.refine import Answerer, answer_all
from linkage.agent.source import Source
from linkage.agent.spool import Spool
from linkage.batch import Question, QuestionKind
from linkage.encode.tickets import TicketBook
from linkage.job import Job, JobState
from linkage.namerow import NameForm
from linkage.ticket import DRAWN, Tickets, concatenate

FIELDS, NAMES = QuestionKind.FIELDS, QuestionKind.NAMES
# Where nobody is told R2.
SHARE_BYTES = NameForm().share.itemsize
FAR = datetime.date(2999, 1, 1)
TODAY = datetime.date(2026, 1, 1)
_PATIENCE_S = 60.0


def upload_for(service: Service, party: str, job_id: str) -> Upload:
    """Upload for a party, and do not wait for what comes of it."""
    upload = Upload(service, party, job_id)
    with service.client(party) as client:
        client.upload(job_id, upload.manifest, upload.chunks.__getitem__)
    return upload


def upload_for_all(service: Service, job_id: str) -> None:
    for party in service.site.parties:
        upload_for(service, party, job_id)


def until(service: Service, job_id: str, state: JobState) -> Job:
    """Wait for a state of a job, which must come before any end of it."""
    with service.client(service.site.parties[0]) as client:
        for progress in client.watch(job_id):
            if progress.state is state:
                return client.job(job_id)
        raise AssertionError(client.job(job_id))


def asked(service: Service, timeout_s: int = 600) -> str:
    """Return a job whose parties are asked for fields, none of which has answered."""
    job_id = service.request(service.site.parties[0], timeout_s)
    upload_for_all(service, job_id)
    until(service, job_id, JobState.REFINING)
    return job_id


def asked_for_names(service: Service, timeout_s: int = 600) -> str:
    """Return a job whose parties are asked for names, none of which has answered."""
    job_id = asked(service, timeout_s)
    for party in service.site.parties:
        answer_as(service, party, job_id)
    until(service, job_id, JobState.NAMING)
    return job_id


def answer_as(service: Service, party: str, job_id: str) -> None:
    """Answer all that a party is asked now."""
    with service.client(party) as client:
        answerer = answerer_of(service, party, client.job(job_id))
        answer_all(client, job_id, answerer, lambda _: None)


def answerer_of(service: Service, party: str, job: Job) -> Answerer:
    """Return an agent's part that answers, as new as after a start of its program."""
    session = service.session(party)
    spool = Spool(session.store, job.job_id, FAR)
    return Answerer(session, job, references_of(service, party), spool, TODAY)


def references_of(service: Service, party: str) -> References:
    session = service.session(party)
    return References(session.store, session.config.agreement, FAR)


def own_references(service: Service, party: str) -> list[bytes]:
    """Return the references of all records of a party, in the order of its source."""
    rows = service.site._data.parties[party].rows
    whole = references_of(service, party).of([row["record_id"] for row in rows])
    return [whole[i : i + 16] for i in range(0, len(whole), 16)]


def book_for(service: Service, party: str, other: str, job: Job) -> TicketBook:
    """Return a party's tickets of a job and other party."""
    session = service.session(party)
    others = [name for name in job.spec.parties if name != party]
    meeting = meetings(job.job_id, party, job.spec.parties)[others.index(other)]
    own = b"".join(own_references(service, party))
    return book_of(session.schema, session.key, meeting, own)


def tickets_for(service: Service, party: str, other: str, job: Job) -> Tickets:
    """Return all tickets of a party for another one, in no order."""
    session = service.session(party)
    reader = RecordValues(session.schema, session.source, session.key)
    tables = Source(session.source, session.schema).chunks()
    values = np.concatenate([reader.values(reader.columns(table)) for table in tables])
    whole = concatenate(list(book_for(service, party, other, job).tickets(values)))
    return whole.at(np.random.default_rng(1).permutation(len(whole)))


def questions_to(service: Service, party: str, job_id: str) -> list[Question]:
    with service.client(party) as client:
        return list(client.questions(job_id))


def answers_to(
    service: Service, party: str, job_id: str, questions: list[Question]
) -> list[tuple[Question, bytes]]:
    with service.client(party) as client:
        answerer = answerer_of(service, party, client.job(job_id))
    return list(answerer.answers(questions))


def tickets_in(question: Question, service: Service) -> Tickets:
    session = service.session(service.site.parties[0])
    return Tickets.unpacked(question.tickets, session.codes.block_bytes)


class Matcher:
    """A matcher in name only, that asks an agent whatever it wants."""

    def __init__(self, service: Service, party: str = "dukcapil", other: str = "imigrasi") -> None:
        self._service, self._party, self._other = service, party, other
        session = service.session(party)
        with service.client(party) as client:
            known = client.job(service.request(party))
        self.job = replace(known, job_id=uuid.uuid4().hex)
        assert self.job.spec.refinement == session.refinement
        Upload(service, party, self.job.job_id)  # made and spooled, and sent to nobody
        self._width = session.codes.block_bytes
        self.tickets = tickets_for(service, party, other, self.job)
        self.records = book_for(service, party, other, self.job).records(self.tickets)
        self.references = own_references(service, party)
        self.agent = self.restarted()

    def restarted(self) -> Answerer:
        return answerer_of(self._service, self._party, self.job)

    def some(self, first: int, end: int) -> Tickets:
        """Some of the party's tickets."""
        return self.tickets.at(slice(first, end))

    def question(
        self,
        kind: QuestionKind,
        index: int,
        tickets: Tickets,
        counterpart: str | None = None,
        shares: bytes = b"",
    ) -> Question:
        content = tickets.packed(self._width)
        whom = self._other if counterpart is None else counterpart
        return Question(whom, kind, index, content, False, shares)

    def ask(self, index: int, tickets: Tickets) -> bytes:
        """Ask for fields."""
        return self.agent.answer(self.question(FIELDS, index, tickets))

    def name(self, parts: list[Tickets], shares: list[bytes] | None = None) -> bytes:
        """Ask who is who, with a share for each ticket that is not drawn."""
        given = [some_shares(i, part) for i, part in enumerate(parts)] if shares is None else shares
        questions = [
            self.question(NAMES, index, part, shares=of_part)
            for index, (part, of_part) in enumerate(zip(parts, given, strict=True))
        ]
        return b"".join(answer for _, answer in self.agent.answers(questions))


def some_shares(seed: int, tickets: Tickets) -> bytes:
    """Shares of tickets, without steps."""
    return np.random.default_rng(seed).bytes(SHARE_BYTES * int((tickets.entry != DRAWN).sum()))


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    step = threading.Event()
    for _ in range(round(_PATIENCE_S / 0.02)):
        if condition():
            return
        step.wait(0.02)
    raise AssertionError("it did not come to pass")


def answer_now(client: MatcherClient, job_id: str, rows: list[tuple[Question, bytes]]) -> None:
    """Send answers that are all there before the first is sent."""
    client.answer(job_id, iter(rows))
