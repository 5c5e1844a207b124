"""The memory benchmark: peak memory of an agent, from its source to what it sends.

Measured are the agent of two rounds, which makes tickets and afterwards answers questions
about fields, and the agent of one round, which makes codes. Every run is a process of its
own, `memory_run`, that does what an agent does between its source and the network. It takes
all records, half of them and a quarter: what is streamed takes as much memory for the one as
for the other, once a file is longer than one chunk.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.memory_run import ANSWERS, TICKETS
from benchmarks.peer_env import ROOT
from benchmarks.report import Table, figure

RECORDS = 1_000_000
PARTS = (4, 2, 1)
"""A run takes the records divided by one of these."""

WORK = (TICKETS, ANSWERS, "saul:8192/5")
MOST_MIB = 1_536
"""What a million records may take."""


@dataclass(frozen=True)
class MemoryRun:
    """What one process took.

    Attributes:
        work: tickets, answers, or the scheme of codes.
        records: number of records.
        peak_mib: largest resident memory.
        start_mib: largest resident memory before the first record, all modules loaded.
        seconds: from the first record to the last byte.
        sent_mib: size of what is kept encrypted to be sent, or of the answers.
    """

    work: str
    records: int
    peak_mib: float
    start_mib: float
    seconds: float
    sent_mib: float

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds


@dataclass
class MemoryResult:
    """The runs, for each kind of work by rising number of records."""

    runs: list[MemoryRun] = field(default_factory=list)

    @property
    def work(self) -> list[str]:
        """Return the kinds of work."""
        return list(dict.fromkeys(run.work for run in self.runs))

    def bytes_per_record(self, work: str) -> float:
        """Return by how much the peak rises with each record of the last half."""
        few, many = [run for run in self.runs if run.work == work][-2:]
        return (many.peak_mib - few.peak_mib) * (1 << 20) / (many.records - few.records)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "runs": [{**asdict(run), "records_per_s": run.rate} for run in self.runs],
            "bytes_per_record": {work: self.bytes_per_record(work) for work in self.work},
            "most_mib": MOST_MIB,
        }


def measure_memory(
    work: Sequence[str],
    n_records: int = RECORDS,
    on_run: Callable[[str], None] = lambda _name: None,
) -> MemoryResult:
    """Take a quarter of a synthetic register, half and all, each in processes of their own.

    Args:
        work: `tickets`, `answers` (to questions about tickets, which must have been made),
            or schemes with their settings.
        n_records: number of records of the largest file.
        on_run: told what is done before it starts.
    """
    result = MemoryResult()
    for records in (n_records // part for part in PARTS):
        with tempfile.TemporaryDirectory() as folder:
            on_run(f"{records:,} records")
            # Made apart, so that what that took is free again when they are read.
            _run("make", str(records), folder)
            for one in work:
                on_run(f"{records:,} records: {one}")
                result.runs.append(MemoryRun(one, **json.loads(_run("work", one, folder))))
    result.runs.sort(key=lambda run: work.index(run.work))
    return result


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory_run", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def memory_table(result: MemoryResult) -> Table:
    """Return the result as a table: a row per run."""
    return Table(
        title="Peak memory of an agent",
        header=["work", "records", "peak MiB", "at start", "seconds", "records/s", "sent MiB"],
        rows=[
            [
                run.work,
                f"{run.records:,}",
                figure(run.peak_mib, 0),
                figure(run.start_mib, 0),
                figure(run.seconds, 1),
                figure(run.rate, 0),
                figure(run.sent_mib, 0),
            ]
            for run in result.runs
        ],
        notes=[
            (
                f"{TICKETS}: the first round of two, from a CSV file through normalising into the "
                "encrypted spool, with a reference drawn and kept for every record."
            ),
            (
                f"{ANSWERS}: the second round: the file is read again, and field filters are made "
                "for some ten tickets a record, whose records are found by their marks; without "
                "the guard that remembers what was asked."
            ),
            "A scheme: one round, from a CSV file through encoding into the encrypted spool.",
            *[
                f"{work}: from half to all the peak rises by "
                f"{result.bytes_per_record(work):,.0f} bytes a record."
                for work in result.work
            ],
            f"Resident memory of the process; the bar is {MOST_MIB:,} MiB for {RECORDS:,} records.",
            "Synthetic register of civil registration, ordinary errors; one process, one thread.",
        ],
    )
