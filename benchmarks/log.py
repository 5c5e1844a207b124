"""The log benchmark: how fast the match log grows, is cosigned and is verified.

Appending is what the matcher does: a transaction of the database with a few entries, then
tiles, the record of what is signed, both signatures and the checkpoint. Each transaction is
followed by the same entries in a plain SQLite database, as durable, and by one forced write: what
the disk costs is measured in the same moment, and the ratio means the same on any machine.
Cosigning is a head signed by both keys of the log, cosigned by witnesses with two keys each, all of
them in this process, and held against the trust file. Verifying is the auditor's: a bundle in one
file, as `padan audit verify` reads it and as the single file of `contrib` does, each in a process
of its own.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from benchmarks.log_proof import measure_proofs
from benchmarks.peer_env import ROOT
from benchmarks.report import Table, figure
from linkage.log.builder import TileBuilder
from linkage.log.bundle import build_bundle
from linkage.log.canonical import format_json
from linkage.log.checkpoint import Checkpoint, add_cosignatures, sign_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.cosigned import verify_cosigned
from linkage.log.entry import Entry, commit_body, format_entry
from linkage.log.hashing import leaf_hash
from linkage.log.note import Ed25519Signer, Signer
from linkage.log.policy import GroupLine, LogLine, Policy, WitnessLine, format_policy
from linkage.log.proof import consistency_proof
from linkage.log.tar import to_tar
from linkage.log.tree import History
from linkage.log.witness import (
    Cosigned,
    Evidence,
    Witness,
    WitnessRequest,
    WitnessState,
    format_request,
)
from linkage.matcher.head_record import HeadRecord, RecordedEntries
from linkage.matcher.match_log import MatchLog
from linkage.store.log_files import Disk, LogFiles
from linkage.store.metadata import Metadata, NewEntry

ENTRIES = 100_000
BATCHES = (1, 10, 100, 1_000)
"""Entries of one transaction."""
PER_BATCH_S = 3.0
WITNESSES = 8
ROUNDS = 30
PROOFS = 10
MOST_PROOF_MS = 1_000
MOST_VERIFY_S = 10.0
LEAST_APPENDS_PER_S = 2_000
_ORIGIN = "log.padan.test/benchmark"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_STEPS = ("job.request", "job.authorise", "batch", "batch", "result", "release")


@dataclass(frozen=True)
class LogResult:
    """What was measured.

    Attributes:
        entries: of the log that was verified.
        bundle_mib: size of its archive.
        appends_per_s: by number of entries in one transaction.
        sqlite_per_s: the same entries into a plain SQLite database, each transaction durable.
        forced_ms: median time of one small write that is forced to disk, in the same moments.
        forced: writes that one transaction forces to disk, until its checkpoint is there.
        cpu_ms: median processor time of one transaction: what is left on a machine with
            nothing else to do and a disk that costs nothing.
        publish_ms: median time of one such transaction until its checkpoint is on disk.
        witnesses: that cosigned, each with two keys.
        cosign_ms: median time from the signed head to the verified quorum.
        proof_ms: median time from a signed request to a verified receipt, over gRPC, with as many
            parties that cosign.
        verify_s: by verifier, a whole process.
    """

    entries: int
    bundle_mib: float
    appends_per_s: dict[int, float]
    sqlite_per_s: dict[int, float]
    forced_ms: dict[int, float]
    forced: dict[int, float]
    cpu_ms: dict[int, float]
    publish_ms: dict[int, float]
    witnesses: int
    cosign_ms: float
    proof_ms: float
    verify_s: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        bars = {
            "verify_s": MOST_VERIFY_S,
            "appends_per_s": LEAST_APPENDS_PER_S,
            "proof_ms": MOST_PROOF_MS,
        }
        return {**asdict(self), "bars": bars}


def measure_log(
    n_entries: int = ENTRIES,
    for_s: float = PER_BATCH_S,
    proofs: int = PROOFS,
    on_step: Callable[[str], None] = lambda _name: None,
) -> LogResult:
    """Measure appending, cosigning and verifying.

    Args:
        n_entries: of the log that is verified and cosigned.
        for_s: how long each size of a transaction is appended.
        proofs: requests until their cosigned proofs.
        on_step: told what is done before it starts.
    """
    appended = {}
    for batch in BATCHES:
        on_step(f"appending, {batch} in a transaction")
        appended[batch] = _append(batch, for_s)
    rates = {n: n * len(one.ours_s) / sum(one.ours_s) for n, one in appended.items()}
    sqlite = {n: n * len(one.sqlite_s) / sum(one.sqlite_s) for n, one in appended.items()}
    latencies = {n: 1000 * median(one.ours_s) for n, one in appended.items()}
    forced_ms = {n: 1000 * median(one.forced_s) for n, one in appended.items()}
    forced = {n: one.forced / len(one.ours_s) for n, one in appended.items()}
    cpu_ms = {n: 1000 * median(one.cpu_s) for n, one in appended.items()}
    on_step(f"a proof cosigned by {WITNESSES} parties over gRPC")
    with tempfile.TemporaryDirectory() as folder:
        proof_ms = 1000 * median(measure_proofs(Path(folder) / "site", WITNESSES, proofs))
    on_step(f"a log of {n_entries:,} entries")
    leaves = [_leaf(index) for index in range(n_entries)]
    site = _Site()
    on_step(f"cosigning by {WITNESSES} witnesses")
    note, cosign_ms = _cosign(site, leaves)
    with tempfile.TemporaryDirectory() as folder:
        bundle, trust = Path(folder) / "bundle.tar", Path(folder) / "trust"
        bundle.write_bytes(to_tar(_bundle(leaves, note)))
        trust.write_bytes(format_policy(site.policy))
        verify_s = {}
        for name, program in (
            ("padan audit verify", ["-m", "linkage.cli", "audit", "verify"]),
            ("contrib/verify.py", [str(ROOT / "contrib" / "verify.py")]),
        ):
            on_step(name)
            verify_s[name] = _timed([sys.executable, *program, str(bundle), "--trust", str(trust)])
        size = bundle.stat().st_size / (1 << 20)
    return LogResult(
        n_entries,
        size,
        rates,
        sqlite,
        forced_ms,
        forced,
        cpu_ms,
        latencies,
        WITNESSES,
        cosign_ms,
        proof_ms,
        verify_s,
    )


class _Site:
    """A log with both kinds of keys, and witnesses with both."""

    def __init__(self) -> None:
        def seed(number: int) -> bytes:
            return bytes([number]) * 32

        def classic(number: int) -> Ed25519PrivateKey:
            return Ed25519PrivateKey.from_private_bytes(seed(number))

        def modern(number: int) -> MLDSA44PrivateKey:
            return MLDSA44PrivateKey.from_seed_bytes(seed(number))

        self.log: list[Signer] = [
            Ed25519Signer(_ORIGIN, classic(1)), Cosigner(_ORIGIN, modern(1), time.time),
        ]  # fmt: skip
        self.witnesses: dict[str, list[Signer]] = {
            f"w{i}": [
                Cosigner(f"w{i}", classic(2 + i), time.time),
                Cosigner(f"w{i}", modern(2 + i), time.time),
            ]
            for i in range(WITNESSES)
        }
        lines = [
            WitnessLine(f"{name}-{kind}", one.key)
            for name, pair in self.witnesses.items()
            for kind, one in enumerate(pair)
        ]
        groups = [GroupLine(name, 2, (f"{name}-0", f"{name}-1")) for name in self.witnesses]
        groups.append(GroupLine("all", WITNESSES, tuple(self.witnesses)))
        log_lines = tuple(LogLine(one.key) for one in self.log)
        self.policy = Policy(log_lines, tuple(lines), tuple(groups), "all")


class _Store:
    """The state of one witness, in memory: the disk of an agency is not measured here."""

    def __init__(self) -> None:
        self._state = WitnessState()

    def read(self, _origin: str) -> WitnessState:
        return self._state

    def replace(self, _origin: str, _old: WitnessState, new: WitnessState) -> bool:
        self._state = new
        return True

    def keep(self, _origin: str, _evidence: Evidence) -> None:
        raise AssertionError("the log of the benchmark does not fork")


def _leaf(index: int) -> bytes:
    """Return a leaf as jobs make them: most are confidential, and name an earlier one."""
    body = format_json({"n": index})
    leaf_type = _STEPS[index % len(_STEPS)] if index else "genesis"
    return format_entry(
        Entry(
            leaf_type,
            _START + timedelta(seconds=index // 10),
            "party/dukcapil",
            "pks-dukcapil-imigrasi-2026" if index else None,
            (index - 1,) if index else (),
            None if index else {"origin": _ORIGIN},
            commit_body(index.to_bytes(32), body) if index else None,
        )
    )


@dataclass
class _Appended:
    """Seconds of each transaction, in turns: ours, SQLite's, and one forced write."""

    ours_s: list[float]
    cpu_s: list[float]
    sqlite_s: list[float]
    forced_s: list[float]
    forced: int = 0


