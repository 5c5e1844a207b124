"""An agent that is killed at any stage goes on there, and sends one batch for a job."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from in_process import TWO_ROUNDS, Service, people
from refining import FAR
from test_refine import persons_linked, shared

from linkage.agent.spool import Spool

_PROGRAM = Path(__file__).with_name("stopped_agent.py")
STAGES = ("encoding 20", "quality 20", "uploading 1", "refining", "answering", "released")


def test_a_run_that_is_killed_at_each_stage_does_none_twice(
    new_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = new_service(TWO_ROUNDS, dukcapil=people(20), imigrasi=people(20))
    events = tmp_path / "events"

    def killed_at(stage: str, job_id: str) -> tuple[int, list[str]]:
        events.write_text("")
        settings = service.folder("dukcapil") / "agent.toml"
        arguments = [str(settings), job_id, stage, str(int(signal.SIGKILL)), str(events)]
        done = subprocess.run(
            [sys.executable, str(_PROGRAM), *arguments],
            env={"PYTHONPATH": str(_PROGRAM.parent), "PATH": ""},
            timeout=120,
            check=False,
        )
        return done.returncode, [line for line in events.read_text().split("\n") if line]

    seen: list[list[str]] = []
    manifests = []
    with service.running(), ThreadPoolExecutor() as pool:
        job_id = service.request("dukcapil")
        other = pool.submit(service.run, "imigrasi", job_id)
        for stage in STAGES:
            code, reached = killed_at(stage, job_id)
            assert (code, reached[-1]) == (-signal.SIGKILL, stage)
            seen.append(reached)
            manifests.append(Spool(service.session("dukcapil").store, job_id, FAR).manifest())
        outcomes = {"imigrasi": other.result(), "dukcapil": service.run("dukcapil", job_id)}
    assert persons_linked(outcomes, "dukcapil", "imigrasi") == shared(0, 20)
    # Once made, a batch is made no more, and is the only one; what was sent is sent no more.
    assert manifests[0] is None
    assert manifests[1] is not None
    assert set(manifests[1:]) == {manifests[1]}
    encoded = [any(e.startswith("encoding") for e in run) for run in seen]
    assert encoded == [True, True, False, False, False, False]
    sent = [e for run in seen for e in run if e.startswith("uploading")]
    assert len(sent) - len(set(sent)) <= 1  # the one in hand when it was killed
    assert not any(e.startswith("uploading") for run in seen[4:] for e in run)


def test_the_command_takes_part_in_all_jobs_and_stops_on_sigterm(
    new_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = new_service(dukcapil=people(20), imigrasi=people(20))
    with service.running(), ThreadPoolExecutor() as pool:
        settings = service.folder("dukcapil") / "agent.toml"
        settings.write_text(f'{settings.read_text()}\n[result]\npath = "{tmp_path}/{{job}}.csv"\n')
        command = [sys.executable, "-m", "linkage.cli", "agent", "run", "--all"]
        command += ["--config", str(settings)]

        def start() -> "subprocess.Popen[str]":
            pipe = subprocess.PIPE
            return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)

        job_id = service.request("dukcapil")
        with start() as first:
            assert first.stderr is not None
            for line in first.stderr:
                if "waiting for imigrasi" in line:
                    break
            first.terminate()
            assert "stopped" in first.stderr.read()
        assert first.returncode == 130
        other = pool.submit(service.run, "imigrasi", job_id)
        with start() as second:
            out, words = second.communicate(timeout=120)
        assert second.returncode == 0, words
        assert str(tmp_path / f"{job_id}.csv") in out
        assert "encoding" not in words
        other.result()
        kept = service.folder("dukcapil") / "work" / "results" / f"{job_id}.csv"
        assert (tmp_path / f"{job_id}.csv").read_bytes() == kept.read_bytes()
        with start() as third:
            assert third.communicate(timeout=60)[0] == ""  # nothing waits any more
        assert third.returncode == 0
