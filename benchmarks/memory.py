"""The memory benchmark: peak memory of an agent that encodes a file into its spool.

Every run is a process of its own, `memory_run`, that does what an agent does between its
source and the upload. Encoded are all records, half of them and a quarter: what is streamed
takes as much memory for the one as for the other, once a file is longer than one chunk.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.peer_env import ROOT
from benchmarks.report import Table, figure

RECORDS = 1_000_000
PARTS = (4, 2, 1)
"""A run encodes the records divided by one of these."""

SCHEME = "saul:8192/5"
MOST_MIB = 1_536
"""What a million records may take."""


@dataclass(frozen=True)
class MemoryRun:
    """What one process took.

    Attributes:
        records: number of records.
        peak_mib: largest resident memory.
        start_mib: largest resident memory before the first record, all modules loaded.
        seconds: from the first record to the closed spool.
        spool_mib: size of the encrypted spool.
    """

    records: int
    peak_mib: float
    start_mib: float
    seconds: float
    spool_mib: float

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds


@dataclass
class MemoryResult:
    """The runs, by rising number of records.

    Attributes:
        scheme: the scheme.
        runs: a quarter of the records, half, and all.
    """

    scheme: str
    runs: list[MemoryRun] = field(default_factory=list)

    @property
    def bytes_per_record(self) -> float:
        """By how much the peak rises with each record of the last half; 0 where it is flat."""
        few, many = self.runs[-2:]
        return (many.peak_mib - few.peak_mib) * (1 << 20) / (many.records - few.records)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "scheme": self.scheme,
            "runs": [{**asdict(run), "records_per_s": run.rate} for run in self.runs],
            "bytes_per_record": self.bytes_per_record,
            "most_mib": MOST_MIB,
        }


def measure_memory(
    scheme: str, n_records: int = RECORDS, on_run: Callable[[str], None] = lambda _name: None
) -> MemoryResult:
    """Encode a quarter of a synthetic register, half and all, each in a process of its own.

    Args:
        scheme: the scheme with its settings.
        n_records: number of records of the largest file.
        on_run: told what is done before it starts.
    """
    result = MemoryResult(scheme)
    for records in (n_records // part for part in PARTS):
        with tempfile.TemporaryDirectory() as folder:
            on_run(f"{records:,} records")
            # Made apart, so that what that took is free again when it is encoded.
            _run("make", str(records), folder)
            on_run(f"{records:,} records: encoding")
            result.runs.append(MemoryRun(**json.loads(_run("encode", scheme, folder))))
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
        title=f"Peak memory of an agent that encodes with {result.scheme}",
        header=["records", "peak MiB", "before records", "seconds", "records/s", "spool MiB"],
        rows=[
            [
                f"{run.records:,}",
                figure(run.peak_mib, 0),
                figure(run.start_mib, 0),
                figure(run.seconds, 1),
                figure(run.rate, 0),
                figure(run.spool_mib, 0),
            ]
            for run in result.runs
        ],
        notes=[
            (
                "From a CSV file through normalising and encoding into the encrypted spool, with "
                "a reference drawn and kept for every record; resident memory of the process."
            ),
            (
                f"From half to all the peak rises by {result.bytes_per_record:,.0f} bytes a "
                f"record; the bar is {MOST_MIB:,} MiB for {RECORDS:,} records."
            ),
            "Synthetic register of civil registration, ordinary errors; one process, one thread.",
        ],
    )