class _CountingDisk(Disk):
    """Counts what is forced to disk."""

    def __init__(self) -> None:
        self.forced = 0

    def create(self, path: Path, data: bytes) -> None:
        self.forced += 1
        super().create(path, data)

    def overwrite(self, path: Path, start: int, data: bytes) -> None:
        self.forced += 1
        super().overwrite(path, start, data)

    def sync_directory(self, path: Path) -> None:
        self.forced += 1
        super().sync_directory(path)


def _append(batch: int, for_s: float) -> _Appended:
    """Append transactions until their checkpoints are on disk, in turns with the peers."""
    with tempfile.TemporaryDirectory() as name:
        folder, disk = Path(name), _CountingDisk()
        metadata = Metadata(f"sqlite:///{folder}/matcher.db")
        record = HeadRecord(folder / "log.key", disk)
        record.begin()
        files = LogFiles(folder / "log", disk, derived=True)
        log = MatchLog(RecordedEntries(metadata, record), files, _Site().log, _ORIGIN)
        log.recover()
        plain = sqlite3.connect(folder / "plain.db", isolation_level=None)
        for words in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"):
            plain.execute(words)
        plain.execute("CREATE TABLE entries (i INTEGER PRIMARY KEY, leaf BLOB)")
        done, index = _Appended([], [], [], []), 0
        disk.forced = 0
        with (folder / "forced").open("wb", buffering=0) as file:
            while sum(done.ours_s) < for_s:
                leaves = [_leaf(index + i) for i in range(batch)]
                started, cpu = time.perf_counter(), time.process_time()
                with metadata.write() as transaction:
                    for leaf in leaves:
                        transaction.append(NewEntry(leaf))
                log.publish()
                done.ours_s.append(time.perf_counter() - started)
                done.cpu_s.append(time.process_time() - cpu)
                started = time.perf_counter()
                plain.execute("BEGIN IMMEDIATE")
                plain.executemany("INSERT INTO entries VALUES (?, ?)", enumerate(leaves, index))
                plain.execute("COMMIT")
                done.sqlite_s.append(time.perf_counter() - started)
                started = time.perf_counter()
                file.write(leaves[0])
                os.fsync(file.fileno())
                done.forced_s.append(time.perf_counter() - started)
                index += batch
        # Its commit is one more of each transaction.
        done.forced = disk.forced + len(done.ours_s)
        plain.close()
        metadata.close()
    return done


