"""The second round of a job: the right links, restarts anywhere, and what both sides refuse."""

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from in_process import PLACES, TWO_ROUNDS, Service, links, people
from numpy.typing import NDArray
from refining import (
    FAR,
    FIELDS,
    NAMES,
    SHARE_BYTES,
    TODAY,
    Matcher,
    answer_as,
    answer_now,
    answerer_of,
    answers_to,
    asked,
    asked_for_names,
    book_for,
    own_references,
    questions_to,
    references_of,
    some_shares,
    tickets_for,
    tickets_in,
    until,
    upload_for,
    upload_for_all,
    wait_for,
)
from test_job import Upload, between, last_state

from keys.identity import Identity
from linkage.agent import refine
from linkage.agent.blocktokens import meetings, name_keys
from linkage.agent.client import MatcherClient
from linkage.agent.refine import Answerer
from linkage.agent.run import Outcome
from linkage.agent.spool import Spool
from linkage.batch import Chunk, Manifest, Question, QuestionKind
from linkage.encode.names import NameKeys
from linkage.encode.oncetokens import keyed_order
from linkage.engine.disclosure import Opened, open_pairs, share_out
from linkage.errors import (
    DeniedError,
    JobStateError,
    MalformedMessageError,
    NotFoundError,
    RecordError,
    UnavailableError,
)
from linkage.fieldrow import FILTER_BYTES, N_CLASSES, RowForm, split_rows
from linkage.job import DRAWN_PER_RECORD, REFERENCE_BYTES, Job, JobState
from linkage.matcher import refinements
from linkage.matcher.batches import Batches
from linkage.matcher.refinements import Refinements, dataset_of
from linkage.matcher.results import results_of
from linkage.matcher.two_rounds import TwoRounds
from linkage.namerow import NameForm
from linkage.rpc import convert
from linkage.rpc.channel import open_channel
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import Transaction
from linkage.ticket import DRAWN, MARK_BYTES, Tickets, concatenate
from linkage.v1 import job_pb2, log_pb2, log_pb2_grpc, refine_pb2

N_ATTRIBUTES = 3
ROW = RowForm(N_ATTRIBUTES).n_bytes
# What names are where nobody is told R2.
PLAIN = NameForm()
NAME_ROW = PLAIN.row.itemsize
FIRST_SHARE = FILTER_BYTES * N_ATTRIBUTES
# Of the test's schema, whose tokens have 5 bytes.
TOKEN_BYTES = 5
CANDIDATES, PER_RECORD = 10, 10 + DRAWN_PER_RECORD


@pytest.fixture(scope="module")
def service(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service of two parties that share 60 of 80 and 70 persons."""
    made = new_service(TWO_ROUNDS, dukcapil=people(80), imigrasi=people(70, skip=20))
    with made.running():
        yield made


@pytest.fixture
def stopped(new_service: Callable[..., Service]) -> Service:
    """A service of the same two parties that is not running yet."""
    return new_service(TWO_ROUNDS, dukcapil=people(80), imigrasi=people(70, skip=20))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions of a few pairs each, so that a round has many."""
    monkeypatch.setattr(refinements, "_MOST_PAIRS", 200)


def persons_linked(outcomes: dict[str, Outcome], one: str, other: str) -> set[tuple[str, str]]:
    """The record numbers at both parties of the links that they both have."""
    by_id = [
        {row["link_id"]: row["record_id"] for row in links(outcomes[a]) if row["counterpart"] == b}
        for a, b in ((one, other), (other, one))
    ]
    assert by_id[0].keys() == by_id[1].keys()
    return {(by_id[0][link_id], by_id[1][link_id]) for link_id in by_id[0]}


def shared(first: int, end: int) -> set[tuple[str, str]]:
    return {(f"{n:05}", f"{n:05}") for n in range(first, end)}


def has_right_links(outcomes: dict[str, Outcome]) -> bool:
    return persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


def stuck(*_: object, **__: object) -> None:
    raise UnavailableError("the disk is away")


# What comes of it


def test_two_parties_get_the_right_links(service: Service) -> None:
    assert has_right_links(service.run_all(service.request("dukcapil")))


def test_three_parties_get_the_right_links(new_service: Callable[..., Service]) -> None:
    service = new_service(
        TWO_ROUNDS, dukcapil=people(60), imigrasi=people(60, skip=15), kemenlu=people(60, skip=30)
    )
    with service.running():
        outcomes = service.run_all(service.request("kemenlu"))
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(15, 60)
    assert persons_linked(outcomes, "dukcapil", "kemenlu") == shared(30, 60)
    assert persons_linked(outcomes, "imigrasi", "kemenlu") == shared(30, 75)


def test_no_links_where_nobody_is_shared(new_service: Callable[..., Service]) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(300), imigrasi=people(300, skip=1000))
    with service.running():
        outcomes = service.run_all(service.request("dukcapil"))
    assert [outcome.n_links for outcome in outcomes.values()] == [0, 0]


ONE_ENTRY = TWO_ROUNDS + '[[block]]\non = ["nama"]\n'


@pytest.mark.parametrize("decoys", [True, False])
def test_a_job_in_which_nothing_meets_releases_an_empty_result(
    new_service: Callable[..., Service], decoys: bool
) -> None:
    schema = ONE_ENTRY.replace("rounds = 2", f"rounds = 2\ndecoys = {str(decoys).lower()}")
    service = new_service(schema, dukcapil=people(30), imigrasi=people(30, skip=100))
    with service.running():
        outcomes = service.run_all(service.request("dukcapil"))
    for outcome in outcomes.values():
        assert outcome.job.state is JobState.RELEASED
        assert outcome.job.counts.candidate_pairs == 0
        assert links(outcome) == []


def test_a_party_of_whose_records_none_has_a_ticket_gets_an_empty_result(
    new_service: Callable[..., Service],
) -> None:
    nameless = [row | {"nama": ""} for row in people(30)]
    service = new_service(ONE_ENTRY, dukcapil=people(30), imigrasi=nameless)
    with service.running():
        job_id = service.request("dukcapil")
        upload_for(service, "dukcapil", job_id)
        upload = upload_for(service, "imigrasi", job_id)
        assert upload.manifest.n_tickets == (0,)
        assert upload.chunks == []
        until(service, job_id, JobState.REFINING)
        # Without tickets there is nothing to be asked about but what is drawn.
        (question,) = questions_to(service, "imigrasi", job_id)
        assert (tickets_in(question, service).entry == DRAWN).all()
        outcomes = service.run_all(job_id)
    assert [links(outcome) for outcome in outcomes.values()] == [[], []]


def test_a_tiny_job_says_that_it_guesses_and_is_sure_of_nothing(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(40), imigrasi=people(40, skip=30))
    with service.running():
        outcome = service.run_all(service.request("dukcapil"))["dukcapil"]
    assert any("a guess" in note for note in outcome.notes)
    assert {row["grade"] for row in links(outcome)} == {"undetermined"}


def test_registers_of_one_record_each_are_taken(new_service: Callable[..., Service]) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(1), imigrasi=people(1))
    with service.running():
        outcomes = service.run_all(service.request("dukcapil"))
    assert {outcome.job.state for outcome in outcomes.values()} == {JobState.RELEASED}


def test_with_a_number_among_the_attributes_the_right_pairs_are_linked(
    new_service: Callable[..., Service],
) -> None:
    def numbered(n: int, skip: int = 0) -> list[dict[str, str]]:
        rows = people(n, skip)
        return [row | {"nik": f"0001010101900{int(row['record_id']):03}"} for row in rows]

    ours, theirs = numbered(80), numbered(70, skip=20)
    for number, row in enumerate(theirs):
        if number % 5 == 0:
            row["nik"] = ""
        if number % 5 == 1:
            row["tempat_lahir"] = ""
    schema = TWO_ROUNDS + '[exact]\nnames = ["nik"]\n'
    service = new_service(schema, dukcapil=ours, imigrasi=theirs)
    with service.running():
        outcomes = service.run_all(service.request("dukcapil"))
    refinement = outcomes["dukcapil"].job.spec.refinement
    assert refinement is not None
    assert refinement.identifiers == ("nik",)
    assert refinement.types == ("name", "date", "place")  # no filter for a number
    assert outcomes["dukcapil"].job.spec.codes.exact_slots == 0
    assert has_right_links(outcomes)


# What is asked


