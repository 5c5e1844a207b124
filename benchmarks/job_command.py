"""`python -m benchmarks job`: a whole job with real processes."""

from pathlib import Path

import click

from benchmarks.environment import read_environment
from benchmarks.job import CANDIDATES, RECORDS, measure_job
from benchmarks.job_table import job_table
from benchmarks.options import (
    SMALL_RECORDS,
    command_line,
    parsed,
    progress,
    publish,
    with_as_json,
    with_results,
    with_small,
)


@click.command()
@click.option("--scheme", default="saul", show_default=True, metavar="NAME[:BITS[/ORDER]]")
@click.option("--records", default=RECORDS, show_default=True, help="Records of each register.")
@click.option(
    "--candidates",
    type=click.IntRange(1, 50),
    default=CANDIDATES,
    show_default=True,
    help="Most candidates of a record in the second round.",
)
@with_small
@with_results
@with_as_json
def job(
    scheme: str,
    records: int,
    candidates: int,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Time, memory and bytes of a whole job of two rounds."""
    environment = read_environment(command_line("job"))
    (chosen,) = parsed([scheme])
    result = measure_job(chosen, candidates, SMALL_RECORDS if small else records, progress)
    partial = small or records != RECORDS
    publish("job", job_table(result), result.to_dict(), json_out, results, partial, environment)
