"""Jobs whose database or disk goes away for a while: nothing is lost, nothing released twice."""

import errno
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from in_process import Service, links, people
from postgres import PostgresServer, move_to

import linkage.matcher.worker
from linkage.errors import UnavailableError
from linkage.job import JobState
from linkage.log.entry import parse_entry
from linkage.matcher.config import load_config
from linkage.matcher.opened import opened_metadata
from linkage.store.artefacts import ArtefactStore

AWAY_S = 1.5


def leaves(service: Service) -> Counter[str]:
    config = load_config(service.site.root / "matcher" / "matcher.toml")
    with opened_metadata(config) as metadata:
        entries = metadata.read_entries(0, metadata.entry_count())
    return Counter(parse_entry(leaf).type for leaf in entries)


def test_a_job_outlives_a_database_that_goes_away_again_and_again(
    new_service: Callable[..., Service], postgres_server: PostgresServer
) -> None:
    service = new_service(dukcapil=people(80), imigrasi=people(70, skip=20))
    move_to(postgres_server, service.site.root / "matcher")
    service.patience_s = 60.0
    done, n_times = threading.Event(), 0

    def come_and_go() -> None:
        nonlocal n_times
        while not done.wait(AWAY_S):
            postgres_server.stop()
            time.sleep(AWAY_S)
            postgres_server.start()
            n_times += 1

    with service.running():
        job_id = service.request("dukcapil")
        away = threading.Thread(target=come_and_go)
        away.start()
        try:
            outcomes = service.run_all(job_id)
        finally:
            done.set()
            away.join()
        with service.client("dukcapil") as client:
            assert client.job(job_id).state is JobState.RELEASED
    assert n_times > 0
    assert len(links(outcomes["dukcapil"])) == len(links(outcomes["imigrasi"])) == 60
    found = leaves(service)
    once = ("job.request", "job.authorise", "job.plan", "result", "release")
    assert {name: found[name] for name in once} == dict.fromkeys(once, 1)
    assert found["batch"] == 2
    assert not (service.site.root / "matcher" / "data" / "matcher.db").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of 32 MiB, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    umount = ["umount", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root and leave to mount a disk in memory")
    try:
        yield folder
    finally:
        subprocess.run(umount, check=True)


def test_a_job_outlives_a_disk_that_is_really_full_again_and_again(
    new_service: Callable[..., Service], small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = new_service(dukcapil=people(80), imigrasi=people(70, skip=20))
    matcher = service.site.root / "matcher"
    shutil.move(matcher / "data", small_disk / "data")
    settings = matcher / "matcher.toml"
    text = settings.read_text()
    settings.write_text(text.replace('data = "data"', f'data = "{small_disk}/data"'))
    monkeypatch.setattr(linkage.matcher.worker, "_PAUSE_S", 0.1)
    service.patience_s, ballast = 60.0, small_disk / "ballast"
    draw, done, n_times = random.Random(1), threading.Event(), 0

    def fill_and_free() -> None:
        nonlocal n_times
        while not done.wait(draw.uniform(0.3, 1.5)):
            # All of it, or all but what some writes still find room in.
            left = draw.choice([0, 0, 4096, 65_536])
            free = shutil.disk_usage(small_disk).free
            with ballast.open("wb") as file, suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(free - left, 1))
            done.wait(draw.uniform(0.2, 0.8))
            ballast.unlink()
            n_times += 1

    with service.running():
        job_id = service.request("dukcapil")
        filling = threading.Thread(target=fill_and_free)
        filling.start()
        try:
            outcomes = service.run_all(job_id)
        finally:
            done.set()
            filling.join()
    assert n_times > 0
    assert len(links(outcomes["dukcapil"])) == len(links(outcomes["imigrasi"])) == 60
    found = leaves(service)
    once = ("job.request", "job.authorise", "job.plan", "release")
    assert {name: found[name] for name in once} == dict.fromkeys(once, 1)
    assert found["batch"] == 2


def test_a_job_outlives_a_full_disk(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = new_service(dukcapil=people(80), imigrasi=people(70, skip=20))
    matcher = service.site.root / "matcher"
    plain: Any = ArtefactStore._write
    full: Counter[str] = Counter()

    def write(store: ArtefactStore, path: Path, content: bytes) -> None:
        # The first two tries of every file of the matcher, uploads and results alike.
        if path.is_relative_to(matcher) and full[path.name] < 2:
            full[path.name] += 1
            raise UnavailableError("cannot store an artefact: No space left on device") from (
                OSError(errno.ENOSPC, "No space left on device")
            )
        plain(store, path, content)

    monkeypatch.setattr(linkage.matcher.worker, "_PAUSE_S", 0.1)
    service.patience_s = 60.0
    with service.running():
        job_id = service.request("dukcapil")
        monkeypatch.setattr(ArtefactStore, "_write", write)
        outcomes = service.run_all(job_id)
    assert len(links(outcomes["dukcapil"])) == 60
    assert len(full) > 2
    found = leaves(service)
    assert (found["batch"], found["result"], found["release"]) == (2, 1, 1)
