"""Bundles that an audit command is given: verified before anything is read from them."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linkage.cli.files import read_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linkage.audit.anchored import Anchor
    from linkage.audit.replay import ReplayReport
    from linkage.audit.verdict import VerifyReport
    from linkage.audit.verify import Contents


def verified(
    bundle: Path,
    trust_path: Path,
    since_path: Path | None,
    jobs: int = 1,
    *,
    as_json: bool,
    requests: bool = False,
) -> "tuple[VerifyReport, Contents]":
    """Return what a bundle says; stop with its verdict if it does not verify.

    What a log says counts for nothing before it is known to be the log.

    Args:
        bundle: of the log.
        trust_path: the trust file.
        since_path: a checkpoint that was kept.
        jobs: processes that read leaves.
        as_json: how the verdict is printed.
        requests: check the signatures of requests, too.
    """
    from linkage.audit.leaves import processes
    from linkage.audit.verdict import MEANING
    from linkage.audit.verify import open_bundle
    from linkage.cli import UNVERIFIED

    since = read_file(since_path) if since_path is not None else None
    with processes(jobs) as run:
        report, contents = open_bundle(bundle, read_file(trust_path), since, run, requests=requests)
    if contents is None:
        click.echo(f"padan: {report.verdict}: {MEANING[report.verdict]}", err=True)
        if as_json:
            print_report(report)
        sys.exit(UNVERIFIED)
    return report, contents


def print_report(
    report: "VerifyReport | ReplayReport", anchors: "Sequence[Anchor] | None" = None
) -> None:
    """Print a report as JSON, with the anchors of a log where they were checked."""
    fields = asdict(report)
    if anchors is not None:
        fields["anchors"] = [{**asdict(one), "time": one.time.isoformat()} for one in anchors]
    fields["findings"] = [finding._asdict() for finding in report.findings]
    click.echo(json.dumps(fields))
