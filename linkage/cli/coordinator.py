"""`padan coordinator`: follow what jobs bring, in figures that name nobody."""

import json
from pathlib import Path

import click

from linkage.cli.connection import open_matcher, with_credentials

_PATH = click.Path(path_type=Path)


@click.group()
def coordinator() -> None:
    """Follow jobs by their counts (result level R0)."""


@coordinator.command()
@with_credentials
@click.option("--trust", "trust_path", required=True, type=_PATH, help="Trust file of the log.")
@click.option("--job", "job_id", required=True, help="Id of the job.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def counts(
    address: str,
    certificate: Path,
    private_key: Path,
    authority: Path,
    trust_path: Path,
    job_id: str,
    as_json: bool,
) -> None:
    """Print how many records each party had in a job, and how many were linked.

    All numbers are rounded down to tens; fewer than ten are withheld. They are believed only if
    the log, under the trust file, commits to them.
    """
    from linkage.agent.client import MatcherClient
    from linkage.agent.result import verify_result
    from linkage.agent.session import load_trust
    from linkage.job import COORDINATOR
    from linkage.result import COUNTS
    from linkage.rpc.tls import TlsFiles

    trust = load_trust(trust_path)
    with open_matcher(address, TlsFiles(certificate, private_key, authority)) as channel:
        header, pieces = MatcherClient(channel, 10.0).results(job_id)
    result = verify_result(
        header,
        pieces,
        trust=trust,
        party=COORDINATOR,
        job_id=job_id,
        told={piece.counterpart: "R0" for piece in pieces},
    )
    found = {part.counterpart: dict(zip(COUNTS, part.counts, strict=True)) for part in result.parts}
    if as_json:
        click.echo(json.dumps({"job": job_id, "counts": found}))
        return
    for party, of_party in found.items():
        words = (f"{name} {f'at least {n}' if n else 'withheld'}" for name, n in of_party.items())
        click.echo(f"{party}: {', '.join(words)}")
