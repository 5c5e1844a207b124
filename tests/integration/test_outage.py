"""Missions: a slow line, one that breaks, hours without one; what is kept meanwhile is sealed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from in_process import TWO_ROUNDS, Quiet, Service, people, person
from line import Line, line_to
from test_refine import persons_linked, shared

from linkage.agent import client as client_module
from linkage.agent.client import MatcherClient, Progress
from linkage.agent.run import Outcome, run_job
from linkage.errors import UnavailableError
from linkage.job import JobState
from linkage.rpc.channel import open_channel
from linkage.rpc.patience import Patience

N = 30
LONGEST_S = 100_000.0


class Watched(Quiet):
    """A reporter that does something at each stage, and counts what is sent."""

    def __init__(self, at: Callable[[str], None] = lambda _: None) -> None:
        self._at = at
        self.sent: list[int] = []
        self.away_for: list[float] = []

    def uploading(self, chunk: int, n_chunks: int) -> None:
        del n_chunks
        self.sent.append(chunk)
        self._at(f"uploading {chunk}")

    def answering(self, n_pairs: int) -> None:
        del n_pairs
        self._at("answering")

    def waiting(self, progress: Progress) -> None:
        self._at(progress.state.value)

    def away(self, away_s: float, pause_s: float, left_s: float) -> None:
        del pause_s, left_s
        self.away_for.append(away_s)


class Hours:
    """A clock that only pauses move on, an hour for each second, and what happens after some."""

    def __init__(self, after: int, then: Callable[[], None], longest_s: float = 1e9) -> None:
        self.now, self._left, self._then, self._longest_s = 0.0, after, then, longest_s

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += 3600 * seconds
        self._left -= 1
        if self._left == 0:
            self._then()
        time.sleep(0.05)  # gRPC opens a new connection on a clock of its own

    def patience(self) -> Patience:
        return Patience(self._longest_s, self.sleep, self.clock)


@pytest.fixture(scope="module")
def service(new_service: Callable[..., Service]) -> Iterator[Service]:
    made = new_service(TWO_ROUNDS, dukcapil=people(N), imigrasi=people(N))
    with made.running():
        yield made


@contextmanager
def mission(
    service: Service, job_id: str, line: Line, patience: Patience, reporter: Quiet
) -> Iterator[Future[Outcome]]:
    """Run one party over a line, the other one beside the matcher."""

    def run() -> Outcome:
        session = service.session("dukcapil")
        with open_channel(line.address, session.tls) as channel:
            client = MatcherClient(channel, patience, session.requests)
            return run_job(session, client, job_id, reporter, datetime.now(UTC).date())

    with ThreadPoolExecutor() as pool:
        other = pool.submit(service.run, "imigrasi", job_id)
        here = pool.submit(run)
        yield here
        try:
            both = {"dukcapil": here.result()}
        except BaseException:
            with service.client("imigrasi") as client:
                client.cancel(job_id)  # nobody waits for this party any more
            raise
        both["imigrasi"] = other.result()
    assert persons_linked(both, "dukcapil", "imigrasi") == shared(0, N)


def test_a_line_with_a_delay_of_600_ms_is_enough(service: Service) -> None:
    reporter = Watched()
    with line_to(service.site.address) as line:
        line.delay_s = 0.3  # there, and back again
        with mission(service, service.request("dukcapil"), line, Patience(60.0), reporter):
            pass
        assert line.n_connections == 1
    assert reporter.sent == sorted(set(reporter.sent))


@pytest.mark.parametrize("stage", ["uploading 0", "uploading 1", "answering", "naming"])
def test_a_line_that_is_cut_in_mid_message_is_gone_on_from_what_arrived(
    service: Service, stage: str
) -> None:
    cuts: list[str] = []
    with line_to(service.site.address) as line:

        def at(reached: str) -> None:
            if reached == stage and len(cuts) < 3:
                cuts.append(reached)
                line.cut_after(5_000)

        with mission(service, service.request("dukcapil"), line, Patience(60.0), Watched(at)):
            pass
        assert line.n_connections > 1
    assert cuts


@pytest.mark.parametrize("stage", ["uploading 1", "refining", "answering", "awaiting_cosignatures"])
def test_hours_without_a_line_are_waited_through_and_told(service: Service, stage: str) -> None:
    broken: list[str] = []
    with line_to(service.site.address) as line:
        hours = Hours(8, line.restore)

        def at(reached: str) -> None:
            if reached == stage and not broken:
                broken.append(reached)
                line.break_off()

        reporter = Watched(at)
        with mission(service, service.request("dukcapil"), line, hours.patience(), reporter):
            pass
    assert broken == [stage]
    assert max(reporter.away_for) > 3 * 3600


def test_a_line_that_goes_dark_without_a_word_is_noticed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_DEADLINE_S", 0.5)
    session, job_id = service.session("dukcapil"), service.request("dukcapil")
    with line_to(service.site.address) as line:
        hours = Hours(3, line.restore)
        with open_channel(line.address, session.tls) as channel:
            client = MatcherClient(channel, hours.patience(), session.requests)
            assert client.job(job_id).state is JobState.COLLECTING
            line.go_dark()
            assert client.job(job_id).state is JobState.COLLECTING
            assert hours.now > 0
            client.cancel(job_id)


def test_patience_ends_and_says_what_to_check(service: Service) -> None:
    session = service.session("dukcapil")
    with line_to(service.site.address) as line:
        line.break_off()
        hours = Hours(-1, line.restore, LONGEST_S)
        with open_channel(line.address, session.tls) as channel:
            client = MatcherClient(channel, hours.patience(), session.requests)
            with pytest.raises(UnavailableError, match="check its address"):
                client.jobs()
        assert hours.now >= LONGEST_S


def test_nothing_of_a_person_is_kept_in_the_clear_while_the_line_is_down(service: Service) -> None:
    """The spool holds the batch and the records that it was made of, both sealed."""
    found: list[bytes] = []
    folder = service.folder("dukcapil") / "work"
    with line_to(service.site.address) as line:
        hours = Hours(2, line.restore)

        def at(reached: str) -> None:
            if reached == "uploading 1" and not found:
                line.break_off()
                found.extend(p.read_bytes() for p in folder.rglob("*") if p.is_file())

        job_id = service.request("dukcapil")
        with mission(service, job_id, line, hours.patience(), Watched(at)):
            pass
    assert any(len(content) > 1000 for content in found)
    for number in range(N):
        for value in (person(number)["nama"], person(number)["nama"].upper()):
            assert not any(value.encode() in content for content in found)
    # The job is over: of it, only what it was is left.
    left = {p.name for p in (folder / "artefacts" / f"spool-{job_id}").iterdir()}
    assert left == {"manifest", "source"}
