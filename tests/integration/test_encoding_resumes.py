"""A run that is stopped while it encodes goes on after the last finished step."""

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from in_process import SCHEMA, TWO_ROUNDS, Quiet, Service, links, people

from linkage.agent import run as run_module
from linkage.agent.config import load_agent
from linkage.agent.participants import Participants, participants_of
from linkage.agent.references import References
from linkage.agent.session import Session
from linkage.agent.source import Source
from linkage.agent.spool import Spool
from linkage.batch import Manifest
from linkage.encode.oncetokens import BlockValues
from linkage.store.artefacts import ArtefactStore

FAR = date(2999, 1, 1)
N, PIECE = 40, 8
N_TABLES = N // PIECE


class Killed(BaseException):
    """As good as SIGKILL: nothing catches it."""


class Tells(Quiet):
    def __init__(self) -> None:
        self.n_changed: list[int] = []

    def changed(self, n_records: int) -> None:
        self.n_changed.append(n_records)


@pytest.fixture(scope="module", params=[TWO_ROUNDS, SCHEMA], ids=["two rounds", "one round"])
def service(
    request: pytest.FixtureRequest, new_service: Callable[..., Service]
) -> Iterator[Service]:
    made = new_service(request.param, dukcapil=people(N), imigrasi=people(N))
    with made.running():
        yield made


@pytest.fixture(autouse=True)
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Source.chunks

    def chunks(source: Source) -> Iterator[Any]:
        for table in whole(source):
            for start in range(0, len(table), PIECE):
                yield table.slice(start, PIECE)

    monkeypatch.setattr(Source, "chunks", chunks)


def encode(service: Service, job_id: str, work: Path, reporter: Quiet) -> Manifest:
    """Encode the batch of a job, as a run does, in some work folder."""
    config = load_agent(service.folder("dukcapil") / "agent.toml")
    session = Session(config.model_copy(update={"work": work}))
    with service.client("dukcapil") as client:
        job = client.job(job_id)
    spool = Spool(session.store, job_id, FAR)
    references = References(session.store, config.agreement, FAR)
    own = Participants(references, session.store, job_id, FAR)
    manifest = run_module._encode(session, job, spool, own, reporter)
    assert spool.manifest() == manifest
    numbers = participants_of(session.store, job_id)
    assert numbers is not None
    assert len(numbers) == manifest.n_records
    assert all(spool.chunk(manifest, n).digest() == d for n, d in enumerate(manifest.chunk_sha256))
    return manifest


def steps_in(work: Path, job_id: str) -> int:
    return len(list((work / "artefacts" / f"spool-{job_id}").glob("step-*")))


@pytest.fixture
def work(service: Service, tmp_path: Path) -> Path:
    """A work folder in which all records have their references."""
    session = service.session("dukcapil")
    references = References(session.store, session.config.agreement, FAR)
    references.of([row["record_id"] for row in people(N)])
    return Path(shutil.copytree(service.folder("dukcapil") / "work", tmp_path / "work"))


class Deaths:
    """Lets a run die at its n-th write of a spool, and counts what it encodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.encoded = sys.maxsize, 0
        write, values = ArtefactStore.write, BlockValues.of

        def dies(store: ArtefactStore, dataset: str, name: str, content: bytes) -> None:
            if dataset.startswith("spool-"):
                self.left -= 1
                if self.left < 0:
                    raise Killed
            write(store, dataset, name, content)

        def of(block: BlockValues, columns: Any) -> Any:
            self.encoded += 1
            return values(block, columns)

        monkeypatch.setattr(ArtefactStore, "write", dies)
        monkeypatch.setattr(BlockValues, "of", of)


def test_killed_at_every_write_the_batch_is_the_same_to_the_last_bit(
    service: Service, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, deaths = service.request("dukcapil"), Deaths(monkeypatch)
    other = Path(shutil.copytree(work, tmp_path / "other"))
    whole = encode(service, job_id, other, Quiet())
    deaths.encoded, kills, reporter = 0, 0, Tells()
    two_rounds = service.session("dukcapil").refinement is not None
    while True:
        # What one step writes, and another one does not come to its end.
        deaths.left = 3 if two_rounds else 7
        try:
            manifest = encode(service, job_id, work, reporter)
            break
        except Killed:
            kills += 1
    assert kills >= 2
    assert reporter.n_changed == []
    if two_rounds:
        assert manifest == whole
    else:  # absent values are noise, new in every run
        assert (manifest.n_records, len(manifest.chunk_sha256)) == (N, len(whole.chunk_sha256))
    # Nothing that was finished is encoded again.
    assert deaths.encoded <= 2 * N_TABLES
    assert steps_in(work, job_id) == 0
    with service.client("dukcapil") as client:
        client.cancel(job_id)


def test_records_that_changed_are_noticed_and_told_and_the_batch_is_of_those_there_are_now(
    service: Service, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, deaths = service.request("dukcapil"), Deaths(monkeypatch)
    other = Path(shutil.copytree(work, tmp_path / "other"))
    deaths.left = 2 * N_TABLES
    with pytest.raises(Killed):
        encode(service, job_id, work, Quiet())
    assert steps_in(work, job_id) >= N_TABLES - 1
    path = service.folder("dukcapil") / "records.csv"
    before = path.read_text("utf-8")
    deaths.left, reporter = sys.maxsize, Tells()
    # The record after the first two tables is another person; and the last one is gone.
    lines = before.splitlines(keepends=True)
    row = 1 + 2 * PIECE
    lines[row] = lines[row].replace(people(N)[2 * PIECE]["nama"], "Orang Lain")
    path.write_text("".join(lines[:-1]), "utf-8")
    try:
        manifest = encode(service, job_id, work, reporter)
        fresh = encode(service, job_id, other, Quiet())
    finally:
        path.write_text(before, "utf-8")
    assert reporter.n_changed == [2 * PIECE]
    assert manifest.n_records == N - 1
    if service.session("dukcapil").refinement is not None:
        assert manifest == fresh
    with service.client("dukcapil") as client:
        client.cancel(job_id)


SLOWLY = f"""
import sys, time
import linkage.agent.source as source
from linkage.agent.steps import Steps
whole, done = source.Source.chunks, Steps.done
def chunks(self):
    for table in whole(self):
        for start in range(0, len(table), {PIECE}):
            yield table.slice(start, {PIECE})
def slowly(self, *arguments, **named):
    step = done(self, *arguments, **named)
    time.sleep(0.1)
    return step
source.Source.chunks, Steps.done = chunks, slowly
from linkage.cli import main
sys.argv = ["padan", "agent", "run", "--config", sys.argv[1], "--job", sys.argv[2]]
main()
"""


@pytest.mark.parametrize("service", [TWO_ROUNDS], ids=["two rounds"], indirect=True)
def test_a_process_that_is_killed_at_some_step_leaves_what_the_next_one_needs(
    service: Service,
) -> None:
    job_id = service.request("dukcapil")
    folder = service.folder("dukcapil")
    draw, seen = random.Random(9), 0
    for _ in range(2):
        command = [sys.executable, "-c", SLOWLY, str(folder / "agent.toml"), job_id]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until = seen + draw.randint(1, 3)
        while (seen := steps_in(folder / "work", job_id)) < until:
            assert running.poll() is None, running.communicate()
        running.send_signal(signal.SIGKILL)
        running.communicate()
        assert running.returncode == -signal.SIGKILL
    assert steps_in(folder / "work", job_id) >= seen
    outcomes = service.run_all(job_id)
    assert len(links(outcomes["dukcapil"])) == len(links(outcomes["imigrasi"])) == N