def tickets_asked(service: Service, party: str, job_id: str) -> dict[str, Tickets]:
    """What a party is asked about each other one, whose chunks must come in their order."""
    parts: dict[str, list[Tickets]] = {}
    for question in questions_to(service, party, job_id):
        assert not question.answered
        of_other = parts.setdefault(question.counterpart, [])
        assert question.index == len(of_other)
        of_other.append(tickets_in(question, service))
    return {other: concatenate(of_other) for other, of_other in parts.items()}


@pytest.mark.usefixtures("small_chunks")
def test_every_owner_is_asked_so_often_for_each_record_whoever_met(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(
        TWO_ROUNDS, dukcapil=people(50), imigrasi=people(40, skip=5), kemenlu=people(45, skip=1000)
    )
    sizes = {"dukcapil": 50, "imigrasi": 40, "kemenlu": 45}
    with service.running():
        job_id = asked(service)
        with service.client("dukcapil") as client:
            job = client.job(job_id)
        for party in service.site.parties:
            for other, tickets in tickets_asked(service, party, job_id).items():
                own = tickets.at(tickets.entry != DRAWN)
                every = tickets_for(service, party, other, job)
                assert len(own) == min(CANDIDATES * sizes[party], len(every))
                assert len(tickets) - len(own) == DRAWN_PER_RECORD * min(sizes[party], sizes[other])
                # Own tickets each once, and nobody else's.
                assert len(np.unique(own.mark)) == len(own)
                assert np.isin(own.mark, every.mark).all()


def test_without_decoys_both_owners_are_asked_about_the_same_tokens_in_the_same_order(
    new_service: Callable[..., Service],
) -> None:
    schema = TWO_ROUNDS.replace("rounds = 2", "rounds = 2\ndecoys = false\ncandidates = 3")
    service = new_service(schema, dukcapil=people(50), imigrasi=people(40, skip=5))
    with service.running():
        job_id = asked(service)
        ours, theirs = (
            tickets_asked(service, party, job_id)[other]
            for party, other in (("dukcapil", "imigrasi"), ("imigrasi", "dukcapil"))
        )
        assert (ours.entry == theirs.entry).all()
        assert (ours.token == theirs.token).all()
        assert len(ours) <= (3 + DRAWN_PER_RECORD) * 40
        outcomes = service.run_all(job_id)
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(5, 45)


def log_bodies(service: Service, party: str) -> list[bytes]:
    with open_channel(service.site.address, service.session(party).tls) as channel:
        stub = log_pb2_grpc.LogServiceStub(channel)
        size = int(stub.GetCheckpoint(log_pb2.GetCheckpointRequest()).checkpoint.split(b"\n")[1])
        entries = stub.GetEntries(log_pb2.GetEntriesRequest(start=0, end=size))
        return [entry.body for entry in entries]


def test_how_much_is_asked_is_in_the_log_before_it_is_asked(service: Service) -> None:
    job_id = asked_for_names(service)
    fields, names = (
        [
            body
            for body in log_bodies(service, "imigrasi")
            if job_id.encode() in body and kind in body
        ]
        for kind in (b'"kind":"fields"', b'"kind":"names"')
    )
    drawn = DRAWN_PER_RECORD * 70
    for n in (80, 70):
        assert f'"tickets":{CANDIDATES * n + drawn}'.encode() in fields[0]
        # As many whoever is likely, and no digest by which the shares of the other one, who has
        # them all but for the bands, could be tried.
        assert f'{{"tickets":{CANDIDATES * n}}}'.encode() in names[0]
    assert (len(fields), len(names)) == (1, 1)


@pytest.mark.parametrize("state", [JobState.REFINING, JobState.NAMING])
def test_a_party_that_does_not_answer_ends_the_job_by_its_name(
    service: Service, state: JobState
) -> None:
    reach = asked if state is JobState.REFINING else asked_for_names
    job_id = reach(service, timeout_s=200)
    answer_as(service, "dukcapil", job_id)
    with service.client("dukcapil") as client:
        waiting = next(iter(client.watch(job_id)))
    assert (waiting.state, waiting.waiting_for) == (state, ("imigrasi",))
    assert (waiting.done, waiting.total) == (1, 2)
    # The parties have as long to answer each step as they had to upload.
    service.now += 201
    try:
        job = last_state(service, job_id)
    finally:
        service.now -= 201
    assert (job.state, job.reason_code) == (JobState.EXPIRED, "ANSWER_MISSING")
    assert "imigrasi" in job.reason
    assert "dukcapil" not in job.reason
    with pytest.raises(JobStateError, match="imigrasi"):
        service.run("imigrasi", job_id)


@pytest.mark.parametrize("state", [JobState.REFINING, JobState.NAMING])
def test_whom_nobody_answered_both_are_named(service: Service, state: JobState) -> None:
    reach = asked if state is JobState.REFINING else asked_for_names
    job_id = reach(service, timeout_s=200)
    service.now += 201
    try:
        job = last_state(service, job_id)
    finally:
        service.now -= 201
    assert job.state is JobState.EXPIRED
    assert "dukcapil, imigrasi" in job.reason


@pytest.mark.parametrize("state", [JobState.REFINING, JobState.NAMING])
def test_a_job_that_is_cancelled_asks_and_takes_nothing_more(
    service: Service, state: JobState
) -> None:
    job_id = (asked if state is JobState.REFINING else asked_for_names)(service)
    questions = questions_to(service, "dukcapil", job_id)
    answers = answers_to(service, "dukcapil", job_id, questions)
    with service.client("imigrasi") as client:
        assert client.cancel(job_id).state is JobState.CANCELLED
    with service.client("dukcapil") as client:
        assert "imigrasi" in client.job(job_id).reason
        with pytest.raises(JobStateError, match="cancelled"):
            list(client.questions(job_id))
        with pytest.raises(JobStateError, match="cancelled"):
            answer_now(client, job_id, answers)
    with pytest.raises(JobStateError, match="cancelled"):
        service.run("dukcapil", job_id)


# Restarts

STEP_OF = {JobState.COMPARING: "meet", JobState.SCORING: "score", JobState.SOLVING: "named"}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    "state",
    [
        JobState.COMPARING,
        JobState.REFINING,
        JobState.SCORING,
        JobState.NAMING,
        JobState.SOLVING,
    ],
)
def test_a_matcher_restarted_in_any_state_comes_to_the_same_links(
    stopped: Service, monkeypatch: pytest.MonkeyPatch, state: JobState
) -> None:
    service = stopped
    states = list(JobState)
    with service.running(), monkeypatch.context() as patch:
        if state in STEP_OF:
            patch.setattr(TwoRounds, STEP_OF[state], stuck)
        job_id = service.request("dukcapil")
        upload_for_all(service, job_id)
        for step in (JobState.REFINING, JobState.NAMING):
            if states.index(state) > states.index(step):
                until(service, job_id, step)
                for party in service.site.parties:
                    answer_as(service, party, job_id)
        until(service, job_id, state)
        before = {}
        if state in (JobState.REFINING, JobState.NAMING):
            before = {p: questions_to(service, p, job_id) for p in service.site.parties}
            some = answers_to(service, "dukcapil", job_id, before["dukcapil"])
            with service.client("dukcapil") as client:
                answer_now(client, job_id, some[:1])
    with service.running():
        if before:
            # Questions and answers are kept.
            after = {p: questions_to(service, p, job_id) for p in service.site.parties}
            assert after["imigrasi"] == before["imigrasi"]
            assert after["dukcapil"] == [
                replace(question, answered=number < 1)
                for number, question in enumerate(before["dukcapil"])
            ]
        outcomes = service.run_all(job_id)
    assert has_right_links(outcomes)


@pytest.mark.parametrize("state", [JobState.COMPARING, JobState.SCORING, JobState.SOLVING])
def test_a_matcher_stopped_at_the_end_of_a_step_takes_it_once_more(
    stopped: Service, monkeypatch: pytest.MonkeyPatch, state: JobState
) -> None:
    service, reached = stopped, threading.Event()
    plain = {"deadline": Transaction.set_deadline, "leaf": Transaction.set_result_leaf}

    def at_the_end(transaction: Transaction, job_id: str, value: int, *, what: str) -> None:
        job = transaction.job(job_id)
        assert job is not None
        # In the transaction that ends the step, which then comes to nothing.
        now = {JobState.REFINING: JobState.COMPARING, JobState.NAMING: JobState.SCORING}
        if now.get(job.state, job.state) is state:
            reached.set()
            raise UnavailableError("the disk is away")
        plain[what](transaction, job_id, value)

    def deadline(transaction: Transaction, job_id: str, value: int) -> None:
        at_the_end(transaction, job_id, value, what="deadline")

    def leaf(transaction: Transaction, job_id: str, value: int) -> None:
        at_the_end(transaction, job_id, value, what="leaf")

    with service.running(), monkeypatch.context() as patch:
        patch.setattr(Transaction, "set_deadline", deadline)
        patch.setattr(Transaction, "set_result_leaf", leaf)
        job_id = service.request("dukcapil")
        upload_for_all(service, job_id)
        for step in (JobState.REFINING, JobState.NAMING):
            if list(JobState).index(state) > list(JobState).index(step):
                until(service, job_id, step)
                for party in service.site.parties:
                    answer_as(service, party, job_id)
        wait_for(reached.is_set)
        with service.client("dukcapil") as client:
            assert client.job(job_id).state is state
    with service.running():
        outcomes = service.run_all(job_id)
    assert has_right_links(outcomes)


