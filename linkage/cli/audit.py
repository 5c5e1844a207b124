"""`padan audit`: fetch the match log; verify and replay it offline, with nothing else at hand."""

import hashlib
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linkage.cli.audit_bundle import print_report, verified
from linkage.cli.audit_clocks import clocks
from linkage.cli.audit_lookups import lookups
from linkage.cli.audit_monitor import monitor
from linkage.cli.audit_report import report as report_command
from linkage.cli.connection import open_matcher, with_credentials
from linkage.cli.files import read_file

if TYPE_CHECKING:
    from linkage.audit.anchored import Anchor
    from linkage.audit.verdict import VerifyReport

_PATH = click.Path(path_type=Path)
_DAY = click.DateTime(["%Y-%m-%d"])
_with_jobs = click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that read leaves; the verdict is the same for any number.",
)


@click.group()
def audit() -> None:
    """Check the match log without trusting its operator."""


audit.add_command(clocks)
audit.add_command(lookups)
audit.add_command(monitor)
audit.add_command(report_command)


@audit.command()
@with_credentials
@click.option(
    "--trust",
    "trust_path",
    type=_PATH,
    help="Trust file: take the newest checkpoint that its witnesses have cosigned.",
)
@click.option("--out", required=True, type=_PATH, help="Bundle to write: a .tar file, or a folder.")
def fetch(
    address: str,
    certificate: Path,
    private_key: Path,
    authority: Path,
    trust_path: Path | None,
    out: Path,
) -> None:
    """Fetch the whole log from a matcher into a bundle."""
    from linkage.audit.bundle_files import write_bundle
    from linkage.audit.fetch import fetch_bundle
    from linkage.log.policy import parse_policy
    from linkage.rpc.tls import TlsFiles

    trust = parse_policy(read_file(trust_path)) if trust_path is not None else None
    with open_matcher(address, TlsFiles(certificate, private_key, authority)) as channel:
        files = fetch_bundle(channel, trust=trust)
    write_bundle(out, files)
    click.echo(f"{out}: bundle of {len(files)} files", err=True)


