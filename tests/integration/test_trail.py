"""Which linkages used a record is told from the agency's own machine alone."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from in_process import Service, person

from linkage.cli import padan


def trail(service: Service, party: str, *options: str | Path) -> Result:
    config = str(service.folder(party) / "agent.toml")
    return CliRunner().invoke(padan, ["agent", "trail", "--config", config, *map(str, options)])


def told(service: Service, party: str, *options: str) -> list[dict[str, object]]:
    done = trail(service, party, *options, "--json")
    assert done.exit_code == 0, (done.exception, done.stderr)
    uses: list[dict[str, object]] = json.loads(done.stdout)["uses"]
    return uses


@pytest.fixture(scope="module")
def jobs(service: Service) -> list[str]:
    """Two jobs; one person has come into the register of the first party between them."""
    first = service.request("dukcapil")
    service.run_all(first)
    path = service.folder("dukcapil") / "records.csv"
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, person(85)).writerow(person(85))
    second = service.request("imigrasi")
    service.run_all(second)
    for party in service.site.parties:
        with service.client(party) as client:
            service.session(party).mirror.update(client)
    return [first, second]


def test_a_record_is_followed_through_its_jobs(service: Service, jobs: list[str]) -> None:
    uses = told(service, "dukcapil", "--record", "00030")
    assert [use["job"] for use in uses] == jobs
    first = uses[0]
    (link,) = first["links"]  # type: ignore[misc]
    assert (link["counterpart"], link["grade"]) == ("imigrasi", "match")
    agreed = service.site.agreement
    assert first["agreement"] == agreed.id
    assert first["version"] == agreed.digest()
    assert first["purpose"] == agreed.purpose.text.id
    basis = [line for line in first["basis"] if line.startswith("dukcapil")]  # type: ignore[attr-defined]
    assert len(basis) == 2
    assert first["requester"] == "party/dukcapil"
    assert first["counterparts"] == ["imigrasi"]
    assert first["released"] is not None
    assert len(first["leaves"]) > 5  # type: ignore[arg-type]
    # The other side of the same link has the same id.
    (theirs,) = told(service, "imigrasi", "--record", "00030", "--job", jobs[0])
    assert theirs["links"][0]["link_id"] == link["link_id"]  # type: ignore[index]


def test_records_without_links_and_those_that_came_later(service: Service, jobs: list[str]) -> None:
    uses = told(service, "dukcapil", "--record", "00003")
    assert [(use["job"], use["links"]) for use in uses] == [(job, []) for job in jobs]
    (later,) = told(service, "dukcapil", "--record", "00085")
    assert later["job"] == jobs[1]
    assert told(service, "dukcapil", "--record", "nobody") == []


def test_all_records_of_a_job_as_csv(service: Service, jobs: list[str], tmp_path: Path) -> None:
    done = trail(service, "dukcapil", "--all", "--job", jobs[1], "--csv", tmp_path / "trail.csv")
    assert done.exit_code == 0, done.exception
    with (tmp_path / "trail.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["record"] for row in rows}) == 81
    assert sum(bool(row["link_id"]) for row in rows) == 61
    assert trail(service, "dukcapil", "--all").exit_code == 2
    assert trail(service, "dukcapil").exit_code == 2


def test_what_is_not_known_any_more_is_said(service: Service, jobs: list[str]) -> None:
    work = service.folder("imigrasi") / "work"
    shutil.rmtree(work / "artefacts" / f"participants-{jobs[0]}")
    done = trail(service, "imigrasi", "--record", "00030", "--json")
    report = json.loads(done.stdout)
    assert [use["job"] for use in report["uses"]] == [jobs[1]]
    assert [use["job"] for use in report["unknown"]] == [jobs[0]]
    done = trail(service, "imigrasi", "--record", "00030")
    assert f"job {jobs[0]}" in done.stderr
    assert "match with a record of dukcapil" in done.stdout
    (work / "results" / f"{jobs[1]}.csv").unlink()
    assert not told(service, "imigrasi", "--record", "00030")[0]["links_known"]
