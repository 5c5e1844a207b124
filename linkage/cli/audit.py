"""`padan audit`: fetch the match log, and verify it offline."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.group()
def audit() -> None:
    """Check the match log without trusting its operator."""


@audit.command()
@click.option("--matcher", "address", required=True, help="Host and port of the matcher.")
@click.option("--certificate", required=True, type=_PATH, help="The auditor's certificate (PEM).")
@click.option("--private-key", required=True, type=_PATH, help="Its private key (PEM).")
@click.option(
    "--authority",
    required=True,
    type=_PATH,
    help="The authority of the matcher's certificate (PEM).",
)
@click.option("--out", required=True, type=_PATH, help="Bundle to write: a .tar file, or a folder.")
def fetch(address: str, certificate: Path, private_key: Path, authority: Path, out: Path) -> None:
    """Fetch the whole log from a matcher into a bundle."""
    from linkage.audit.bundle_files import write_bundle
    from linkage.audit.fetch import fetch_bundle
    from linkage.rpc.channel import open_channel
    from linkage.rpc.tls import TlsFiles

    with open_channel(address, TlsFiles(certificate, private_key, authority)) as channel:
        files = fetch_bundle(channel)
    write_bundle(out, files)
    click.echo(f"{out}: bundle of {len(files)} files", err=True)


@audit.command()
@click.argument("bundle", type=_PATH)
@click.option("--trust", "trust_path", type=_PATH, help="Trust file, obtained out of band.")
@click.option(
    "--since", "since_path", type=_PATH, help="Checkpoint kept from an earlier verification."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def verify(bundle: Path, trust_path: Path | None, since_path: Path | None, as_json: bool) -> None:
    """Verify a bundle offline; exit 3 unless all of it holds."""
    from linkage.audit.verdict import MEANING, OK
    from linkage.audit.verify import verify_bundle
    from linkage.cli import UNVERIFIED

    report = verify_bundle(bundle, _read(trust_path), _read(since_path))
    if as_json:
        fields = asdict(report)
        fields["findings"] = [finding._asdict() for finding in report.findings]
        click.echo(json.dumps(fields))
    else:
        click.echo(f"{report.verdict}: {MEANING[report.verdict]}")
        click.echo(f"log {report.origin or '(none)'}, {report.size} entries, root {report.root}")
        for leaf_type, count in sorted(report.entries.items()):
            click.echo(f"  {count:7}  {leaf_type}")
        for finding in report.findings:
            click.echo(f"  {finding.code}: {finding.text}")
    if report.verdict != OK:
        sys.exit(UNVERIFIED)


def _read(path: Path | None) -> bytes | None:
    from linkage.errors import ConfigError

    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
