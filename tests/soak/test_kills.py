"""Matcher, agents and a counter killed at random moments: nothing is lost or released twice.

In every round one process is killed (SIGKILL) at some moment of a job, and started again; lookups
go on beside it. At the end of the round the job has the right links at every party, the log has
every step once, and `padan audit verify` and `replay` hold. On PostgreSQL the database goes away
as well, for a minute at a time.

`PADAN_SOAK_ROUNDS` sets the number of rounds on SQLite (200; a quarter of it on PostgreSQL),
`PADAN_SOAK_SEED` the moments. The counts go to benchmarks/results/soak-kills.json.
"""

import csv
import json
import os
import random
import signal
import socket
import string
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from postgres import PostgresServer, move_to
from soak_results import keep_result

from keys.dsse import sign
from linkage.agent.client import MatcherClient
from linkage.agent.config import load_agent
from linkage.agreement.payload import LookupGrant
from linkage.cli.demo_data import DemoData, DemoParty
from linkage.cli.demo_site import DemoSite
from linkage.errors import LinkageError
from linkage.rpc.channel import open_channel
from linkage.rpc.tls import TlsFiles

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

ROUNDS = int(os.environ.get("PADAN_SOAK_ROUNDS", "200"))
SEED = int(os.environ.get("PADAN_SOAK_SEED", "1"))
KEPT = str(Path(__file__).with_name("kept.py"))
PARTIES = ("dukcapil", "imigrasi", "kemenlu")
OWNER, CALLER = PARTIES[:2]
SHARED, OWN = 60, 20
AWAY_S = 60.0
# What a job goes through; a round waits for one of them, and then for a moment more.
STAGES = (
    "collecting", "comparing", "refining", "naming", "scoring", "solving",
    "awaiting_cosignatures", "released",
)  # fmt: skip
LONGEST_ROUND_S = 120.0
SCHEMA = """
name = "soak"
[match]
cardinality = "one-to-one"
rounds = 2
[[attributes]]
name = "nama"
type = "name"
[[attributes]]
name = "tgl_lahir"
type = "date"
[[attributes]]
name = "tempat_lahir"
type = "place"
"""
PLACES = ("Bandung", "Makassar", "Kupang", "Jayapura", "Denpasar", "Medan", "Ambon")


def person(number: int) -> dict[str, str]:
    draw = random.Random(number)
    words = ("".join(draw.choices(string.ascii_lowercase, k=8)) for _ in range(3))
    date = f"{draw.randint(1940, 2019)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
    return {
        "record_id": f"{number:05}",
        "nama": " ".join(words),
        "tgl_lahir": date,
        "tempat_lahir": draw.choice(PLACES),
    }


class SoakSite(DemoSite):
    """A site whose matcher is found again where it was, and whose agents deliver results."""

    def configure_agents(self) -> None:
        if (self.agent("kemenlu") / "agent.toml").exists():
            return  # an agent may be reading it
        super().configure_agents()
        for party in self.parties:
            with (self.agent(party) / "agent.toml").open("a", encoding="utf-8") as file:
                file.write('[result]\npath = "delivered/{job}.csv"\n')

    def agent(self, party: str) -> Path:
        return self.root / "agents" / party

    def config(self, party: str) -> str:
        return str(self.agent(party) / "agent.toml")

    def kill_matcher(self) -> None:
        assert self._matcher is not None
        self._matcher.send_signal(signal.SIGKILL)
        self._matcher.wait()

    def matcher_runs(self) -> bool:
        return self._matcher is not None and self._matcher.poll() is None


