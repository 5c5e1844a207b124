"""The log benchmark: how fast the match log grows, is cosigned and is verified.

Appending is what the matcher does: a transaction of the database with a few entries, then
tiles, signature and checkpoint, all forced to disk before they count. Cosigning is a head
signed by both keys of the log, cosigned by witnesses with two keys each, all of them in this
process, and held against the trust file. Verifying is the auditor's: a bundle in one file, as
`padan audit verify` reads it and as the single file of `contrib` does, each in a process of
its own.
"""

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
from linkage.matcher.match_log import MatchLog
from linkage.store.log_files import LogFiles
from linkage.store.metadata import Metadata, NewEntry

ENTRIES = 100_000
BATCHES = (1, 10, 100, 1_000)
"""Entries of one transaction."""
PER_BATCH_S = 3.0
WITNESSES = 8
ROUNDS = 30
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
        publish_ms: median time of one such transaction until its checkpoint is on disk.
        witnesses: that cosigned, each with two keys.
        cosign_ms: median time from the signed head to the verified quorum.
        verify_s: by verifier, a whole process.
    """

    entries: int
    bundle_mib: float
    appends_per_s: dict[int, float]
    publish_ms: dict[int, float]
    witnesses: int
    cosign_ms: float
    verify_s: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        bars = {"verify_s": MOST_VERIFY_S, "appends_per_s": LEAST_APPENDS_PER_S}
        return {**asdict(self), "bars": bars}


def measure_log(
    n_entries: int = ENTRIES,
    for_s: float = PER_BATCH_S,
    on_step: Callable[[str], None] = lambda _name: None,
) -> LogResult:
    """Measure appending, cosigning and verifying.

    Args:
        n_entries: of the log that is verified and cosigned.
        for_s: how long each size of a transaction is appended.
        on_step: told what is done before it starts.
    """
    rates, latencies = {}, {}
    for batch in BATCHES:
        on_step(f"appending, {batch} in a transaction")
        times = _append(batch, for_s)
        rates[batch], latencies[batch] = batch * len(times) / sum(times), 1000 * median(times)
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
    return LogResult(n_entries, size, rates, latencies, WITNESSES, cosign_ms, verify_s)


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


def _append(batch: int, for_s: float) -> list[float]:
    """Return the seconds that each transaction took until its checkpoint was on disk."""
    with tempfile.TemporaryDirectory() as folder:
        metadata = Metadata(f"sqlite:///{folder}/matcher.db")
        signer = Ed25519Signer(_ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
        log = MatchLog(metadata, LogFiles(Path(folder) / "log"), [signer], _ORIGIN)
        log.recover()
        times: list[float] = []
        index = 0
        while sum(times) < for_s:
            leaves = [_leaf(index + i) for i in range(batch)]
            started = time.perf_counter()
            with metadata.write() as transaction:
                for leaf in leaves:
                    transaction.append(NewEntry(leaf))
            log.publish()
            times.append(time.perf_counter() - started)
            index += batch
        metadata.close()
    return times


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
        [f"ms until {batch} are under a checkpoint on disk", figure(ms, 2)]
        for batch, ms in result.publish_ms.items()
    ]
    rows.append([f"ms to be cosigned by {result.witnesses} witnesses", figure(result.cosign_ms, 1)])
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
                "Appended as the matcher does it: committed by SQLite, tiles and checkpoint forced "
                "to disk, signed by Ed25519."
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
                f"for {ENTRIES:,} entries."
            ),
        ],
    )
