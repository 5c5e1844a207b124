"""The scale benchmark: two large registers from codes and tokens to candidates and links.

Both are made and encoded first, in a process of their own; measured is what a matcher
does with them when all pairs are too many: join the block tokens, score and rank the
pairs that share one, and link those whose codes are alike enough.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import Any

from benchmarks.peer_env import ROOT
from benchmarks.picture import Axis, Panel, Series, draw
from benchmarks.report import Table, figure

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
# Of the curve of costs: its last size is no bar's.
CURVE = (*SIZES, 2_000_000)
# Seconds and MiB that a million records on each side may take, by scheme.
BARS = {"saul:8192/5": (180, 6 * 1_024), "saul:4096/4": (120, 4 * 1_024)}
LEAST_COMPLETENESS = 0.98
# What is drawn: seconds, and last the memory.
_COSTS = (
    ("in all", "seconds"),
    ("joining", "joining_s"),
    ("ranking", "ranking_s"),
    ("", "peak_mib"),
)


@dataclass
class ScaleResult:
    """The runs of one scheme, by rising size; each as `scale_run.link` says."""

    scheme: str
    threads: int
    runs: list[dict[str, float]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        return {"scheme": self.scheme, "threads": self.threads, "runs": self.runs}


def measure_scale(
    scheme: str, sizes: Sequence[int], threads: int, on_step: Callable[[str], None]
) -> ScaleResult:
    """Measure registers of several sizes.

    Args:
        scheme: how records are encoded.
        sizes: records of each register.
        threads: threads that compare.
        on_step: told what is going on.
    """
    result = ScaleResult(scheme, threads)
    for n_records in sizes:
        with tempfile.TemporaryDirectory() as folder:
            on_step(f"making {n_records:,} x {n_records:,}")
            _run("make", str(n_records), scheme, folder)
            on_step(f"linking {n_records:,} x {n_records:,}")
            result.runs.append(json.loads(_run("link", scheme, folder, str(threads))))
    return result


def scale_table(result: ScaleResult) -> Table:
    """Return the figures as a table."""
    rows = [
        [
            f"{int(run['left']):,} x {int(run['right']):,}",
            f"{int(run['candidate_pairs']):,}",
            figure(run["pairs_completeness"]),
            f"{int(run['links']):,}",
            f"{run['joining_s']:.1f}",
            f"{run['ranking_s']:.1f}",
            f"{run['solving_s']:.1f}",
            f"{run['seconds']:.1f}",
            f"{run['peak_mib']:,.0f}",
        ]
        for run in result.runs
    ]
    bar = BARS.get(result.scheme)
    what = (
        "From codes and tokens, or tickets, on disk to ranked candidates (10 a record) and links, "
        "or questions to the owners; encoding "
        "not counted. Ordinary synthetic registers with errors; pairs completeness is the share "
        "of the true pairs among the candidates."
    )
    notes = [what]
    if bar is not None:
        notes.append(
            f"Bar at 1,000,000 x 1,000,000: {bar[0]} s, {bar[1]:,} MiB, completeness "
            f"{LEAST_COMPLETENESS}."
        )
    return Table(
        f"Candidates and links of two registers with {result.scheme}, {result.threads} threads",
        [
            "registers", "candidate pairs", "completeness", "links", "joining s", "ranking s",
            "solving s", "seconds", "peak MiB",
        ],
        rows,
        notes,
    )  # fmt: skip


def scale_picture(result: ScaleResult) -> str:
    """Return seconds and memory against the size as SVG, on scales of powers of ten."""
    places = [
        Series(
            name,
            number,
            [
                (
                    log10(run["left"]),
                    log10(run[key]),
                    f"{int(run['left']):,}: {figure(run[key], 1)}",
                )
                for run in result.runs
                if run[key] > 0
            ],
            line=True,
        )
        for number, (name, key) in enumerate(_COSTS)
    ]
    points = [point for one in places for point in one.points]
    across, up = ([point[axis] for point in points] for axis in (0, 1))
    x = Axis("log10 of records on each side", floor(min(across)), ceil(max(across)), 1.0)
    y = Axis("log10", floor(min(up)), ceil(max(up)), 1.0)
    panels = [Panel("Seconds", places[:-1]), Panel("Peak MiB", places[-1:])]
    title = f"Costs of linking two registers with {result.scheme}, {result.threads} threads"
    return draw(title, panels, x, y)


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale_run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"a run of the scale benchmark failed: {done.stderr[-2000:]}")
    return done.stdout
