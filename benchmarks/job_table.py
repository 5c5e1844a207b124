"""The job result as tables that people read."""

from benchmarks.job import MOST_S, RECORDS, JobResult
from benchmarks.report import Table, figure


def job_table(result: JobResult) -> Table:
    """Return the tables: what the job took, what it sent, and what it brought."""
    quality = result.quality
    sizes = " x ".join(f"{n:,}" for n in result.records.values())
    return Table(
        title=f"A whole job of {sizes} records",
        header=["what", "figure"],
        rows=[
            ["seconds", figure(result.seconds, 1)],
            *[[f"  {phase}", f"{seconds:,}"] for phase, seconds in result.phases.items()],
            *[[f"peak MiB of {name}", figure(mib, 0)] for name, mib in result.peak_mib.items()],
            ["comparisons of codes", f"{result.comparisons:,}"],
            ["links", f"{quality.pairs_found:,}"],
            ["F1", figure(quality.f1)],
            ["precision", figure(quality.precision)],
            ["recall", figure(quality.recall)],
        ],
        notes=[
            (
                f"{result.scheme}, two rounds, at most {result.candidates} candidates of a record, "
                "decoys; a matcher and two agents, each a process, all on this machine."
            ),
            (
                "seconds: from the request to the verified results of both agents; phases by the "
                "whole seconds of the log."
            ),
            f"The bar is {MOST_S} seconds for {RECORDS:,} records on each side, on two cores.",
            "Links at the threshold without truth.",
        ],
        next=Table(
            title="Bytes sent",
            header=["what", "bytes per record", "MiB in all"],
            rows=[
                [what, figure(result.sent_per_record[what], 0), figure(n / (1 << 20), 1)]
                for what, n in result.sent.items()
            ],
            notes=[
                "Before TLS and without the frames of messages; decoys and drawn pairs included."
            ],
        ),
    )
