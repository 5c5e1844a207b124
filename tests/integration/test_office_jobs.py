"""Jobs of an office: it asks for them and carries them through, and nobody else of its party."""

import csv
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from in_process import TWO_ROUNDS, Quiet, Service, links, people
from test_offices import OFFICE, open_office, remove, take_key

from linkage.agent.client import MatcherClient
from linkage.agent.config import AgentConfig
from linkage.agent.run import check_results, request_job, run_job
from linkage.agent.session import Session
from linkage.batch import Manifest, Question, QuestionKind
from linkage.cli import padan
from linkage.cli.agent import _waiting_jobs
from linkage.errors import DeniedError, NotFoundError
from linkage.job import Job, JobState
from linkage.rpc.channel import open_channel

PARTIES = ("imigrasi", "dukcapil")


@pytest.fixture(scope="module")
def service(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service whose agreement lets one office of imigrasi ask for jobs."""
    made = new_service(
        TWO_ROUNDS,
        offices={"imigrasi": ["tawau"]},
        dukcapil=people(40),
        imigrasi=people(20, skip=60),
    )
    with made.running():
        yield made


@pytest.fixture(scope="module")
def tawau(service: Service) -> AgentConfig:
    """The office that may, with records of its own."""
    return office_of(service, "tawau", people(25, skip=30))


@pytest.fixture(scope="module")
def kuching(service: Service) -> AgentConfig:
    """An office that the agreement does not name."""
    return office_of(service, "kuching", people(5))


def office_of(service: Service, name: str, rows: list[dict[str, str]]) -> AgentConfig:
    config = open_office(service, name, jobs_per_day=9)
    with (service.site.root / "agents" / name / "records.csv").open(
        "w", encoding="utf-8", newline=""
    ) as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    take_key(service, config, name)
    return config


@contextmanager
def agent(config: AgentConfig) -> Iterator[tuple[Session, MatcherClient]]:
    session = Session(config)
    with open_channel(config.matcher, session.tls) as channel:
        yield session, MatcherClient(channel, 5.0, session.requests)


def ask(config: AgentConfig) -> Job:
    with agent(config) as (session, client):
        return request_job(session, client, PARTIES, 600, "R3")


def until(config: AgentConfig, job_id: str, state: JobState) -> None:
    with agent(config) as (_, client):
        for progress in client.watch(job_id):
            if progress.state is state:
                return
        raise AssertionError(client.job(job_id))


def test_an_office_asks_for_a_job_and_carries_it_through(
    service: Service, tawau: AgentConfig
) -> None:
    job = ask(tawau)
    assert (job.requester, job.office) == ("imigrasi", "tawau")
    with ThreadPoolExecutor() as pool, agent(tawau) as (session, client):
        today = datetime.now(UTC).date()
        own = pool.submit(run_job, session, client, job.job_id, Quiet(), today)
        other = pool.submit(service.run, "dukcapil", job.job_id)
        until(tawau, job.job_id, JobState.AWAITING_COSIGNATURES)
        # The office cosigns nothing: without its head office's witness nothing is released.
        with service.client("imigrasi") as head:
            assert head.job(job.job_id).state is JobState.AWAITING_COSIGNATURES
            witness = service.session("imigrasi").witness
            witness.attend(head, job.job_id, lambda _: None)
        outcomes = own.result(), other.result()
    expected = {f"{number:05}" for number in range(30, 40)}
    assert [{row["record_id"] for row in links(outcome)} for outcome in outcomes] == [expected] * 2
    assert outcomes[0].path.is_relative_to(tawau.work)


def test_its_head_office_is_told_where_its_records_are_known(
    service: Service, tawau: AgentConfig
) -> None:
    heads = str(service.folder("imigrasi") / "agent.toml")
    offices = str(service.site.root / "agents" / "tawau" / "agent.toml")
    with service.client("imigrasi") as head, agent(tawau) as (session, client):
        service.session("imigrasi").mirror.update(head)
        session.mirror.update(client)
    told = [
        CliRunner().invoke(padan, ["agent", "trail", "--config", config, "--record", "00031"])
        for config in (heads, offices)
    ]
    assert [done.exit_code for done in told] == [0, 0]
    assert f"is known at {OFFICE}" in told[0].stderr
    assert f"asked for by {OFFICE}, with dukcapil" in told[1].stdout


def test_nobody_else_of_the_party_takes_part_in_it(
    service: Service, tawau: AgentConfig, kuching: AgentConfig
) -> None:
    job = ask(tawau)
    settings = service.folder("imigrasi") / "agent.toml"
    assert _waiting_jobs(settings) == []
    assert _waiting_jobs(service.site.root / "agents" / "tawau" / "agent.toml")[-1] == job.job_id
    with service.client("imigrasi") as head:
        # It sees what its office asked for.
        assert head.jobs()[0].job_id == job.job_id
        assert head.job(job.job_id).office == "tawau"
        with pytest.raises(DeniedError, match="office/imigrasi/tawau takes part in it"):
            run_job(
                service.session("imigrasi"), head, job.job_id, Quiet(), datetime.now(UTC).date()
            )
        assert_shut(head, job)
    with agent(kuching) as (_, client):
        assert client.jobs() == []
        for call in (client.job, client.cancel, lambda name: list(client.watch(name))):
            with pytest.raises(NotFoundError, match="no such job of yours"):
                call(job.job_id)
        assert_shut(client, job)
    # Nor does the office in what its head office asked for.
    mine = service.request("imigrasi")
    with agent(tawau) as (_, client):
        assert mine not in [one.job_id for one in client.jobs()]
        with pytest.raises(NotFoundError, match="no such job of yours"):
            client.job(mine)
    with service.client("imigrasi") as head:
        assert head.cancel(mine).state is JobState.CANCELLED
        # A head office may end what its office began.
        assert head.cancel(job.job_id).reason == "cancelled by imigrasi"


def assert_shut(client: MatcherClient, job: Job) -> None:
    """Check that a caller brings nothing into a job, and takes nothing out of it."""
    manifest = Manifest(job.spec.codes, 1, 0, (b"\0" * 32,), n_tickets=(1,))
    question = Question("dukcapil", QuestionKind.FIELDS, 0, b"", False)
    for work in (
        lambda: client.upload(job.job_id, manifest, lambda _: pytest.fail("nothing is sent")),
        lambda: list(client.questions(job.job_id)),
        lambda: client.answer(job.job_id, [(question, b"x")]),
        lambda: client.results(job.job_id),
    ):
        with pytest.raises(NotFoundError, match="no such job of yours"):
            work()


def test_the_agreement_says_which_offices_may_ask(kuching: AgentConfig) -> None:
    with pytest.raises(DeniedError, match="OFFICE_NOT_AGREED"):
        ask(kuching)


def test_agents_take_no_job_of_another_office_whatever_the_matcher_allowed(
    service: Service, tawau: AgentConfig
) -> None:
    job, agreement = ask(tawau), service.site.agreement
    check_results(agreement, job)
    for office, requester in (("kuching", "imigrasi"), ("tawau", "dukcapil"), ("tawau", "bin")):
        with pytest.raises(DeniedError, match="OFFICE_NOT_AGREED"):
            check_results(agreement, replace(job, office=office, requester=requester))


def test_agents_take_no_job_that_nobody_asked_for_whatever_the_matcher_tells(
    service: Service, tawau: AgentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, today = ask(tawau), datetime.now(UTC).date()
    other = replace(job, spec=replace(job.spec, collect_timeout_s=601))
    with service.client("dukcapil") as client:
        session = service.session("dukcapil")
        monkeypatch.setattr(client, "upload", lambda *_: pytest.fail("something is sent"))
        for told, why in ((other, "other terms"), (replace(job, job_id="0" * 32), "no request")):
            monkeypatch.setattr(client, "job", lambda _, told=told: told)
            with pytest.raises(DeniedError, match=f"NOT_ASKED.*{why}"):
                run_job(session, client, told.job_id, Quiet(), today)


def test_the_log_and_the_report_say_which_office_it_was(service: Service) -> None:
    service.site.cosign_log()
    service.site.fetch_bundle()
    checked = [str(service.site.bundle), "--trust", str(service.site.trust), "--json"]
    done = CliRunner().invoke(padan, ["audit", "replay", *checked])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(padan, ["audit", "report", *checked])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    (agreement,) = report["agreements"]
    assert agreement["requesters"] == {OFFICE: 4, "office/imigrasi/kuching": 1, "party/imigrasi": 1}
    first = report["jobs"][0]
    assert (first["requester"], first["records"]["imigrasi"]) == (OFFICE, 25)


def test_an_office_that_is_removed_ends_its_job_and_its_calls(
    service: Service, tawau: AgentConfig
) -> None:
    job, ended = ask(tawau), list[Exception]()

    def watch() -> None:
        try:
            with agent(tawau) as (_, client):
                for _ in client.watch(job.job_id):
                    watched.set()
        except DeniedError as error:
            ended.append(error)

    watched = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    watched.wait()
    remove(service)
    watcher.join()
    # Its call ends, as that of nobody, or with the job: whichever is looked at first.
    assert {str(error).partition(":")[0] for error in ended} <= {"NOT_ADMITTED"}
    with service.client("dukcapil") as client:
        last = [progress.state for progress in client.watch(job.job_id)][-1]
        assert last is JobState.CANCELLED
        assert client.job(job.job_id).reason_code == "NOT_ADMITTED"
    with pytest.raises(DeniedError, match="NOT_ADMITTED"):
        ask(tawau)
