"""The lookup result as a table that people read."""

from benchmarks.lookup import BARS, LookupResult
from benchmarks.metrics import share_rows
from benchmarks.report import Table, figure


def lookup_table(result: LookupResult) -> Table:
    """Return the table: how long lookups took, and what they found."""
    found = [
        [f"found of duplicates around {agreement}", f"{result.found[agreement]} of {n}"]
        for agreement, n in result.planted.items()
    ]
    notes = [
        (
            f"{result.asked:,} lookups at random moments, {result.rate_per_s:.0f} a second on "
            "average, over gRPC with TLS on one machine that also makes them; each from the "
            "moment at which it should have left to its answer."
        ),
        (
            "Codes of the register are random bits. Duplicates have a share of the bits of their "
            "record; counted are those that come out alike enough for a match, so what is not "
            "found was overlooked."
        ),
        (
            f"Overlooked of those that are just a match, as computed: {result.overlooked:.4f}; of "
            "those more alike less."
        ),
    ]
    half, most = BARS.get(result.records, (None, None))
    if most is not None:
        first = f"p50 {half:.0f} ms, " if half is not None else ""
        notes.append(f"The bar is {first}p99 {most:.0f} ms on two cores.")
    strangers, wrong = result.strangers
    return Table(
        title=f"Lookups in a register of {result.records:,} codes, {result.scheme}",
        header=["what", "figure"],
        rows=[
            *[[f"{name} ms", figure(ms, 2)] for name, ms in result.latency_ms.items()],
            ["left late, at most, ms", figure(result.late_ms, 2)],
            *share_rows(result.at_matcher),
            *found,
            ["strangers with another answer than no", f"{wrong} of {strangers}"],
            ["upload s", figure(result.upload_s, 1)],
            ["peak MiB of the matcher", figure(result.peak_mib, 0)],
        ],
        notes=notes,
    )
