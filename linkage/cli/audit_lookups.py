"""`padan audit lookups`: the signed requests behind a minute of lookups, each with its proof."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linkage.cli.audit_bundle import verified
from linkage.cli.connection import open_matcher

if TYPE_CHECKING:
    from linkage.agreement.state import State
    from linkage.audit.lookups import Minute
    from linkage.audit.verify import Contents

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle", type=_PATH)
@click.option("--trust", "trust_path", required=True, type=_PATH, help="Trust file.")
@click.option("--leaf", type=int, help="Leaf of a minute; without it all of them are listed.")
@click.option("--matcher", "address", help="Host and port of the matcher.")
@click.option("--certificate", type=_PATH, help="The auditor's certificate (PEM).")
@click.option("--private-key", type=_PATH, help="Its private key (PEM).")
@click.option("--authority", type=_PATH, help="The authority of the matcher's certificate (PEM).")
@click.option("--out", type=_PATH, help="File for the requests and their proofs (JSON).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def lookups(
    bundle: Path,
    trust_path: Path,
    leaf: int | None,
    address: str | None,
    certificate: Path | None,
    private_key: Path | None,
    authority: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """List the minutes of lookups in a bundle, or prove who asked how often in one.

    With --leaf the signed requests are fetched from the matcher, held against the Merkle
    root in that leaf, and checked one by one: exit 3 unless all of them are there and signed by
    the callers that the leaf names. They say who asked and when, and not of whom.
    """
    from linkage.audit.fetch import fetch_lookups
    from linkage.audit.lookups import prove_requests
    from linkage.rpc.tls import TlsFiles

    _, contents = verified(bundle, trust_path, None, as_json=as_json)
    minutes = _minutes(contents)
    if leaf is None:
        _list(minutes, as_json=as_json)
        return
    if leaf not in minutes:
        raise click.UsageError(f"leaf {leaf} records no minute of lookups; leave out --leaf to see")
    if address is None or certificate is None or private_key is None or authority is None:
        raise click.UsageError(
            "the requests are at the matcher: give --matcher, --certificate, --private-key and "
            "--authority"
        )
    with open_matcher(address, TlsFiles(certificate, private_key, authority)) as channel:
        requests = fetch_lookups(channel, leaf)
    proven = prove_requests(_state_at(contents, leaf), minutes[leaf], requests)
    if out is not None:
        found = [
            {
                "grant": one.request.grant,
                "sequence": one.request.sequence,
                "caller": one.caller,
                "request": json.loads(one.request.request),
                "proof": [step.hex() for step in one.proof],
            }
            for one in proven
        ]
        whole = {"leaf": leaf, "root": minutes[leaf].root.hex(), "requests": found}
        out.write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
    asked = Counter(one.caller for one in proven)
    if as_json:
        click.echo(json.dumps({"leaf": leaf, "requests": len(proven), "callers": asked}))
        return
    for caller, number in sorted(asked.items()):
        click.echo(f"{caller}: signed {number} lookups")
    click.echo(f"all {len(proven)} requests of leaf {leaf} are there", err=True)


def _minutes(contents: "Contents") -> "dict[int, Minute]":
    from linkage.audit.lookups import minute_in

    return {
        index: minute_in(contents.bodies[index])
        for index, entry in enumerate(contents.entries)
        if entry.type == "lookup.minute" and index in contents.bodies
    }


def _state_at(contents: "Contents", leaf: int) -> "State":
    from linkage.agreement.state import replay

    return replay(contents.entries[:leaf], contents.bodies)


def _list(minutes: "dict[int, Minute]", *, as_json: bool) -> None:
    rows = [
        {
            "leaf": leaf,
            "minute": minute.begin.isoformat(),
            "grant": count.grant,
            "caller": count.caller,
            "register": count.register,
            "answered": count.answered,
            "refused": count.refused,
        }
        for leaf, minute in minutes.items()
        for count in minute.counts
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(
            f"leaf {row['leaf']}  {row['minute']}  {row['caller']} -> {row['register']}: "
            f"{row['answered']} answered, {row['refused']} refused"
        )
