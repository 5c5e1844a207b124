"""`padan evaluate`: linkage quality against known persons."""

import json
import os
from pathlib import Path

import click

from linkage.errors import ConfigError


@click.command()
@click.option(
    "--schema",
    "schema_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Linkage schema (TOML).",
)
@click.option(
    "--input",
    "inputs",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="CSV(.gz) or Parquet file; one is de-duplicated, several are linked.",
)
@click.option("--truth", required=True, help="Column that names the person.")
@click.option(
    "--id",
    "record_id",
    default="record_id",
    show_default=True,
    help="Column of record numbers.",
)
@click.option(
    "--rounds",
    type=click.Choice(["1", "2"]),
    help="1: codes decide; 2: fields are compared too. As the schema says where absent.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default="all cores",
    help="Threads that compare.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="HTML file to write, with pictures: scores, thresholds, weights.",
)
def evaluate(
    schema_path: Path,
    inputs: tuple[Path, ...],
    truth: str,
    record_id: str,
    rounds: str | None,
    threads: int,
    as_json: bool,
    report: Path | None,
) -> None:
    """Encode, compare and solve files of known persons, and print how well it went."""
    from linkage.agent.config import load_schema
    from linkage.agent.evaluate import evaluate as run
    from linkage.agent.evaluate import input_of
    from linkage.cli.progress import progress_bar

    if report is not None:
        _check_report(report, (schema_path, *inputs))
    schema = load_schema(schema_path)
    if rounds is not None:
        schema = schema.with_rounds(1 if rounds == "1" else 2)
    sources = [input_of(path, record_id) for path in inputs]
    with progress_bar() as progress:
        task = progress.add_task("comparing", total=None)
        result = run(
            schema,
            sources,
            truth,
            threads,
            lambda done, total: progress.update(task, completed=done, total=total),
            keep_evidence=report is not None,
        )
    if report is not None:
        from linkage.agent.report import html_report

        names = [click.format_filename(path, shorten=True) for path in inputs]
        report.write_text(html_report(result, schema, names), "utf-8")
        click.echo(f"{report}: report", err=True)
    figures = result.to_dict()
    if as_json:
        click.echo(json.dumps(figures))
        return
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        click.echo(f"{name:{width}}  {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(_shown, value))
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _check_report(report: Path, read: tuple[Path, ...]) -> None:
    """Check, before the work and not after it, that a report can be written there."""
    if not report.parent.is_dir():
        raise ConfigError(str(report), [f"{report.parent} is no folder: make it first"])
    if report.exists() and any(path.exists() and report.samefile(path) for path in read):
        raise ConfigError(str(report), ["is a file that is read: name another one"])