def test_a_released_job_leaves_no_question_and_no_answer_behind(
    stopped: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, forget = stopped, TwoRounds.forget

    def cut_short(_rounds: TwoRounds, _job: Job) -> None:
        monkeypatch.setattr(TwoRounds, "forget", forget)
        raise OSError(5, "Input/output error")

    # Stopped after the result was logged: what it needed goes all the same.
    monkeypatch.setattr(TwoRounds, "forget", cut_short)
    with service.running():
        job_id = service.request("dukcapil")
        service.run_all(job_id)
        store = matcher_store(service)
        # What the two parties are told, with the salts of its digests, and nothing else.
        told = {"result.dukcapil.imigrasi", "result.imigrasi.dukcapil"}
        told |= {"salt.dukcapil", "salt.imigrasi"}
        wait_for(lambda: not store.names(dataset_of(job_id)))
        assert set(store.names(results_of(job_id))) == told


def matcher_store(service: Service) -> ArtefactStore:
    from linkage.matcher.config import load_config

    config = load_config(service.site.root / "matcher" / "matcher.toml")
    return ArtefactStore(config.data / "artefacts", config.keystore / "artefacts")


class Sent:
    """Watches what an agent sends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: list[list[tuple[str, QuestionKind, int, bytes]]] = []
        plain = MatcherClient.answer

        def answer(
            client: MatcherClient, job_id: str, rows: Iterable[tuple[Question, bytes]]
        ) -> None:
            sent: list[tuple[str, QuestionKind, int, bytes]] = []
            self.runs.append(sent)

            def watched() -> Iterator[tuple[Question, bytes]]:
                for question, content in rows:
                    sent.append((question.counterpart, question.kind, question.index, content))
                    yield question, content

            plain(client, job_id, watched())

        monkeypatch.setattr(MatcherClient, "answer", answer)

    def of(self, counterpart: str, kind: QuestionKind) -> list[list[tuple[int, bytes]]]:
        """The answers about a counterpart, run by run."""
        runs = [
            [(index, content) for c, k, index, content in run if (c, k) == (counterpart, kind)]
            for run in self.runs
        ]
        return [run for run in runs if run]


def test_an_agent_stopped_in_mid_answer_goes_on_and_sends_nothing_else_in_a_place(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refinements, "_MOST_PAIRS", 200)
    job_id = asked(service)
    sent = Sent(monkeypatch)
    plain = Answerer.answer
    answered: list[Question] = []

    def stops_at_three(self: Answerer, question: Question) -> bytes:
        if len(answered) == 3:
            raise MemoryError
        answered.append(question)
        return plain(self, question)

    with monkeypatch.context() as patch:
        patch.setattr(Answerer, "answer", stops_at_three)
        with pytest.raises(MemoryError):
            service.run("dukcapil", job_id)
    assert has_right_links(service.run_all(job_id))
    first, second = sent.of("imigrasi", FIELDS)
    assert [index for index, _ in first] == [0, 1, 2]
    # What the matcher has is sent no more; of the rest it may have lost what came last.
    assert second[0][0] in range(4)
    assert [index for index, _ in second] == list(range(second[0][0], second[-1][0] + 1))
    content = dict(first)
    assert all(content.get(index, rows) == rows for index, rows in second)
    assert len({rows for _, rows in (*first, *second)}) == second[-1][0] + 1


@pytest.mark.usefixtures("small_chunks")
def test_an_agent_stopped_while_it_names_goes_on_and_sends_nothing_else_in_a_place(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = asked_for_names(service)
    sent, plain, made = Sent(monkeypatch), NameKeys.rows, list[int]()

    def stops_at_three(self: NameKeys, *args: Any) -> NDArray[np.void]:
        if len(made) == 3:
            raise MemoryError
        made.append(len(args))
        return plain(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(NameKeys, "rows", stops_at_three)
        with pytest.raises(MemoryError):
            service.run("dukcapil", job_id)
    assert has_right_links(service.run_all(job_id))
    first, second = sent.of("imigrasi", NAMES)
    assert [index for index, _ in first] == [0, 1, 2]
    assert second[0][0] in range(4)
    assert [index for index, _ in second] == list(range(second[0][0], second[-1][0] + 1))
    content = dict(first)
    assert all(content.get(index, rows) == rows for index, rows in second)


@pytest.mark.usefixtures("small_chunks")
def test_names_arrive_whole_though_a_line_breaks_between_them(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = asked_for_names(service)
    plain, lost = convert.answer_to_proto, list[int]()

    def breaks(job_id: str, question: Question, content: bytes) -> refine_pb2.SendAnswersRequest:
        if question.index == 1 + len(lost) and len(lost) < 3:
            lost.append(question.index)
            raise UnavailableError("the line broke")
        return plain(job_id, question, content)

    monkeypatch.setattr(convert, "answer_to_proto", breaks)
    assert has_right_links(service.run_all(job_id))
    assert lost == [1, 2, 3]


@pytest.mark.usefixtures("small_chunks")
def test_an_answer_that_a_broken_line_interrupts_is_begun_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = MatcherClient.questions
    lost: list[Question] = []

    def breaks(self: MatcherClient, job_id: str) -> Iterator[Question]:
        for question in plain(self, job_id):
            yield question
            if question.index == 2 and len(lost) < 3:
                lost.append(question)
                raise UnavailableError("the line broke")

    monkeypatch.setattr(MatcherClient, "questions", breaks)
    assert has_right_links(service.run_all(service.request("dukcapil")))
    assert len(lost) == 3


def test_an_agent_whose_last_answer_arrived_before_the_line_broke_goes_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = MatcherClient.answer
    lost: list[str] = []

    def breaks(self: MatcherClient, job_id: str, rows: Iterable[tuple[Question, bytes]]) -> None:
        plain(self, job_id, rows)
        if len(lost) < 4:
            lost.append(job_id)
            raise UnavailableError("the line broke")

    monkeypatch.setattr(MatcherClient, "answer", breaks)
    assert has_right_links(service.run_all(service.request("dukcapil")))
    assert len(lost) == 4


@pytest.mark.usefixtures("small_chunks")
def test_answers_that_arrive_twice_at_once_count_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = asked(service)
    questions = questions_to(service, "dukcapil", job_id)
    rows = answers_to(service, "dukcapil", job_id, questions)
    plain = split_rows
    nested: list[object] = []

    def overtaken(content: object, form: object) -> object:
        if not nested:
            nested.append(content)
            with service.client("dukcapil") as other:
                answer_now(other, job_id, rows[:2])
        return plain(content, form)  # type: ignore[arg-type]

    monkeypatch.setattr(refinements, "split_rows", overtaken)
    with service.client("dukcapil") as client:
        # While the first answer is looked at, another line brings it and the next one.
        answer_now(client, job_id, [rows[0], *rows[2:]])
        assert all(q.answered for q in client.questions(job_id))


def test_an_agent_in_mid_answer_outlives_a_restart_of_the_matcher(
    stopped: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refinements, "_MOST_PAIRS", 200)
    service = stopped
    service.patience_s = 60.0
    plain, reached, restarted = Answerer.answer, threading.Event(), threading.Event()

    def slow(self: Answerer, question: Question) -> bytes:
        if question.index == 4 and question.counterpart == "imigrasi":
            reached.set()
            assert restarted.wait(60)
        return plain(self, question)

    monkeypatch.setattr(Answerer, "answer", slow)
    with ThreadPoolExecutor() as pool:
        with service.running():
            # From now on the matcher has one address.
            config = service.site.root / "matcher" / "matcher.toml"
            text = config.read_text().replace("127.0.0.1:0", service.site.address)
            config.write_text(text)
            job_id = service.request("dukcapil")
            runs = {p: pool.submit(service.run, p, job_id) for p in service.site.parties}
            assert reached.wait(60)
        # The agent goes on while nobody is there yet.
        restarted.set()
        with service.running():
            outcomes = {party: run.result() for party, run in runs.items()}
    assert has_right_links(outcomes)


def test_an_agent_that_answers_last_is_not_confused_by_older_progress(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While it answers, the other party's end becomes known: by then it is asked no more.
    job_id = service.request("dukcapil")
    plain = refine.answer_all
    answers: list[str] = []

    def last(client: MatcherClient, job: str, answerer: Answerer, *args: object) -> None:
        party = "dukcapil" if "imigrasi" in answerer._books else "imigrasi"
        if party == "dukcapil":
            wait_for(lambda: answers.count("imigrasi") > answers.count("dukcapil"))
            threading.Event().wait(0.6)  # so that the matcher's watch has seen it
        plain(client, job, answerer, *args)  # type: ignore[arg-type]
        answers.append(party)

    monkeypatch.setattr("linkage.agent.run.answer_all", last)
    outcomes = service.run_all(job_id)
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)
    assert answers == 2 * ["imigrasi", "dukcapil"]


# What an agent refuses


@pytest.fixture
def matcher(service: Service) -> Matcher:
    return Matcher(service)


def test_an_agent_answers_each_question_alike_again_and_again(matcher: Matcher) -> None:
    parts = [matcher.some(0, 3), matcher.some(3, 5)]
    first, second = (matcher.ask(index, part) for index, part in enumerate(parts))
    assert (len(first), len(second)) == (3 * ROW, 2 * ROW)
    names = matcher.name(parts)
    assert len(names) == 5 * NAME_ROW
    assert matcher.ask(0, parts[0]) == first
    matcher.agent = matcher.restarted()
    assert matcher.ask(0, parts[0]) == first
    assert matcher.ask(1, parts[1]) == second
    assert matcher.name(parts) == names


def test_two_tickets_of_one_record_have_unlike_rows(matcher: Matcher) -> None:
    record = matcher.records[0]
    of_record = matcher.tickets.at(np.flatnonzero(matcher.records == record))
    rows = matcher.ask(0, of_record)
    filters = [rows[i : i + FILTER_BYTES] for i in range(0, len(rows), ROW)]
    assert len(set(filters)) == len(filters) > 5


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("restart", [False, True])
def test_an_agent_is_asked_about_a_ticket_once(
    matcher: Matcher, apart: bool, restart: bool
) -> None:
    first, again = matcher.some(0, 20), matcher.some(19, 30)
    if apart:
        matcher.ask(0, first)
        if restart:
            matcher.agent = matcher.restarted()
            matcher.ask(0, first)
    question = again if apart else concatenate([first, again])
    with pytest.raises(DeniedError, match="ASKED_TWICE"):
        matcher.ask(int(apart), question)


def test_an_agent_sees_a_ticket_again_among_many_chunks(matcher: Matcher) -> None:
    for index in range(60):
        matcher.ask(index, matcher.some(7 * index, 7 * index + 7))
    with pytest.raises(DeniedError, match="ASKED_TWICE"):
        matcher.ask(60, concatenate([matcher.some(500, 505), matcher.some(123, 124)]))


def turned(matcher: Matcher, tickets: Tickets, whose: NDArray[np.int64], to: int) -> Tickets:
    """Tickets of some records, turned into those of another one."""
    # A matcher finds N(r) - N(r') where two records both meet two others, and moves a mark by it.
    session = matcher._service.session("dukcapil")
    name = f"{matcher.job.job_id}\0dukcapil\0imigrasi"
    numbers = keyed_order(b"".join(matcher.references), session.key.block_key(f"numbers\0{name}"))
    forged = Tickets(tickets.entry, tickets.token, tickets.mark + numbers[to] - numbers[whose])
    book = book_for(matcher._service, "dukcapil", "imigrasi", matcher.job)
    assert set(book.records(forged).tolist()) == {to}
    return forged


@pytest.mark.parametrize("apart", [False, True])
def test_an_agent_makes_no_rows_of_two_records_under_one_key(matcher: Matcher, apart: bool) -> None:
    own = matcher.some(0, 1)
    other = int(matcher.records[np.flatnonzero(matcher.records != matcher.records[0])[0]])
    forged = turned(matcher, own, matcher.records[:1], other)
    if apart:
        matcher.ask(0, own)
    with pytest.raises(DeniedError, match="ASKED_TWICE"):
        matcher.ask(int(apart), forged if apart else concatenate([own, forged]))


@pytest.mark.parametrize("apart", [False, True])
def test_an_agent_is_asked_about_no_record_more_often_than_it_has_tickets(
    matcher: Matcher, apart: bool
) -> None:
    codes = matcher.job.spec.codes
    most = codes.block_entries * codes.block_copies
    record = int(matcher.records[0])
    own = matcher.tickets.at(np.flatnonzero(matcher.records == record))
    others = np.flatnonzero(matcher.records != record)[: most + 1 - len(own)]
    forged = turned(matcher, matcher.tickets.at(others), matcher.records[others], record)
    whole = concatenate([own, forged])
    if apart:
        assert matcher.ask(0, whole.at(slice(0, most)))
    with pytest.raises(DeniedError, match=f"TOO_MANY_PAIRS.*more than {most} tickets of one"):
        matcher.ask(int(apart), whole.at(slice(most, None)) if apart else whole)


def test_rows_come_in_an_order_that_is_not_that_of_the_question(matcher: Matcher) -> None:
    parts = [matcher.some(0, 40), matcher.some(40, 60)]
    for index, part in enumerate(parts):
        matcher.ask(index, part)
    rows = PLAIN.rows(matcher.name(parts))
    assert (rows["tag"][1:] > rows["tag"][:-1]).all()
    session = matcher._service.session("dukcapil")
    meeting = meetings(matcher.job.job_id, "dukcapil", matcher.job.spec.parties)[0]
    tags = name_keys(session.key, meeting).tags(matcher.some(0, 60))
    assert rows["tag"].tolist() == sorted(tags.tolist())
    # Of two random orders one place in 60 is the same, with deviation 1.
    assert (rows["tag"] == tags).sum() < 10
    content = rows.tobytes()
    assert not [reference for reference in matcher.references if reference in content]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    "other",
    [[0, 2], [1, 0], [0], [0, 1, 2], []],
    ids=["other ticket", "other order", "less", "more", "none"],
)
def test_an_agent_takes_no_other_question_in_the_same_place(
    matcher: Matcher, restart: bool, other: list[int]
) -> None:
    matcher.ask(0, matcher.some(0, 2))
    if restart:
        matcher.agent = matcher.restarted()
    tickets = matcher.tickets.at(np.array(other, np.int64))
    with pytest.raises(DeniedError, match="ASKED_ANEW"):
        matcher.ask(0, tickets)
    # Nor does it say who others are than it was asked about.
    with pytest.raises(DeniedError, match="NAMES_NOT_ASKED"):
        matcher.name([tickets])


@pytest.mark.parametrize("restart", [False, True])
def test_an_agent_takes_no_other_shares_of_the_same_tickets(
    matcher: Matcher, restart: bool
) -> None:
    parts = [matcher.some(0, 20), matcher.some(20, 30)]
    for index, part in enumerate(parts):
        matcher.ask(index, part)
    shares = [some_shares(index, part) for index, part in enumerate(parts)]
    names = matcher.name(parts, shares)
    if restart:
        matcher.agent = matcher.restarted()
    turned_bit = bytes([shares[1][0] ^ 1]) + shares[1][1:]
    one, other = slice(SHARE_BYTES), slice(SHARE_BYTES, 2 * SHARE_BYTES)
    swapped = shares[0][other] + shares[0][one] + shares[0][2 * SHARE_BYTES :]
    for given in ([shares[0], turned_bit], [swapped, shares[1]]):
        with pytest.raises(DeniedError, match="ASKED_ANEW"):
            matcher.name(parts, given)
    assert matcher.name(parts, shares) == names


def test_two_runs_of_an_agent_at_once_take_one_set_of_shares(matcher: Matcher) -> None:
    other = Matcher.__new__(Matcher)
    other.__dict__.update(matcher.__dict__)
    other.agent = matcher.restarted()
    tickets = matcher.some(0, 3)
    matcher.ask(0, tickets)
    other.ask(0, tickets)
    matcher.name([tickets])
    with pytest.raises(DeniedError, match="ASKED_ANEW"):
        other.name([tickets], [some_shares(9, tickets)])


@pytest.mark.parametrize("restart", [False, True])
def test_an_agent_names_all_that_it_was_asked_about_or_nobody(
    matcher: Matcher, restart: bool
) -> None:
    parts = [matcher.some(0, 20), matcher.some(20, 30), matcher.some(30, 31)]
    for index, part in enumerate(parts):
        matcher.ask(index, part)
    if restart:
        matcher.agent = matcher.restarted()
    for some in (parts[:1], parts[:2]):
        with pytest.raises(DeniedError, match="NAMES_IN_PARTS"):
            matcher.name(some)
    for mixed in ([parts[1]], [parts[1], parts[0]], [*parts, matcher.some(31, 32)]):
        with pytest.raises(DeniedError, match="NAMES_NOT_ASKED"):
            matcher.name(mixed)
    assert len(matcher.name(parts)) == 31 * NAME_ROW
    # Once it has named them it names no more, whatever it is asked about then.
    matcher.agent = matcher.restarted()
    for index, part in enumerate([*parts, matcher.some(31, 32)]):
        matcher.ask(index, part)
    with pytest.raises(DeniedError, match="ASKED_ANEW"):
        matcher.name([*parts, matcher.some(31, 32)])


def test_an_agent_that_was_asked_nothing_names_nobody(matcher: Matcher) -> None:
    for tickets in (matcher.some(0, 5), matcher.some(0, 0)):
        with pytest.raises(DeniedError, match="NAMES_NOT_ASKED"):
            matcher.name([tickets])


@pytest.mark.parametrize("n", [0, 1, 3])
def test_an_agent_takes_a_share_for_each_ticket_that_was_not_drawn(
    matcher: Matcher, n: int
) -> None:
    tickets = concatenate([matcher.some(0, 2), Tickets.drawn(3)])
    matcher.ask(0, tickets)
    with pytest.raises(MalformedMessageError, match="as many shares"):
        matcher.name([tickets], [bytes(SHARE_BYTES * n)])
    with pytest.raises(MalformedMessageError, match="whole number"):
        matcher.name([tickets], [bytes(2 * SHARE_BYTES - 1)])
    # Who was drawn has no row.
    assert len(matcher.name([tickets])) == 2 * NAME_ROW
    # Words that stand twice would tell the matcher more ways of opening apart.
    with pytest.raises(MalformedMessageError, match="a word twice"):
        matcher.name([tickets], [bytes(2 * SHARE_BYTES)])


def test_two_runs_of_an_agent_at_once_take_one_question_in_a_place(matcher: Matcher) -> None:
    other = matcher.restarted()
    matcher.ask(0, matcher.some(0, 2))
    with pytest.raises(DeniedError, match="ASKED_ANEW"):
        other.answer(matcher.question(FIELDS, 0, matcher.some(1, 3)))


@pytest.mark.parametrize("index", [1, 3, 4, 10**6])
def test_an_agent_is_asked_in_order_and_leaves_no_place_out(matcher: Matcher, index: int) -> None:
    parts = [matcher.some(10 * place, 10 * place + 2) for place in range(2)]
    for place, part in enumerate(parts):
        matcher.ask(place, part)
    with pytest.raises(DeniedError, match="OUT_OF_ORDER"):
        matcher.ask(index, matcher.some(50, 52))
    asks = [(0, parts[0]), (1, parts[1]), (index, parts[1])]
    questions = [matcher.question(NAMES, i, p, shares=some_shares(i, p)) for i, p in asks]
    with pytest.raises(DeniedError, match="OUT_OF_ORDER"):
        list(matcher.agent.answers(questions))


def test_an_agent_begins_with_the_first_place(matcher: Matcher) -> None:
    with pytest.raises(DeniedError, match="OUT_OF_ORDER"):
        matcher.ask(1, matcher.some(0, 2))
    one = matcher.some(0, 1)
    with pytest.raises(DeniedError, match="OUT_OF_ORDER"):
        list(matcher.agent.answers([matcher.question(NAMES, 1, one, shares=some_shares(1, one))]))


@pytest.mark.parametrize("restart", [False, True])
def test_an_agent_answers_no_more_than_agreed(matcher: Matcher, restart: bool) -> None:
    most = PER_RECORD * 80
    matcher.ask(0, matcher.some(10, most + 5))
    matcher.ask(1, matcher.some(0, 5))
    if restart:
        matcher.agent = matcher.restarted()
        matcher.ask(0, matcher.some(10, most + 5))
        matcher.ask(1, matcher.some(0, 5))
    with pytest.raises(DeniedError, match=f"TOO_MANY_PAIRS.*more than {most} times"):
        matcher.ask(2, matcher.some(5, 6))


def test_an_agent_lets_no_record_be_drawn_more_often_than_agreed(matcher: Matcher) -> None:
    most = DRAWN_PER_RECORD * 80
    assert len(matcher.ask(0, Tickets.drawn(most))) == most * ROW
    later = Tickets.of_entry(DRAWN, np.array([most], np.uint64), np.zeros(1, np.uint64))
    with pytest.raises(DeniedError, match="TOO_MANY_PAIRS"):
        matcher.ask(1, later)


def test_an_agent_answers_about_its_own_tickets_only(matcher: Matcher) -> None:
    service = matcher._service
    foreign = tickets_for(service, "imigrasi", "dukcapil", matcher.job)
    one = np.uint64(1)
    own = matcher.some(0, 1)
    wrong = [
        foreign.at(slice(0, 1)),
        Tickets(own.entry, own.token, own.mark + one),
        Tickets(own.entry, own.token ^ one, own.mark),
        Tickets(own.entry ^ np.uint8(1), own.token, own.mark),
    ]
    for ticket in wrong:
        with pytest.raises(DeniedError, match="FOREIGN_TICKET"):
            matcher.ask(0, concatenate([matcher.some(5, 25), ticket]))
        with pytest.raises(DeniedError, match="FOREIGN_TICKET"):
            matcher.name([concatenate([matcher.some(5, 25), ticket])])
    # Of what was refused nothing is kept.
    assert matcher.ask(0, matcher.some(5, 25))


@pytest.mark.parametrize("who", ["kemenlu", "dukcapil", ""])
def test_an_agent_answers_about_pairs_with_another_party_of_the_job(
    matcher: Matcher, who: str
) -> None:
    with pytest.raises(DeniedError, match="NOT_A_PARTY"):
        matcher.agent.answer(matcher.question(FIELDS, 0, matcher.some(0, 1), who))


def test_an_agent_takes_no_half_tickets(matcher: Matcher) -> None:
    question = matcher.question(FIELDS, 0, matcher.some(0, 3))
    with pytest.raises(MalformedMessageError, match="whole number"):
        matcher.agent.answer(replace(question, tickets=question.tickets[:-1]))


def test_a_matcher_that_asks_too_much_over_the_line_is_refused_by_name(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Refinements.questions

    def greedy(self: Refinements, party: str, job_id: str) -> Iterator[Question]:
        for question in plain(self, party, job_id):
            yield replace(question, tickets=2 * question.tickets)

    job_id = asked(service)
    with monkeypatch.context() as patch:
        patch.setattr(Refinements, "questions", greedy)
        with pytest.raises(DeniedError, match="TOO_MANY_PAIRS"):
            service.run("dukcapil", job_id)
    assert not [q for q in questions_to(service, "dukcapil", job_id) if q.answered]


# Where the design gives way


class Bands(Matcher):
    """A matcher that gives the pairs of two agents, whose tickets met, bands of its choice."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        other = tickets_for(service, "imigrasi", "dukcapil", self.job)
        Upload(service, "imigrasi", self.job.job_id)
        _, ours, theirs = np.intersect1d(self.tickets.token, other.token, return_indices=True)
        self.met, self.whose = self.tickets.at(ours), self.records[ours]
        self.theirs, self.counterpart = other.at(theirs), answerer_of(service, "imigrasi", self.job)

    def opens(self, bands: list[int]) -> list[tuple[bytes, int]]:
        """The left references that open if the first pairs have these bands, and theirs."""
        n, rows = len(bands), []
        shares = share_out(np.array(bands, np.uint8), np.zeros((n, 0), np.uint8), os.urandom)
        asks = (
            (self.agent, self.met, "imigrasi", shares[0]),
            (self.counterpart, self.theirs, "dukcapil", shares[1]),
        )
        for agent, tickets, whom, of_owner in asks:
            part = tickets.at(slice(0, n))
            agent.answer(self.question(FIELDS, 0, part, whom))
            question = self.question(NAMES, 0, part, whom, of_owner.tobytes())
            rows.append(PLAIN.rows(b"".join(answer for _, answer in agent.answers([question]))))
        opened = open_pairs([rows[0]], [rows[1]], PLAIN)
        return [(r.tobytes(), int(b)) for r, b in zip(opened.left, opened.band, strict=True)]


def test_a_matcher_is_told_references_and_bands_and_no_more(service: Service) -> None:
    matcher = Bands(service)
    bands = [0, 1, 2, 3, 0, 3, 0]
    expected = [
        (matcher.references[whose], band)
        for whose, band in zip(matcher.whose.tolist(), bands, strict=False)
        if band
    ]
    assert sorted(matcher.opens(bands)) == sorted(expected)


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="a band with one pair is opened as it is"
)
def test_a_matcher_that_lets_one_pair_open_does_not_learn_whose_comparison_it_was(
    service: Service,
) -> None:
    matcher = Bands(service)
    # No agent can refuse it: none of them sees how many are likely.
    assert matcher.references[matcher.whose[4]] not in dict(matcher.opens([0, 0, 0, 0, 1, 0]))


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="by the bands of its tickets a record is told from others",
)
def test_a_matcher_does_not_learn_whose_comparison_had_bands_of_its_own(service: Service) -> None:
    matcher = Bands(service)
    twice = next(w for w in matcher.whose.tolist() if (matcher.whose[:40] == w).sum() == 2)
    # All have band 1 but one of a record's two tickets: in parts that differ by one record.
    bands = [1] * 40
    bands[int(np.flatnonzero(matcher.whose == twice)[0])] = 2
    seen: dict[bytes, set[int]] = {}
    for reference, band in matcher.opens(bands):
        seen.setdefault(reference, set()).add(band)
    assert [reference for reference, of in seen.items() if of == {1, 2}] != [
        matcher.references[twice]
    ]


