"""`padan matcher`: run the matcher, and make the key of its log."""

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import click


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

    asyncio.run(run())


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
    operator does not control: who holds it can tell this log from any other.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from keys.keystore import KeyHeader, write_keystore
    from keys.providers import FileProvider, create_key_file
    from linkage.log.note import Ed25519Signer
    from linkage.log.policy import LogLine, Policy, format_policy
    from linkage.matcher.config import load_config

    config = load_config(config_path)
    config.log.key_encryption_key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not config.log.key_encryption_key.exists():
        create_key_file(config.log.key_encryption_key)
    provider = FileProvider(config.log.key_encryption_key)
    private = Ed25519PrivateKey.generate()
    header = KeyHeader(
        key_id=os.urandom(8).hex(),
        kind="log-signing",
        agreement_id="",
        epoch=0,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provider=provider.name,
    )
    write_keystore(config.log.signing_key, private.private_bytes_raw(), header, provider)
    signer = Ed25519Signer(config.log.origin, private)
    policy = Policy((LogLine(signer.key),))
    trust.write_bytes(format_policy(policy, f"Trust file of the match log {config.log.origin}"))
    click.echo(f"{trust}: trust file of {config.log.origin}", err=True)
