"""A mission's whole job over a line with delay, loss and little room, and hours without one."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from in_process import TWO_ROUNDS, demo_data, make_linkage_keys, people
from packet_line import HERE, PacketLine, Quality, skip_without_namespaces
from soak_results import keep_result

from keys.dsse import Ed25519Signer
from keys.identity import Role
from linkage.cli.demo_site import DemoSite

PROGRAM = [sys.executable, "-m", "linkage.cli"]
PORT = 8443
SOAK_RECORDS = 400
# By satellite, from a mission: 600 ms there and back, one packet in twenty lost.
MISSION = Quality(delay_s=0.3, lost=0.05, bits_per_s=256_000)


class MissionSite(DemoSite):
    """A site whose matcher and first agents are on one host; the last party is on the other."""

    def __init__(self, root: Path, namespace: str, n_records: int) -> None:
        data = demo_data(TWO_ROUNDS, dukcapil=people(n_records), kemenlu=people(n_records))
        super().__init__(root, data)
        self._inside = ("ip", "netns", "exec", namespace)

    def _identify(
        self,
        role: Role,
        name: str,
        addresses: Sequence[str] = (),
        signer: Ed25519Signer | None = None,
    ) -> None:
        super()._identify(role, name, [HERE] if addresses else [], signer)

    def _start(self, *arguments: str) -> "subprocess.Popen[str]":
        return start(self._inside, *arguments)

    def serve(self) -> None:
        path = self.root / "matcher" / "matcher.toml"
        path.write_text(path.read_text().replace("127.0.0.1:0", f"{HERE}:{PORT}"))
        make_linkage_keys(self)
        self.start_matcher((*self._inside, *PROGRAM, "matcher", "serve"), make_keys=False)

    def run(self, party: str, job_id: str, inside: Sequence[str]) -> "subprocess.Popen[str]":
        config = str(self.root / "agents" / party / "agent.toml")
        return start(inside, "agent", "run", "--config", config, "--job", job_id, "--json")


def start(inside: Sequence[str], *arguments: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*inside, *PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, words = process.communicate()
    assert process.returncode == 0, words
    found: dict[str, Any] = json.loads(out)
    return found


def mission(
    folder: Path, n_records: int, meanwhile: Callable[[PacketLine], None] = lambda _line: None
) -> PacketLine:
    """Run a job between two parties, one at the end of a bad line."""
    skip_without_namespaces()
    line = PacketLine(MISSION, seed=1)
    with line.open():
        site = MissionSite(folder, line.here, n_records)
        site.prepare()
        site.serve()
        try:
            job_id = site.request_job()
            here = site.run("dukcapil", job_id, site._inside)
            there = site.run("kemenlu", job_id, ("ip", "netns", "exec", line.there))
            meanwhile(line)
            told = [finished(there), finished(here)]
        finally:
            site.stop_matcher()
        spool = site.root / "agents" / "kemenlu" / "work" / "artefacts" / f"spool-{job_id}"
        assert {path.name for path in spool.iterdir()} == {"manifest", "source"}
    assert [one["links"] for one in told] == [n_records, n_records]
    assert line.n_lost > 0
    return line


@pytest.mark.timeout(300)
def test_a_job_over_a_line_with_delay_loss_and_little_room(tmp_path: Path) -> None:
    line = mission(tmp_path, 10)
    # What was lost is sent again, and not much more: without loss it is 45 and 89 kB.
    up, down = line.n_bytes
    assert up < 90_000
    assert down < 180_000


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_minutes_without_a_line_again_and_again(tmp_path: Path) -> None:
    # Longer than connections take to notice, and than calls wait.
    spells_s, started = ((10, 60), (20, 200), (20, 400)), time.monotonic()

    def come_and_go(line: PacketLine) -> None:
        for up_s, down_s in spells_s:
            time.sleep(up_s)
            line.break_off()
            time.sleep(down_s)
            line.restore()

    line = mission(tmp_path, SOAK_RECORDS, come_and_go)
    figures = {
        **asdict(MISSION),
        "records": SOAK_RECORDS,
        "links": SOAK_RECORDS,
        "seconds": round(time.monotonic() - started),
        "seconds_without_a_line": [down_s for _, down_s in spells_s],
        "bytes_up": line.n_bytes[0],
        "bytes_down": line.n_bytes[1],
        "packets_lost": line.n_lost,
    }
    keep_result("mission", figures)
