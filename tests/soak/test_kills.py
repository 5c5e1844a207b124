"""Matcher and agents killed at random moments: nothing is lost, released twice, or unlogged.

The counts go to benchmarks/results/soak-kills.json.

`PADAN_SOAK_ROUNDS` sets the number of jobs (20), `PADAN_SOAK_SEED` the moments.
"""

import csv
import os
import random
import signal
import socket
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from soak_results import keep_result

from linkage.cli.demo_data import DemoData, DemoParty
from linkage.cli.demo_site import DemoSite

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

ROUNDS = int(os.environ.get("PADAN_SOAK_ROUNDS", "20"))
SEED = int(os.environ.get("PADAN_SOAK_SEED", "1"))
PROGRAM = [sys.executable, "-m", "linkage.cli"]
SHARED, OWN = 1500, 500
KILLS = 6
SCHEMA = """
name = "soak"
[encoding]
scheme = "clk"
[match]
cardinality = "one-to-one"
threshold = 0.8
[[attributes]]
name = "nama"
type = "name"
[[attributes]]
name = "tgl_lahir"
type = "date"
"""


def person(number: int) -> dict[str, str]:
    draw = random.Random(number)
    words = ("".join(draw.choices(string.ascii_lowercase, k=8)) for _ in range(3))
    date = f"{draw.randint(1940, 2019)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
    return {"record_id": f"{number:05}", "nama": " ".join(words), "tgl_lahir": date}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSite]:
    persons = [person(number) for number in range(SHARED + 2 * OWN)]
    data = DemoData(
        SCHEMA,
        {
            "dukcapil": DemoParty(persons[: SHARED + OWN]),
            "imigrasi": DemoParty(persons[:SHARED] + persons[SHARED + OWN :]),
        },
    )
    made = DemoSite(tmp_path_factory.mktemp("soak"), data)
    made.prepare()
    # A restarted matcher must be found at the address that the agents know.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = made.root / "matcher" / "matcher.toml"
    config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    yield made
    made.stop_matcher()


def start_agent(site: DemoSite, party: str, job_id: str) -> subprocess.Popen[bytes]:
    config = site.root / "agents" / party / "agent.toml"
    return subprocess.Popen(
        [*PROGRAM, "agent", "run", "--config", str(config), "--job", job_id],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_matcher(site: DemoSite) -> None:
    process = site._matcher
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait()


def links(path: Path) -> set[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["link_id"], row["record_id"]) for row in csv.DictReader(file)}


def run_with_kills(site: DemoSite, draw: random.Random) -> tuple[str, int]:
    """Run one job to its end whatever is killed on the way; return its id and the kills."""
    site.start_matcher()
    job_id = site.request_job()
    kills = 0
    agents = {party: start_agent(site, party, job_id) for party in site.parties}
    next_kill = time.monotonic() + draw.uniform(0.1, 2.0)
    give_up = time.monotonic() + 300
    while agents:
        assert time.monotonic() < give_up, f"job {job_id} did not end after {kills} kills"
        if kills < KILLS and time.monotonic() > next_kill:
            victim = draw.choice(["matcher", *agents])
            if victim == "matcher":
                kill_matcher(site)
                site.start_matcher()
            else:
                agents[victim].kill()
            kills += 1
            next_kill = time.monotonic() + draw.uniform(0.1, 3.0)
        for party, agent in list(agents.items()):
            code = agent.poll()
            if code == 0:
                del agents[party]
            elif code is not None:
                agents[party] = start_agent(site, party, job_id)
        time.sleep(0.05)
    site.stop_matcher()
    return job_id, kills


def test_whatever_is_killed_every_job_ends_with_the_same_links_and_a_whole_log(
    site: DemoSite,
) -> None:
    draw = random.Random(SEED)
    expected: set[tuple[str, str]] | None = None
    total = 0
    for _ in range(ROUNDS):
        job_id, kills = run_with_kills(site, draw)
        total += kills
        found = [
            links(site.root / "agents" / party / "work" / "results" / f"{job_id}.csv")
            for party in site.parties
        ]
        assert found[0] == found[1]
        assert len(found[0]) == SHARED
        # Same agreement, epoch and records: the link ids never change.
        expected = expected or found[0]
        assert found[0] == expected
    site.start_matcher()
    site.cosign_log()
    site.fetch_bundle()
    site.stop_matcher()
    report = site.verify_bundle()
    entries = report["entries"]
    assert isinstance(entries, dict)
    assert entries["job.request"] == entries["release"] == ROUNDS
    assert entries["batch"] == 2 * ROUNDS
    assert total >= ROUNDS
    figures = {"jobs": ROUNDS, "kills": total, "seed": SEED, "log_entries": report["size"]}
    keep_result("kills", figures)
