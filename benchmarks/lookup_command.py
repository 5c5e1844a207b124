"""`python -m benchmarks lookup`: lookups in a standing register at a steady rate."""

from pathlib import Path

import click

from benchmarks.environment import read_environment
from benchmarks.lookup import RATE_PER_S, RECORDS, SECONDS, measure_lookup
from benchmarks.lookup_table import lookup_table
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

_SMALL_S = 2.0


@click.command()
@click.option(
    "--scheme", default="saul:4096/4", show_default=True, metavar="NAME[:BITS[/ORDER]]",
    help="A hardened one.",
)  # fmt: skip
@click.option("--records", default=RECORDS, show_default=True, help="Records of the register.")
@click.option("--rate", default=RATE_PER_S, show_default=True, help="Mean lookups a second.")
@click.option("--seconds", default=SECONDS, show_default=True, help="How long they come.")
@click.option("--exhaustive", is_flag=True, help="Every code is read whole.")
@with_small
@with_results
@with_as_json
def lookup(
    scheme: str,
    records: int,
    rate: float,
    seconds: float,
    exhaustive: bool,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Milliseconds of lookups over gRPC, and what they find."""
    environment = read_environment(command_line("lookup"))
    (chosen,) = parsed([scheme])
    if chosen.settings["scheme"] == "clk":
        raise click.UsageError("random codes stand for hardened ones: clk is none")
    n_records, for_s = (SMALL_RECORDS, _SMALL_S) if small else (records, seconds)
    result = measure_lookup(chosen, n_records, rate, for_s, exhaustive, progress)
    partial = small or (records, rate, seconds, exhaustive) != (RECORDS, RATE_PER_S, SECONDS, False)
    table, figures = lookup_table(result), result.to_dict()
    publish("lookup", table, figures, json_out, results, partial, environment)


if __name__ == "__main__":
    lookup()
