"""`python -m benchmarks refine` and `candidates`: two rounds, and what the first one finds."""

from pathlib import Path

import click

from benchmarks.candidates import candidates_table, measure_candidates
from benchmarks.environment import read_environment
from benchmarks.experiment import load_experiments
from benchmarks.options import (
    command_line,
    parsed,
    progress,
    publish,
    selected,
    with_as_json,
    with_data,
    with_install,
    with_results,
    with_sets,
    with_small,
    with_threads,
)
from benchmarks.refine import measure_refine
from benchmarks.refine_table import refine_table

_MOST_CANDIDATES = 20
_CANDIDATES = 10
_with_scheme = click.option(
    "--scheme",
    default="saul",
    show_default=True,
    metavar="NAME[:BITS[/ORDER]]",
    help="How records are encoded.",
)


@click.command()
@with_data
@_with_scheme
@click.option(
    "--candidates",
    type=click.IntRange(1, _MOST_CANDIDATES),
    default=_CANDIDATES,
    show_default=True,
    help="Most candidates of a record in the second round.",
)
@with_sets
@with_threads
@click.option("--keys", default=3, show_default=True, help="Keys to try; the median one counts.")
@with_small
@with_install
@with_results
@with_as_json
def refine(
    data: Path,
    scheme: str,
    candidates: int,
    sets: str | None,
    threads: int,
    keys: int,
    small: bool,
    install: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Best F1 of two rounds against one round and plain text, on every set."""
    environment = read_environment(command_line("refine"))
    (chosen,) = parsed([scheme])
    experiments = selected(load_experiments(), sets)
    result = measure_refine(
        experiments, chosen, candidates, data, threads, keys, small, install, progress
    )
    partial = small or sets is not None
    table, figures = refine_table(result), result.to_dict()
    publish("refine", table, figures, json_out, results, partial, environment)
    if result.failed:
        raise SystemExit(1)


@click.command()
@with_data
@_with_scheme
@with_sets
@with_small
@with_results
@with_as_json
def candidates(
    data: Path,
    scheme: str,
    sets: str | None,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """True pairs among the candidates, by their number and how they are found."""
    environment = read_environment(command_line("candidates"))
    (chosen,) = parsed([scheme])
    experiments = selected(load_experiments(), sets)
    result = measure_candidates(experiments, chosen, data, small, progress)
    partial = small or sets is not None
    table, figures = candidates_table(result), result.to_dict()
    publish("candidates", table, figures, json_out, results, partial, environment)
