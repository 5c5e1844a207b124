"""`python -m benchmarks attacks`: what the risk gate finds, beyond one agency's file."""

from pathlib import Path

import click

from benchmarks.environment import read_environment
from benchmarks.experiment import load_experiments
from benchmarks.gates import SETS, gates_table, measure_gates
from benchmarks.known_pairs import measure_known_pairs
from benchmarks.known_pairs_table import known_pairs_picture, known_pairs_table
from benchmarks.options import (
    command_line,
    progress,
    publish,
    selected,
    with_as_json,
    with_data,
    with_results,
    with_small,
)
from benchmarks.planted import measure_planted, planted_table


@click.command()
@click.option("--curve", is_flag=True, help="Persons named against the number of known pairs.")
@click.option("--planted", is_flag=True, help="Whether the gate finds planted faults.")
@click.option("--gates", is_flag=True, help="The full gate on known sets, scheme by scheme.")
@click.option("--sets", default=",".join(SETS), show_default=True, help="With --gates: which sets.")
@with_data
@with_small
@with_results
@with_as_json
def attacks(
    curve: bool,
    planted: bool,
    gates: bool,
    sets: str,
    data: Path,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Attacks with many known pairs, the gate on planted faults, and the gate on known sets."""
    if curve + planted + gates != 1:
        raise click.UsageError("choose one of --curve, --planted and --gates")
    environment = read_environment(command_line("attacks"))
    if curve:
        pairs = measure_known_pairs(small, progress)
        table, figures, failed = known_pairs_table(pairs), pairs.to_dict(), pairs.failed
        picture = known_pairs_picture(pairs)
        publish("known-pairs", table, figures, json_out, results, small, environment, picture)
    elif gates:
        of_sets = measure_gates(selected(load_experiments(), sets), data, small, progress)
        table, figures, failed = gates_table(of_sets), of_sets.to_dict(), of_sets.failed
        publish("gates", table, figures, json_out, results, small, environment)
    else:
        found = measure_planted(small, progress)
        table, figures, failed = planted_table(found), found.to_dict(), found.failed
        publish("planted", table, figures, json_out, results, small, environment)
    if failed and not small:
        raise SystemExit(1)
