"""The second round of a job: the right links, restarts anywhere, and what both sides refuse."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from in_process import TWO_ROUNDS, Service, links, people
from refining import (
    FAR,
    TODAY,
    Matcher,
    answer_now,
    answerer_of,
    answers_to,
    asked,
    numbers,
    questions_to,
    references_in,
    references_of,
    until,
    upload_for_all,
    wait_for,
)
from test_job import last_state

from linkage.agent import refine
from linkage.agent.client import MatcherClient
from linkage.agent.refine import Answerer, answer_all
from linkage.agent.run import Outcome
from linkage.agent.spool import Spool
from linkage.batch import Question
from linkage.errors import (
    DeniedError,
    JobStateError,
    MalformedMessageError,
    NotFoundError,
    RecordError,
    UnavailableError,
)
from linkage.fieldrow import FILTER_BYTES, row_bytes
from linkage.job import DRAWN_PER_RECORD, JobState
from linkage.matcher import refinements, worker
from linkage.rpc.channel import open_channel
from linkage.v1 import job_pb2, log_pb2, log_pb2_grpc

N_ATTRIBUTES = 3
ROW = row_bytes(N_ATTRIBUTES)
FIRST_SHARE = FILTER_BYTES * N_ATTRIBUTES


@pytest.fixture(scope="module")
def service(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service of two parties that share 60 of 80 and 70 persons."""
    made = new_service(TWO_ROUNDS, dukcapil=people(80), imigrasi=people(70, skip=20))
    with made.running():
        yield made


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions of a few pairs each, so that a round has many."""
    monkeypatch.setattr(refinements, "_MOST_PAIRS", 100)


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


# What comes of it


def test_two_parties_get_the_right_links(service: Service) -> None:
    outcomes = service.run_all(service.request("dukcapil"))
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


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


def test_with_exact_tokens_among_the_attributes_the_right_pairs_are_linked(
    new_service: Callable[..., Service],
) -> None:
    def numbered(n: int, skip: int = 0) -> list[dict[str, str]]:
        rows = people(n, skip)
        return [row | {"nik": f"0001010101900{int(row['record_id']):03}"} for row in rows]

    ours, theirs = numbered(80), numbered(70, skip=20)
    for number, row in enumerate(theirs):
        if number % 5 == 0:
            row["nik"] = ""  # missing: the token is noise
        if number % 5 == 1:
            row["tempat_lahir"] = ""
    schema = TWO_ROUNDS + '[exact]\nnames = ["nik"]\n'
    service = new_service(schema, dukcapil=ours, imigrasi=theirs)
    with service.running():
        job_id = service.request("dukcapil")
        outcomes = service.run_all(job_id)
    job = outcomes["dukcapil"].job
    assert job.spec.refinement is not None
    assert job.spec.refinement.exact_types == ("nik",)
    assert job.spec.refinement.types == ("name", "date", "place")  # no filter for a number
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


# What is asked


@pytest.mark.usefixtures("small_chunks")
def test_every_record_is_asked_about_equally_often(new_service: Callable[..., Service]) -> None:
    service = new_service(
        TWO_ROUNDS, dukcapil=people(50), imigrasi=people(40, skip=5), kemenlu=people(45, skip=30)
    )
    with service.running():
        job_id = asked(service)
        for party in service.site.parties:
            others = [p for p in service.site.parties if p != party]
            records = {"dukcapil": 50, "imigrasi": 40, "kemenlu": 45}[party]
            times: dict[str, Counter[bytes]] = {other: Counter() for other in others}
            places: dict[str, list[int]] = {other: [] for other in others}
            last = dict.fromkeys(others, -1)
            for question in questions_to(service, party, job_id):
                assert not question.answered
                times[question.counterpart].update(references_in(question))
                places[question.counterpart].append(question.index)
                pairs = numbers(question).tolist()
                assert pairs == sorted(set(pairs))
                assert pairs[0] > last[question.counterpart]
                last[question.counterpart] = pairs[-1]
            own = references_of(service, party).of(
                [row["record_id"] for row in service.site._data.parties[party].rows]
            )
            for other in others:
                assert len(times[other]) == records
                assert set(times[other].values()) == {10 + DRAWN_PER_RECORD}
                assert set(times[other]) == {own[i : i + 16] for i in range(0, len(own), 16)}
                assert places[other] == list(range(len(places[other])))
                assert len(places[other]) > 3


def test_without_decoys_no_record_is_asked_about_more_often(
    new_service: Callable[..., Service],
) -> None:
    schema = TWO_ROUNDS.replace("rounds = 2", "rounds = 2\ndecoys = false\ncandidates = 3")
    service = new_service(schema, dukcapil=people(50), imigrasi=people(40, skip=5))
    with service.running():
        job_id = asked(service)
        both = [questions_to(service, party, job_id) for party in service.site.parties]
        # Without decoys every pair has an owner on either side, under one number.
        assert [numbers(q).tolist() for q in both[0]] == [numbers(q).tolist() for q in both[1]]
        for questions in both:
            times = Counter(r for question in questions for r in references_in(question))
            assert max(times.values()) <= 3 + DRAWN_PER_RECORD
        outcomes = service.run_all(job_id)
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(5, 45)


def test_how_much_is_asked_is_in_the_log_before_it_is_asked(service: Service) -> None:
    job_id = asked(service)
    with open_channel(service.site.address, service.session("imigrasi").tls) as channel:
        stub = log_pb2_grpc.LogServiceStub(channel)
        size = int(stub.GetCheckpoint(log_pb2.GetCheckpointRequest()).checkpoint.split(b"\n")[1])
        entries = list(stub.GetEntries(log_pb2.GetEntriesRequest(start=0, end=size)))
    (body,) = [e.body for e in entries if job_id.encode() in e.body and b'"asked"' in e.body]
    assert f'"pairs":{12 * 80}'.encode() in body
    assert f'"pairs":{12 * 70}'.encode() in body


def test_a_party_that_does_not_answer_ends_the_job_by_its_name(service: Service) -> None:
    job_id = asked(service, timeout_s=900)
    with service.client("dukcapil") as client:
        answerer = answerer_of(service, "dukcapil", client.job(job_id))
        answer_all(client, job_id, answerer, lambda _: None)
        waiting = next(iter(client.watch(job_id)))
        assert (waiting.state, waiting.waiting_for) == (JobState.REFINING, ("imigrasi",))
        assert (waiting.done, waiting.total) == (1, 2)
    # The parties have as long to answer as they had to upload.
    service.now += 901
    try:
        job = last_state(service, job_id)
    finally:
        service.now -= 901
    assert (job.state, job.reason_code) == (JobState.EXPIRED, "ANSWER_MISSING")
    assert "imigrasi" in job.reason
    assert "dukcapil" not in job.reason
    with pytest.raises(JobStateError, match="imigrasi"):
        service.run("imigrasi", job_id)


# Restarts


@pytest.mark.usefixtures("small_chunks")
def test_a_matcher_restarted_while_it_asks_keeps_questions_and_answers(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(80), imigrasi=people(70, skip=20))
    with service.running():
        job_id = asked(service)
        before = {p: questions_to(service, p, job_id) for p in service.site.parties}
        some = answers_to(service, "dukcapil", job_id, before["dukcapil"][:3])
        with service.client("dukcapil") as client:
            answer_now(client, job_id, some)
    with service.running():
        with service.client("dukcapil") as client:
            assert client.job(job_id).state is JobState.REFINING
        after = {p: questions_to(service, p, job_id) for p in service.site.parties}
        assert after["imigrasi"] == before["imigrasi"]
        assert after["dukcapil"] == [
            replace(question, answered=number < 3)
            for number, question in enumerate(before["dukcapil"])
        ]
        outcomes = service.run_all(job_id)
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


def test_a_matcher_restarted_while_it_solves_asks_nothing_again(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(80), imigrasi=people(70, skip=20))

    def stuck(*_: object) -> None:
        raise UnavailableError("the disk is away")

    with service.running(), monkeypatch.context() as patch:
        patch.setattr(worker.Worker, "_refined", stuck)
        job_id = asked(service)
        for party in service.site.parties:
            with service.client(party) as client:
                answerer = answerer_of(service, party, client.job(job_id))
                answer_all(client, job_id, answerer, lambda _: None)
        until(service, job_id, JobState.SOLVING)
    compared: list[object] = []
    monkeypatch.setattr(worker, "find_candidates", lambda *args: compared.append(args))
    with service.running():
        outcomes = service.run_all(job_id)
    assert compared == []
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


def test_a_matcher_stopped_before_it_asked_chooses_the_pairs_once_more(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(80), imigrasi=people(70, skip=20))
    reached = threading.Event()

    def stuck(*_: object, **__: object) -> None:
        reached.set()
        raise UnavailableError("the disk is away")

    with service.running(), monkeypatch.context() as patch:
        patch.setattr(worker, "select_pairs", stuck)
        job_id = service.request("dukcapil")
        upload_for_all(service, job_id)
        assert reached.wait(60)
    with service.running():
        outcomes = service.run_all(job_id)
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


class Sent:
    """Watches what an agent sends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: list[list[tuple[str, int, bytes]]] = []
        plain = MatcherClient.answer

        def answer(
            client: MatcherClient, job_id: str, rows: Iterable[tuple[Question, bytes]]
        ) -> None:
            sent: list[tuple[str, int, bytes]] = []
            self.runs.append(sent)

            def watched() -> Iterator[tuple[Question, bytes]]:
                for question, content in rows:
                    sent.append((question.counterpart, question.index, content))
                    yield question, content

            plain(client, job_id, watched())

        monkeypatch.setattr(MatcherClient, "answer", answer)


