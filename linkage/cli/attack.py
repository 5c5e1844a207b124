"""`padan attack`: what the published attacks read from an agency's own encodings."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from linkage.agent.attack import Attacked, WholeJob
    from linkage.privacy.outcome import Outcome
    from linkage.privacy.planted import Plant

_EXCEEDED, _VOID = 1, 3
_DATES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ")


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
@click.option(
    "--other",
    type=click.Path(path_type=Path),
    help="With --level full: another register's file, for the attack on a whole job.",
)
@click.option("--truth", help="With --other: column that names the person in both files.")
@click.option("--seed", default=1, show_default=True, help="Equal seeds take equal samples.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML report.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as data (JSON).")
@click.option("--epoch", type=click.IntRange(1), help="With --out: the epoch that it is for.")
@click.option(
    "--valid-until",
    type=click.DateTime(_DATES),
    help="With --out: the end of that epoch, in UTC.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--plant", "plant_name", hidden=True, help="A fault that the gate must find.")
def attack(
    schema_path: Path,
    data: Path | None,
    source: Path | None,
    record_id: str,
    level: str,
    other: Path | None,
    truth: str | None,
    seed: int,
    report: Path | None,
    out: Path | None,
    epoch: int | None,
    valid_until: datetime | None,
    as_json: bool,
    plant_name: str | None,
) -> None:
    """Attack one's own records, encoded under throw-away keys, before they leave.

    Every attack is run on plain Bloom filters of the same records first; one that does not
    break these proves nothing. A file of fewer than 5,000 records is filled up with made-up
    people. Exits 1 if a limit is exceeded, 3 if a result is void.
    """
    from linkage.agent.attack import attack as run
    from linkage.agent.config import load_schema, load_source
    from linkage.agent.evaluate import input_of
    from linkage.cli.progress import progress_bar

    if (data is None) == (source is None):
        raise click.UsageError("name the records by --data or by --source, one of the two")
    if (out is None) != (epoch is None) or (out is None) != (valid_until is None):
        raise click.UsageError("--out, --epoch and --valid-until go together")
    if (other is None) != (truth is None):
        raise click.UsageError("--other and --truth go together")
    if other is not None and level != "full":
        raise click.UsageError("--other is for --level full, which attacks a whole job")
    plant = None if plant_name is None else _plant(plant_name)
    if plant is not None and out is not None:
        raise click.UsageError("the result of a planted fault is no gate: leave out --out")
    now = datetime.now(UTC).replace(microsecond=0)
    until = None if valid_until is None else valid_until.replace(tzinfo=UTC)
    if until is not None and until <= now:
        raise click.UsageError("--valid-until has passed")
    config = load_source(source) if source is not None else input_of(data or Path(), record_id)
    schema = load_schema(schema_path)
    whole_job: WholeJob | None = None
    if level == "full":
        from linkage.agent.attackedjob import attack_job, two_files

        whole_job = attack_job
        if other is not None and truth is not None:
            whole_job = two_files(config, input_of(other, record_id), truth)
    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)
        found = run(
            schema,
            config,
            level,
            seed,
            lambda name: progress.update(task, description=name),
            plant,
            whole_job,
        )
    if report is not None:
        from linkage.cli.attack_report import report_page

        report.write_text(report_page(found, schema), "utf-8")
    if out is not None and epoch is not None and until is not None:
        out.write_bytes(found.result(epoch, now, until).to_bytes())
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    else:
        _print(found)
    if plant is not None and not as_json:
        _print_plant(plant, found)
    # What failed failed, whatever else is void.
    sys.exit(_EXCEEDED if found.failed else _VOID if found.void else 0)


def _plant(name: str) -> "Plant":
    from linkage.privacy.planted import PLANTED

    if name not in PLANTED:
        raise click.UsageError(f"no such fault: {name}; there are {', '.join(PLANTED)}")
    return PLANTED[name]


def _print(found: "Attacked") -> None:
    made_up = f", {found.n_made_up:,} of them made up" if found.n_made_up else ""
    click.echo(
        f"{found.n_records:,} distinct records{made_up}, level {found.level}, seed {found.seed}"
    )
    width = max(len(f"{o.attack}, {o.setting}") for o in found.outcomes)
    click.echo(f"{'':{width}}  {'figure':>8} {'to':>8} {'limit':>8} {'chance':>8} {'control':>8}")
    for outcome in found.outcomes:
        click.echo(f"{f'{outcome.attack}, {outcome.setting}':{width}}  {_figures(outcome)}")
    for outcome in found.outcomes:
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


def _print_plant(plant: "Plant", found: "Attacked") -> None:
    caught = plant.caught(found.outcomes)
    click.echo(f"planted: {plant.name}: {'caught' if caught else 'NOT CAUGHT'} by {plant.attack}")
