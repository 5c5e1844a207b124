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
    from keys.derive import KEY_BYTES
    from keys.keystore import KeyHeader, write_keystore
    from linkage.agent.session import ensure_key_file
    from linkage.errors import ConfigError

    provider = ensure_key_file(key_file)
    if secret_file is not None and secret_file.exists():
        secret = secret_file.read_bytes()
        if len(secret) != KEY_BYTES:
            raise ConfigError(
                str(secret_file), [f"{len(secret)} bytes, not the {KEY_BYTES} of a key"]
            )
    else:
        secret = os.urandom(KEY_BYTES)
        if secret_file is not None:
            descriptor = os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secret)
    header = KeyHeader(
        key_id=os.urandom(8).hex(),
        kind="linkage",
        agreement_id=agreement,
        epoch=epoch,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provider=provider.name,
    )
    write_keystore(out, secret, header, provider)
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