@pytest.mark.usefixtures("small_chunks")
def test_an_agent_stopped_in_mid_answer_goes_on_and_sends_nothing_else_in_a_place(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = asked(service)
    sent = Sent(monkeypatch)
    plain = Answerer.rows
    answered: list[Question] = []

    def stops_at_five(self: Answerer, question: Question) -> bytes:
        if len(answered) == 5:
            raise MemoryError
        answered.append(question)
        return plain(self, question)

    with monkeypatch.context() as patch:
        patch.setattr(Answerer, "rows", stops_at_five)
        with pytest.raises(MemoryError):
            service.run("dukcapil", job_id)
    outcomes = service.run_all(job_id)
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)
    first, *others = [run for run in sent.runs if run and run[0][0] == "imigrasi"]
    assert [index for _, index, _ in first] == list(range(5))
    (second,) = others
    # What the matcher has is sent no more; of the rest it may have lost what came last.
    assert second[0][1] in range(6)
    assert [index for _, index, _ in second] == list(range(second[0][1], second[-1][1] + 1))
    content = {index: rows for _, index, rows in first}
    assert all(content.get(index, rows) == rows for _, index, rows in second)
    assert len({rows for _, _, rows in (*first, *second)}) == second[-1][1] + 1


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
    outcomes = service.run_all(service.request("dukcapil"))
    assert len(lost) == 3
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


