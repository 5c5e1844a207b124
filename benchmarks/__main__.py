"""`python -m benchmarks COMMAND`: results to stdout, progress to stderr."""

import re
from pathlib import Path

import click

from benchmarks.ablation import RETRIALS, measure_ablation
from benchmarks.ablation_table import ablation_table
from benchmarks.attacks_command import attacks
from benchmarks.audit_command import audit
from benchmarks.compare_command import compare
from benchmarks.curve import measure_curve
from benchmarks.curve_table import curve_picture, curve_table
from benchmarks.environment import read_environment
from benchmarks.experiment import load_experiments
from benchmarks.job_command import job
from benchmarks.load_command import load
from benchmarks.log_command import log
from benchmarks.lookup_command import lookup
from benchmarks.memory import PARTS, WORK, measure_memory, memory_table
from benchmarks.memory import RECORDS as MEMORY_RECORDS
from benchmarks.memory_run import ANSWERS, TICKETS
from benchmarks.options import (
    SMALL_RECORDS,
    command_line,
    parsed,
    progress,
    publish,
    selected,
    with_as_json,
    with_data,
    with_install,
    with_results,
    with_scheme,
    with_schemes,
    with_sets,
    with_small,
    with_threads,
)
from benchmarks.quality import measure_quality
from benchmarks.quality_table import quality_table
from benchmarks.ray_scaling import ray_scaling
from benchmarks.refine_command import candidates, refine
from benchmarks.scale_command import scale
from benchmarks.schemes import supported_schemes
from benchmarks.speed import RECORDS, REPEATS, default_schemes, measure_speed, speed_table
from benchmarks.threshold import threshold


@click.group()
def main() -> None:
    """Linkage quality, encoding speed and memory."""


@main.command()
@with_data
@with_schemes
@with_sets
@with_threads
@click.option("--keys", default=3, show_default=True, help="Keys to try; the median one counts.")
@with_small
@with_install
@with_results
@with_as_json
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
    environment = read_environment(command_line("quality"))  # before: the tree may change meanwhile
    chosen = parsed(schemes or supported_schemes())
    experiments = selected(load_experiments(), sets)
    result = measure_quality(
        experiments,
        chosen,
        data,
        threads,
        keys,
        small,
        install,
        progress,
    )
    table = quality_table(result, chosen)
    partial = small or sets is not None
    publish("quality", table, result.to_dict(), json_out, results, partial, environment)
    if result.failed:
        raise SystemExit(1)


@main.command()
@with_data
@with_schemes
@click.option("--records", default=RECORDS, show_default=True, help="Number of records.")
@click.option("--repeats", default=REPEATS, show_default=True, help="The best one counts.")
@with_small
@with_install
@with_results
@with_as_json
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
    environment = read_environment(command_line("speed"))
    chosen = parsed(schemes or default_schemes())
    n_records, times = (SMALL_RECORDS, 1) if small else (records, repeats)
    result = measure_speed(chosen, n_records, times, install, progress)
    partial = small or records != RECORDS
    figures = result.to_dict()
    publish("speed", speed_table(result), figures, json_out, results, partial, environment)


@main.command()
@with_data
@with_scheme
@with_sets
@with_threads
@click.option("--keys", default=3, show_default=True, help="Keys to try; their mean counts.")
@click.option(
    "--retrials",
    default=RETRIALS,
    show_default=True,
    help="Further keys for a rule that seems to do harm.",
)
@with_small
@with_results
@with_as_json
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
    environment = read_environment(command_line("ablation"))
    (chosen,) = parsed([scheme])
    experiments = selected(load_experiments(), sets)
    result = measure_ablation(experiments, chosen, data, threads, keys, retrials, small, progress)
    name = "ablation" if scheme == "clk" else "-".join(["ablation", *re.split("[:/]", scheme)])
    partial = small or sets is not None
    figures = result.to_dict()
    publish(name, ablation_table(result), figures, json_out, results, partial, environment)


@main.command()
@with_data
@with_sets
@with_threads
@with_small
@with_results
@with_as_json
def curve(
    data: Path,
    sets: str | None,
    threads: int,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Best F1 of saul by order and length, against the likeness of true pairs."""
    environment = read_environment(command_line("curve"))
    experiments = selected(load_experiments(), sets)
    result = measure_curve(experiments, data, threads, small, progress)
    table, figures, picture = curve_table(result), result.to_dict(), curve_picture(result)
    partial = small or sets is not None
    publish("curve", table, figures, json_out, results, partial, environment, picture)


@main.command()
@with_data
@click.option(
    "--work",
    multiple=True,
    default=WORK,
    show_default=True,
    help="tickets, answers (after tickets), or a scheme with its settings; may be repeated.",
)
@click.option("--records", default=MEMORY_RECORDS, show_default=True, help="Number of records.")
@with_small
@with_results
@with_as_json
def memory(
    data: Path,  # noqa: ARG001 # as speed
    work: tuple[str, ...],
    records: int,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Peak memory of an agent: tickets and answers of two rounds, and codes of one."""
    environment = read_environment(command_line("memory"))
    parsed([one for one in work if one not in (TICKETS, ANSWERS)])
    if ANSWERS in work and TICKETS not in work[: work.index(ANSWERS)]:
        raise click.UsageError("answers are given to tickets: name --work tickets before")
    n_records = max(PARTS) * SMALL_RECORDS if small else records
    result = measure_memory(work, n_records, progress)
    partial = small or records != MEMORY_RECORDS or work != WORK
    figures = result.to_dict()
    publish("memory", memory_table(result), figures, json_out, results, partial, environment)


for command in (
    compare, refine, candidates, job, lookup, load, log, audit, attacks, threshold, scale,
    ray_scaling,
):  # fmt: skip
    main.add_command(command)


if __name__ == "__main__":
    main()
