"""`padan agent incident`: report incidents, follow their clocks, and find the own records."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linkage.cli.connection import connected_without_key, with_agent_config
from linkage.cli.times import parse_time

if TYPE_CHECKING:
    from linkage.agent.client import MatcherClient
    from linkage.agent.incidents import Incidents
    from linkage.agreement.incidents import Incident, Step

_PATH = click.Path(path_type=Path)
_INCIDENT = click.option("--incident", required=True, help="Id of the incident.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
KNOWN = click.option(
    "--known", required=True, callback=parse_time, help="When it was known; in UTC without a zone."
)
JOBS = click.option(
    "--job", "jobs", multiple=True, help="A job that is concerned; repeat. None: all of them."
)
WHAT = click.option(
    "--what", required=True, help="Which data, when and how, what is done. Nothing of persons."
)


@click.group()
def incident() -> None:
    """Incidents (UU 27/2022 art. 46): reports, their clocks, and whose records they concern."""


@incident.command()
@with_agent_config
@KNOWN
@JOBS
@WHAT
def report(config_path: Path, known: datetime, jobs: tuple[str, ...], what: str) -> None:
    """Report an incident to the parties of the agreement, and print its id."""
    with _incidents(config_path) as (held, client):
        click.echo(held.report(known.replace(microsecond=0), jobs, what, client))


@incident.command()
@with_agent_config
@_INCIDENT
@click.option(
    "--did",
    required=True,
    type=click.Choice(["subjects", "authority", "unaffected"]),
    help="Who was told; or that no record of this party is concerned.",
)
@click.option("--text", required=True, help="How: for example the number of the letter.")
def step(config_path: Path, incident: str, did: "Step", text: str) -> None:
    """Say that the persons or the authority were told, or that nobody had to be."""
    with _incidents(config_path) as (held, client):
        leaf = held.step(incident, did, text, client)
    click.echo(f"leaf {leaf}", err=True)


@incident.command("list")
@with_agent_config
@_JSON
def list_all(config_path: Path, as_json: bool) -> None:
    """List the incidents under the agreement with their clocks; exit 1 where one has run out."""
    from linkage.cli import REFUSED

    now = datetime.now(UTC)
    with _incidents(config_path) as (held, client):
        found = held.all(client)
    if as_json:
        click.echo(json.dumps([incident_to_dict(one, now) for one in found]))
    else:
        for one in found:
            late = one.overdue(now)
            click.echo(f"{one.said.id}  by {one.said.party}, known {one.said.known:%Y-%m-%d %H:%M}")
            click.echo(f"  {one.said.what}")
            for party, deadline in one.by_party.items():
                done = one.done(party)
                word = f"done {done:%Y-%m-%d %H:%M}" if done else "open"
                overdue = "  OVERDUE" if party in late else ""
                click.echo(f"  {party:12} due {deadline.due:%Y-%m-%d %H:%M}  {word}{overdue}")
    if any(one.overdue(now) for one in found):
        sys.exit(REFUSED)


@incident.command()
@with_agent_config
@_INCIDENT
@click.option("--out", type=_PATH, help="CSV file of the own record numbers to write.")
@_JSON
def affected(config_path: Path, incident: str, out: Path | None, as_json: bool) -> None:
    """List the own records that an incident concerns, from this machine alone."""
    from linkage.agent.config import load_agent
    from linkage.agent.incidents import affected as find
    from linkage.agent.session import load_trust

    config = load_agent(config_path)
    found = find(config, load_trust(config.trust), incident)
    if out is not None:
        with out.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["record_id"])
            rows.writerows([record] for record in found.records)
    if as_json:
        shown = {"records": found.records, "jobs": found.jobs, "unknown": found.unknown}
        click.echo(json.dumps(shown))
        return
    if out is None:
        for record in found.records:
            click.echo(record)
    click.echo(f"{len(found.records)} records of {len(found.jobs)} jobs", err=True)
    for job in found.unknown:
        click.echo(f"job {job}: its records are not known here any more: count all", err=True)


def incident_to_dict(incident: "Incident", now: datetime) -> dict[str, Any]:
    """Return an incident and its clocks as plain values."""
    return {
        "incident": incident.said.id,
        "agreement": incident.said.agreement,
        "by": incident.said.party,
        "known": incident.said.known.isoformat(),
        "reported": incident.reported.isoformat(),
        "jobs": list(incident.said.jobs),
        "what": incident.said.what,
        "parties": {
            party: {
                "due": deadline.due.isoformat(),
                "done": done.isoformat() if (done := incident.done(party)) else None,
            }
            for party, deadline in incident.by_party.items()
        },
        "overdue": list(incident.overdue(now)),
    }


@contextmanager
def _incidents(config_path: Path) -> Iterator[tuple["Incidents", "MatcherClient"]]:
    from keys.door import open_provider
    from linkage.agent.client import MatcherClient
    from linkage.agent.incidents import Incidents
    from linkage.agent.session import load_trust, mirror_of, open_signer

    with connected_without_key(config_path) as (config, channel):
        provider = open_provider(config.keys.provider)
        mirror = mirror_of(config, load_trust(config.trust))
        signer = open_signer(config, provider)
        yield Incidents(config, mirror, signer), MatcherClient(channel, config.patience_s)