# Whose terms


@pytest.mark.parametrize(
    "terms",
    [
        {"candidates": 11},
        {"candidates": 9},
        {"decoys": False},
        {"types": ("name", "date")},
        {"types": ("name", "date", "text")},
    ],
    ids=["more", "less", "no decoys", "fewer attributes", "another type"],
)
def test_an_agent_takes_no_job_with_another_second_round(
    service: Service, terms: dict[str, object]
) -> None:
    session = service.session("dukcapil")
    with service.client("dukcapil") as client:
        spec = client.job(service.request("dukcapil")).spec
        assert spec.refinement is not None
        other = replace(spec, refinement=replace(spec.refinement, **terms))  # type: ignore[arg-type]
        job_id = client.request_job(other).job_id
    assert session.refinement == spec.refinement
    with pytest.raises(DeniedError, match=r"TERMS_DIFFER.*another second round"):
        service.run("imigrasi", job_id)
    with service.client("imigrasi") as client:
        assert "imigrasi" in client.job(job_id).missing  # nothing was sent


def test_an_agent_takes_no_job_without_a_second_round(service: Service) -> None:
    with service.client("dukcapil") as client:
        spec = client.job(service.request("dukcapil")).spec
        job_id = client.request_job(replace(spec, refinement=None)).job_id
    with pytest.raises(DeniedError, match="another second round"):
        service.run("imigrasi", job_id)


