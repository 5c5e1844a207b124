"""Jobs that stand in the middle of their second round, for tests."""

import datetime
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from in_process import Service
from numpy.typing import NDArray
from test_job import Upload

from linkage.agent.client import MatcherClient
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.fieldrows import ColumnsDigest
from linkage.agent.references import References
from linkage.agent.refine import Answerer
from linkage.agent.session import Session
from linkage.agent.source import Source
from linkage.batch import Question
from linkage.job import Job, JobState

FAR = datetime.date(2999, 1, 1)
TODAY = datetime.date(2026, 1, 1)
_PATIENCE_S = 60.0


def upload_for_all(service: Service, job_id: str) -> None:
    """Upload for every party, and do not wait for what comes of it."""
    for party in service.site.parties:
        upload = Upload(service, party, job_id)
        with service.client(party) as client:
            client.upload(job_id, upload.manifest, upload.chunks.__getitem__)


def until(service: Service, job_id: str, state: JobState) -> Job:
    """Wait for a state of a job, which must come before any end of it."""
    with service.client(service.site.parties[0]) as client:
        for progress in client.watch(job_id):
            if progress.state is state:
                return client.job(job_id)
        raise AssertionError(client.job(job_id))


def asked(service: Service, timeout_s: int = 600) -> str:
    """Return a job whose parties are being asked, none of which has answered."""
    job_id = service.request(service.site.parties[0], timeout_s)
    upload_for_all(service, job_id)
    until(service, job_id, JobState.REFINING)
    return job_id


def answerer_of(service: Service, party: str, job: Job) -> Answerer:
    """Return an agent's part that answers, as new as after a start of its program."""
    session = service.session(party)
    return Answerer(session, job, references_of(service, party), digest_of(session), TODAY)


def digest_of(session: Session) -> bytes:
    """Return the digest of a party's source as it is now."""
    seen, normaliser = ColumnsDigest(), RecordNormaliser(session.schema, session.source)
    for table in Source(session.source, session.schema).chunks():
        seen.add(normaliser.columns(table))
    return seen.digest()


def references_of(service: Service, party: str) -> References:
    session = service.session(party)
    return References(session.store, session.config.agreement, FAR)


def questions_to(service: Service, party: str, job_id: str) -> list[Question]:
    with service.client(party) as client:
        return list(client.questions(job_id))


def answers_to(
    service: Service, party: str, job_id: str, questions: list[Question]
) -> list[tuple[Question, bytes]]:
    with service.client(party) as client:
        answerer = answerer_of(service, party, client.job(job_id))
    return [(question, answerer.rows(question)) for question in questions]


def numbers(question: Question) -> NDArray[np.uint32]:
    return np.frombuffer(question.pairs, dtype="<u4")


def references_in(question: Question) -> list[bytes]:
    return [question.references[i : i + 16] for i in range(0, len(question.references), 16)]


class Matcher:
    """A matcher in name only, that asks an agent whatever it wants."""

    def __init__(self, service: Service, party: str = "dukcapil") -> None:
        self._service, self._party = service, party
        session = service.session(party)
        with service.client(party) as client:
            known = client.job(service.request(party))
        self.job = replace(known, job_id=uuid.uuid4().hex)
        assert self.job.spec.refinement == session.refinement
        self.own = references_of(service, party).of([f"{n:05}" for n in range(40)])
        self.agent = self.restarted()

    def restarted(self) -> Answerer:
        return answerer_of(self._service, self._party, self.job)

    def question(
        self, index: int, pairs: list[int], records: list[int], counterpart: str = "imigrasi"
    ) -> Question:
        references = b"".join(self.own[16 * r : 16 * (r + 1)] for r in records)
        return Question(counterpart, index, np.array(pairs, "<u4").tobytes(), references, False)

    def ask(
        self, index: int, pairs: list[int], records: list[int], counterpart: str = "imigrasi"
    ) -> bytes:
        return self.agent.rows(self.question(index, pairs, records, counterpart))


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