class Kept:
    """A process that takes one line after the other, and is started again where it was killed.

    Used by one thread; `kill` by any.
    """

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, KEPT, *arguments]
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.communicate()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def kill(self) -> None:
        self._process.kill()

    def ask(self, line: object) -> Any:
        """Return the answer to a line, however often the process is killed meanwhile."""
        while True:
            with suppress(BrokenPipeError):
                if answer := self._told(json.dumps(line)):
                    return json.loads(answer)
            assert self._process.wait() == -signal.SIGKILL
            with suppress(BrokenPipeError):
                self._process.communicate()
            self._start()

    def _told(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def padan(self, *arguments: str) -> str:
        """Run a command, and return what it printed."""
        code, out, words = self.ask(arguments)
        assert code == 0, words
        return str(out)


class Lookups:
    """Looks persons up beside the jobs, and counts what was answered."""

    def __init__(self, counter: Kept) -> None:
        self.asked = self.answered = 0
        self._counter, self._stop = counter, threading.Event()
        self.failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        draw, last = random.Random(SEED), 0
        try:
            while not self._stop.wait(0.1):
                number = draw.randrange(SHARED + OWN)
                self.asked += 1
                told = {key: value for key, value in person(number).items() if key != "record_id"}
                answer, sequence = self._counter.ask(told)
                # The number of an answer is given once, whoever was killed.
                assert sequence > last
                last = sequence
                self.answered += 1
                assert answer == "yes", (number, answer)
        except BaseException as error:
            self.failures.append(error)
            raise


class Soak:
    """A site with its kept processes."""

    def __init__(self, site: SoakSite, stack: ExitStack) -> None:
        self.site = site
        self.agents = {party: stack.enter_context(Kept("commands")) for party in site.parties}
        self.auditor = stack.enter_context(Kept("commands"))
        site.start_matcher()
        stack.callback(site.stop_matcher)
        self._give_leave()
        self.counter = stack.enter_context(Kept("lookups", site.config(CALLER), OWNER))
        self.lookups = stack.enter_context(Lookups(self.counter))

    def _give_leave(self) -> None:
        """Upload a register, and give leave to look up in it."""
        agreement, now = self.site.agreement, datetime.now(UTC).replace(microsecond=0)
        wanted = LookupGrant(
            log=agreement.log,
            agreement=agreement.id,
            digest=agreement.digest(),
            grant="0" * 32,
            caller=agreement.by_id[CALLER].principal,
            register_of=OWNER,
            purpose=agreement.purpose.code,
            number=1_000_000,
            per_minute=1_000_000,
            valid_from=now,
            valid_until=now + timedelta(hours=12),
        )
        signers = [self.site.signers[party] for party in (OWNER, CALLER)]
        path = self.site.root / "grant.json"
        path.write_bytes(sign(wanted.TYPE, wanted.to_bytes(), signers).to_bytes())
        owner, config = self.agents[OWNER], self.site.config(OWNER)
        owner.padan("lookup", "register", "--settings", config)
        owner.padan("agent", "submit", "--config", config, str(path))
        self.cosign()

    def cosign(self) -> None:
        for party, agent in self.agents.items():
            agent.padan("agent", "cosign", "--config", self.site.config(party))

    def request(self) -> str:
        first, *others = self.site.parties
        arguments = [word for party in others for word in ("--party", party)]
        config = self.site.config(first)
        return (
            self.agents[first]
            .padan("agent", "request", "--config", config, "--level", "R3", *arguments)
            .strip()
        )

    def run(self, party: str, job_id: str) -> None:
        config = self.site.config(party)
        self.agents[party].padan("agent", "run", "--config", config, "--job", job_id)

    def kill(self, victim: str) -> None:
        if victim == "matcher":
            self.site.kill_matcher()
            self.site.start_matcher()
        else:
            {**self.agents, "counter": self.counter}[victim].kill()

    def report(self) -> dict[str, Any]:
        """Have the auditor fetch, verify and replay the log; return the report."""
        self.cosign()
        folder, bundle = self.site.root / "auditor", str(self.site.bundle)
        self.auditor.padan(
            "audit", "fetch", "--matcher", self.site.address,
            "--certificate", str(folder / "certificate.pem"),
            "--private-key", str(folder / "private-key.pem"),
            "--authority", str(folder / "authority.pem"),
            "--trust", str(self.site.trust), "--out", bundle,
        )  # fmt: skip
        trust = ("--trust", str(self.site.trust))
        report: dict[str, Any] = json.loads(
            self.auditor.padan("audit", "verify", bundle, *trust, "--json")
        )
        self.auditor.padan("audit", "replay", bundle, *trust)
        return report

    def lookups_logged(self) -> int:
        trust = ("--trust", str(self.site.trust))
        minutes = json.loads(
            self.auditor.padan("audit", "lookups", str(self.site.bundle), *trust, "--json")
        )
        return sum(row["answered"] for row in minutes)


class Stage:
    """Watches how far a job is, over a connection of its own."""

    def __init__(self, site: SoakSite, job_id: str) -> None:
        self.reached = {"collecting"}
        self.now = "collecting"
        self._changed = threading.Condition()
        self._site, self._job_id = site, job_id
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        config = load_agent(Path(self._site.config(PARTIES[0])))
        with (
            suppress(LinkageError),
            open_channel(config.matcher, TlsFiles(**dict(config.tls))) as channel,
        ):
            for progress in MatcherClient(channel, LONGEST_ROUND_S).watch(self._job_id):
                with self._changed:
                    self.now = progress.state.value
                    self.reached.add(self.now)
                    self._changed.notify_all()

    def wait_for(self, stage: str) -> None:
        """Wait until a job is at least so far."""
        later = set(STAGES[STAGES.index(stage) :])
        with self._changed:
            assert self._changed.wait_for(lambda: self.reached & later, LONGEST_ROUND_S)


def links(path: Path) -> set[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return {(row["record_id"], row["counterpart"], row["link_id"]) for row in rows}


def new_soak(root: Path, stack: ExitStack, server: PostgresServer | None = None) -> Soak:
    own = {party: SHARED + number * OWN for number, party in enumerate(PARTIES)}
    parties = {
        party: DemoParty([person(n) for n in (*range(SHARED), *range(first, first + OWN))])
        for party, first in own.items()
    }
    site = SoakSite(root, DemoData(SCHEMA, parties))
    site.prepare()
    # A restarted matcher must be found at the address that the agents know.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = root / "matcher" / "matcher.toml"
    config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    if server is not None:
        move_to(server, root / "matcher")
    return Soak(site, stack)


class Rounds:
    """Jobs one after another, in each of which something happens; what was seen is counted."""

    def __init__(self, soak: Soak) -> None:
        self.soak, self.draw = soak, random.Random(SEED)
        self.victims, self.stages = Counter[str](), Counter[str]()
        self._started, self._before = time.monotonic(), soak.report()["entries"]
        self._links: dict[str, set[tuple[str, ...]]] = {}
        self.n = 0

    def kill_one(self) -> None:
        """Run a job in which one process is killed."""
        victim = self.draw.choice(["matcher", "matcher", *PARTIES, "counter"])
        self.run(victim, self.draw.choice(STAGES), lambda: self.soak.kill(victim))

    def run(self, victim: str, stage: str, happens: Callable[[], None]) -> None:
        """Run a job in which something happens soon after a stage."""
        job_id = self.soak.request()
        watched = Stage(self.soak.site, job_id)
        with ThreadPoolExecutor() as pool:
            runs = [pool.submit(self.soak.run, party, job_id) for party in self.soak.agents]
            watched.wait_for(stage)
            time.sleep(self.draw.uniform(0, 1.0 if stage == "collecting" else 0.2))
            self.stages[watched.now] += 1
            happens()
            for run in runs:
                run.result()
        self.victims[victim] += 1
        self.n += 1
        self._check(job_id)

    def _check(self, job_id: str) -> None:
        for party in PARTIES:
            folder = self.soak.site.agent(party)
            found = folder / "work" / "results" / f"{job_id}.csv"
            assert found.read_bytes() == (folder / "delivered" / found.name).read_bytes()
            # Same agreement, epoch and records: the link ids never change.
            assert links(found) == self._links.setdefault(party, links(found))
            assert len(links(found)) == 2 * SHARED
        entries = self.soak.report()["entries"]
        logged = {name: n - self._before.get(name, 0) for name, n in entries.items()}
        once = ("job.request", "job.authorise", "job.plan", "release")
        assert {name: logged[name] for name in once} == dict.fromkeys(once, self.n)
        assert logged["batch"] == logged["job.admit"] == len(PARTIES) * self.n
        assert not self.soak.lookups.failures

    def close(self) -> dict[str, object]:
        """Hold the lookups to the log, and return what was counted."""
        lookups = self.soak.lookups
        lookups.stop()
        # A minute of lookups is logged when it is over.
        give_up = time.monotonic() + 150
        while (logged := self.soak.lookups_logged()) < lookups.answered:
            assert time.monotonic() < give_up, (logged, lookups.answered)
            time.sleep(5)
            self.soak.report()
        # Answers that a killed process did not hand on.
        assert logged <= lookups.answered + self.victims["counter"] + self.victims["matcher"]
        assert not lookups.failures
        return {
            "rounds": self.n,
            "killed": dict(sorted(self.victims.items())),
            "at": {name: self.stages[name] for name in STAGES if name in self.stages},
            "links_of_each_job": len(PARTIES) * SHARED,
            "lookups_answered": lookups.answered,
            "lookups_logged": logged,
            "log_entries": self.soak.report()["size"],
            "seconds": round(time.monotonic() - self._started),
        }


def test_whatever_is_killed_every_job_ends_with_the_same_links_and_a_whole_log(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        rounds = Rounds(new_soak(tmp_path, stack))
        for _ in range(ROUNDS):
            rounds.kill_one()
        keep_result("kills", rounds.close() | {"seed": SEED}, "sqlite")


def test_on_postgresql_the_same_and_the_database_is_away_for_a_minute(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    def go_away() -> None:
        postgres_server.stop()
        time.sleep(AWAY_S)
        postgres_server.start()

    with ExitStack() as stack:
        rounds = Rounds(new_soak(tmp_path, stack, postgres_server))
        for _ in range(ROUNDS // 4):
            rounds.kill_one()
        for stage in ("collecting", "refining", "awaiting_cosignatures"):
            rounds.run("database", stage, go_away)
        figures = rounds.close() | {"database_away_s": AWAY_S, "seed": SEED}
        keep_result("kills", figures, "postgresql")