# What the matcher refuses


def with_byte(rows: bytes, at: int, value: int) -> bytes:
    return rows[:at] + bytes([value]) + rows[at + 1 :]


def another_popcount(rows: bytes) -> bytes:
    filters = np.frombuffer(rows, np.uint8).reshape(-1, ROW)[:, :FILTER_BYTES]
    row = int(np.flatnonzero(filters.any(axis=1))[0])
    return with_byte(rows, row * ROW, rows[row * ROW] ^ 1)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (lambda rows: rows[:-1], "another length"),
        (lambda rows: rows[:-ROW], "another length"),
        (lambda rows: rows + rows[:ROW], "another length"),
        (lambda _: b"", "another length"),
        (lambda rows: rows[: len(rows) // ROW * REFERENCE_BYTES], "another length"),
        (another_popcount, "wrong number of set bits"),
        (lambda rows: b"\xff" * FILTER_BYTES + rows[FILTER_BYTES:], "wrong number of set bits"),
        (lambda rows: with_byte(rows, FIRST_SHARE, N_CLASSES), "rarity class"),
        (lambda rows: with_byte(rows, len(rows) - 1, 255), "rarity class"),
    ],
    ids=[
        "cut", "row less", "row more", "none", "as names", "bit flipped", "all bits", "class",
        "last class",
    ],
)  # fmt: skip
def test_broken_rows_are_refused_to_their_sender_and_the_job_goes_on(
    service: Service, broken: Callable[[bytes], bytes], text: str
) -> None:
    job_id = asked(service)
    first, second = questions_to(service, "dukcapil", job_id)[:2]
    rows = dict(answers_to(service, "dukcapil", job_id, [first, second]))
    with service.client("dukcapil") as client:
        with pytest.raises(MalformedMessageError, match=text):
            answer_now(client, job_id, [(first, rows[first]), (second, broken(rows[second]))])
        # What came before the broken one stays; nothing of it does.
        flags = [q.answered for q in client.questions(job_id)]
        assert flags[:2] == [True, False]
        answer_now(client, job_id, [(second, rows[second])])
        assert next(iter(client.watch(job_id))).state is JobState.REFINING
        client.cancel(job_id)