def _cosign(site: _Site, leaves: Sequence[bytes]) -> tuple[bytes, float]:
    """Return the cosigned checkpoint, and the median milliseconds of cosigning a growing log."""
    witnesses = {
        name: Witness(_Store(), [one.key for one in site.log], pair)
        for name, pair in site.witnesses.items()
    }
    keys = {name: [one.key for one in pair] for name, pair in site.witnesses.items()}
    tree = History()
    times: list[float] = []
    old = 0
    note = b""
    for turn in range(1, ROUNDS + 1):
        new = len(leaves) * turn // ROUNDS
        for leaf in leaves[old:new]:
            tree.append(leaf_hash(leaf))
        started = time.perf_counter()
        note = sign_checkpoint(Checkpoint(_ORIGIN, new, tree.root_at(new)), *site.log)
        proof = tuple(consistency_proof(old, new, tree.node))
        request = format_request(WitnessRequest(old, proof, note))
        for name, witness in witnesses.items():
            answer = witness.add_checkpoint(request)
            if not isinstance(answer, Cosigned):
                raise RuntimeError(f"{name} did not cosign: {answer.refusal.name}")  # noqa: TRY004
            note = add_cosignatures(note, answer.lines, keys[name])
        verify_cosigned(note, site.policy)
        times.append(1000 * (time.perf_counter() - started))
        old = new
    return note, median(times)