@audit.command()
@click.argument("bundle", type=_PATH)
@click.option("--trust", "trust_path", type=_PATH, help="Trust file, obtained out of band.")
@click.option(
    "--since", "since_path", type=_PATH, help="Checkpoint kept from an earlier verification."
)
@click.option(
    "--tsa", "tsa_path", type=_PATH,
    help="Certificates (PEM) of timestamp authorities: check the anchors in the log, too.",
)  # fmt: skip
@_with_jobs
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def verify(
    bundle: Path,
    trust_path: Path | None,
    since_path: Path | None,
    tsa_path: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Verify a bundle offline; exit 3 unless all of it holds."""
    from linkage.audit.leaves import processes
    from linkage.audit.verdict import MEANING, OK
    from linkage.audit.verify import verify_bundle
    from linkage.cli import UNVERIFIED

    if tsa_path is not None and trust_path is None:
        raise click.UsageError("--tsa needs --trust")
    with processes(jobs) as run:
        report = verify_bundle(bundle, _read(trust_path), _read(since_path), run)
    anchors: list[Anchor] = []
    if tsa_path is not None and trust_path is not None and report.verdict == OK:
        report, anchors = _anchored(bundle, trust_path, tsa_path)
    if as_json:
        print_report(report, anchors=anchors if tsa_path is not None else None)
    else:
        click.echo(f"{report.verdict}: {MEANING[report.verdict]}")
        click.echo(f"log {report.origin or '(none)'}, {report.size} entries, root {report.root}")
        for leaf_type, count in sorted(report.entries.items()):
            click.echo(f"  {count:7}  {leaf_type}")
        for one in anchors:
            click.echo(f"  {one.size} entries at {one.time:%Y-%m-%d %H:%M:%S}Z: leaf {one.leaf}")
        for finding in report.findings:
            click.echo(f"  {finding.code}: {finding.text}")
    if report.verdict != OK:
        sys.exit(UNVERIFIED)


@audit.command()
@click.argument("bundle", type=_PATH)
@click.option("--trust", "trust_path", required=True, type=_PATH, help="Trust file.")
@click.option(
    "--since", "since_path", type=_PATH, help="Checkpoint kept from an earlier verification."
)
@_with_jobs
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def replay(
    bundle: Path, trust_path: Path, since_path: Path | None, jobs: int, as_json: bool
) -> None:
    """Verify a bundle, then make every decision in it again; exit 3 unless all agree."""
    from linkage.audit.replay import MEANING, OK, replay_decisions
    from linkage.cli import UNVERIFIED

    _, contents = verified(bundle, trust_path, since_path, jobs, as_json=as_json, requests=True)
    report = replay_decisions(contents)
    if as_json:
        print_report(report)
    else:
        click.echo(f"{report.verdict}: {MEANING[report.verdict]}")
        click.echo(f"{report.decisions} decisions made again")
        for code, count in sorted(report.jobs.items()):
            click.echo(f"  {count:7}  jobs: {code}")
        for code, count in sorted(report.flooded.items()):
            click.echo(f"  {count:7}  refused in floods: {code}")
        for finding in report.findings:
            click.echo(f"  {finding.code}: {finding.text}")
        for one in report.rejected:
            click.echo(f"  leaf {one.index}: this {one.type} changed nothing: {one.code}")
    if report.verdict != OK:
        sys.exit(UNVERIFIED)


@audit.command()
@click.argument("receipt", type=_PATH)
@click.option("--entry", "entry_path", required=True, type=_PATH, help="The bytes of the leaf.")
@click.option("--trust", "trust_path", required=True, type=_PATH, help="Trust file.")
def receipt(receipt: Path, entry_path: Path, trust_path: Path) -> None:
    """Verify a receipt (.tlog-proof): that the log has an entry, and who vouches for it."""
    from linkage.log.policy import parse_policy
    from linkage.log.receipt import verify_receipt

    policy = parse_policy(read_file(trust_path))
    cosigned = verify_receipt(read_file(receipt), read_file(entry_path), policy)
    head = cosigned.checkpoint
    click.echo(f"OK: in the log {head.origin} at {head.size} entries, root {head.root.hex()}")
    for name, time in sorted(cosigned.times.items()):
        click.echo(f"  {datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}Z  {name}")


@audit.command("trust")
@click.argument("trust_path", metavar="TRUST", type=_PATH)
@click.option(
    "--party", "parties", multiple=True, metavar="NAME",
    help="Witness or group whose cosignature must be needed; may be repeated.",
)  # fmt: skip
@click.option(
    "--add",
    "enrolments",
    multiple=True,
    type=_PATH,
    metavar="ENROLMENT",
    help="Enrolment of a party (`padan enrol new`) whose cosignature is asked for; repeat.",
)
@click.option("--quorum", type=int, help="How many of them; if absent the least that is safe.")
@click.option("--out", type=_PATH, help="Trust file to write, with the witnesses added.")
def check_trust(
    trust_path: Path,
    parties: tuple[str, ...],
    enrolments: tuple[Path, ...],
    quorum: int | None,
    out: Path | None,
) -> None:
    """Check a trust file: whether its quorum keeps two readers from seeing two histories.

    With --add and --out it writes one that asks for witnesses: `padan matcher init-log` can name
    the keys of the log only. Take the enrolments from the parties themselves, and compare the
    keys that are shown with them.
    """
    from linkage.audit.trust import with_witnesses, witnesses_in
    from linkage.cli import REFUSED
    from linkage.log.policy import format_policy, parse_policy
    from linkage.log.policy_lint import lint_policy

    if bool(enrolments) != (out is not None):
        raise click.UsageError("--add and --out go together")
    policy = parse_policy(read_file(trust_path))
    if out is not None:
        keys = [key for path in enrolments for key in witnesses_in(read_file(path))]
        policy = with_witnesses(policy, keys, quorum)
    problems = lint_policy(policy, parties)
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(REFUSED)
    if out is not None:
        out.write_bytes(format_policy(policy, _comment_of(read_file(trust_path))))
        for line in policy.witnesses:
            click.echo(f"{line.name}  {hashlib.sha256(line.key.public).hexdigest()}", err=True)
    click.echo("OK: any two quorums share a witness, and enough of them")


def _anchored(
    bundle: Path, trust_path: Path, tsa_path: Path
) -> "tuple[VerifyReport, list[Anchor]]":
    """Return the report of a bundle that verifies with what its anchors say."""
    from linkage.audit.anchored import check_anchors
    from linkage.log.timestamp import load_authorities

    authorities = load_authorities(read_file(tsa_path), str(tsa_path))
    report, contents = verified(bundle, trust_path, None, as_json=False)
    anchors, findings = check_anchors(contents, report.origin, authorities)
    verdict = findings[0].code if findings else report.verdict
    return replace(report, verdict=verdict, findings=[*report.findings, *findings]), anchors


def _read(path: Path | None) -> bytes | None:
    return read_file(path) if path is not None else None


def _comment_of(trust: bytes) -> str:
    """Return what a trust file says above its first line."""
    lines = trust.decode().split("\n")
    return "\n".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