def swapped(names: bytes) -> bytes:
    return names[NAME_ROW : 2 * NAME_ROW] + names[:NAME_ROW] + names[2 * NAME_ROW :]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (lambda names: names[:-1], "another length"),
        (lambda names: names[:-NAME_ROW], "another length"),
        (lambda names: names + bytes(NAME_ROW), "another length"),
        (lambda _: b"", "another length"),
        (lambda names: names * 7, "another length"),
        (swapped, "tags twice, or in another order"),
        (lambda names: names[:NAME_ROW] + names[:-NAME_ROW], "tags twice"),
        (lambda names: names[: len(names) // 2] + bytes(len(names) // 2), "tags twice"),
    ],
    ids=["cut", "row less", "row more", "none", "many", "swapped", "twice", "zeros"],
)
def test_broken_names_are_refused_to_their_sender_and_the_job_goes_on(
    service: Service, broken: Callable[[bytes], bytes], text: str
) -> None:
    job_id = asked_for_names(service)
    questions = questions_to(service, "dukcapil", job_id)
    names = answers_to(service, "dukcapil", job_id, questions)
    with service.client("dukcapil") as client:
        with pytest.raises(MalformedMessageError, match=text):
            answer_now(client, job_id, [(questions[0], broken(names[0][1]))])
        assert not [q for q in client.questions(job_id) if q.answered]
        # Tags ascend from one piece to the next, too.
        earlier = names[0][1][:NAME_ROW] + names[1][1][NAME_ROW:]
        with pytest.raises(MalformedMessageError, match="tags twice"):
            answer_now(client, job_id, [names[0], (questions[1], earlier)])
        assert [q.answered for q in client.questions(job_id)][:2] == [True, False]
        client.cancel(job_id)


def test_an_answer_of_the_other_kind_is_refused(service: Service) -> None:
    job_id = asked(service)
    question = questions_to(service, "dukcapil", job_id)[0]
    (_, rows) = answers_to(service, "dukcapil", job_id, [question])[0]
    with service.client("dukcapil") as client:
        with pytest.raises(JobStateError, match="asks for fields now"):
            answer_now(client, job_id, [(replace(question, kind=NAMES), rows)])
        for party in service.site.parties:
            answer_as(service, party, job_id)
        until(service, job_id, JobState.NAMING)
        # Field rows that come late are refused, too.
        with pytest.raises(JobStateError, match="asks for names now"):
            answer_now(client, job_id, [(question, rows)])
        assert {q.kind for q in client.questions(job_id)} == {NAMES}
        client.cancel(job_id)


@pytest.mark.usefixtures("small_chunks")
def test_answers_come_in_their_order_and_only_to_what_was_asked(service: Service) -> None:
    job_id = asked(service)
    questions = questions_to(service, "dukcapil", job_id)
    rows = answers_to(service, "dukcapil", job_id, questions)
    with service.client("dukcapil") as client:
        for number in (1, 2, len(rows) - 1):
            with pytest.raises(MalformedMessageError, match="the next one is 0"):
                answer_now(client, job_id, [rows[number]])
        for wrong in (
            replace(questions[0], counterpart="kemenlu"),
            replace(questions[0], counterpart="dukcapil"),
            replace(questions[0], index=len(questions)),
        ):
            with pytest.raises(MalformedMessageError, match="not asked"):
                answer_now(client, job_id, [(wrong, rows[0][1])])
        assert not [q for q in client.questions(job_id) if q.answered]
        # The same once more changes nothing, nor does another content.
        answer_now(client, job_id, [rows[0], rows[0], (questions[0], rows[1][1]), *rows[1:]])
        assert all(q.answered for q in client.questions(job_id))
    assert has_right_links(service.run_all(job_id))