def test_an_agent_whose_last_answer_arrived_before_the_line_broke_goes_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = MatcherClient.answer
    lost: list[str] = []

    def breaks(self: MatcherClient, job_id: str, rows: Iterable[tuple[Question, bytes]]) -> None:
        plain(self, job_id, rows)
        if len(lost) < 2:
            lost.append(job_id)
            raise UnavailableError("the line broke")

    monkeypatch.setattr(MatcherClient, "answer", breaks)
    outcomes = service.run_all(service.request("dukcapil"))
    assert len(lost) == 2
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


@pytest.mark.usefixtures("small_chunks")
def test_answers_that_arrive_twice_at_once_count_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = asked(service)
    questions = questions_to(service, "dukcapil", job_id)
    rows = answers_to(service, "dukcapil", job_id, questions)
    plain = refinements._check_rows
    nested: list[bytes] = []

    def overtaken(content: bytes, *args: object) -> None:
        if not nested:
            nested.append(content)
            with service.client("dukcapil") as other:
                answer_now(other, job_id, rows[:2])
        plain(content, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(refinements, "_check_rows", overtaken)
    with service.client("dukcapil") as client:
        # While the first answer is looked at, another line brings it and the next one.
        answer_now(client, job_id, [rows[0], *rows[2:]])
        assert all(q.answered for q in client.questions(job_id))


def test_an_agent_in_mid_answer_outlives_a_restart_of_the_matcher(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refinements, "_MOST_PAIRS", 100)
    service = new_service(TWO_ROUNDS, dukcapil=people(80), imigrasi=people(70, skip=20))
    service.patience_s = 60.0
    plain, reached, restarted = Answerer.rows, threading.Event(), threading.Event()

    def slow(self: Answerer, question: Question) -> bytes:
        if question.index == 4 and question.counterpart == "imigrasi":
            reached.set()
            assert restarted.wait(60)
        return plain(self, question)

    monkeypatch.setattr(Answerer, "rows", slow)
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
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


def test_an_agent_that_answers_last_is_not_confused_by_older_progress(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While it answers, the other party's end becomes known: by then it is asked no more.
    job_id = service.request("dukcapil")
    plain = refine.answer_all
    answers: list[str] = []

    def last(client: MatcherClient, job: str, answerer: Answerer, *args: object) -> None:
        party = answerer._session.config.party
        if party == "dukcapil":
            wait_for(lambda: answers == ["imigrasi"])
            threading.Event().wait(0.6)  # so that the matcher's watch has seen it
        plain(client, job, answerer, *args)  # type: ignore[arg-type]
        answers.append(party)

    monkeypatch.setattr("linkage.agent.run.answer_all", last)
    outcomes = service.run_all(job_id)
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)
    assert answers == ["imigrasi", "dukcapil"]


# What an agent refuses


@pytest.fixture
def matcher(service: Service) -> Matcher:
    return Matcher(service)


def test_an_agent_answers_each_question_alike_again_and_again(matcher: Matcher) -> None:
    first = matcher.ask(0, [0, 3, 7], [1, 2, 1])
    second = matcher.ask(1, [8, 9], [5, 1])
    assert (len(first), len(second)) == (3 * ROW, 2 * ROW)
    assert matcher.ask(0, [0, 3, 7], [1, 2, 1]) == first
    matcher.agent = matcher.restarted()
    assert matcher.ask(0, [0, 3, 7], [1, 2, 1]) == first
    assert matcher.ask(1, [8, 9], [5, 1]) == second
    assert matcher.ask(2, [10], [3])
    # The same record under another number has another filter.
    assert first[:ROW] != first[2 * ROW :]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("pairs", "records"),
    [([0, 3], [1, 4]), ([0, 4], [1, 2]), ([0, 3], [2, 1]), ([0], [1]), ([0, 3, 5], [1, 2, 3])],
    ids=["other record", "other number", "swapped", "less", "more"],
)
def test_an_agent_takes_no_other_question_in_the_same_place(
    matcher: Matcher, restart: bool, pairs: list[int], records: list[int]
) -> None:
    matcher.ask(0, [0, 3], [1, 2])
    if restart:
        matcher.agent = matcher.restarted()
    with pytest.raises(DeniedError, match="PAIR_ASKED_TWICE"):
        matcher.ask(0, pairs, records)


