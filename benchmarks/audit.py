"""The audit benchmark: how long an auditor takes to verify a log, and to make its decisions again.

The log is one of real decisions (`audited_log`), its checkpoint signed by both keys of the log and
cosigned by all parties. Each verifier is a process of its own, its start included. Without
envelope signatures the log is verified: leaves, bodies, tree, tiles, checkpoint. With them every
decision is made again as well, with the signature of every request.

What the signatures alone cost is measured in the same moments, with the library that checks them:
no auditor is faster than that on as many processors.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.audited_log import audited_log
from benchmarks.peer_env import ROOT
from benchmarks.processes import MemoryWatch
from benchmarks.report import Table, figure

LEAVES = 100_000
JOBS = (1, 2)
"""Processes that read leaves."""
MOST_VERIFY_S, MOST_REPLAY_S = 10.0, 25.0
_LIMIT_S = 1.0
_REQUEST_BYTES = 512


class Run(NamedTuple):
    """One verifier's run.

    Attributes:
        seconds: from its start to its end.
        cpu_s: seconds of processors, all its processes together.
        peak_mib: largest resident memory of the process that puts it together.
    """

    seconds: float
    cpu_s: float
    peak_mib: float


@dataclass(frozen=True)
class AuditResult:
    """What was measured.

    Attributes:
        leaves: of the log.
        types: how many there are of each type.
        bundle_mib: size of its archive.
        made_s: seconds that it took to make; None where it was there.
        decisions: that were made again.
        signatures: of requests, that were checked.
        verify: without envelope signatures, by number of processes.
        replay: with them and every decision, likewise.
        single_file: `contrib/verify.py`, in one process.
        signatures_per_s: what one processor checks of bare signatures.
        load: mean number of processes that wanted one, in the last minute.
    """

    leaves: int
    types: dict[str, int]
    bundle_mib: float
    made_s: float | None
    decisions: int
    signatures: int
    verify: dict[int, Run]
    replay: dict[int, Run]
    single_file: Run
    signatures_per_s: float
    load: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        runs = {
            name: {jobs: one._asdict() for jobs, one in getattr(self, name).items()}
            for name in ("verify", "replay")
        }
        return {
            **asdict(self),
            **runs,
            "single_file": self.single_file._asdict(),
            "bars": {"verify_s": MOST_VERIFY_S, "replay_s": MOST_REPLAY_S},
        }


def measure_audit(
    n_leaves: int = LEAVES, on_step: Callable[[str], None] = lambda _name: None
) -> AuditResult:
    """Measure verifying and replaying.

    Args:
        n_leaves: the fewest that the log has.
        on_step: told what is done before it starts.
    """
    on_step(f"a log of {n_leaves:,} leaves")
    log = audited_log(n_leaves, on_step)
    files = str(log.bundle), "--trust", str(log.trust)
    verify, replay = dict[int, Run](), dict[int, Run]()
    report = replayed = dict[str, Any]()
    for jobs in JOBS:
        on_step(f"padan audit verify --jobs {jobs}")
        words = ("-m", "linkage.cli", "audit")
        verify[jobs], report = _timed(*words, "verify", *files, "--jobs", str(jobs), "--json")
        on_step(f"padan audit replay --jobs {jobs}")
        replay[jobs], replayed = _timed(*words, "replay", *files, "--jobs", str(jobs), "--json")
    on_step("contrib/verify.py")
    single_file, _ = _timed(str(ROOT / "contrib" / "verify.py"), *files, "--json")
    on_step("bare signatures")
    types = report["entries"]
    return AuditResult(
        leaves=report["size"],
        types=types,
        bundle_mib=log.bundle.stat().st_size / (1 << 20),
        made_s=log.made_s,
        decisions=replayed["decisions"],
        signatures=types["job.request"] + types["job.admit"],
        verify=verify,
        replay=replay,
        single_file=single_file,
        signatures_per_s=_signatures_per_s(),
        load=os.getloadavg()[0],
    )


def _timed(*arguments: str) -> tuple[Run, dict[str, Any]]:
    """Run a verifier that has to find nothing, and return what it prints."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out, MemoryWatch(lambda _words: "it") as watch:
        with subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=out) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        printed = out.read()
    seconds = time.perf_counter() - started
    report = json.loads(printed)
    if report["verdict"] != "OK":
        raise RuntimeError(f"{' '.join(arguments)}: {report['verdict']}: {report['findings'][:3]}")
    run = Run(seconds, used.ru_utime + used.ru_stime, watch.peak_mib.get("it", 0.0))
    return run, report


def _signatures_per_s() -> float:
    key = Ed25519PrivateKey.generate()
    messages = [os.urandom(_REQUEST_BYTES) for _ in range(100)]
    signatures = [key.sign(message) for message in messages]
    public, done = key.public_key(), 0
    started = time.process_time()
    while time.process_time() - started < _LIMIT_S:
        for message, signature in zip(messages, signatures, strict=True):
            public.verify(signature, message)
        done += len(messages)
    return done / (time.process_time() - started)


def audit_table(result: AuditResult) -> Table:
    """Return the result as a table that people read."""
    limit_s = result.signatures / result.signatures_per_s
    bare = Run(limit_s, limit_s, 0.0)
    return Table(
        title="An auditor's work",
        header=["what", "s", "s of processors", "leaves/s", "peak MiB"],
        rows=[
            _row(f"{name}, {jobs} process{'es' * (jobs > 1)}", run, result.leaves)
            for name, runs in (
                ("padan audit verify", result.verify), ("padan audit replay", result.replay),
            )
            for jobs, run in runs.items()
        ]
        + [
            _row("contrib/verify.py (no replay)", result.single_file, result.leaves),
            _row("the signatures alone, 1 processor", bare, result.leaves),
        ],
        notes=[
            (
                f"{result.leaves:,} leaves of real decisions in {result.bundle_mib:.0f} MiB: "
                f"{result.decisions:,} decisions, {result.signatures:,} signed requests. Start of "
                "the program included."
            ),
            (
                f"Bare Ed25519: {result.signatures_per_s:,.0f} signatures/s on one processor. "
                f"Load when it ended: {result.load:.1f}."
            ),
            "Memory is that of the process that puts together what the others read.",
            (
                f"The bars, for {LEAVES:,} leaves: {MOST_VERIFY_S:.0f} s without envelope "
                f"signatures (verify), {MOST_REPLAY_S:.0f} s with them (replay) on 2 processes."
            ),
        ],
    )  # fmt: skip


def _row(name: str, run: Run, leaves: int) -> Sequence[str]:
    memory = figure(run.peak_mib, 0) if run.peak_mib else ""
    return [
        name, figure(run.seconds, 1), figure(run.cpu_s, 1), figure(leaves / run.seconds, 0), memory,
    ]  # fmt: skip