def test_nothing_is_asked_or_answered_before_and_after_the_second_round(service: Service) -> None:
    question = Question("imigrasi", FIELDS, 0, bytes(13), False)
    job_id = service.request("dukcapil")
    with service.client("dukcapil") as client:
        for state in ("collecting", "released"):
            with pytest.raises(JobStateError, match=state):
                list(client.questions(job_id))
            with pytest.raises(JobStateError, match=state):
                answer_now(client, job_id, [(question, bytes(ROW))])
            if state == "collecting":
                service.run_all(job_id)


def test_the_second_round_of_others_reads_like_one_that_does_not_exist(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(20), imigrasi=people(20), kemenlu=people(20))
    question = Question("imigrasi", FIELDS, 0, bytes(13), False)
    with service.running():
        with service.client("dukcapil") as client:
            spec = client.job(service.request("dukcapil")).spec
            two = between(spec, "dukcapil", "imigrasi")
            job_id = client.request_job(two).job_id
        service.site.parties = ("dukcapil", "imigrasi")
        upload_for_all(service, job_id)
        until(service, job_id, JobState.REFINING)
        texts = set()
        with service.client("kemenlu") as client:
            for known in (job_id, "0" * 32):
                with pytest.raises(NotFoundError) as caught:
                    list(client.questions(known))
                texts.add(str(caught.value))
                with pytest.raises(NotFoundError) as caught:
                    answer_now(client, known, [(question, bytes(ROW))])
                texts.add(str(caught.value))
        assert len(texts) == 1
        # Each owner sees its own tickets, and the name of the other party.
        with service.client("dukcapil") as client:
            job = client.job(job_id)
        for party, other in (("dukcapil", "imigrasi"), ("imigrasi", "dukcapil")):
            book = book_for(service, party, other, job)
            for asked_now in questions_to(service, party, job_id):
                assert asked_now.counterpart == other
                assert len(book.records(tickets_in(asked_now, service)))


def of_codes(upload: Upload, n_parties: int = 2) -> tuple[Manifest, list[Chunk]]:
    """A batch of codes, as a job of one round takes it."""
    codes = upload.manifest.codes
    n = upload.manifest.n_records
    manifest = Manifest(codes, n, 1, ())
    chunks = [Chunk(bytes(16 * n), bytes(n * codes.code_bits // 8))]
    n_tokens = manifest.n_token_chunks(n_parties)
    chunks += [Chunk(tokens=bytes(n * codes.token_row_bytes))] * n_tokens
    return replace(manifest, chunk_sha256=tuple(c.digest() for c in chunks)), chunks


def test_a_job_of_two_rounds_takes_no_codes(service: Service) -> None:
    upload = Upload(service, "dukcapil", service.request("dukcapil"))
    manifest, chunks = of_codes(upload)
    with service.client("dukcapil") as client:
        with pytest.raises(MalformedMessageError, match="takes tickets, and no codes"):
            client.upload(upload.job_id, manifest, chunks.__getitem__)
        # Nor beside tickets.
        both = replace(
            upload.manifest,
            n_record_chunks=1,
            chunk_sha256=(chunks[0].digest(), *upload.manifest.chunk_sha256),
        )
        with pytest.raises(MalformedMessageError, match="takes tickets, and no codes"):
            client.upload(upload.job_id, both, [chunks[0], *upload.chunks].__getitem__)
        assert client.job(upload.job_id).missing == ("dukcapil", "imigrasi")
        client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__)


def test_a_job_of_one_round_takes_no_tickets(new_service: Callable[..., Service]) -> None:
    service = new_service(dukcapil=people(20), imigrasi=people(20))
    with service.running():
        upload = Upload(service, "dukcapil", service.request("dukcapil"))
        codes = upload.manifest.codes
        n = codes.block_entries
        for n_record_chunks in (0, upload.manifest.n_record_chunks):
            first = upload.chunks[:n_record_chunks]
            rows = bytes(codes.block_bytes + MARK_BYTES)
            chunks = [*first, *[Chunk(tokens=rows)] * n]
            manifest = replace(
                upload.manifest,
                n_record_chunks=n_record_chunks,
                n_tickets=(1,) * n,
                chunk_sha256=tuple(chunk.digest() for chunk in chunks),
            )
            with (
                service.client("dukcapil") as client,
                pytest.raises(MalformedMessageError, match="takes codes, and no tickets"),
            ):
                client.upload(upload.job_id, manifest, chunks.__getitem__)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: replace(m, n_tickets=m.n_tickets[:-1]), "as many chunks|number of tickets"),
        (lambda m: replace(m, n_tickets=(*m.n_tickets, 1)), "as many chunks|number of tickets"),
        (lambda m: replace(m, n_tickets=()), "as many chunks|number of tickets"),
        (
            lambda m: replace(m, n_tickets=(m.n_records * 3 + 1, *m.n_tickets[1:])),
            "more tickets than its records have",
        ),
        (lambda m: replace(m, n_tickets=(2**63, *m.n_tickets[1:])), "as many chunks"),
        (lambda m: replace(m, chunk_sha256=m.chunk_sha256[:-1]), "as many chunks"),
        (
            lambda m: replace(m, chunk_sha256=(*m.chunk_sha256, bytes(32))),
            "as many chunks",
        ),
    ],
    ids=[
        "an entry less",
        "more",
        "none told",
        "too many",
        "far too many",
        "chunk less",
        "more chunks",
    ],
)
def test_a_manifest_of_tickets_that_contradicts_the_job_is_refused(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Manifest], Manifest],
    text: str,
) -> None:
    upload = Upload(service, "dukcapil", service.request("dukcapil"))
    with service.client("dukcapil") as client:
        with monkeypatch.context() as patch:
            # No proper client can sign for some of these numbers.
            patch.setattr(Manifest, "digest", lambda _manifest: bytes(32))
            with pytest.raises(MalformedMessageError, match=text):
                client.upload(upload.job_id, change(upload.manifest), upload.chunks.__getitem__)
        client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__)


@pytest.mark.parametrize(
    "broken",
    [
        lambda c: replace(c, tokens=c.tokens[:-1]),
        lambda c: replace(c, tokens=c.tokens[: -TOKEN_BYTES - MARK_BYTES]),
        lambda c: replace(c, tokens=c.tokens + c.tokens[: TOKEN_BYTES + MARK_BYTES]),
        lambda c: replace(c, tokens=bytes([c.tokens[0] ^ 1]) + c.tokens[1:]),
        lambda c: replace(c, references=bytes(16)),
        lambda c: Chunk(codes=c.tokens),
        lambda _: Chunk(),
    ],
    ids=["cut", "ticket less", "ticket more", "bit flipped", "a reference", "as codes", "empty"],
)
def test_a_broken_chunk_of_tickets_is_refused_and_what_came_before_stays(
    service: Service, broken: Callable[[Chunk], Chunk]
) -> None:
    upload = Upload(service, "dukcapil", service.request("dukcapil"))
    with service.client("dukcapil") as client:
        with pytest.raises(MalformedMessageError, match="chunk 2"):
            client.upload(
                upload.job_id,
                upload.manifest,
                lambda i: broken(upload.chunks[i]) if i == 2 else upload.chunks[i],
            )
        sent: list[int] = []
        client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__, sent.append)
    assert sent == list(range(2, upload.last + 1))


def test_more_pairs_than_the_matcher_takes_end_the_job_with_what_to_do(stopped: Service) -> None:
    service = stopped
    config = service.site.root / "matcher" / "matcher.toml"
    config.write_text("max_candidates = 10\n" + config.read_text())
    with service.running():
        job_id = service.request("dukcapil")
        upload_for_all(service, job_id)
        job = last_state(service, job_id)
    assert (job.state, job.reason_code) == (JobState.FAILED, "TOO_MANY_CANDIDATES")
    assert "entries that tell more" in job.reason