@pytest.mark.parametrize("pairs", [[1, 0], [0, 0], [0, 2, 1], [5, 7, 7]])
def test_an_agent_takes_no_numbers_that_do_not_rise(matcher: Matcher, pairs: list[int]) -> None:
    with pytest.raises(DeniedError, match="PAIR_ASKED_TWICE"):
        matcher.ask(0, pairs, list(range(len(pairs))))


@pytest.mark.parametrize(("index", "pair"), [(1, 7), (1, 6), (1, 0), (2, 8), (5, 9)])
def test_an_agent_takes_no_number_again_and_leaves_no_place_out(
    matcher: Matcher, index: int, pair: int
) -> None:
    matcher.ask(0, [0, 7], [1, 2])
    with pytest.raises(DeniedError, match="PAIR_ASKED_TWICE"):
        matcher.ask(index, [pair], [3])
    assert matcher.ask(1, [8], [3])  # in its turn


def test_an_agent_begins_with_the_first_place(matcher: Matcher) -> None:
    with pytest.raises(DeniedError, match="PAIR_ASKED_TWICE"):
        matcher.ask(1, [8], [3])


def test_an_agent_answers_no_more_pairs_of_a_record_than_agreed(matcher: Matcher) -> None:
    most = 10 + DRAWN_PER_RECORD
    with pytest.raises(DeniedError, match=f"TOO_MANY_PAIRS.*more than {most} times"):
        matcher.ask(0, list(range(most + 1)), [4] * (most + 1))
    # Over several questions, too.
    matcher.ask(0, list(range(most)), [5] * most)
    matcher.ask(1, [20, 21], [6, 7])
    with pytest.raises(DeniedError, match="TOO_MANY_PAIRS"):
        matcher.ask(2, [30], [5])
    # And after a restart, or a stream that was begun again.
    matcher.agent = matcher.restarted()
    for _ in range(2):
        matcher.ask(0, list(range(most)), [5] * most)
        matcher.ask(1, [20, 21], [6, 7])
        with pytest.raises(DeniedError, match="TOO_MANY_PAIRS"):
            matcher.ask(2, [30], [5])


