"""A whole service on this machine for the demonstration: folders, keys, processes.

Every role has its own folder and sees nothing of the others' but what a person
would bring it: certificates and the trust file. The agents make the linkage key together.
"""

import contextlib
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.dsse import Ed25519Signer, sign
from keys.identity import Credential, Identity, Role, ThrowawayAuthority, key_digest
from keys.keystore import new_header, write_keystore
from keys.kinds import WITNESS, WITNESS_ML_DSA, new_secret, public_half
from keys.providers import FileProvider, create_key_file
from linkage.agent.session import cosigner_of
from linkage.agreement.articles import Process
from linkage.agreement.decide import GATE_WAIVED
from linkage.agreement.envelope import sign_agreement
from linkage.agreement.payload import Enrolment
from linkage.agreement.usage import day_of
from linkage.audit.trust import with_witnesses
from linkage.cli.demo_agreement import DemoKeys, demo_agreement
from linkage.cli.demo_data import DemoData
from linkage.encode.encoder import resolve_schema, schema_id
from linkage.errors import LinkageError, UnavailableError
from linkage.log.canonical import encode_base64
from linkage.log.cosignature import Cosigner
from linkage.log.policy import format_policy, parse_policy
from linkage.log.vkey import format_vkey
from linkage.schema import parse_schema

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
        gate_limit: of the agreement; 1 waives the risk gate.
        moment: when the agreement was made; now if absent.
        n_unsigned: how many of the parties have not signed it.
        process: of which it is.
        results: source, recipient and level of each result; by default links for all.
        members: role and name of others who are enrolled.
        offices: names of the offices that may ask for jobs, by party.
    """

    def __init__(
        self,
        root: Path,
        data: DemoData,
        gate_limit: float = GATE_WAIVED,
        *,
        moment: datetime | None = None,
        n_unsigned: int = 0,
        process: Process = "P6",
        results: Sequence[tuple[str, str, str]] | None = None,
        members: Sequence[tuple[Role, str]] = (),
        offices: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.root, self._data, self._gate_limit = root, data, gate_limit
        self._process, self._results, self._members = process, results, members
        self._offices = offices or {}
        self._moment, self._n_unsigned = moment or datetime.now(UTC), n_unsigned
        self.authority = ThrowawayAuthority(datetime.now(UTC) - timedelta(minutes=5))
        self.administrator = Ed25519Signer(Ed25519PrivateKey.generate())
        self.signers: dict[str, Ed25519Signer] = {}
        self.cosigners: dict[str, tuple[Cosigner, ...]] = {}
        self._documents: list[Path] = []
        self.parties = tuple(data.parties)
        self.trust = root / "trust" / "trust.txt"
        self.bundle = root / "auditor" / "bundle.tar"
        self._matcher: subprocess.Popen[bytes] | None = None
        self.address = ""

    def prepare(self) -> None:
        """Write every file that the roles need before they start."""
        self._identify("matcher", "matcher", addresses=("127.0.0.1",))
        for role, name in (("auditor", "auditor"), *self._members):
            self._identify(role, name)
        self.trust.parent.mkdir(parents=True)
        self._write(
            self.root / "matcher" / "matcher.toml",
            f"""\
            trust_domain = "{DOMAIN}"
            listen = "127.0.0.1:0"
            data = "data"
            keystore = "keystore"
            threads = {os.cpu_count() or 1}
            {_TLS}
            [log]
            origin = "{ORIGIN}"
            signing_key = "keys/log.key"
            key_encryption_key = "keys/kek"
            administrators = ["{encode_base64(self.administrator.public)}"]
            """,
        )
        config = str(self.root / "matcher" / "matcher.toml")
        self.padan("matcher", "init-log", "--config", config, "--trust", str(self.trust))
        keys = {party: self._prepare_agent(party) for party in self.parties}
        self._add_witnesses()
        self._documents.append(self._agreement(keys))
        self._submit(config)

    def _add_witnesses(self) -> None:
        """Let the trust file ask for the cosignatures of the parties."""
        policy = parse_policy(self.trust.read_bytes())
        keys = [one.key for party in self.parties for one in self.cosigners[party]]
        self.trust.write_bytes(
            format_policy(with_witnesses(policy, keys), f"Trust file of the match log {ORIGIN}")
        )

    def _submit(self, config: str) -> None:
        """Put all documents into the log of the matcher, at the moment of the agreement."""
        if datetime.now(UTC) - self._moment < timedelta(minutes=1):
            self.padan("matcher", "submit", "--config", config, *map(str, self._documents))
            return
        from linkage.matcher.config import load_config
        from linkage.matcher.offline import offline_documents

        with offline_documents(load_config(Path(config)), self._moment.timestamp) as taken:
            for path in self._documents:
                taken.submit("matcher", path.read_bytes())

    def _prepare_agent(self, party: str) -> DemoKeys:
        """Write an agent's files but its settings; return the public halves of its keys."""
        folder = self.root / "agents" / party
        own = self._data.parties[party]
        keystore = folder / "keystore"
        keystore.mkdir(mode=0o700, parents=True)
        create_key_file(keystore / "kek")
        provider, seed = FileProvider(keystore / "kek"), new_secret("sign")
        write_keystore(keystore / "sign.key", seed, new_header("sign", provider), provider)
        self.signers[party] = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(seed))
        self.cosigners[party] = tuple(
            self._cosigner(party, kind, keystore, provider) for kind in (WITNESS, WITNESS_ML_DSA)
        )
        self._identify("party", party, signer=self.signers[party])
        with (folder / "records.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, own.rows[0].keys())
            writer.writeheader()
            writer.writerows(own.rows)
        self._write(folder / "schema.toml", self._data.schema)
        self._write(folder / "source.toml", own.source)
        seal = public_half("seal", new_secret("seal"))
        return DemoKeys(self.signers[party].public, seal or b"")

    @staticmethod
    def _cosigner(party: str, kind: str, keystore: Path, provider: FileProvider) -> Cosigner:
        """Write a key that a party cosigns with."""
        secret = new_secret(kind)
        write_keystore(keystore / f"{kind}.key", secret, new_header(kind, provider), provider)
        return cosigner_of(party, kind, secret)

    def _agreement(self, keys: dict[str, DemoKeys]) -> Path:
        """Write the agreement that all parties have signed."""
        schema = parse_schema(self._data.schema, "schema")
        self.agreement = demo_agreement(
            AGREEMENT,
            PURPOSE,
            ORIGIN,
            DOMAIN,
            keys,
            schema_id(schema),
            resolve_schema(schema),
            day_of(self._moment),
            self._gate_limit,
            self._process,
            self._results,
            self._offices,
        )
        signers = list(self.signers.values())[self._n_unsigned :]
        envelope = sign_agreement(self.agreement, signers)
        path = self.root / "agreement.json"
        path.write_bytes(envelope.to_bytes())
        return path

    def start_matcher(
        self, program: Sequence[str] = (*_PROGRAM, "matcher", "serve"), *, make_keys: bool = True
    ) -> None:
        """Start the matcher and wait until it takes calls.

        Args:
            program: what to run; it is given the settings and the address file.
            make_keys: whether the agents make their linkage key, if they have none.

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
        if make_keys and not all(self.linkage_key(party).exists() for party in self.parties):
            self._together("agent", "make-key")

    def linkage_key(self, party: str) -> Path:
        """Return where a party keeps its first linkage key."""
        return self.root / "agents" / party / "keystore" / "linkage.key"

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
                [keys]
                provider = "file:keystore/kek"
                linkage = "keystore/linkage.key"
                sign = "keystore/sign.key"
                witness = "keystore/witness.key"
                witness_ml_dsa = "keystore/witness-ml-dsa-44.key"
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
        return self.padan(
            "agent", "request", "--config", config, "--level", "R3", *arguments
        ).strip()

    def run_agents(self, job_id: str) -> dict[str, dict[str, object]]:
        """Run all agents at once, and return what each printed.

        Raises:
            LinkageError: an agent failed; with the words of the first. The others are
                stopped then, as they are when this one is interrupted.
        """
        printed = self._together("agent", "run", "--job", job_id, "--json")
        return {party: json.loads(printed[party]) for party in self.parties}

    def _together(self, *arguments: str) -> dict[str, str]:
        """Run a command of all agents at once, and return what each printed."""
        running: dict[str, subprocess.Popen[str]] = {}
        printed: dict[str, str] = {}
        try:
            for party in self.parties:
                config = str(self.root / "agents" / party / "agent.toml")
                running[party] = self._start(*arguments, "--config", config)
            while len(printed) < len(running):
                for party in running.keys() - printed.keys():
                    # Asked in turn, for the others wait for one that has failed.
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        printed[party] = _finish(running[party], _POLL_S)
        finally:
            _stop(running.values())
        return printed

    def cosign_log(self) -> None:
        """Let all parties cosign what the log holds now."""
        self._together("agent", "cosign")

    def fetch_bundle(self, *, cosigned: bool = True) -> None:
        """Let the auditor fetch the log.

        Args:
            cosigned: as far as the parties have cosigned it; else all of it.
        """
        folder = self.root / "auditor"
        trust = ("--trust", str(self.trust)) if cosigned else ()
        self.padan(
            "audit", "fetch", "--matcher", self.address,
            "--certificate", str(folder / "certificate.pem"),
            "--private-key", str(folder / "private-key.pem"),
            "--authority", str(folder / "authority.pem"),
            *trust,
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
        signer: Ed25519Signer | None = None,
    ) -> None:
        folder = self.root / ("agents" if role == "party" else "") / name
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        identity = Identity(DOMAIN, role, name)
        credential = self.authority.issue(identity, tuple(addresses))
        (folder / "certificate.pem").write_bytes(credential.certificate)
        key = folder / "private-key.pem"
        key.touch(0o600)
        key.write_bytes(credential.private_key)
        (folder / "authority.pem").write_bytes(self.authority.certificate)
        self._documents.append(self._enrolment(identity, credential, signer))

    def _enrolment(
        self, identity: Identity, credential: Credential, signer: Ed25519Signer | None
    ) -> Path:
        """Write the document by which somebody is admitted, as an administrator signs it."""
        cosigners = self.cosigners[identity.name] if signer else ()
        vkeys: list[str | None] = [*(format_vkey(one.key) for one in cosigners), None, None]
        document = Enrolment(
            log=ORIGIN,
            principal=identity.uri,
            tls_keys=(key_digest(credential.certificate),),
            sign_key=encode_base64(signer.public) if signer else None,
            witness_key=vkeys[0],
            witness_ml_dsa_key=vkeys[1],
        )
        signers = [self.administrator, *([signer] if signer else [])]
        path = self.root / "enrolments" / f"{identity.role}-{identity.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sign(Enrolment.TYPE, document.to_bytes(), signers).to_bytes())
        return path

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
