"""`padan attack`: what the published attacks read from an agency's own encodings."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from linkage.agent.attack import GateResult
    from linkage.privacy.gate import Outcome

_EXCEEDED, _VOID = 1, 3


@click.command()
@click.option(
    "--schema",
    "schema_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Linkage schema (TOML).",
)
@click.option("--data", type=click.Path(path_type=Path), help="CSV(.gz) or Parquet file.")
@click.option("--source", type=click.Path(path_type=Path), help="Source file (TOML) instead.")
@click.option(
    "--id",
    "record_id",
    default="record_id",
    show_default=True,
    help="Column of record numbers, with --data.",
)
@click.option(
    "--level",
    type=click.Choice(["quick", "full"]),
    default="quick",
    show_default=True,
    help="quick: known pairs, structure, frequencies; full: graphs and a whole job too.",
)
@click.option("--seed", default=1, show_default=True, help="Equal seeds take equal samples.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML report.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def attack(
    schema_path: Path,
    data: Path | None,
    source: Path | None,
    record_id: str,
    level: str,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> None:
    """Attack one's own records, encoded under throw-away keys, before they leave.

    Every attack is run on plain Bloom filters of the same records first; one that does not
    break these proves nothing. Exits 1 if a limit is exceeded, 3 if a result is void.
    """
    from linkage.agent.attack import attack as run
    from linkage.agent.config import load_schema, load_source
    from linkage.agent.evaluate import input_of
    from linkage.cli.progress import progress_bar

    if (data is None) == (source is None):
        raise click.UsageError("name the records by --data or by --source, one of the two")
    config = load_source(source) if source is not None else input_of(data or Path(), record_id)
    schema = load_schema(schema_path)
    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)
        result = run(
            schema, config, level, seed, lambda name: progress.update(task, description=name)
        )
    if report is not None:
        from linkage.cli.attack_report import report_page

        report.write_text(report_page(result), "utf-8")
    if as_json:
        click.echo(json.dumps(result.to_dict()))
    else:
        _print(result)
    # What failed failed, whatever else is void.
    sys.exit(_EXCEEDED if result.failed else _VOID if result.void else 0)


def _print(result: "GateResult") -> None:
    click.echo(f"{result.n_records:,} distinct records, level {result.level}, seed {result.seed}")
    width = max(len(f"{o.attack}, {o.setting}") for o in result.outcomes)
    click.echo(f"{'':{width}}  {'figure':>8} {'to':>8} {'limit':>8} {'chance':>8} {'control':>8}")
    for outcome in result.outcomes:
        click.echo(f"{f'{outcome.attack}, {outcome.setting}':{width}}  {_figures(outcome)}")
    for outcome in result.outcomes:
        if outcome.void:
            click.echo(f"void: {outcome.attack} ({outcome.setting}) does not break its control")
        elif outcome.exceeded:
            click.echo(f"exceeded: {outcome.attack} ({outcome.setting})")


def _figures(outcome: "Outcome") -> str:
    upper = None if outcome.interval is None else outcome.interval[1]
    numbers = (outcome.value, upper, outcome.limit, outcome.chance, outcome.control)
    shown = " ".join(f"{'-' if n is None else f'{n:.4f}':>8}" for n in numbers)
    verdict = "void" if outcome.void else "EXCEEDED" if outcome.exceeded else "ok"
    return f"{shown}  {verdict}"
