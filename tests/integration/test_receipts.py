"""Agents keep receipts of their results, which programs without this project's code verify."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner
from in_process import Service, people

from linkage.agent.run import request_job
from linkage.cli import padan

RECEIPT = Path(__file__).parents[2] / "contrib" / "receipt.py"


def by_the_program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", RECEIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_receipt_is_whole_once_the_quorum_has_cosigned(
    new_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = new_service(
        dukcapil=people(30), imigrasi=people(30, skip=10), kemenlu=people(30, skip=5)
    )
    pair = ("dukcapil", "imigrasi")
    with service.running():
        with service.client("dukcapil") as client:
            job_id = request_job(service.session("dukcapil"), client, pair, 600, "R3").job_id
        outcomes = service.run_all(job_id, *pair)
        # All parties of the job, and not the third one, which the trust file asks for, too.
        first = {party: outcome.receipt for party, outcome in outcomes.items()}
        assert {path.name for path in first.values() if path} == {f"{job_id}.partial.tlog-proof"}
        with service.client("kemenlu") as client:
            service.session("kemenlu").witness.cosign_all(client)
        again = {party: service.run(party, job_id).receipt for party in pair}
    assert {path.name for path in again.values() if path} == {f"{job_id}.tlog-proof"}
    assert not any(path.exists() for path in first.values() if path)
    receipt, trust = again["dukcapil"], service.site.trust
    assert receipt is not None
    leaf, body = (receipt.with_name(f"{job_id}.{what}.json") for what in ("leaf", "body"))
    words = (receipt, "--leaf", leaf, "--trust", trust)
    found = by_the_program(*words, "--body", body, "--json")
    assert found.returncode == 0, found.stderr
    said = json.loads(found.stdout)
    assert (said["type"], said["body"]["job"]) == ("result", job_id)
    assert set(said["body"]["results"]) == set(pair)
    own = ["audit", "receipt", str(receipt), "--entry", str(leaf), "--trust", str(trust)]
    assert CliRunner().invoke(padan, own).exit_code == 0
    for changed in (leaf, body, receipt):
        other = tmp_path / changed.name
        other.write_bytes(changed.read_bytes().replace(b"1", b"2", 1))
        replaced = [other if word == changed else word for word in (*words, "--body", body)]
        assert by_the_program(*replaced).returncode == 3, changed.name
    assert by_the_program(*words[:-1], leaf).returncode == 2
