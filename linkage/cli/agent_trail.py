"""`padan agent trail`: which linkages used a record."""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linkage.cli.connection import with_agent_config

if TYPE_CHECKING:
    from linkage.agent.trail import Trail, Use

_COLUMNS = (
    "record", "job", "agreement", "version", "title", "purpose", "basis", "requester",
    "counterparts", "attributes", "asked", "released", "outcome", "counterpart", "link_id",
    "grade", "links_known", "leaves",
)  # fmt: skip


@click.command()
@with_agent_config
@click.option("--record", help="Own number of the record that is asked about.")
@click.option(
    "--all", "everything", is_flag=True, help="All own records: needs --job or --agreement."
)
@click.option("--job", help="Only this job.")
@click.option("--agreement", help="Only jobs under this agreement.")
@click.option("--csv", "csv_path", type=click.Path(path_type=Path), help="CSV file to write.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def trail(
    config_path: Path,
    record: str | None,
    everything: bool,
    job: str | None,
    agreement: str | None,
    csv_path: Path | None,
    as_json: bool,
) -> None:
    """Say which jobs an own record went into: for whom, for what, on which basis, with what result.

    For those who ask what was done with their data. It is read from this agent's own copy of
    the log, map of references and results; nothing leaves the machine, and no key is needed.
    """
    from linkage.agent.config import load_agent
    from linkage.agent.session import load_trust
    from linkage.agent.trail import read_trail

    if (record is None) != everything:
        raise click.UsageError("name either a record (--record) or all (--all)")
    if everything and job is None and agreement is None:
        raise click.UsageError("--all needs --job or --agreement")
    config = load_agent(config_path)
    found = read_trail(config, load_trust(config.trust), record, job, agreement)
    if csv_path is not None:
        _write_csv(csv_path, found)
    if as_json:
        click.echo(json.dumps(asdict(found), default=str))
        return
    if csv_path is None:
        _tell(found)
    _tell_limits(found)


def _tell(found: "Trail") -> None:
    for use in found.uses:
        ended = f"released {use.released:%Y-%m-%d}" if use.released else use.outcome
        click.echo(
            f"{use.record}: {use.asked:%Y-%m-%d}  job {use.job}  {use.agreement}: {use.purpose}"
        )
        click.echo(f"  asked for by {use.requester}, with {', '.join(use.counterparts)}; {ended}")
        click.echo(f"  compared: {', '.join(use.attributes)}")
        for basis in use.basis:
            click.echo(f"  {basis}")
        for link in use.links:
            told = f": {link.link_id}" if link.link_id else ""
            click.echo(f"  {link.grade} with a record of {link.counterpart}{told}")
        if not use.links_known:
            click.echo("  the result is not here: it was never fetched, or was removed")
        click.echo(f"  leaves {', '.join(map(str, use.leaves))}")
    if not found.uses:
        click.echo("in no job that this agent knows the records of")


def _tell_limits(found: "Trail") -> None:
    click.echo(
        f"read from {found.size} entries of this agent's copy of the log; {found.withheld} are of "
        "other parties' jobs. Jobs since then are not in it: any command that calls the matcher "
        "fetches them.",
        err=True,
    )
    for use in found.unknown:
        role, *names = use.requester.split("/")
        # Of another party's office the own head office had taken part.
        of_office = role == "office" and names[0] not in use.counterparts
        known = f"is known at {use.requester}" if of_office else "is not known here any more"
        click.echo(
            f"job {use.job} of {use.asked:%Y-%m-%d} ({use.agreement}): which records went into it "
            f"{known}",
            err=True,
        )


def _write_csv(path: Path, found: "Trail") -> None:
    """Write one row for each record, job and link, or one without link where none was found."""
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        for use in found.uses:
            writer.writerows(_rows(use))
    temporary.replace(path)


def _rows(use: "Use") -> list[dict[str, object]]:
    shared = {
        **{name: getattr(use, name) for name in _COLUMNS if hasattr(use, name)},
        "basis": "; ".join(use.basis),
        "counterparts": " ".join(use.counterparts),
        "attributes": " ".join(use.attributes),
        "asked": use.asked.isoformat(),
        "released": use.released.isoformat() if use.released else "",
        "leaves": " ".join(map(str, use.leaves)),
    }
    return [{**shared, **vars(link)} for link in use.links] or [shared]