def test_an_agent_answers_for_its_own_records_only(matcher: Matcher) -> None:
    question = matcher.question(0, [0, 1], [1, 2])
    for strange in (bytes(16), b"\xff" * 16):
        with pytest.raises(RecordError, match="not in the source"):
            matcher.agent.rows(replace(question, references=question.references[:16] + strange))
    assert matcher.agent.rows(question)


@pytest.mark.parametrize("who", ["kemenlu", "dukcapil", ""])
def test_an_agent_answers_about_pairs_with_another_party_of_the_job(
    matcher: Matcher, who: str
) -> None:
    with pytest.raises(DeniedError, match="NOT_A_PARTY"):
        matcher.ask(0, [0], [1], who)


def test_two_runs_of_an_agent_at_once_take_one_question_in_a_place(matcher: Matcher) -> None:
    other = matcher.restarted()
    matcher.ask(0, [0, 3], [1, 2])
    with pytest.raises(DeniedError, match="PAIR_ASKED_TWICE"):
        other.rows(matcher.question(0, [0, 3], [1, 4]))


def test_a_matcher_that_asks_too_much_over_the_line_is_refused_by_name(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = refinements.Refinements.questions

    def greedy(self: refinements.Refinements, party: str, job_id: str) -> Iterator[Question]:
        for question in plain(self, party, job_id):
            one = question.references[:16]
            yield replace(question, references=one * len(references_in(question)))

    job_id = asked(service)
    with monkeypatch.context() as patch:
        patch.setattr(refinements.Refinements, "questions", greedy)
        with pytest.raises(DeniedError, match="TOO_MANY_PAIRS"):
            service.run("dukcapil", job_id)
    assert not [q for q in questions_to(service, "dukcapil", job_id) if q.answered]


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
        (another_popcount, "wrong number of set bits"),
        (lambda rows: b"\xff" * FILTER_BYTES + rows[FILTER_BYTES:], "wrong number of set bits"),
        (lambda rows: with_byte(rows, FIRST_SHARE, 4), "rarity class"),
        (lambda rows: with_byte(rows, len(rows) - 1, 255), "rarity class"),
    ],
    ids=["cut", "row less", "row more", "none", "bit flipped", "all bits", "class", "last class"],
)
def test_a_broken_answer_is_refused_to_its_sender_and_the_job_goes_on(
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
    outcomes = service.run_all(job_id)
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(20, 80)


def test_nothing_is_asked_or_answered_before_and_after_the_second_round(service: Service) -> None:
    question = Question("imigrasi", 0, bytes(4), bytes(16), False)
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
    question = Question("imigrasi", 0, bytes(4), bytes(16), False)
    with service.running():
        with service.client("dukcapil") as client:
            spec = client.job(service.request("dukcapil")).spec
            two = replace(spec, parties=("dukcapil", "imigrasi"))
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
        # Each owner sees its own records, and the name of the other party.
        for party, other in (("dukcapil", "imigrasi"), ("imigrasi", "dukcapil")):
            own = references_of(service, party).of([f"{n:05}" for n in range(20)])
            for asked_now in questions_to(service, party, job_id):
                assert asked_now.counterpart == other
                assert all(own.find(r) % 16 == 0 for r in references_in(asked_now))


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


def test_a_source_that_changed_since_it_was_encoded_is_not_answered_from(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(20), imigrasi=people(20))
    with service.running():
        job_id = asked(service)
        digest = Spool(service.session("dukcapil").store, job_id, FAR).source_digest()
        path = service.session("dukcapil").source.path
        lines = path.read_text("utf-8").splitlines()
        number, name, *rest = lines[1].split(",")
        lines[1] = ",".join([number, name + " Susilo", *rest])
        path.write_text("\n".join(lines) + "\n", "utf-8")
        session = service.session("dukcapil")
        with service.client("dukcapil") as client, pytest.raises(RecordError, match="has changed"):
            Answerer(session, client.job(job_id), references_of(service, "dukcapil"), digest, TODAY)
