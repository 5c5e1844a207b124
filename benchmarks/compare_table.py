"""The result of the benchmark of comparing and solving as a table."""

from benchmarks.compare import THREADS, CompareResult
from benchmarks.report import Table, figure

# All pairs of 100,000 and 100,000 records, on two cores.
ENGINE_S = 15
ENGINE_MIB = 1_024

_MILLION = 1e6


def compare_table(result: CompareResult) -> Table:
    """Return a row per task."""
    rows = [
        [
            race.name,
            f"{race.work:,}",
            f"{race.pairs:,}",
            figure(race.work / race.seconds / _MILLION, 1),
            figure(race.work / race.peer_seconds / _MILLION, 1),
            figure(race.ratio, 1),
            figure(race.bar or None, 0),
        ]
        for race in result.races
    ]
    engine = result.engine
    return Table(
        title="Comparing and solving beside anonlink, one thread, codes of 1,024 bits",
        header=["task", "work", "found", "ours M/s", "anonlink M/s", "times", "bar"],
        rows=rows,
        notes=[
            (
                "Codes by clkhash from records like FEBRL's, "
                f"{result.fill:.0%} of the bits set; half of all pairs pass at "
                f"{result.threshold_half:.3f}. Work is comparisons, or candidate pairs to solve."
            ),
            (
                "Seconds of the processor, best of the runs. Both sides found the identical "
                "pairs and links. Where half of all pairs pass they are streamed out, counted "
                "and checksummed; anonlink always keeps all and puts them in order, ours where it "
                "says so. Solving includes the order on both sides."
            ),
            (
                f"Through the engine, {engine['comparisons']:,.0f} comparisons on {THREADS} "
                f"threads: {engine['seconds']:.1f} s by the wall clock, peak "
                f"{engine['peak_mib']:,.0f} MiB of which {engine['start_mib']:,.0f} before the "
                f"codes; the bars at 100,000 x 100,000 are {ENGINE_S} s and {ENGINE_MIB:,} MiB."
            ),
        ],
    )
