"""`padan audit clocks`: what was due under the law, to whom, and who was late."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from linkage.cli.audit_bundle import verified
from linkage.cli.times import parse_time

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle", type=_PATH)
@click.option("--trust", "trust_path", required=True, type=_PATH, help="Trust file.")
@click.option(
    "--since", "since_path", type=_PATH, help="Checkpoint kept from an earlier verification."
)
@click.option(
    "--at",
    "moment",
    default=lambda: datetime.now(UTC).isoformat(),
    callback=parse_time,
    help="As of this time, not now.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def clocks(
    bundle: Path, trust_path: Path, since_path: Path | None, moment: datetime, as_json: bool
) -> None:
    """Verify a bundle, then list the clocks of rights and incidents; exit 1 where one ran out."""
    from linkage.audit.clocks import read_clocks
    from linkage.cli import REFUSED

    _, contents = verified(bundle, trust_path, since_path, as_json=as_json)
    found = read_clocks(contents, moment)
    if as_json:
        click.echo(json.dumps([asdict(clock) for clock in found], default=datetime.isoformat))
    else:
        for clock in found:
            done = f"{clock.done:%Y-%m-%d %H:%M} {clock.outcome}" if clock.done else "open"
            overdue = "  OVERDUE" if clock.overdue else ""
            click.echo(
                f"{clock.leaf:6}  {clock.what:15} {clock.agreement}  {clock.party:12} "
                f"due {clock.due:%Y-%m-%d %H:%M}  {done}{overdue}"
            )
    if any(clock.overdue for clock in found):
        sys.exit(REFUSED)
