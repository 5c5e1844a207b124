"""`python -m benchmarks load`: eight agents upload while lookups come."""

from pathlib import Path

import click

from benchmarks.environment import read_environment
from benchmarks.load import RATE_PER_S, RECORDS, SECONDS, measure_load
from benchmarks.load_table import load_table
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

_SMALL_S = 3.0


@click.command()
@click.option(
    "--scheme", default="saul:4096/4", show_default=True, metavar="NAME[:BITS[/ORDER]]",
    help="A hardened one.",
)  # fmt: skip
@click.option("--records", default=RECORDS, show_default=True, help="Of each batch and register.")
@click.option("--rate", default=RATE_PER_S, show_default=True, help="Mean lookups a second.")
@click.option("--seconds", default=SECONDS, show_default=True, help="How long the load lasts.")
@with_small
@with_results
@with_as_json
def load(
    scheme: str,
    records: int,
    rate: float,
    seconds: float,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Eight agents that upload at once, and lookups beside them: errors, memory, latency."""
    environment = read_environment(command_line("load"))
    (chosen,) = parsed([scheme])
    if chosen.settings["scheme"] == "clk":
        raise click.UsageError("random codes stand for hardened ones: clk is none")
    n_records, for_s = (SMALL_RECORDS, _SMALL_S) if small else (records, seconds)
    result = measure_load(chosen, n_records, rate, for_s, progress)
    partial = small or (records, rate, seconds) != (RECORDS, RATE_PER_S, SECONDS)
    table, figures = load_table(result), result.to_dict()
    publish("load", table, figures, json_out, results, partial, environment)
    if result.errors:
        raise SystemExit(1)


if __name__ == "__main__":
    load()
