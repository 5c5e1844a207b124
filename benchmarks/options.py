"""What the benchmarks' commands have in common: options, the sets chosen, results written."""

import os
from pathlib import Path
from typing import Any

import click

from benchmarks.environment import Environment
from benchmarks.experiment import Experiment
from benchmarks.report import Table, as_json, print_table, write_result
from benchmarks.schemes import Scheme, parse_scheme

RESULTS = Path(__file__).parent / "results"
SMALL_RECORDS = 2_000

with_data = click.option(
    "--data",
    default="../shared/data",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the labelled sets; those absent are skipped. Speed makes its own records.",
)
with_schemes = click.option(
    "--scheme",
    "schemes",
    multiple=True,
    metavar="NAME[:BITS[/ORDER]]",
    help="Ours, may be repeated; all that the schema knows where absent.",
)
with_scheme = click.option(
    "--scheme",
    "scheme",
    default="clk",
    show_default=True,
    metavar="NAME[:BITS[/ORDER]]",
    help="The one that is measured.",
)
with_sets = click.option("--sets", help="Names of sets, separated by commas; all where absent.")
with_threads = click.option("--threads", default=os.cpu_count() or 1, show_default="all cores")
with_small = click.option("--small", is_flag=True, help="A tiny size, to try it out.")
with_as_json = click.option("--json", "json_out", is_flag=True, help="Print the figures as JSON.")
with_install = click.option(
    "--install/--no-install",
    default=True,
    help="Make the peers' environment on first use, or skip them where it is not there.",
)
with_results = click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Folder of the result files; a full run writes to benchmarks/results by default.",
)


def progress(name: str) -> None:
    """Say on stderr what is going on."""
    click.echo(name, err=True)


def parsed(schemes: tuple[str, ...] | list[str]) -> list[Scheme]:
    """Return schemes as given on the command line."""
    try:
        return [parse_scheme(text) for text in schemes]
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def selected(experiments: list[Experiment], sets: str | None) -> list[Experiment]:
    """Return the experiments of the named sets; all where none is named."""
    if sets is None:
        return experiments
    names = [name.strip() for name in sets.split(",")]
    by_name = {experiment.name: experiment for experiment in experiments}
    if unknown := [name for name in names if name not in by_name]:
        raise click.UsageError(f"no set {', '.join(unknown)}: there are {', '.join(by_name)}")
    return [by_name[name] for name in names]


def publish(
    name: str,
    table: Table,
    figures: dict[str, Any],
    json_out: bool,
    results: Path | None,
    partial: bool,
    environment: Environment,
    picture: str | None = None,
) -> None:
    """Print a result, and write it where it is wanted.

    Args:
        name: of the benchmark.
        table: what people read.
        figures: what programs read.
        json_out: print the figures and not the table.
        results: folder of the result files; where absent that of full runs.
        partial: not a full run, which is written only where a folder is named.
        environment: what it was measured with.
        picture: SVG, if there is one.
    """
    if json_out:
        click.echo(as_json(figures, environment))
    else:
        print_table(table)
    folder = results or (None if partial else RESULTS)
    if folder is not None:
        for path in write_result(folder, name, table, figures, environment, picture):
            click.echo(f"written: {path.name}", err=True)


def command_line(name: str) -> str:
    """Return the command line; folders shown by name only where they are absolute."""
    context = click.get_current_context()
    parts = ["python -m benchmarks", name]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if value == parameter.default or value in (None, False, ()) or parameter.name == "results":
            continue
        for one in value if isinstance(value, tuple) else (value,):
            shown = one.name if isinstance(one, Path) and one.is_absolute() else one
            parts.append(f"--{parameter.name}".replace("--schemes", "--scheme"))
            parts += [] if one is True else [str(shown)]
    return " ".join(parts)
