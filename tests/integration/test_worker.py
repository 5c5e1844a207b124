"""A matcher that stops in the middle of a job goes on where it was."""

import threading
from collections.abc import Callable

import pytest
from in_process import Service, links, people

from linkage.compare.candidates import Candidates
from linkage.engine import plan
from linkage.engine.local import run_task
from linkage.engine.plan import Task
from linkage.job import JobState
from linkage.matcher import worker


@pytest.fixture
def busy(new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose jobs have many small tasks."""
    monkeypatch.setattr(plan, "TASK_ROWS", 16)
    monkeypatch.setattr(plan, "TASK_COLUMNS", 64)
    return new_service(dukcapil=people(80), imigrasi=people(70, skip=20))


def upload_all(service: Service, job_id: str) -> None:
    """Upload for every party, and do not wait for the result."""
    from test_job import Upload

    for party in service.site.parties:
        upload = Upload(service, party, job_id)
        with service.client(party) as client:
            client.upload(job_id, upload.manifest, upload.chunks.__getitem__)


def test_a_job_stopped_while_comparing_repeats_no_finished_task(
    busy: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Task] = []
    reached = threading.Event()
    go_on = threading.Event()

    def slow(task: Task, *args: object) -> Candidates:
        first.append(task)
        if len(first) > 4:
            reached.set()
            go_on.wait(20)
        return run_task(task, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "run_task", slow)
    with busy.running():
        job_id = busy.request("dukcapil")
        upload_all(busy, job_id)
        assert reached.wait(20)
        with busy.client("dukcapil") as client:
            assert client.job(job_id).state is JobState.COMPARING
        # Let the tasks at hand end once the matcher has been told to stop.
        threading.Timer(0.5, go_on.set).start()
    second: list[Task] = []

    def counted(task: Task, *args: object) -> Candidates:
        second.append(task)
        return run_task(task, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "run_task", counted)
    with busy.running():
        outcome = busy.run_all(job_id)["dukcapil"]
    assert len(links(outcome)) == 60
    # All pairs, and once more those that share a token.
    listed = {task for task in (*first, *second) if task.columns is None}
    shared = sum(task.comparisons for task in listed)
    assert shared >= 60
    assert outcome.job.counts.comparisons_done == 80 * 70 + shared
    assert 0 < len(second) < len(plan.plan_all_pairs([80, 70])) + len(listed)


def test_a_job_cancelled_while_comparing_ends_soon(
    busy: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = threading.Event()
    ran: list[Task] = []

    def slow(task: Task, *args: object) -> Candidates:
        ran.append(task)
        started.set()
        threading.Event().wait(0.2)
        return run_task(task, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "run_task", slow)
    with busy.running():
        job_id = busy.request("dukcapil")
        upload_all(busy, job_id)
        assert started.wait(20)
        with busy.client("imigrasi") as client:
            assert client.cancel(job_id).state is JobState.CANCELLED
    assert len(ran) < len(plan.plan_all_pairs([80, 70]))


def test_too_many_candidates_fail_the_job_with_what_to_do(
    busy: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = busy.site.root / "matcher" / "matcher.toml"
    config.write_text("max_candidates = 10\n" + config.read_text())
    del monkeypatch
    with busy.running():
        job_id = busy.request("dukcapil")
        upload_all(busy, job_id)
        with busy.client("dukcapil") as client:
            for _ in client.watch(job_id):
                pass
            job = client.job(job_id)
    assert (job.state, job.reason_code) == (JobState.FAILED, "TOO_MANY_CANDIDATES")
    assert "raise the threshold" in job.reason


def test_a_job_too_large_for_all_pairs_compares_what_shares_a_token(busy: Service) -> None:
    config = busy.site.root / "matcher" / "matcher.toml"
    config.write_text("max_comparisons = 5000\n" + config.read_text())
    with busy.running():
        job_id = busy.request("dukcapil")
        upload_all(busy, job_id)
        outcome = busy.run_all(job_id)["dukcapil"]
    assert len(links(outcome)) == 60
    assert 60 <= outcome.job.counts.comparisons_done < 80 * 70


def test_a_job_too_large_even_for_blocks_is_refused_with_the_numbers(busy: Service) -> None:
    config = busy.site.root / "matcher" / "matcher.toml"
    config.write_text("max_comparisons = 10\n" + config.read_text())
    with busy.running():
        job_id = busy.request("dukcapil")
        upload_all(busy, job_id)
        with busy.client("dukcapil") as client:
            for _ in client.watch(job_id):
                pass
            job = client.job(job_id)
    assert (job.state, job.reason_code) == (JobState.FAILED, "TOO_MANY_COMPARISONS")
    assert "comparisons, also with blocks: this matcher makes 10" in job.reason