def test_tickets_that_stand_twice_and_random_ones_meet_nothing_and_do_no_harm(
    service: Service,
) -> None:
    # An owner that breaks the rules spoils its own result at most.
    job_id = service.request("dukcapil")
    upload_for(service, "dukcapil", job_id)
    honest = Upload(service, "imigrasi", job_id)
    width = honest.manifest.row_bytes
    rng = np.random.default_rng(1)
    chunks = []
    for number, chunk in enumerate(honest.chunks):
        n = len(chunk.tokens) // width
        rows = chunk.tokens[:width] * n if number % 2 else rng.bytes(len(chunk.tokens))
        chunks.append(Chunk(tokens=rows))
    manifest = replace(honest.manifest, chunk_sha256=tuple(c.digest() for c in chunks))
    with service.client("imigrasi") as client:
        client.upload(job_id, manifest, chunks.__getitem__)
    until(service, job_id, JobState.REFINING)
    answer_as(service, "dukcapil", job_id)
    # Its own agent does not know the tickets that it is asked about.
    with pytest.raises(DeniedError, match="FOREIGN_TICKET"):
        answer_as(service, "imigrasi", job_id)
    with service.client("dukcapil") as client:
        client.cancel(job_id)


# What the matcher holds


class Seen:
    """All that a matcher gets and asks in a job."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.uploads: list[Chunk] = []
        self.asked: dict[tuple[str, str, QuestionKind, int], bytes] = {}
        self.answers: dict[tuple[str, str, QuestionKind, int], bytes] = {}
        put, questions, answer = Batches.put_chunk, Refinements.questions, Refinements.answer

        def put_chunk(own: Batches, party: str, batch_id: str, index: int, chunk: Chunk) -> int:
            self.uploads.append(chunk)
            return put(own, party, batch_id, index, chunk)

        def ask(own: Refinements, who: Identity, job_id: str) -> Iterator[Question]:
            for q in questions(own, who, job_id):
                self.asked[who.party, q.counterpart, q.kind, q.index] = q.tickets + q.shares
                yield q

        def take(
            own: Refinements,
            who: Identity,
            job_id: str,
            counterpart: str,
            kind: QuestionKind,
            index: int,
            content: bytes,
        ) -> None:
            self.answers[who.party, counterpart, kind, index] = content
            answer(own, who, job_id, counterpart, kind, index, content)

        monkeypatch.setattr(Batches, "put_chunk", put_chunk)
        monkeypatch.setattr(Refinements, "questions", ask)
        monkeypatch.setattr(Refinements, "answer", take)

    def opened(self, left: str, right: str) -> Opened:
        """The pairs that open of two parties of a job, of which no one is told R2."""
        ours, theirs = (
            [
                PLAIN.rows(rows)
                for (*of, kind, _), rows in sorted(
                    self.answers.items(), key=lambda item: item[0][3]
                )
                if kind is NAMES and of == [one, other]
            ]
            for one, other in ((left, right), (right, left))
        )
        return open_pairs(ours, theirs, PLAIN)


def test_the_matcher_has_no_reference_but_those_of_named_records_in_no_order_of_its_own(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)
    parties = {
        "dukcapil": people(300), "imigrasi": people(250, skip=100), "kemenlu": people(90, skip=40)
    }  # fmt: skip
    service = new_service(TWO_ROUNDS, **parties)
    with service.running():
        job_id = service.request("dukcapil")
        job = service.run_all(job_id)["dukcapil"].job
    every = {party: own_references(service, party) for party in service.site.parties}
    whole = [reference for of_party in every.values() for reference in of_party]
    content = [chunk.to_bytes() for chunk in seen.uploads]
    assert all(
        not chunk.references and not chunk.codes and not chunk.exact for chunk in seen.uploads
    )
    content += seen.asked.values()
    content += [rows for (_, _, kind, _), rows in seen.answers.items() if kind is FIELDS]
    together = b"|".join(content)
    assert not [reference for reference in whole if reference in together]
    # Nor is one in the rows, but where two shares open it.
    rows = b"|".join(rows for (_, _, kind, _), rows in seen.answers.items() if kind is NAMES)
    assert not [reference for reference in whole if reference in rows]
    n_opened = 0
    for party, other in itertools.combinations(job.spec.parties, 2):
        opened = seen.opened(party, other)
        n_opened += len(opened)
        for left, right in zip(opened.left, opened.right, strict=True):
            ours = every[party].index(left.tobytes())
            theirs = every[other].index(right.tobytes())
            assert parties[party][ours]["record_id"] == parties[other][theirs]["record_id"]
    assert n_opened >= 200 + 90


def test_records_below_the_threshold_are_not_named(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)
    service = new_service(TWO_ROUNDS, dukcapil=people(300), imigrasi=people(300, skip=250))
    with service.running():
        job_id = service.request("dukcapil")
        assert persons_linked(service.run_all(job_id), "dukcapil", "imigrasi") == shared(250, 300)
    opened = seen.opened("dukcapil", "imigrasi")
    ours = own_references(service, "dukcapil")
    assert {reference.tobytes() for reference in opened.left} == set(ours[250:])


# What a hostile reader found


@pytest.mark.usefixtures("small_chunks")
def test_parties_of_very_unlike_sizes_come_through(new_service: Callable[..., Service]) -> None:
    # Most chunks of the small party's questions hold no pair of it.
    service = new_service(TWO_ROUNDS, dukcapil=people(2), imigrasi=people(200))
    with service.running():
        outcomes = service.run_all(service.request("dukcapil"))
    # What two records can teach a model is chance; that both are answered for is not.
    assert {outcome.job.state for outcome in outcomes.values()} == {JobState.RELEASED}
    assert persons_linked(outcomes, "dukcapil", "imigrasi") <= shared(0, 2)


def test_a_matcher_that_answers_with_another_job_is_not_believed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = service.request("dukcapil"), service.request("dukcapil")
    with service.client("dukcapil") as client:
        other = client._jobs.GetJob(job_pb2.GetJobRequest(job_id=second))
        monkeypatch.setattr(client._jobs, "GetJob", lambda *_args, **_kwargs: other)
        with pytest.raises(MalformedMessageError, match="another job"):
            client.job(first)
        assert client.cancel(second).state is JobState.CANCELLED
        assert client.cancel(first).state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("swapped", "text"),
    [
        (lambda own: np.repeat(own[:1], len(own), axis=0), "names a record for more tickets"),
        (lambda own: np.random.default_rng().integers(0, 256, own.shape), "names more records"),
    ],
    ids=["one for all", "a fresh one for each ticket"],
)
def test_references_that_cannot_be_an_owners_records_end_the_job_by_its_name(
    new_service: Callable[..., Service],
    monkeypatch: pytest.MonkeyPatch,
    swapped: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    text: str,
) -> None:
    plain = NameKeys.rows

    def named(self: NameKeys, side: str, tags: Any, shares: Any, own: Any) -> Any:
        given = swapped(own).astype(np.uint8) if side == "left" else own
        return plain(self, side, tags, shares, given)  # type: ignore[arg-type]

    monkeypatch.setattr(NameKeys, "rows", named)
    parties = dict.fromkeys(("dukcapil", "imigrasi", "kemenlu"), people(60))
    service = new_service(ONE_ENTRY, **parties)
    with service.running():
        job_id = service.request("dukcapil")
        with pytest.raises(JobStateError, match=text):
            service.run_all(job_id)
        with service.client("dukcapil") as client:
            job = client.job(job_id)
    assert (job.state, job.reason_code) == (JobState.FAILED, "NAMES_IMPOSSIBLE")
    assert "agent of dukcapil" in job.reason


def test_a_source_may_change_and_go_once_it_has_been_encoded(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(20), imigrasi=people(20))
    with service.running():
        job_id = asked(service)
        path = service.session("dukcapil").source.path
        lines = path.read_text("utf-8").splitlines()
        number, name, *rest = lines[1].split(",")
        lines[1] = ",".join([number, name + " Susilo", *rest])
        before = answers_to(service, "dukcapil", job_id, questions_to(service, "dukcapil", job_id))
        path.write_text("\n".join(lines) + "\n", "utf-8")
        after = answers_to(service, "dukcapil", job_id, questions_to(service, "dukcapil", job_id))
        path.unlink()
        assert before == after
        outcomes = service.run_all(job_id)
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(0, 20)


def test_records_are_not_answered_for_when_they_are_read_otherwise(
    new_service: Callable[..., Service],
) -> None:
    """Another value under the same one-time key could be compared with the first."""
    service = new_service(TWO_ROUNDS, dukcapil=people(20), imigrasi=people(20))
    with service.running():
        job_id = asked(service)
        session = service.session("dukcapil")
        values = {"tempat_lahir": dict.fromkeys(PLACES, "Ambon")}
        session.source = session.source.model_copy(update={"values": values})
        spool = Spool(session.store, job_id, FAR)
        with service.client("dukcapil") as client, pytest.raises(RecordError, match="otherwise"):
            Answerer(session, client.job(job_id), references_of(service, "dukcapil"), spool, TODAY)
