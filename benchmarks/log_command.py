"""`python -m benchmarks log`: appending to the match log, cosigning and verifying it."""

from pathlib import Path

import click

from benchmarks.environment import read_environment
from benchmarks.log import ENTRIES, log_table, measure_log
from benchmarks.options import (
    SMALL_RECORDS,
    command_line,
    progress,
    publish,
    with_as_json,
    with_results,
    with_small,
)

_SMALL_S = 0.2


@click.command()
@click.option("--entries", default=ENTRIES, show_default=True, help="Entries to verify.")
@with_small
@with_results
@with_as_json
def log(entries: int, small: bool, results: Path | None, json_out: bool) -> None:
    """Appends a second, time to be cosigned, and time to verify the match log."""
    environment = read_environment(command_line("log"))
    if small:
        result = measure_log(SMALL_RECORDS, _SMALL_S, 1, progress)
    else:
        result = measure_log(entries, on_step=progress)
    partial = small or entries != ENTRIES
    publish("log", log_table(result), result.to_dict(), json_out, results, partial, environment)
