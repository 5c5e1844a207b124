"""The write path of the log: each file operation fails, or is the last one, and nothing is lost.

A real matcher's log in a process of its own. `strace` makes single operations fail, or kills at
them, between the commit of an entry and its acknowledgement; kills at random moments need nothing.
Afterwards the log starts again, verifies, has all that was acknowledged, and nothing was signed
twice with different roots.

`PADAN_SOAK_KILLS` sets the rounds of the soak (200), `PADAN_SOAK_SEED` their moments. Its counts
go to `benchmarks/results/soak-log.json`.
"""

import hashlib
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from log_writer import write_log
from soak_results import keep_result

from linkage.audit.verify import verify_files
from linkage.cli import padan
from linkage.log.bundle import build_bundle
from linkage.log.canonical import encode_base64
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.policy import parse_policy
from linkage.matcher.config import load_config
from linkage.matcher.journal import Journal
from linkage.matcher.offline import open_log, opened_metadata

ROUNDS = int(os.environ.get("PADAN_SOAK_KILLS", "200"))
SEED = int(os.environ.get("PADAN_SOAK_SEED", "1"))
# One that closes a tile and begins the next, and one that shows that it goes on.
BATCHES = (3, 1)
BEFORE = 253
CALLS = (
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "link", "linkat", "rename", "renameat"),
    *("renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "ftruncate"),
)
WAIT_S = 20.0
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["log_writer"])


@dataclass
class Told:
    """What a writer said."""

    signed: set[bytes] = field(default_factory=set)
    acknowledged: dict[int, bytes] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    batches: int = 0
    done: bool = False

    def hear(self, words: Sequence[Any]) -> None:
        match words:
            case ("signed", text):
                self.signed.add(text)
            case ("acknowledged", first, digests):
                self.batches += 1
                self.acknowledged |= dict(enumerate(digests, first))
            case ("failed", name):
                self.failed.append(name)
            case ("done",):
                self.done = True


@contextmanager
def writer(
    folder: Path, told: Told, batches: Sequence[int] = BATCHES, n_threads: int = 1
) -> Iterator[tuple[BaseProcess, Connection]]:
    """Start a writer, and hear it until it waits for the word."""
    ours, theirs = _FORKS.Pipe()
    process = _FORKS.Process(target=write_log, args=(folder, theirs, batches, n_threads))
    process.start()
    theirs.close()
    try:
        while ours.poll(WAIT_S) and (words := ours.recv()) != ("ready",):
            told.hear(words)
        yield process, ours
    finally:
        process.kill()
        process.join()
        ours.close()


def hear_all(talk: Connection, told: Told) -> None:
    """Hear a writer to its end, however it ends."""
    with suppress(EOFError, ConnectionResetError):
        while talk.poll(WAIT_S):
            told.hear(talk.recv())
            if told.done:
                return


def check(folder: Path, told: Told) -> int:
    """Start the log again: it is whole, and has all that was told. Return its size."""
    config = load_config(folder / "matcher.toml")
    with opened_metadata(config) as metadata:
        log = open_log(config, metadata, Journal(time.time))
        size = metadata.entry_count()
        leaves = metadata.read_entries(0, size)
        files = build_bundle(log.bundle_files())
        for text in told.signed:
            head = parse_checkpoint(text.decode())
            assert log.root_at(head.size) == head.root, "signed another history"
    for index, digest in told.acknowledged.items():
        assert hashlib.sha256(leaves[index]).digest() == digest, "an acknowledged entry is gone"
    report = verify_files(files, parse_policy((folder / "trust").read_bytes()), None)
    assert (report.verdict, report.size, report.findings) == ("OK", size, [])
    return size


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    (folder / "matcher.toml").write_text(
        'trust_domain = "padan.test"\nlisten = "127.0.0.1:0"\ndata = "data"\n'
        'keystore = "keystore"\n'
        '[tls]\ncertificate = "certificate.pem"\nprivate_key = "key.pem"\n'
        'authority = "authority.pem"\n'
        '[log]\norigin = "padan.test/log"\nsigning_key = "keys/log.key"\n'
        'key_encryption_key = "keys/kek"\n'
        f'administrators = ["{encode_base64(bytes(range(32)))}"]\n'
    )
    config = str(folder / "matcher.toml")
    words = ["matcher", "init-log", "--config", config, "--trust", str(folder / "trust")]
    done = CliRunner().invoke(padan, words)
    assert done.exit_code == 0, done.exception
    told = Told()
    # The log begins with an entry of its own, and a writer with one before it is ready.
    with writer(folder, told, (BEFORE - 2,)) as (_, talk):
        talk.send("go")
        hear_all(talk, told)
    assert check(folder, told) == BEFORE
    return folder


