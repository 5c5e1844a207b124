"""`padan audit report`: who linked what with whom; records of processing; scope of incidents."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linkage.cli.audit_bundle import verified
from linkage.cli.files import read_file

if TYPE_CHECKING:
    from linkage.agreement.jobs import JobRecord
    from linkage.audit.report import AgreementRecord
    from linkage.audit.scope import Scope

_PATH = click.Path(path_type=Path)
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("bundle", type=_PATH)
@click.option("--trust", "trust_path", required=True, type=_PATH, help="Trust file.")
@click.option("--agreement", help="Only this agreement.")
@click.option("--from", "first", type=_DAY, help="Only jobs asked for on this day (UTC) or later.")
@click.option("--until", "last", type=_DAY, help="Only jobs asked for on this day (UTC) or before.")
@click.option(
    "--touched",
    metavar="WHAT",
    help="Say what this touched, and show only its jobs: a key (SHA-256 of a certificate's SPKI or "
    "of a signing key), or the id or digest of a job, batch, manifest, gate result, result, schema "
    "or version of an agreement.",
)
@click.option(
    "--certificate", type=_PATH, help="Say what this certificate (PEM) touched, as --touched."
)
@click.option("--html", "html_path", type=_PATH, help="Page to write.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def report(
    bundle: Path,
    trust_path: Path,
    agreement: str | None,
    first: datetime | None,
    last: datetime | None,
    touched: str | None,
    certificate: Path | None,
    html_path: Path | None,
    as_json: bool,
) -> None:
    """Say who had what linked with whom, for what, and how much: from a bundle that verifies.

    With the record of processing of every agreement (UU 27/2022 art. 31, PP 33/2026 art. 74),
    counts by month, and what a key or an artefact touched.
    """
    from keys.identity import key_digest
    from linkage.agreement.jobs import read_jobs
    from linkage.audit.page import html_page
    from linkage.audit.report import by_agreement
    from linkage.audit.scope import scope_of

    if touched is not None and certificate is not None:
        raise click.UsageError("name one of --touched and --certificate")
    what = touched if certificate is None else key_digest(read_file(certificate))
    checked, contents = verified(bundle, trust_path, None, as_json=False)
    days = (first.date() if first else None, last.date() if last else None)
    jobs = [
        job
        for job in read_jobs(contents.entries, contents.bodies)
        if agreement in (None, job.agreement)
        and (days[0] or job.asked.date()) <= job.asked.date() <= (days[1] or job.asked.date())
    ]
    scope = None
    if what is not None:
        scope = scope_of(contents, jobs, what)
        jobs = [job for job in jobs if job.job in scope.jobs]
    agreements = by_agreement(contents, jobs, *days, agreement)
    if scope is not None:
        agreements = [one for one in agreements if one.agreement in scope.agreements]
    if html_path is not None:
        html_path.write_text(html_page(checked, agreements, jobs, scope), "utf-8")
    if as_json:
        fields = {
            "agreements": [asdict(one) for one in agreements],
            "jobs": [asdict(job) for job in jobs],
            "scope": None if scope is None else asdict(scope),
        }
        click.echo(json.dumps(fields, default=_plain))
    elif html_path is None:
        _tell(agreements, jobs, scope)


def _tell(
    agreements: "list[AgreementRecord]", jobs: "list[JobRecord]", scope: "Scope | None"
) -> None:
    for one in agreements:
        click.echo(f"{one.agreement}: {one.purpose or 'no such agreement in force'}")
        for basis in one.basis:
            click.echo(f"  {basis}")
        counts = ", ".join(f"{n} {code or 'undecided'}" for code, n in sorted(one.jobs.items()))
        click.echo(f"  jobs: {counts or 'none'}; released: {one.released}")
        for requester, n_jobs in sorted(one.requesters.items()):
            click.echo(f"  {n_jobs:12,}  jobs asked for by {requester}")
        for party, n_records in sorted(one.records.items()):
            click.echo(f"  {n_records:12,}  records of {party}")
        for told, n_results in sorted(one.told.items()):
            click.echo(f"  {n_results:12,}  results {told}")
        for period in one.periods:
            for route, answered in sorted(period.lookups.items()):
                refused = period.refused.get(route, 0)
                click.echo(f"  {period.month}: lookups {route}: {answered:,}; {refused:,} refused")
    for job in jobs:
        ended = f"released {job.released:%Y-%m-%d %H:%M}Z" if job.released else "not released"
        click.echo(
            f"{job.asked:%Y-%m-%d %H:%M}Z  {job.job}  {job.agreement}  by {job.requester}: "
            f"{' + '.join(job.parties)}, {job.ended or job.outcome or 'undecided'}, {ended}"
        )
    if scope is not None:
        _tell_scope(scope)


def _tell_scope(scope: "Scope") -> None:
    owner = scope.owner
    whose = f"{owner.kind} key of {owner.principal or 'an administrator'}" if owner else "no key"
    click.echo(f"{scope.what}: {whose}; {len(scope.leaves)} entries, {len(scope.jobs)} jobs")
    if owner is not None and owner.revoked is not None:
        click.echo(f"  revoked by leaf {owner.revoked}")
    for batch in scope.batches:
        of = f"job {batch.job}" if batch.job else "register"
        click.echo(f"  {batch.records:12,}  records of {batch.party}: {of}, leaf {batch.leaf}")
    for leaf in scope.leaves:
        click.echo(f"  {leaf.time:%Y-%m-%d %H:%M}Z  leaf {leaf.leaf}: {leaf.type} by {leaf.actor}")


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)