def _bundle(leaves: Sequence[bytes], note: bytes) -> dict[str, bytes]:
    builder = TileBuilder()
    tiles = [tile for leaf in leaves for tile in builder.append(leaf)]
    files = {tile.path: data for tile, data in [*tiles, *builder.partial_tiles()]}
    return build_bundle({**files, "checkpoint": note})


def _timed(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def log_table(result: LogResult) -> Table:
    """Return the result as a table that people read."""
    rows = [
        [f"appends/s, {batch} in a transaction", figure(rate, 0)]
        for batch, rate in result.appends_per_s.items()
    ]
    rows += [
        [f"appends/s of plain SQLite, {batch} in a transaction", figure(rate, 0)]
        for batch, rate in result.sqlite_per_s.items()
    ]
    rows += [
        [
            f"for {batch}: ms of processor; forced writes; ms of one",
            "; ".join(
                (figure(result.cpu_ms[batch], 1), figure(result.forced[batch], 1), figure(ms, 2))
            ),
        ]
        for batch, ms in result.forced_ms.items()
    ]
    rows += [
        [f"ms until {batch} are under a checkpoint on disk", figure(ms, 2)]
        for batch, ms in result.publish_ms.items()
    ]
    rows.append([f"ms to be cosigned by {result.witnesses} witnesses", figure(result.cosign_ms, 1)])
    text = f"ms from a request to a proof of {result.witnesses} parties, over gRPC"
    rows.append([text, figure(result.proof_ms, 0)])
    rows += [
        [f"s to verify {result.entries:,} entries, {name}", figure(seconds, 1)]
        for name, seconds in result.verify_s.items()
    ]
    return Table(
        title="The match log",
        header=["what", "figure"],
        rows=rows,
        notes=[
            (
                "Appended as the matcher does it: committed by SQLite, tiles written, the record "
                "of what is signed and the checkpoint forced to disk, signed by Ed25519 and "
                "ML-DSA-44. In turns with a plain SQLite database as durable, and a forced write."
            ),
            (
                "Cosigned in one process, each witness with Ed25519 and ML-DSA-44, states in "
                "memory: what is left out is the network and the disks of the agencies."
            ),
            (
                f"Verified from one archive of {result.bundle_mib:.0f} MiB, start of the program "
                "included, no envelope signatures."
            ),
            (
                f"The bars: {LEAST_APPENDS_PER_S:,} appends/s in batches, {MOST_VERIFY_S:.0f} s "
                f"for {ENTRIES:,} entries, {MOST_PROOF_MS:,} ms to a cosigned proof."
            ),
        ],
    )
