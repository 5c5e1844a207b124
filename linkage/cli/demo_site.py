"""A whole service on this machine for the demonstration: folders, keys, processes.

Every role has its own folder and sees nothing of the others' but what a person
would bring it: certificates, the trust file, and to the agents the linkage key.
"""

import contextlib
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from keys.identity import Identity, Role, ThrowawayAuthority
from linkage.cli.demo_data import DemoData
from linkage.errors import LinkageError, UnavailableError

DOMAIN = "padan.demo"
ORIGIN = "padan.demo/log"
AGREEMENT = "PKS-DEMO-1"
PURPOSE = "demo"
_PROGRAM = (sys.executable, "-m", "linkage.cli")
_START_S = 60.0
_STOP_S = 20.0
_POLL_S = 0.05


class DemoSite:
    """Folders of a matcher, agents and an auditor, and their processes.

    Args:
        root: empty folder for all of it.
        data: the schema, and each party's records and source file.
    """

    def __init__(self, root: Path, data: DemoData) -> None:
        self.root, self._data = root, data
        self.authority = ThrowawayAuthority(datetime.now(UTC) - timedelta(minutes=5))
        self.parties = tuple(data.parties)
        self.trust = root / "trust" / "trust.txt"
        self.bundle = root / "auditor" / "bundle.tar"
        self._matcher: subprocess.Popen[bytes] | None = None
        self.address = ""

    def prepare(self) -> None:
        """Write every file that the roles need before they start."""
        self._identify("matcher", "matcher", addresses=("127.0.0.1",))
        self._identify("auditor", "auditor")
        self.trust.parent.mkdir(parents=True)
        self._write(
            self.root / "matcher" / "matcher.toml",
            f"""\
            trust_domain = "{DOMAIN}"
            listen = "127.0.0.1:0"
            data = "data"
            keystore = "keystore"
            parties = {json.dumps(self.parties)}
            auditors = ["auditor"]
            threads = {os.cpu_count() or 1}
            {_TLS}
            [log]
            origin = "{ORIGIN}"
            signing_key = "keys/log.key"
            key_encryption_key = "keys/kek"
            """,
        )
        config = str(self.root / "matcher" / "matcher.toml")
        self.padan("matcher", "init-log", "--config", config, "--trust", str(self.trust))
        # One party draws the linkage key; the others are brought it, and it is destroyed.
        secret = self.root / "linkage-secret"
        for party in self.parties:
            self._identify("party", party)
            self._prepare_agent(party, secret)
        secret.unlink()

    def _prepare_agent(self, party: str, secret: Path) -> None:
        folder = self.root / "agents" / party
        own = self._data.parties[party]
        with (folder / "records.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, own.rows[0].keys())
            writer.writeheader()
            writer.writerows(own.rows)
        self._write(folder / "schema.toml", self._data.schema)
        self._write(folder / "source.toml", own.source)
        self.padan(
            "keys", "new-linkage", "--agreement", AGREEMENT,
            "--out", str(folder / "keystore" / "linkage.key"),
            "--key-file", str(folder / "keystore" / "kek"),
            "--secret-file", str(secret),
        )  # fmt: skip

    def start_matcher(self, program: Sequence[str] = (*_PROGRAM, "matcher", "serve")) -> None:
        """Start the matcher and wait until it takes calls.

        Args:
            program: what to run; it is given the settings and the address file.

        Raises:
            LinkageError: it ended, or does not take calls in time.
        """
        folder = self.root / "matcher"
        address_file = folder / "address"
        address_file.unlink(missing_ok=True)
        with (folder / "matcher.log").open("ab") as log:
            self._matcher = subprocess.Popen(  # noqa: S603 -- our own program
                [
                    *program,
                    "--config", str(folder / "matcher.toml"),
                    "--address-file", str(address_file),
                ],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd=folder,
            )  # fmt: skip
        waited_until = time.monotonic() + _START_S
        while not address_file.exists():
            if self._matcher.poll() is not None or time.monotonic() > waited_until:
                raise UnavailableError(f"the matcher did not start: see {folder / 'matcher.log'}")
            time.sleep(0.05)
        self.address = address_file.read_text("utf-8")
        self.configure_agents()

    def configure_agents(self) -> None:
        """Write the settings of every agent, with the matcher's address."""
        for party in self.parties:
            self._write(
                self.root / "agents" / party / "agent.toml",
                f"""\
                party = "{party}"
                matcher = "{self.address}"
                work = "work"
                schema = "schema.toml"
                source = "source.toml"
                trust = "{os.path.relpath(self.trust, self.root / "agents" / party)}"
                {_TLS}
                [agreement]
                id = "{AGREEMENT}"
                purpose = "{PURPOSE}"
                parties = {json.dumps(self.parties)}
                [key]
                keystore = "keystore/linkage.key"
                key_encryption_key = "keystore/kek"
                """,
            )

    def stop_matcher(self) -> None:
        """Stop the matcher, if it runs."""
        if self._matcher is None:
            return
        _stop([self._matcher])
        self._matcher = None

    def request_job(self) -> str:
        """Let the first party ask for a job of all, and return its id."""
        first, *others = self.parties
        arguments = [word for party in others for word in ("--party", party)]
        config = str(self.root / "agents" / first / "agent.toml")
        return self.padan("agent", "request", "--config", config, *arguments).strip()

    def run_agents(self, job_id: str) -> dict[str, dict[str, object]]:
        """Run all agents at once, and return what each printed.

        Raises:
            LinkageError: an agent failed; with the words of the first. The others are
                stopped then, as they are when this one is interrupted.
        """
        running: dict[str, subprocess.Popen[str]] = {}
        printed: dict[str, str] = {}
        try:
            for party in self.parties:
                running[party] = self._start(
                    "agent", "run", "--job", job_id, "--json",
                    "--config", str(self.root / "agents" / party / "agent.toml"),
                )  # fmt: skip
            while len(printed) < len(running):
                for party in running.keys() - printed.keys():
                    # Asked in turn, for the others wait for one that has failed.
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        printed[party] = _finish(running[party], _POLL_S)
        finally:
            _stop(running.values())
        return {party: json.loads(printed[party]) for party in self.parties}

    def fetch_bundle(self) -> None:
        """Let the auditor fetch the log."""
        folder = self.root / "auditor"
        self.padan(
            "audit", "fetch", "--matcher", self.address,
            "--certificate", str(folder / "certificate.pem"),
            "--private-key", str(folder / "private-key.pem"),
            "--authority", str(folder / "authority.pem"),
            "--out", str(self.bundle),
        )  # fmt: skip

    def verify_bundle(self) -> dict[str, object]:
        """Let the auditor verify the log, and return the report.

        Raises:
            LinkageError: it does not hold.
        """
        report: dict[str, object] = json.loads(
            self.padan("audit", "verify", str(self.bundle), "--trust", str(self.trust), "--json")
        )
        return report

    def padan(self, *arguments: str) -> str:
        """Run `padan` and return what it printed.

        Raises:
            LinkageError: it failed; with its own words.
        """
        return _finish(self._start(*arguments))

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 -- our own program
            [*_PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _identify(
        self,
        role: Role,
        name: str,
        addresses: Sequence[str] = (),
    ) -> None:
        folder = self.root / ("agents" if role == "party" else "") / name
        folder.mkdir(parents=True, mode=0o700)
        credential = self.authority.issue(Identity(DOMAIN, role, name), tuple(addresses))
        (folder / "certificate.pem").write_bytes(credential.certificate)
        key = folder / "private-key.pem"
        key.touch(0o600)
        key.write_bytes(credential.private_key)
        (folder / "authority.pem").write_bytes(self.authority.certificate)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        lines = (line.strip() for line in text.splitlines())
        path.write_text("\n".join(lines) + "\n", "utf-8")


_TLS = """
            [tls]
            certificate = "certificate.pem"
            private_key = "private-key.pem"
            authority = "authority.pem"
"""


def _stop(processes: Iterable[subprocess.Popen[Any]]) -> None:
    """End the processes that still run, and wait until they have ended."""
    stopped = list(processes)
    for process in stopped:
        process.terminate()  # which does nothing to one that has ended
    for process in stopped:
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _finish(process: subprocess.Popen[str], timeout_s: float | None = None) -> str:
    out, words = process.communicate(timeout=timeout_s)
    if process.returncode != 0:
        raise LinkageError(words.strip() or f"padan ended with {process.returncode}")
    return out
