"""`padan agreement grant`: leave to look up a register, given, cosigned and taken back."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linkage.cli.signer import signing_options, signing_with
from linkage.cli.times import parse_time

if TYPE_CHECKING:
    from linkage.agreement.payload import Payload

_PATH = click.Path(path_type=Path)
_OUT = click.option("--out", required=True, type=_PATH, help="Document to write (JSON).")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.command()
@click.argument("path", type=_PATH)
@click.option("--caller", required=True, help="spiffe://DOMAIN/party/NAME, or an office: who asks.")
@click.option("--register", "register_of", required=True, help="The party whose register it is.")
@click.option("--number", required=True, type=int, help="How many lookups.")
@click.option("--per-minute", default=60, show_default=True, help="How many in one minute.")
@click.option(
    "--from", "begin", required=True, callback=parse_time, help="Begin; in UTC if no zone is given."
)
@click.option(
    "--until", "end", required=True, callback=parse_time, help="End, at most a day later."
)
@click.option(
    "--on-probing",
    type=click.Choice(["alarm", "refuse"]),
    default="alarm",
    show_default=True,
    help="What follows where lookups look like probing.",
)
@signing_options
@_OUT
@_JSON
def grant(
    path: Path,
    caller: str,
    register_of: str,
    number: int,
    per_minute: int,
    begin: datetime,
    end: datetime,
    on_probing: str,
    key: Path,
    setting: str,
    out: Path,
    as_json: bool,
) -> None:
    """Sign leave to look up a register under an agreement: a number of lookups, for a time.

    The party whose register it is signs, and the party that looks up or whose office does; the
    second one with `padan agreement countersign`. `padan agent submit` brings it into the log.
    It counts once the agreement's parties have cosigned the log: `padan agent cosign`.
    """
    from linkage.agreement.payload import LookupGrant
    from linkage.cli.agreement import load_agreement

    document = load_agreement(path)
    name = os.urandom(16).hex()
    shown = {
        "grant": name,
        "caller": caller,
        "register_of": register_of,
        "number": number,
        "per_minute": per_minute,
        "valid_from": begin,
        "valid_until": end,
        "on_probing": on_probing,
    }
    _write(
        LookupGrant,
        out,
        key,
        setting,
        log=document.log,
        agreement=document.id,
        digest=document.digest(),
        purpose=document.purpose.code,
        **shown,
    )
    if as_json:
        click.echo(json.dumps({**shown, "out": str(out)}, default=str))
    else:
        click.echo(
            f"{out}: grant {name}, once both parties have signed and it is in the log", err=True
        )


@click.command("revoke-grant")
@click.argument("path", type=_PATH)
@click.option("--reason", required=True, help="Why; it stands in the log.")
@signing_options
@_OUT
def revoke_grant(path: Path, reason: str, key: Path, setting: str, out: Path) -> None:
    """Sign the end of a grant, given by its file; either of its two parties is enough."""
    from linkage.agreement.payload import GrantRevocation, LookupGrant, parse_payload
    from linkage.cli.agreement import load_envelope

    wanted = parse_payload(LookupGrant, load_envelope(path))
    fields = {"log": wanted.log, "agreement": wanted.agreement, "grant": wanted.grant}
    _write(GrantRevocation, out, key, setting, reason=reason, **fields)
    click.echo(f"{out}: the end of grant {wanted.grant}, once it is in the log", err=True)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=_PATH)
@signing_options
def countersign(paths: tuple[Path, ...], key: Path, setting: str) -> None:
    """Add a signature to grants, or to the stop or hold of an agreement; read them first."""
    from keys.files import replace_file
    from linkage.agreement.payload import Hold, LookupGrant, Stop, parse_payload
    from linkage.cli.agreement import load_envelope
    from linkage.errors import MalformedMessageError

    kinds: dict[str, type[Payload]] = {kind.TYPE: kind for kind in (Hold, LookupGrant, Stop)}
    envelopes = [load_envelope(path) for path in paths]
    for path, envelope in zip(paths, envelopes, strict=True):
        if envelope.payload_type not in kinds:
            raise MalformedMessageError(f"{path}: no grant, stop or hold")
        parse_payload(kinds[envelope.payload_type], envelope)
    with signing_with(key, setting) as signer:
        for path, envelope in zip(paths, envelopes, strict=True):
            replace_file(path, envelope.with_signature(signer).to_bytes())
            click.echo(f"{path}: signed with {signer.key_id[:16]}", err=True)


def _write(kind: "type[Payload]", out: Path, key: Path, setting: str, **fields: Any) -> None:
    """Sign and write a document; raises as `payload_of`."""
    from keys.dsse import sign
    from keys.files import write_new_file
    from linkage.cli.agreement import payload_of

    payload = payload_of(kind, **fields)
    with signing_with(key, setting) as signer:
        write_new_file(out, sign(kind.TYPE, payload.to_bytes(), [signer]).to_bytes())