@contextmanager
def traced(process: BaseProcess, options: Sequence[str], out: Path) -> Iterator[None]:
    """Let strace follow a process until the end of the block."""
    command = ["strace", "-y", "-p", str(process.pid), "-o", str(out), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        first = strace.stderr.readline()
        if "attached" not in first:
            strace.wait()
            pytest.skip(f"strace may not follow a process here: {first.strip()}")
        try:
            yield
        finally:
            # strace ends with what it follows. Told to stop meanwhile it may wait for ever.
            process.kill()
            try:
                strace.wait(WAIT_S)
            finally:
                strace.kill()


@dataclass(frozen=True)
class Operation:
    """A system call: the how manieth of its name, and what strace tells of it."""

    call: str
    number: int
    line: str


def operations(template: Path, folder: Path) -> list[Operation]:
    """Return each file operation from append to publish."""
    shutil.copytree(template, folder)
    told, out = Told(), folder / "trace"
    with writer(folder, told) as (process, talk):
        with traced(process, ["-e", f"trace={','.join(CALLS)}"], out):
            talk.send("go")
            hear_all(talk, told)
            process.join(WAIT_S)
        assert not told.failed
    counted: dict[str, int] = {}
    found = []
    for line in out.read_text().splitlines():
        call = re.match(r"(\w+)\(", line)
        if call is None:
            continue
        counted[call[1]] = counted.get(call[1], 0) + 1
        if str(folder) in line:
            shown = line.replace(str(folder), "")
            found.append(Operation(call[1], counted[call[1]], shown))
    check(folder, told)
    return found


def break_at(template: Path, folder: Path, at: Operation, how: str) -> Told:
    """Let one operation fail, or be the last, and start again afterwards."""
    shutil.copytree(template, folder)
    told = Told()
    inject = f"inject={at.call}:{how}:when={at.number}"
    with (
        writer(folder, told) as (process, talk),
        traced(process, ["-e", f"trace={at.call}", "-e", inject], folder / "trace"),
    ):
        talk.send("go")
        hear_all(talk, told)
    check(folder, told)
    shutil.rmtree(folder)
    return told


def of_each_kind(found: Sequence[Operation]) -> list[Operation]:
    """Return the first operation of each call on the database, the log's files and the keys."""
    kinds: dict[tuple[str, str], Operation] = {}
    for one in found:
        place = re.search(r"/(data/log|data/[a-z]|keys)", one.line)
        kinds.setdefault((one.call, place[1] if place else ""), one)
    return list(kinds.values())


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("how", "all_of_them"),
    [
        ("error=EIO", False),
        pytest.param("error=EIO", True, marks=pytest.mark.soak),
        pytest.param("error=ENOSPC", True, marks=pytest.mark.soak),
        pytest.param("signal=SIGKILL", True, marks=pytest.mark.soak),
    ],
)
def test_each_file_operation_fails_once(
    template: Path, tmp_path: Path, how: str, all_of_them: bool
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace (apt install strace)")
    found = operations(template, tmp_path / "traced")
    calls = {one.call for one in found}
    assert {"openat", "write", "pwrite64", "link", "rename", "mkdir", "unlink"} <= calls
    assert {"fsync", "fdatasync"} & calls
    if not all_of_them:
        found = of_each_kind(found)
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(break_at, template, tmp_path / f"{one.call}-{one.number}", one, how)
            for one in found
        ]
        told = [run.result() for run in runs]
    refused = sum(bool(one.failed) for one in told)
    if how == "signal=SIGKILL":
        assert not any(one.done for one in told)
    else:
        # Whatever failed, the same process goes on: of two batches one at least is acknowledged.
        assert all(one.done and one.batches >= 2 for one in told), [
            (at, one.failed) for at, one in zip(found, told, strict=True) if one.batches < 2
        ]
        assert refused > len(told) / 4
    if all_of_them:
        by_call = dict(sorted(Counter(one.call for one in found).items()))
        counted = {"operations": by_call, "broken": len(told), "batches_refused": refused}
        keep_result("log", counted, part=how)


def kill_rounds(template: Path, folder: Path, n_rounds: int) -> dict[str, int]:
    """Kill a writer with several callers at random moments, again and again, on one log."""
    shutil.copytree(template, folder)
    draw, told, size = random.Random(SEED), Told(), BEFORE
    killed = 0
    for _ in range(n_rounds):
        batches = [draw.choice((1, 1, 2, 5, 40)) for _ in range(1000)]
        with writer(folder, told, batches, n_threads=3) as (process, talk):
            talk.send("go")
            time.sleep(draw.uniform(0.0, 0.4))
            process.kill()
            hear_all(talk, told)
        killed += not told.done
        assert not told.failed
        grown = check(folder, told)
        assert grown > size
        size = grown
    assert killed == n_rounds
    assert len({parse_checkpoint(text.decode()).size for text in told.signed}) == len(told.signed)
    return {
        "rounds": n_rounds,
        "seed": SEED,
        "checkpoints_signed": len(told.signed),
        "entries": size,
        "acknowledged": len(told.acknowledged),
    }


def test_killed_at_random_moments_nothing_acknowledged_is_lost(
    template: Path, tmp_path: Path
) -> None:
    kill_rounds(template, tmp_path / "log", 10)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_killed_at_many_random_moments_nothing_acknowledged_is_lost(
    template: Path, tmp_path: Path
) -> None:
    keep_result("log", kill_rounds(template, tmp_path / "log", ROUNDS), part="kill rounds")
