"""One run of all pairs through the engine, in a process of its own.

`compare_run LEFT RIGHT THRESHOLD THREADS` compares two files of packed codes and prints
what that took as JSON: a process has its own peak of memory.
"""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np

from linkage.compare.candidates import concatenate
from linkage.engine.local import run_all, run_task, warm_up
from linkage.engine.plan import plan_all_pairs
from linkage.engine.records import Inputs, prepare

_KIB_PER_MIB = 1_024


def compare(left: str, right: str, threshold: float, threads: int) -> dict[str, float]:
    """Compare all pairs of two files of codes; return seconds, pairs and peak memory."""
    warm_up()
    start_mib = _peak_mib()
    started = time.perf_counter()
    codes = [np.load(path) for path in (left, right)]
    inputs = Inputs([prepare(part, "clk") for part in codes])
    sizes = inputs.sizes
    # Made on this thread, before others read them.
    _ = inputs.parties[1].lanes
    tasks = plan_all_pairs(sizes)
    found = concatenate(
        part.shifted(0, sizes[0])
        for _, part in run_all(tasks, lambda task: run_task(task, inputs, threshold), threads)
    )
    return {
        "seconds": time.perf_counter() - started,
        "comparisons": sizes[0] * sizes[1],
        "pairs": len(found),
        "start_mib": start_mib,
        "peak_mib": _peak_mib(),
    }


def _peak_mib() -> float:
    # Not by getrusage, which counts the peak of the process that started this one, too.
    status = Path("/proc/self/status").read_text("utf-8")
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak) / _KIB_PER_MIB


if __name__ == "__main__":
    print(json.dumps(compare(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))))
