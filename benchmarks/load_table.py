"""The load result as a table that people read."""

from benchmarks.load import MOST_P99_MS, LoadResult
from benchmarks.metrics import share_rows
from benchmarks.report import Table, figure


def load_table(result: LoadResult) -> Table:
    """Return the table: what was sent, what failed, and how long lookups took meanwhile."""
    first, last = result.ends_mib
    batches = sum(one.batches for one in result.uploads)
    return Table(
        title=(
            f"{len(result.uploads)} agents upload {result.records:,} codes each, beside "
            f"{result.rate_per_s:.0f} lookups a second, {result.scheme}"
        ),
        header=["what", "figure"],
        rows=[
            ["seconds", figure(result.seconds, 0)],
            ["lookups", f"{result.asked:,}"],
            ["errors", str(len(result.errors))],
            *[[f"lookup {name} ms", figure(ms, 1)] for name, ms in result.latency_ms.items()],
            *[[f"left late {name} ms", figure(ms, 1)] for name, ms in result.late_ms.items()],
            *share_rows(result.at_matcher),
            ["batches sent whole", str(batches)],
            ["MiB a second, all agents", figure(result.mib_per_s, 1)],
            ["MiB of the matcher before", figure(result.idle_mib, 0)],
            ["peak MiB of the matcher", figure(result.peak_mib, 0)],
            ["most MiB in the first minute", figure(first, 0)],
            ["most MiB in the last minute", figure(last, 0)],
        ],
        notes=[
            (
                "Agents, matcher and counter are processes on one machine and share its "
                "processors. Every agent sends its next batch to a new job as soon as one is "
                "whole. A lookup is signed, and takes from the moment at which it should have "
                "left to its answer: what it left late is in it."
            ),
            f"The bar is p99 {MOST_P99_MS:.0f} ms and no error, on two cores.",
            *sorted(set(result.errors))[:5],
        ],
    )
