"""`python -m benchmarks COMMAND`: results to stdout, progress to stderr."""

import os
import re
from pathlib import Path
from typing import Any

import click

from benchmarks.ablation import RETRIALS, measure_ablation
from benchmarks.ablation_table import ablation_table
from benchmarks.compare_command import compare
from benchmarks.curve import measure_curve
from benchmarks.curve_table import curve_picture, curve_table
from benchmarks.environment import Environment, read_environment
from benchmarks.experiment import Experiment, load_experiments
from benchmarks.memory import PARTS, SCHEME, measure_memory, memory_table
from benchmarks.memory import RECORDS as MEMORY_RECORDS
from benchmarks.quality import measure_quality
from benchmarks.quality_table import quality_table
from benchmarks.report import Table, as_json, print_table, write_result
from benchmarks.schemes import Scheme, parse_scheme, supported_schemes
from benchmarks.speed import RECORDS, REPEATS, default_schemes, measure_speed, speed_table

RESULTS = Path(__file__).parent / "results"
_SMALL_RECORDS = 2_000

_data = click.option(
    "--data",
    default="../shared/data",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the labelled sets; those absent are skipped. Speed makes its own records.",
)
_schemes = click.option(
    "--scheme",
    "schemes",
    multiple=True,
    metavar="NAME[:BITS[/ORDER]]",
    help="Ours, may be repeated; all that the schema knows where absent.",
)
_scheme = click.option(
    "--scheme",
    "scheme",
    default="clk",
    show_default=True,
    metavar="NAME[:BITS[/ORDER]]",
    help="The one that is measured.",
)
_sets = click.option("--sets", help="Names of sets, separated by commas; all where absent.")
_threads = click.option("--threads", default=os.cpu_count() or 1, show_default="all cores")
_small = click.option("--small", is_flag=True, help="A tiny size, to try it out.")
_as_json = click.option("--json", "json_out", is_flag=True, help="Print the figures as JSON.")
_install = click.option(
    "--install/--no-install",
    default=True,
    help="Make the peers' environment on first use, or skip them where it is not there.",
)
_results = click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Folder of the result files; a full run writes to benchmarks/results by default.",
)


@click.group()
def main() -> None:
    """Linkage quality, encoding speed and memory."""


@main.command()
@_data
@_schemes
@_sets
@_threads
@click.option("--keys", default=3, show_default=True, help="Keys to try; the median one counts.")
@_small
@_install
@_results
@_as_json
def quality(
    data: Path,
    schemes: tuple[str, ...],
    sets: str | None,
    threads: int,
    keys: int,
    small: bool,
    install: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Best F1 of our schemes and of the peers on every set."""
    environment = read_environment(_command("quality"))  # before: the tree may change meanwhile
    chosen = _parsed(schemes or supported_schemes())
    experiments = _selected(load_experiments(), sets)
    result = measure_quality(
        experiments,
        chosen,
        data,
        threads,
        keys,
        small,
        install,
        _progress,
    )
    table = quality_table(result, chosen)
    partial = small or sets is not None
    _publish("quality", table, result.to_dict(), json_out, results, partial, environment)
    if result.failed:
        raise SystemExit(1)


@main.command()
@_data
@_schemes
@click.option("--records", default=RECORDS, show_default=True, help="Number of records.")
@click.option("--repeats", default=REPEATS, show_default=True, help="The best one counts.")
@_small
@_install
@_results
@_as_json
def speed(
    data: Path,  # noqa: ARG001 # all benchmarks take it, so that one command line fits all
    schemes: tuple[str, ...],
    records: int,
    repeats: int,
    small: bool,
    install: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Records per second from raw strings to packed codes, on one core."""
    environment = read_environment(_command("speed"))
    chosen = _parsed(schemes or default_schemes())
    n_records, times = (_SMALL_RECORDS, 1) if small else (records, repeats)
    result = measure_speed(chosen, n_records, times, install, _progress)
    partial = small or records != RECORDS
    figures = result.to_dict()
    _publish("speed", speed_table(result), figures, json_out, results, partial, environment)


@main.command()
@_data
@_scheme
@_sets
@_threads
@click.option("--keys", default=3, show_default=True, help="Keys to try; their mean counts.")
@click.option(
    "--retrials",
    default=RETRIALS,
    show_default=True,
    help="Further keys for a rule that seems to do harm.",
)
@_small
@_results
@_as_json
def ablation(
    data: Path,
    scheme: str,
    sets: str | None,
    threads: int,
    keys: int,
    retrials: int,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Best F1 without rarity, without each group of rules, and without each rule."""
    environment = read_environment(_command("ablation"))
    (chosen,) = _parsed([scheme])
    experiments = _selected(load_experiments(), sets)
    result = measure_ablation(experiments, chosen, data, threads, keys, retrials, small, _progress)
    name = "ablation" if scheme == "clk" else "-".join(["ablation", *re.split("[:/]", scheme)])
    partial = small or sets is not None
    figures = result.to_dict()
    _publish(name, ablation_table(result), figures, json_out, results, partial, environment)


@main.command()
@_data
@_sets
@_threads
@_small
@_results
@_as_json
def curve(
    data: Path,
    sets: str | None,
    threads: int,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Best F1 of saul by order and length, against the likeness of true pairs."""
    environment = read_environment(_command("curve"))
    experiments = _selected(load_experiments(), sets)
    result = measure_curve(experiments, data, threads, small, _progress)
    table, figures, picture = curve_table(result), result.to_dict(), curve_picture(result)
    partial = small or sets is not None
    _publish("curve", table, figures, json_out, results, partial, environment, picture)


@main.command()
@_data
@click.option("--scheme", default=SCHEME, show_default=True, metavar="NAME[:BITS[/ORDER]]")
@click.option("--records", default=MEMORY_RECORDS, show_default=True, help="Number of records.")
@_small
@_results
@_as_json
def memory(
    data: Path,  # noqa: ARG001 # as speed
    scheme: str,
    records: int,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Peak memory of an agent that encodes a file into its spool."""
    environment = read_environment(_command("memory"))
    _parsed([scheme])
    n_records = max(PARTS) * _SMALL_RECORDS if small else records
    result = measure_memory(scheme, n_records, _progress)
    partial = small or records != MEMORY_RECORDS or scheme != SCHEME
    figures = result.to_dict()
    _publish("memory", memory_table(result), figures, json_out, results, partial, environment)


main.add_command(compare)


def _progress(name: str) -> None:
    click.echo(name, err=True)


def _parsed(schemes: tuple[str, ...] | list[str]) -> list[Scheme]:
    try:
        return [parse_scheme(text) for text in schemes]
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _selected(experiments: list[Experiment], sets: str | None) -> list[Experiment]:
    if sets is None:
        return experiments
    names = [name.strip() for name in sets.split(",")]
    by_name = {experiment.name: experiment for experiment in experiments}
    if unknown := [name for name in names if name not in by_name]:
        raise click.UsageError(f"no set {', '.join(unknown)}: there are {', '.join(by_name)}")
    return [by_name[name] for name in names]


def _publish(
    name: str,
    table: Table,
    figures: dict[str, Any],
    json_out: bool,
    results: Path | None,
    partial: bool,
    environment: Environment,
    picture: str | None = None,
) -> None:
    if json_out:
        click.echo(as_json(figures, environment))
    else:
        print_table(table)
    folder = results or (None if partial else RESULTS)
    if folder is not None:
        for path in write_result(folder, name, table, figures, environment, picture):
            click.echo(f"written: {path.name}", err=True)


def _command(name: str) -> str:
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


if __name__ == "__main__":
    main()
