"""A small world for the tests of agreements: keys, filled drafts, and a log that grows.

Keys come from names, so they are the same in every run. The seal keys seal nothing.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.dsse import Ed25519Signer, sign
from keys.states import KeyState
from linkage.agreement.articles import Process
from linkage.agreement.decision import Flow, Request
from linkage.agreement.draft import draft
from linkage.agreement.envelope import sign_agreement
from linkage.agreement.model import Agreement, parse_draft
from linkage.agreement.payload import (
    Enrolment,
    GrantRevocation,
    KeyChange,
    KeyRevocation,
    KeyRotation,
    LookupGrant,
    Payload,
    Stop,
    Termination,
    leaf_body,
)
from linkage.agreement.state import State
from linkage.log.canonical import format_json
from linkage.log.entry import Entry, commit_body, is_confidential

LOG = "padan.test/log"
DOMAIN = "padan.test"
START = datetime(2027, 3, 1, 1, tzinfo=UTC)
SCHEMA = hashlib.sha256(b"schema").hexdigest()
ROOT = "ab" * 32
AUDITOR = f"spiffe://{DOMAIN}/auditor/bpk"

_TEXTS = {
    "id perjanjian, misalnya PKS-2027-1": "PKS-2027-1",
    "origin log, seperti dalam berkas kepercayaan": LOG,
    "hari pertama": "2027-01-01",
    "hari terakhir": "2028-12-31",
    "tanggal tinjauan berikutnya": "2027-12-01",
    "tanggal persetujuan penilaian dampak": "2026-11-01",
    "tanggal terbit pemberitahuan publik": "2026-12-15",
    "id skema, 64 angka heksadesimal": SCHEMA,
    "versi normaliser": "1",
    "spiffe://DOMAIN/auditor/NAMA": AUDITOR,
}


def signer(name: str) -> Ed25519Signer:
    seed = hashlib.sha256(f"sign {name}".encode()).digest()
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(seed))


def public(name: str) -> str:
    return base64.b64encode(signer(name).public).decode()


def tls(name: str) -> str:
    return hashlib.sha256(f"tls {name}".encode()).hexdigest()


def seal_key(name: str) -> str:
    return base64.b64encode(hashlib.shake_256(name.encode()).digest(1_216)).decode()


def uri(path: str) -> str:
    return f"spiffe://{DOMAIN}/{path}"


def filled(process: Process, **changed: str) -> str:
    """The draft of a process with every place filled in."""

    def fill(match: re.Match[str]) -> str:
        what = match[1]
        if what in changed or what in _TEXTS:
            return changed.get(what) or _TEXTS[what]
        kind, _, name = what.rpartition(" ")
        if kind == "kunci tanda tangan":
            return public("ppdp" if name == "PPDP" else f"party/{name}")
        if kind == "kunci segel":
            return seal_key(f"party/{name}")
        if what.startswith("spiffe://"):
            return what.replace("DOMAIN", DOMAIN)
        if what.startswith("SHA-256"):
            return hashlib.sha256(what.encode()).hexdigest()
        if what.startswith("tanggal"):
            return "2026-10-01"
        return f"Contoh {what}"[:200]

    # Where missions are, the draft shows how one of them is named.
    text = draft(process).replace("# offices = ", "offices = ")
    return re.sub(r"<ISI: ([^>]+)>", fill, text)


def agreement(process: Process = "P1", **changed: Any) -> Agreement:
    """A filled draft of a process as an agreement, with some top-level fields replaced."""
    whole = _filled(process)
    if not changed:
        return whole
    return Agreement.model_validate_json(format_json({**whole.to_json(), **changed}))


@cache
def _filled(process: Process) -> Agreement:
    return parse_draft(filled(process))


def changed(base: Agreement, path: str, value: Any) -> Agreement:
    """The agreement with one field, such as `method.scheme`, replaced."""
    return Agreement.model_validate_json(format_json(changed_json(base, path, value)))


def changed_json(base: Agreement, path: str, value: Any) -> dict[str, Any]:
    tree: Any = base.to_json()
    at = tree
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    for part in way:
        at = at[part]
    at[last] = value
    return tree


def amendment(base: Agreement) -> Agreement:
    """The next version of an agreement, which changes nothing else."""
    fields = {"version": base.version + 1, "supersedes": base.digest()}
    return Agreement.model_validate_json(format_json({**base.to_json(), **fields}))


@dataclass
class World:
    """A log that grows by what the tests write into it, and its state."""

    now: datetime = START
    entries: list[Entry] = field(default_factory=list)
    bodies: dict[int, dict[str, Any]] = field(default_factory=dict)
    state: State = field(default_factory=State)

    def add(
        self,
        kind: str,
        body: dict[str, Any],
        agreement_id: str | None = None,
        actor: str = "matcher/m",
    ) -> int:
        """Append a leaf; return its index."""
        index = len(self.entries)
        entry = (
            Entry(
                kind, self.now, actor, agreement_id,
                commitment=commit_body(b"\0" * 32, format_json(body)),
            )
            if is_confidential(kind)
            else Entry(kind, self.now, actor, agreement_id, body=body)
        )  # fmt: skip
        opened = body if is_confidential(kind) else None
        if opened is not None:
            self.bodies[index] = opened
        self.entries.append(entry)
        self.state = self.state.after(index, entry, opened)
        return index

    def signed(
        self, kind: str, payload: Payload, signers: list[str], agreement_id: str | None = None
    ) -> int:
        envelope = sign(payload.TYPE, payload.to_bytes(), [signer(name) for name in signers])
        return self.add(kind, leaf_body(envelope), agreement_id)

    @property
    def refused(self) -> str | None:
        """The code with which the last leaf was rejected."""
        rejected = self.state.rejected
        last = rejected[-1] if rejected else None
        return last.code if last and last.index == len(self.entries) - 1 else None

    def genesis(self, threshold: int = 2) -> int:
        admins = [public(f"admin{number}") for number in range(3)]
        body = {"origin": LOG, "admins": admins, "threshold": threshold}
        return self.add("genesis", body)

    def enrolment(self, path: str, **extra: Any) -> Enrolment:
        fields: dict[str, Any] = {
            "log": LOG,
            "principal": uri(path),
            "tls_keys": (tls(path),),
            "sign_key": public(path),
        }
        if path.startswith("party/"):
            fields["seal_key"] = seal_key(path)
        return Enrolment(**{**fields, **extra})

    def enrol(self, path: str, by: list[str] | None = None, **extra: Any) -> int:
        office = path.startswith("office/")
        above = ["party/" + path.split("/")[1]] if office else ["admin0", "admin1"]
        signers = [*(above if by is None else by), path]
        return self.signed("enrol", self.enrolment(path, **extra), signers)

    def rotate(self, path: str, by: list[str], serial: int = 1, **extra: Any) -> int:
        until = self.now + timedelta(days=1)
        fields = {"log": LOG, "principal": uri(path), "serial": serial, "old_until": until}
        return self.signed("key.rotate", KeyRotation(**{**fields, **extra}), by)

    def revoke(
        self, path: str, by: list[str], serial: int = 1, keys: tuple[str, ...] = (), **extra: Any
    ) -> int:
        fields = {"log": LOG, "principal": uri(path), "serial": serial, "keys": keys}
        wanted = KeyRevocation(**{**fields, "reason": "compromised", **extra})
        return self.signed("key.revoke", wanted, by)

    def register(self, document: Agreement, by: list[str] | None = None) -> int:
        names = [f"party/{p.id}" for p in document.parties] if by is None else by
        envelope = sign_agreement(document, [signer(name) for name in names])
        word = "register" if document.version == 1 else "amend"
        return self.add(f"agreement.{word}", leaf_body(envelope), document.id)

    def terminate(self, document: Agreement, by: list[str], **extra: Any) -> int:
        fields = {"log": LOG, "agreement": document.id, "digest": document.digest()}
        wanted = Termination(**{**fields, "reason": "selesai", **extra})
        return self.signed("agreement.terminate", wanted, by, document.id)

    def stop(
        self, document: Agreement, by: list[str], serial: int = 1, stopped: bool = True
    ) -> int:
        wanted = Stop(
            log=LOG, agreement=document.id, digest=document.digest(), serial=serial,
            stopped=stopped, reason="insiden",
        )  # fmt: skip
        return self.signed("agreement.stop", wanted, by, document.id)

    def epoch(
        self, document: Agreement, word: str, party: str, number: int = 1,
        by: str | None = None, **own: Any,
    ) -> int:  # fmt: skip
        fields = {
            "v": 1,
            "agreement": document.id,
            "agreement_digest": base64.b64encode(bytes.fromhex(document.digest())).decode(),
            "epoch": number,
            "party": party,
            **own,
        }
        kind = f"application/vnd.padan.epoch.{word}+json"
        envelope = sign(kind, format_json(fields), [signer(by or f"party/{party}")])
        return self.add(f"epoch.{word}", leaf_body(envelope), document.id)

    def key_state(self, document: Agreement, holder: str, by: str = "", **own: Any) -> int:
        """What a holder says of its key of the first epoch."""
        fields = {
            "log": LOG, "principal": uri(holder), "agreement": document.id, "epoch": 1,
            "key_id": "0" * 16, "before": "active", "after": "deactivated", "revision": 1,
        }  # fmt: skip
        whole = {**fields, **own}
        states = {name: KeyState(whole[name]) for name in ("before", "after")}
        wanted = KeyChange(**{**whole, **states})
        return self.signed("key.state", wanted, [by or holder], document.id)

    def exchange(self, document: Agreement, number: int = 1) -> int:
        """A whole key exchange; return the leaf that confirms it."""
        for party in document.parties:
            self.epoch(document, "commit", party.id, number, commitment=party.id)
        last = 0
        for party in document.parties:
            last = self.epoch(document, "confirm", party.id, number, seals=["s"], tag=party.id)
        return last

    def gate(self, document: Agreement, owner: str, **changed: Any) -> int:
        body = {
            "gate": gate_of(owner), "party": owner, "schema_id": SCHEMA, "epoch": 1, "rate": 0.004,
            "void": False, "structure": False, "valid_until": "2027-06-01T00:00:00Z",
        }  # fmt: skip
        return self.add("gate", {**body, **changed}, document.id, f"party/{owner}")

    def grant(
        self, document: Agreement, caller: str, grant: str = "g1", by: list[str] | None = None,
        **changed: Any,
    ) -> int:  # fmt: skip
        """Leave for a caller to look up the second party, signed by both if not said otherwise."""
        fields: dict[str, Any] = {
            "log": LOG, "agreement": document.id, "digest": document.digest(),
            "grant": grant_id(grant), "caller": uri(caller),
            "register_of": document.parties[1].id, "purpose": document.purpose.code,
            "number": 10, "per_minute": 60, "valid_from": datetime(2027, 3, 1, tzinfo=UTC),
            "valid_until": datetime(2027, 3, 2, tzinfo=UTC),
        }  # fmt: skip
        wanted = LookupGrant(**{**fields, **changed})
        signers = [f"party/{caller.split('/')[1]}", f"party/{wanted.register_of}"]
        return self.signed("lookup.grant", wanted, signers if by is None else by, document.id)

    def end_grant(self, document: Agreement, grant: str, by: list[str]) -> int:
        fields = {"log": LOG, "agreement": document.id, "grant": grant_id(grant)}
        wanted = GrantRevocation(**fields, reason="selesai")
        return self.signed("lookup.grant", wanted, by, document.id)

    def job(self, document: Agreement, caller: str, name: str = "j1") -> int:
        self.add("job.request", {"job": name}, document.id, caller)
        return self.add("job.authorise", {"job": name, "code": "OK"}, document.id)

    def batch(self, document: Agreement, caller: str, n_records: int) -> int:
        return self.add("job.admit", {"n_records": n_records}, document.id, caller)

    def request(self, document: Agreement, path: str = "party/imigrasi", **own: Any) -> Request:
        """A request that is allowed in the usual world."""
        party = path.split("/")[1]
        fields: dict[str, Any] = {
            "action": "submit",
            "actor": uri(path),
            "key": tls(path),
            "time": self.now,
            "agreement": document.id,
            "digest": document.digest(),
            "epoch": 1,
            "schema_id": document.method.schema_id,
            "purpose": document.purpose.code,
            "parties": tuple(p.id for p in document.parties),
            "attributes": tuple((d.name, d.element) for d in document.by_id[party].data),
            "flows": tuple(
                Flow(r.source, r.recipient, r.level)
                for r in document.results
                if r.recipient == party
            ),
            "requester": uri(path),
            "n_records": 1_000,
            "candidates": 10,
            "gate": gate_of(party),
            "seen_size": self.state.size,
            "seen_root": ROOT,
            "log_root": ROOT,
            "n_lookups": 5,
            "window": (self.now, self.now + timedelta(hours=8)),
            "grant": grant_id("g1"),
            "cosigned": self.state.size,
        }
        return Request(**{**fields, **own})


def grant_id(name: str) -> str:
    return hashlib.sha256(f"grant {name}".encode()).hexdigest()[:32]


def gate_of(party: str) -> str:
    return hashlib.sha256(f"gate {party}".encode()).hexdigest()


def usual(document: Agreement | None = None) -> tuple[World, Agreement]:
    """A log with parties, an office, an auditor, an agreement in force and its first key."""
    document = document or agreement()
    made = _usual(document)
    return World(made.now, list(made.entries), dict(made.bodies), made.state), document


@cache
def _usual(document: Agreement) -> World:
    world = World()
    world.genesis()
    for party in document.parties:
        world.enrol(f"party/{party.id}")
    world.enrol("auditor/bpk")
    first = document.parties[0].id
    world.enrol(f"office/{first}/tawau")
    world.register(document)
    if not document.internal:
        world.exchange(document)
        office = uri(f"office/{first}/tawau")
        world.epoch(document, "delegate", first, office=office, sealed="...")
        for party in document.parties:
            world.gate(document, party.id)
        world.grant(document, f"party/{first}")
        world.grant(document, f"office/{first}/tawau", grant="g2")
    assert not world.state.rejected, world.state.rejected
    return world
