"""`python -m benchmarks audit`: verifying a long log, and making its decisions again."""

from pathlib import Path

import click

from benchmarks.audit import LEAVES, audit_table, measure_audit
from benchmarks.environment import read_environment
from benchmarks.options import (
    command_line,
    progress,
    publish,
    with_as_json,
    with_results,
    with_small,
)

_SMALL_LEAVES = 300


@click.command()
@click.option(
    "--leaves", default=LEAVES, show_default=True, help="Leaves of the log; it is made once."
)
@with_small
@with_results
@with_as_json
def audit(leaves: int, small: bool, results: Path | None, json_out: bool) -> None:
    """Seconds to verify a long match log, and to make every decision in it again."""
    environment = read_environment(command_line("audit"))
    result = measure_audit(_SMALL_LEAVES if small else leaves, progress)
    partial = small or leaves != LEAVES
    publish("audit", audit_table(result), result.to_dict(), json_out, results, partial, environment)
