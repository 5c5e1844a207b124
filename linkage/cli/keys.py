"""`padan keys`: make and look at keystore files."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click


@click.group()
def keys() -> None:
    """Make keys, and look at keystore files."""


@keys.command("new-linkage")
@click.option("--agreement", required=True, help="Agreement that the key is for.")
@click.option("--epoch", default=1, show_default=True)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Keystore file to write."
)
@click.option(
    "--key-file",
    required=True,
    type=click.Path(path_type=Path),
    help="Key-encryption key; made if it is missing.",
)
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    help="32 bytes agreed with the other parties; written there if it is missing, for them.",
)
def new_linkage(
    agreement: str, epoch: int, out: Path, key_file: Path, secret_file: Path | None
) -> None:
    """Seal a linkage key into a keystore file.

    All parties of an agreement need the same key. Until they can make one together,
    one of them draws it into --secret-file and brings that file to the others by
    hand; every party seals it, and the file is then destroyed.
    """
    from pydantic import ValidationError

    from keys.derive import KEY_BYTES
    from keys.errors import KeystoreError
    from keys.keystore import KeyHeader, write_keystore
    from keys.providers import write_new_file
    from linkage.agent.config import KeyName
    from linkage.agent.session import ensure_key_file
    from linkage.errors import ConfigError
    from linkage.schema import problems_of

    try:
        KeyName(id=agreement, epoch=epoch)
    except ValidationError as error:
        raise ConfigError("agreement and epoch", problems_of(error)) from error
    if os.path.lexists(out):
        raise KeystoreError(f"{out}: exists; a key file is never overwritten")
    drawn = secret_file is None or not secret_file.exists()
    if secret_file is None or drawn:
        secret = os.urandom(KEY_BYTES)
    else:
        secret = _read_secret(secret_file, KEY_BYTES)
    provider = ensure_key_file(key_file)
    header = KeyHeader(
        key_id=os.urandom(8).hex(),
        kind="linkage",
        agreement_id=agreement,
        epoch=epoch,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provider=provider.name,
    )
    if secret_file is not None and drawn:
        write_new_file(secret_file, secret)
    try:
        write_keystore(out, secret, header, provider)
    except BaseException:
        # A secret that no keystore holds would pass for the agreement's own.
        if secret_file is not None and drawn:
            secret_file.unlink(missing_ok=True)
        raise
    click.echo(f"{out}: linkage key of {agreement}, epoch {epoch}", err=True)


@keys.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True)
def show(path: Path, as_json: bool) -> None:
    """Show what a keystore file says about its key; the key stays sealed."""
    from dataclasses import asdict

    from keys.keystore import read_header

    header = asdict(read_header(path))
    if as_json:
        click.echo(json.dumps(header))
        return
    for name, value in header.items():
        click.echo(f"{name:13} {value}")


def _read_secret(path: Path, n_bytes: int) -> bytes:
    from linkage.errors import ConfigError

    try:
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    if len(secret) != n_bytes:
        raise ConfigError(str(path), [f"{len(secret)} bytes, not the {n_bytes} of a key"])
    return secret
