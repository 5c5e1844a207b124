"""Incidents: the processor's report, the parties' clocks, their own records; and the stop."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from in_process import Service, people
from test_worker import upload_all

from linkage.cli import padan
from linkage.compare.candidates import Candidates
from linkage.engine.local import run_task
from linkage.engine.plan import Task
from linkage.job import JobState
from linkage.matcher import worker
from linkage.matcher.incidents import leave_report

A, B = "dukcapil", "imigrasi"
WHAT = "A disk with uploads was taken from the machine room; its keys are destroyed."


def run_padan(*words: str) -> Any:
    return CliRunner().invoke(padan, words)


def config_of(service: Service, party: str) -> tuple[str, str]:
    return "--config", str(service.folder(party) / "agent.toml")


def incident(service: Service, party: str, *words: str) -> Any:
    command, *others = words
    return run_padan("agent", "incident", command, *config_of(service, party), *others)


def by_processor(service: Service, known: datetime, *words: str, agreement: str = "") -> Any:
    return run_padan(
        "matcher", "incident",
        "--config", str(service.site.root / "matcher" / "matcher.toml"),
        "--agreement", agreement or service.site.agreement.id,
        "--known", known.isoformat(), "--what", WHAT, *words,
    )  # fmt: skip


def id_in(done: Any) -> str:
    """The id that a command printed first: the matcher of this process writes there, too."""
    return done.stdout.split()[0]


@pytest.fixture(scope="module")
def linked(new_service: Callable[..., Service]) -> Iterator[tuple[Service, str]]:
    """A running service, and a job that it has done."""
    service = new_service(**{A: people(40), B: people(40, skip=20)})
    with service.running():
        job_id = service.request(A)
        service.run_all(job_id)
        yield service, job_id


def test_the_processor_tells_the_parties_and_each_finds_its_own_records(
    linked: tuple[Service, str],
) -> None:
    service, job_id = linked
    now = datetime.now(UTC)
    done = by_processor(service, now - timedelta(hours=2), "--job", job_id)
    assert (done.exit_code, done.stderr.strip()) == (0, "in the log"), done.output
    name = id_in(done)
    listed = incident(service, B, "list", "--json")
    assert listed.exit_code == 0, listed.output
    (shown,) = [one for one in json.loads(listed.stdout) if one["incident"] == name]
    assert (shown["by"], shown["what"], shown["jobs"]) == ("matcher", WHAT, [job_id])
    assert shown["parties"].keys() == {A, B}
    # Without the matcher's help: what it needs is on this machine.
    found = incident(service, B, "affected", "--incident", name, "--json")
    assert json.loads(found.stdout)["records"] == [f"{n:05}" for n in range(20, 60)]
    assert json.loads(found.stdout)["jobs"] == [job_id]
    for did in ("subjects", "authority"):
        made = incident(
            service, B, "step", "--incident", name, "--did", did, "--text", "Surat 1/2026"
        )
        assert made.exit_code == 0, made.output
    (shown,) = json.loads(incident(service, A, "list", "--json").stdout)
    assert shown["parties"][B]["done"] is not None
    assert shown["parties"][A]["done"] is None


def test_a_party_that_knew_for_too_long_is_named_to_all_and_to_auditors(
    linked: tuple[Service, str], tmp_path: Path
) -> None:
    service, _ = linked
    known = datetime.now(UTC) - timedelta(hours=80)
    name = incident(
        service, A, "report", "--known", known.isoformat(), "--what", "A folder was copied."
    ).stdout.strip()
    listed = incident(service, B, "list", "--json")
    assert listed.exit_code == 1
    (shown,) = [one for one in json.loads(listed.stdout) if one["incident"] == name]
    assert shown["overdue"] == [A]
    # All jobs are concerned where none is named.
    out = tmp_path / "records.csv"
    incident(service, B, "affected", "--incident", name, "--out", str(out))
    assert len(out.read_text().splitlines()) == 41
    service.site.cosign_log()
    service.site.fetch_bundle()
    bundle, trust = str(service.site.bundle), str(service.site.trust)
    clocks = run_padan("audit", "clocks", bundle, "--trust", trust, "--json")
    late = [one for one in json.loads(clocks.stdout) if one["overdue"]]
    assert [(one["what"], one["party"], one["id"]) for one in late] == [("incident", A, name)]
    assert clocks.exit_code == 1
    assert "OVERDUE" in run_padan("audit", "clocks", bundle, "--trust", trust).stdout
    replayed = run_padan("audit", "replay", bundle, "--trust", trust, "--json")
    assert json.loads(replayed.stdout)["verdict"] == "OK"
    assert json.loads(replayed.stdout)["rejected"] == []


def test_a_report_that_does_not_count_is_kept_aside_with_a_word(
    linked: tuple[Service, str],
) -> None:
    service, _ = linked
    done = by_processor(service, datetime.now(UTC), agreement="PKS-0")
    assert done.exit_code == 1
    assert "refused" in done.stderr
    folder = service.site.root / "matcher" / "data" / "incidents"
    assert [path.name for path in folder.iterdir()] == [f"{id_in(done)}.refused"]


def test_what_cannot_be_read_holds_up_no_report(linked: tuple[Service, str]) -> None:
    service, _ = linked
    folder = service.site.root / "matcher" / "data" / "incidents"
    (folder / "0.json").mkdir(parents=True)
    done = by_processor(service, datetime.now(UTC))
    assert (done.exit_code, done.stderr.strip()) == (0, "in the log"), done.output
    (folder / "0.json").rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_report_that_root_leaves_is_the_matchers(tmp_path: Path) -> None:
    os.chown(tmp_path, 65_534, 65_534)
    path = leave_report(
        tmp_path, "padan.test/log", "PKS-1", datetime(2026, 11, 22, tzinfo=UTC), (), WHAT
    )
    assert {(p.stat().st_uid, p.stat().st_gid) for p in (path, path.parent)} == {(65_534, 65_534)}


def test_a_matcher_that_does_not_run_reports_when_it_starts(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(**{A: people(5), B: people(5)})
    with service.running():
        pass
    done = by_processor(service, datetime.now(UTC) - timedelta(hours=1), "--wait", "0")
    assert done.stderr.strip() == "it waits for the matcher to run"
    folder = service.site.root / "matcher" / "data" / "incidents"
    with service.running():
        for _ in range(600):
            if not list(folder.iterdir()):
                break
            time.sleep(0.05)
        (shown,) = json.loads(incident(service, A, "list", "--json").stdout)
    assert shown["incident"] == id_in(done)


def test_one_command_of_one_party_stops_the_agreement_and_a_job_that_is_comparing(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = new_service(**{A: people(40), B: people(40, skip=20)})
    reached, go_on = threading.Event(), threading.Event()

    def slow(task: Task, *args: object) -> Candidates:
        reached.set()
        go_on.wait(30)
        return run_task(task, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "run_task", slow)
    with service.running():
        job_id = service.request(A)
        upload_all(service, job_id)
        assert reached.wait(30)
        done = run_padan("agent", "stop", *config_of(service, B), "--reason", "key stolen")
        assert done.exit_code == 0, done.output
        with service.client(A) as client:
            for _ in range(600):
                if client.job(job_id).state.final:
                    break
                time.sleep(0.05)
            # While its task still runs: nothing is waited for.
            assert client.job(job_id).state is JobState.CANCELLED
        again = run_padan("agent", "stop", *config_of(service, B), "--reason", "again")
        assert again.exit_code == 1
        go_on.set()
