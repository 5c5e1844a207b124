"""`padan matcher`: run the matcher, and make the key of its log."""

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from linkage.matcher.config import Log


_LOG_KEY = "log-signing"


@click.group()
def matcher() -> None:
    """Run the matcher."""


@matcher.command()
@click.option(
    "--config",
    "config_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Settings (TOML).",
)
@click.option(
    "--address-file",
    type=click.Path(path_type=Path),
    help="Write host and port there once calls are taken.",
)
def serve(config_path: Path, address_file: Path | None) -> None:
    """Serve until a SIGTERM or SIGINT, then finish the calls at hand."""
    from linkage.cli.log import configure_log
    from linkage.errors import UnavailableError
    from linkage.matcher.config import load_config
    from linkage.matcher.server import Matcher

    configure_log()
    config = load_config(config_path)

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await Matcher(config).serve(stop, address_file)

    try:
        asyncio.run(run())
    except RuntimeError as error:
        # The library has no class of its own for an address that it cannot have.
        if "failed to bind" not in str(error).lower():
            raise
        raise UnavailableError(
            f"{config.listen}: cannot listen there: the port is taken or not allowed, or the "
            "address is not this machine's"
        ) from error


@matcher.command("init-log")
@click.option(
    "--config",
    "config_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Settings (TOML).",
)
@click.option(
    "--trust",
    required=True,
    type=click.Path(path_type=Path),
    help="Trust file to write, for agents and auditors.",
)
def init_log(config_path: Path, trust: Path) -> None:
    """Make the signing key of a new match log, and the trust file that names it.

    Bring the trust file to every agent and auditor by a way that the matcher's
    operator does not control: who holds it can tell this log from any other. A
    signing key that exists already is kept, and the file names that one.
    """
    from linkage.errors import ConfigError
    from linkage.log.note import Ed25519Signer
    from linkage.log.policy import LogLine, Policy, format_policy
    from linkage.matcher.config import load_config

    config = load_config(config_path)
    if not trust.parent.is_dir():
        raise ConfigError(str(trust), [f"{trust.parent} is no folder: make it first"])
    if trust.is_dir():
        raise ConfigError(str(trust), ["is a folder: name the file to write"])
    if config.log.signing_key.exists():
        private = _open_log_key(config.log)
        click.echo(f"{config.log.signing_key}: signing key exists, and is kept", err=True)
    else:
        private = _make_log_key(config.log)
    signer = Ed25519Signer(config.log.origin, private)
    policy = Policy((LogLine(signer.key),))
    try:
        trust.write_bytes(format_policy(policy, f"Trust file of the match log {config.log.origin}"))
    except OSError as error:
        problem = f"cannot be written: {error.strerror}: run the command again with another path"
        raise ConfigError(str(trust), [problem]) from error
    click.echo(f"{trust}: trust file of {config.log.origin}", err=True)


@matcher.command()
@click.option(
    "--config",
    "config_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Settings (TOML).",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def submit(config_path: Path, paths: tuple[Path, ...]) -> None:
    """Put signed documents into the log of a matcher that does not run, in their order.

    So are the first parties enrolled. While it runs, whoever is enrolled brings
    documents: `padan agent submit`.
    """
    from linkage.errors import ConfigError
    from linkage.matcher.config import load_config
    from linkage.matcher.offline import offline_documents

    config = load_config(config_path)
    try:
        documents = [path.read_bytes() for path in paths]
    except OSError as error:
        raise ConfigError(str(error.filename), [f"cannot be read: {error.strerror}"]) from error
    with offline_documents(config) as taken:
        for path, content in zip(paths, documents, strict=True):
            click.echo(f"{path}: leaf {taken.submit('matcher', content)}", err=True)


def _open_log_key(log: "Log") -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from keys.keystore import open_keystore
    from keys.providers import FileProvider
    from linkage.errors import ConfigError

    header, seed = open_keystore(log.signing_key, FileProvider(log.key_encryption_key))
    if header.kind != _LOG_KEY:
        problem = f"holds a {header.kind} key, not the {_LOG_KEY} key of a log"
        raise ConfigError(str(log.signing_key), [problem])
    return Ed25519PrivateKey.from_private_bytes(seed)


def _make_log_key(log: "Log") -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from keys.keystore import KeyHeader, write_keystore
    from keys.providers import FileProvider, create_key_file
    from linkage.matcher.head_record import HeadRecord

    if not log.key_encryption_key.exists():
        log.key_encryption_key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        create_key_file(log.key_encryption_key)
    provider = FileProvider(log.key_encryption_key)
    private = Ed25519PrivateKey.generate()
    header = KeyHeader(
        key_id=os.urandom(8).hex(),
        kind=_LOG_KEY,
        agreement_id="",
        epoch=0,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provider=provider.name,
    )
    write_keystore(log.signing_key, private.private_bytes_raw(), header, provider)
    HeadRecord(log.signing_key).begin()
    return private
