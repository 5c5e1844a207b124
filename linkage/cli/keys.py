"""`padan keys`: make keys, look at keystore files, and change what opens them."""

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linkage.cli.keys_loss import loss
from linkage.cli.keys_recovery import recovery

if TYPE_CHECKING:
    from keys.keystore import KeyHeader
    from keys.providers import KeyProvider

_PATH = click.Path(path_type=Path)
_MADE_KINDS = ("sign", "seal", "witness", "witness-ml-dsa-44")
_STATES = ("active", "suspended", "deactivated", "compromised", "destroyed")
_SETTING_HELP = (
    "What opens it: file:PATH, passphrase:prompt|fd:N|file:PATH, "
    "pkcs11:token=T;object=KEY?module-path=LIBRARY, vault:https://HOST:PORT/MOUNT/KEY."
)
_PROVIDER = click.option("--provider", "setting", required=True, help=_SETTING_HELP)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def keys() -> None:
    """Make keys, look at keystore files, and change what opens them.

    No passphrase, PIN or token is taken from the command line or the environment: it is
    asked for at the terminal, or read from a file descriptor or a file of yours alone.
    """


keys.add_command(recovery)
keys.add_command(loss)


@keys.command()
@_PROVIDER
def init(setting: str) -> None:
    """Make the key-encryption key, once: a file, a key in a token, a transit key."""
    from keys.door import prepare_provider
    from keys.process import shield_process

    shield_process()
    prepare_provider(setting)
    click.echo(
        "made; back it up as its keeper allows: what it sealed opens with it alone", err=True
    )


@keys.command()
@click.argument("kind", type=click.Choice(_MADE_KINDS))
@click.option("--out", required=True, type=_PATH, help="Keystore file to write.")
@_PROVIDER
@click.option("--pre-active", is_flag=True, help="Not to be used before `padan keys state`.")
@_JSON
def new(kind: str, out: Path, setting: str, pre_active: bool, as_json: bool) -> None:
    """Make a key to sign with, to have secrets sealed to, or to cosign the log with.

    Prints the public half in base64, for the agreement or the trust file.
    """
    from keys.errors import KeystoreError
    from keys.keystore import new_header, write_keystore
    from keys.kinds import new_secret, public_half
    from keys.states import KeyState

    if os.path.lexists(out):  # before a passphrase is asked for
        raise KeystoreError(f"{out}: exists; a key file is never overwritten")
    provider = _opened(setting, confirm=True)
    state = KeyState.PRE_ACTIVE if pre_active else KeyState.ACTIVE
    header = new_header(kind, provider, state=state)
    secret = new_secret(kind)
    try:
        write_keystore(out, secret, header, provider)
        public = public_half(kind, secret)
    finally:
        secret[:] = bytes(len(secret))
    _print(header, public, as_json)


@keys.command()
@click.argument("path", type=_PATH)
@click.option(
    "--provider", "setting", help=f"Open it, verify it, show its public half. {_SETTING_HELP}"
)
@_JSON
def show(path: Path, setting: str | None, as_json: bool) -> None:
    """Show what a keystore file says about its key.

    Without --provider the key stays sealed, and nothing vouches for what is shown.
    """
    from keys.keystore import read_header, unsealed
    from keys.kinds import public_half
    from keys.states import KeyState, KeyUse

    if setting is None:
        _print(read_header(path), None, as_json)
        return
    provider = _opened(setting)
    with unsealed(path, provider, use=KeyUse.INSPECT) as (header, secret):
        gone = header.state is KeyState.DESTROYED
        public = None if gone else public_half(header.kind, secret)
    _print(header, public, as_json)


@keys.command("list")
@click.argument("folder", type=_PATH)
@_JSON
def list_keys(folder: Path, as_json: bool) -> None:
    """List the keystore files of a folder, as they describe themselves, unverified."""
    from keys.errors import KeystoreError
    from keys.keystore import is_keystore, read_header

    found: dict[str, dict[str, str | int]] = {}
    for path in sorted(folder.iterdir()):
        # A hidden one is what a crash left of a change; the file itself is whole.
        if path.name.startswith(".") or not path.is_file() or not is_keystore(path):
            continue
        try:
            found[path.name] = _members(read_header(path))
        except KeystoreError as error:
            found[path.name] = {"damaged": str(error)}
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, members in found.items():
        columns = [str(members.get(column, "-")) for column in ("kind", "state", "provider")]
        about = members.get("damaged") or f"{members['agreement_id']} {members['epoch'] or ''}"
        click.echo(f"{name:24} {columns[0]:12} {columns[1]:12} {columns[2]:11} {about}".rstrip())


@keys.command()
@click.argument("path", type=_PATH)
@click.argument("to", type=click.Choice(_STATES))
@_PROVIDER
@click.option("--yes", is_flag=True, help="Do not ask before a key is destroyed.")
@_JSON
def state(path: Path, to: str, setting: str, yes: bool, as_json: bool) -> None:
    """Bring a key into another state of its life (NIST SP 800-57).

    Prints what the match log has to know: bring it there, as a `key.state` entry.
    """
    from keys.keystore import change_state
    from keys.states import KeyState

    after = KeyState(to)
    if after is KeyState.DESTROYED and not yes:
        click.confirm(f"{path}: destroy this key for ever?", abort=True, err=True)
    done = change_state(path, after, _opened(setting), datetime.now(UTC))
    if as_json:
        click.echo(json.dumps(done.to_json()))
        return
    click.echo(f"{done.kind} key {done.key_id}: {done.before} -> {done.after}")


@keys.command()
@click.argument("paths", type=_PATH, nargs=-1, required=True)
@_PROVIDER
@click.option("--to", "new_setting", required=True, help="What shall open it from now on.")
def rewrap(paths: tuple[Path, ...], setting: str, new_setting: str) -> None:
    """Seal keystore files under another provider, or another key of the same.

    The keys themselves stay as they are. Files that could not be changed are as they were.
    """
    from keys.keystore import rewrap as rewrap_file

    old, new_one = _opened(setting), _opened(new_setting, confirm=True)
    for path in paths:
        header = rewrap_file(path, old, new_one)
        click.echo(f"{path}: {header.kind} key, now opened by {header.provider}", err=True)


def _opened(setting: str, *, confirm: bool = False) -> "KeyProvider":
    from keys.door import open_provider
    from keys.process import shield_process

    shield_process()
    return open_provider(setting, confirm=confirm)


def _members(header: "KeyHeader") -> dict[str, str | int]:
    from dataclasses import asdict

    return {**asdict(header), "state": header.state.value}


def _print(header: "KeyHeader", public: bytes | None, as_json: bool) -> None:
    members = _members(header)
    if public is not None:
        members["public"] = base64.b64encode(public).decode()
    if as_json:
        click.echo(json.dumps(members))
        return
    for name, value in members.items():
        click.echo(f"{name:13} {value}")
