"""`decide` against a second reading of its rules, over random histories.

The oracle knows nothing of `State`: it keeps the history as it happened, in mutable sets and
lists, and answers every question by going through them. It collects *all* that is wrong with a
request; `decide` must name the first of it in the order of the table, or allow it.
"""

import sys
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "agreement"))

from agreement_world import (
    AUDITOR,
    LOG,
    START,
    World,
    agreement,
    amendment,
    changed,
    gate_of,
    grant_id,
    signer,
    tls,
    uri,
    usual,
)

from linkage.agreement.decide import decide
from linkage.agreement.decision import ACTIONS, Flow, Request
from linkage.agreement.denial import DENIALS
from linkage.agreement.model import Agreement
from linkage.agreement.payload import GrantRevocation, OfficeQuota
from linkage.agreement.state import replay

ORDER = list(DENIALS)
TAWAU, KUCHING = "office/imigrasi/tawau", "office/imigrasi/kuching"
PATHS = ("party/imigrasi", "party/dukcapil", TAWAU, KUCHING, "auditor/bpk")
SMALL = OfficeQuota(records_per_day=3_000, jobs_per_day=1, lookups_per_day=8)
CHANGES: tuple[tuple[str, Any], ...] = (
    ("rights.hours", 24),
    ("method.gate_limit", 0.001),
    ("method.gate_limit", 1.0),
    (
        "method.waiver",
        {
            "reason": {"id": "uji coba", "en": "a trial"},
            "approved_by": "Menteri",
            "expires_on": "2027-03-02",
        },
    ),
    ("method.candidates", 4),
    ("method.schema_id", "cd" * 32),
    ("method.scheme", "clk"),
    ("purpose.code", "visa"),
    ("term.valid_until", "2027-03-02"),
    ("dpia.review_on", "2027-03-01"),
    ("notice.published_on", "2027-03-03"),
    ("results.0.level", "R1"),
    ("parties.0.offices", []),
    ("parties.0.offices", ["kuching"]),
    ("parties.0.offices", ["*"]),
    ("scope.quota.jobs_per_day", 4),
    ("scope.quota.records_per_day", 60_000),
    ("scope.quota.lookups_per_day", 30),
    ("key_custody.rotation_days", 1),
)


QUOTA = {
    "records_per_run": 50_000,
    "records_per_day": 100_000,
    "jobs": 6,
    "jobs_per_day": 3,
    "lookups_per_day": 60,
}


@cache
def first() -> Agreement:
    return changed(agreement(), "scope.quota", QUOTA)


@cache
def version(before: Agreement, change: int) -> Agreement:
    """The next version, with one of the changes; cached, for digests cost."""
    path, value = CHANGES[change]
    return changed(amendment(before), path, value)


def local_day(time: datetime) -> date:
    return (time + timedelta(hours=7)).date()


@dataclass
class Oracle:
    """A history as it happened; every method says what an event does, if anything."""

    now: datetime
    document: Agreement
    size: int
    since: int
    gone: set[str] = field(default_factory=set)
    certificates: dict[str, list[Any]] = field(default_factory=dict)
    offices: dict[str, OfficeQuota | None] = field(default_factory=lambda: {TAWAU: None})
    ended: bool = False
    stoppers: set[str] = field(default_factory=set)
    keys: dict[int, dict[str, Any]] = field(default_factory=dict)
    signed: dict[str, set[str]] = field(default_factory=dict)
    jobs: list[tuple[str, datetime]] = field(default_factory=list)
    batches: list[tuple[str, datetime, int]] = field(default_factory=list)
    gates: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)

    def lives(self, path: str) -> bool:
        head = "party/" + path.split("/")[1] if path.startswith("office/") else path
        known = path in self.offices if path.startswith("office/") else True
        return known and path not in self.gone and head not in self.gone

    def may_sign(self, path: str, signers: set[str]) -> bool:
        """Whether some of those who signed may change the keys of a principal."""
        head = "party/" + path.split("/")[1]
        return (
            len(signers & {"admin0", "admin1", "admin2"}) >= 2
            or path in signers
            or (path.startswith("office/") and head in signers and self.lives(head))
        )

    def parties_in(self, signers: set[str]) -> set[str]:
        return {s for s in signers if s in {"party/imigrasi", "party/dukcapil"} and self.lives(s)}

    def revoke(self, path: str, signers: set[str]) -> None:
        if path in self.gone or not (path in PATHS and self.may_sign(path, signers)):
            return
        if path.startswith("office/") and path not in self.offices:
            return
        self.gone.add(path)
        for key in self.keys.values():
            if path in key["holders"]:
                key["over"] = True

    def revoke_certificate(self, path: str, signers: set[str]) -> None:
        if path in self.gone or not self.may_sign(path, signers):
            return
        self.certificates[path][0][1] = "revoked"

    def enrol_kuching(self, signers: set[str]) -> None:
        if KUCHING not in self.offices and self.parties_in(signers) & {"party/imigrasi"}:
            self.offices[KUCHING] = SMALL
            self.certificates[KUCHING] = [[tls(KUCHING), None]]

    def terminate(self, signers: set[str]) -> None:
        self.ended = self.ended or bool(self.parties_in(signers))

    def stop(self, signers: set[str]) -> None:
        allowed = self.parties_in(signers) | (signers & {"auditor/bpk"} - self.gone)
        if not self.ended:
            self.stoppers |= allowed

    def resume(self, signers: set[str]) -> None:
        needed = {"party/imigrasi", "party/dukcapil"} | self.stoppers
        alive = {s for s in signers if self.lives(s)}
        if self.stoppers and not self.ended and needed <= alive:
            self.stoppers = set()

    def amend(self, new: Agreement, signers: set[str], leaf: int) -> None:
        if self.ended:
            return
        # Parties may sign one document one by one; who is revoked meanwhile has not signed.
        signed = self.signed.setdefault(new.digest(), set())
        signed |= self.parties_in(signers)
        if len(self.parties_in(signed)) == 2 and self.parties_in(signers):
            self.document, self.since = new, leaf

    def make_key(self, number: int) -> None:
        alive = self.parties_in({"party/imigrasi", "party/dukcapil"})
        if self.ended or number != max(self.keys) + 1 or not alive:
            return
        method, purpose = self.document.method, self.document.purpose
        self.keys[number] = {
            "of": (method.schema_id, purpose.code),
            "made": self.now if len(alive) == 2 else None,
            "over": False,
            "holders": {"party/imigrasi", "party/dukcapil"},
        }

    def begin_key(self, number: int) -> None:
        if not self.ended and self.lives("party/dukcapil"):
            method, purpose = self.document.method, self.document.purpose
            bound, holders = (method.schema_id, purpose.code), {"party/imigrasi", "party/dukcapil"}
            self.keys[number] = {"of": bound, "made": None, "over": False, "holders": holders}

    def abort(self, number: int, path: str) -> None:
        key = self.keys.get(number)
        if key and self.bound(key) and not self.ended and self.lives(path):
            key["over"] = True

    def lose(self, number: int, path: str) -> None:
        key = self.keys.get(number)
        if key and key["made"] and path in key["holders"] and self.lives(path):
            key["over"] = True

    def delegate(self, number: int, office: str, path: str) -> None:
        key = self.keys.get(number)
        own = office.split("/")[1] == path.split("/")[1]
        if (
            key and not key["over"] and key["made"] and self.bound(key) and not self.ended
            and own and self.lives(path) and self.lives(office)
        ):  # fmt: skip
            key["holders"].add(office)

    def bound(self, key: dict[str, Any]) -> bool:
        return bool(key["of"] == (self.document.method.schema_id, self.document.purpose.code))

    def grant(self, name: str, path: str, signers: set[str], **what: Any) -> None:
        """Both parties sign; an office need not have the key yet."""
        known = path in ("party/imigrasi", TAWAU, KUCHING) and self.lives(path)
        both = {"party/imigrasi", "party/dukcapil"}
        if known and not self.ended and self.parties_in(signers) >= both:
            self.grants[name] = {"who": path, "leaf": self.size, "revoked": False, **what}

    def end_grant(self, name: str, signers: set[str]) -> None:
        if name in self.grants and not self.ended and self.parties_in(signers):
            self.grants[name]["revoked"] = True

    def used(self, kind: str, path: str, *, alone: bool = False, at: datetime | None = None) -> int:
        """How much a party and its offices, or one office alone, used on a day, such as this."""
        rows: list[tuple[str, datetime, int]] = {
            "jobs": [(who, when, 1) for who, when in self.jobs],
            "records": self.batches,
            "lookups": [(g["who"], g["from"], g["number"]) for g in self.grants.values()],
        }[kind]
        total = 0
        for who, when, number in rows:
            mine = who == path if alone else who.split("/")[1] == path.split("/")[1]
            if mine and local_day(when) == local_day(at or self.now):
                total += number
        return total

    def wrong(self, asks: Request) -> set[str]:
        """All that is wrong with a request."""
        found: set[str] = set()

        def check(code: str, holds: object) -> None:
            if not holds:
                found.add(code)

        path = asks.actor.removeprefix("spiffe://padan.test/")
        if asks.actor != uri(path) or path not in self.certificates:
            return {"PRINCIPAL_UNKNOWN"}
        here = asks.action not in ("start", "release", "lookup_grant")
        check("PRINCIPAL_REVOKED", self.lives(path))
        entry = [state for name, state in self.certificates[path] if name == asks.key]
        if asks.action == "lookup_grant":  # a document, which nobody's connection speaks for
            entry = []
        else:
            check("KEY_UNKNOWN", entry)
        for state in entry:
            # A principal that is revoked as a whole takes its keys along.
            check("KEY_REVOKED", state != "revoked" and path not in self.gone)
            check("KEY_EXPIRED", not (here and isinstance(state, datetime)) or asks.time < state)
        check("ROLE_NOT_ALLOWED", path.split("/")[0] in ("party", "office"))
        if here:
            check("SEEN_AHEAD", asks.seen_size <= self.size)
            check("LOG_FORKED", asks.seen_root and asks.seen_root == asks.log_root)
        agreed = self.document
        if asks.agreement != agreed.id:
            return found | {"AGREEMENT_UNKNOWN"}
        party = path.split("/")[1]
        if party not in ("imigrasi", "dukcapil"):
            return found | {"NOT_A_PARTY"}
        check("AGREEMENT_TERMINATED", not self.ended)
        check("AGREEMENT_STOPPED", not self.stoppers)
        check("AGREEMENT_OTHER_VERSION", asks.digest == agreed.digest())
        if here:
            check("SEEN_STALE", asks.seen_size > self.since)
        today = local_day(asks.time)
        check("AGREEMENT_NOT_YET_VALID", agreed.term.valid_from <= today)
        check("AGREEMENT_EXPIRED", agreed.term.valid_until >= today)
        check("DPIA_REVIEW_DUE", agreed.dpia.review_on >= today)
        check("NOTICE_NOT_PUBLISHED", agreed.notice.published_on <= today)
        if agreed.method.scheme == "clk" or agreed.method.gate_limit == 1:
            waiver = agreed.method.waiver
            check("WAIVER_MISSING", waiver)
            check("WAIVER_EXPIRED", not waiver or waiver.expires_on >= today)
        check("PURPOSE_MISMATCH", asks.purpose == agreed.purpose.code)
        who = list(asks.parties)
        fits = sorted(who) == ["dukcapil", "imigrasi"]
        check("PARTIES_MISMATCH", fits)
        check("PARTY_REVOKED", all(self.lives(f"party/{name}") for name in who))
        check("SCHEMA_MISMATCH", asks.schema_id == agreed.method.schema_id)
        # Both parties of this world provide the same attributes.
        named = [(one.name, one.element) for one in agreed.parties[0].data]
        check("ATTRIBUTE_NOT_AGREED", asks.attributes and all(a in named for a in asks.attributes))
        if asks.action != "upload":
            check("LEVEL_NOT_SUPPORTED", not any(flow.level == "R4" for flow in asks.flows))
            given = {(r.source, r.recipient): r.level for r in agreed.results}
            for flow in asks.flows:
                limit = given.get((flow.source, flow.recipient))
                check("LEVEL_NOT_AGREED", limit is not None and flow.level <= limit)
                if asks.action in ("release", "lookup", "lookup_grant"):
                    check("LEVEL_NOT_AGREED", flow.recipient == party)
            check("LEVEL_NOT_AGREED", asks.flows)
        self._wrong_with_office(asks, path, check)
        if asks.action != "lookup_grant":
            self._wrong_with_key(asks, path, check)
        self._wrong_with_use(asks, path, check)
        return found

    def _wrong_with_office(self, asks: Request, path: str, check: Any) -> None:
        role, party, *name = path.split("/")
        if role == "office" and asks.action in ("submit", "upload", "start", "release"):
            (listed,) = (one.offices for one in self.document.parties if one.id == party)
            check("OFFICE_NOT_AGREED", listed == ("*",) or name[0] in listed)
        if asks.action not in ("upload", "release"):
            return
        asker = asks.requester.removeprefix("spiffe://padan.test/")
        known = asker in self.certificates and asks.requester == uri(asker)
        if role == "office" or (known and asker.startswith("office/")):
            # Whoever asked takes part for its party, and head offices for theirs.
            same = known and asker.split("/")[1] == party
            check("JOB_OF_ANOTHER", path == (asker if same else f"party/{party}") and known)

    def _wrong_with_key(self, asks: Request, path: str, check: Any) -> None:
        key = self.keys.get(asks.epoch)
        check("EPOCH_UNKNOWN", key)
        if key is None:
            return
        check("EPOCH_ENDED", not key["over"])
        check("EPOCH_NOT_CONFIRMED", key["made"])
        check("EPOCH_MISMATCH", self.bound(key))
        days = self.document.key_custody.rotation_days
        later = [self.keys[n]["made"] for n in sorted(self.keys) if n > asks.epoch]
        newer = next((made for made in later if made), None)
        serves = timedelta(days=days)
        # Once its time was over nothing brings it back, a newer key neither.
        if key["made"] and (not newer or newer - key["made"] >= serves):
            check("EPOCH_EXPIRED", asks.time - key["made"] < serves)
            check("EPOCH_REPLACED", not newer or asks.action != "submit")
        elif newer:
            ends = newer + min(timedelta(days=14), timedelta(days=days) / 2)
            check("EPOCH_REPLACED", asks.action != "submit" and asks.time < ends)
        if path.startswith("office/") and asks.action in ("submit", "upload", "lookup"):
            check("EPOCH_NOT_DELEGATED", path in key["holders"])

    def _wrong_with_use(self, asks: Request, path: str, check: Any) -> None:
        quota, own = self.document.scope.quota, self.offices.get(path)
        if asks.action == "submit":
            check("QUOTA_JOBS", len(self.jobs) + 1 <= quota.jobs)
            check("QUOTA_JOBS_DAY", self.used("jobs", path) + 1 <= quota.jobs_per_day)
            if own:
                left = own.jobs_per_day - self.used("jobs", path, alone=True)
                check("QUOTA_OFFICE", left >= 1)
        if asks.action in ("submit", "start"):
            check("TOO_MANY_CANDIDATES", asks.candidates <= self.document.method.candidates)
        if asks.action == "upload":
            wanted = asks.n_records
            check("TOO_MANY_RECORDS", 1 <= wanted <= quota.records_per_run)
            check("QUOTA_RECORDS", self.used("records", path) + wanted <= quota.records_per_day)
            if own:
                used = self.used("records", path, alone=True)
                check("QUOTA_OFFICE", used + wanted <= own.records_per_day)
            if not asks.gate and self.document.method.gate_limit == 1:
                return
            self._wrong_with_gate(asks, path, check)
        if asks.action == "lookup_grant":
            wanted = asks.n_lookups
            assert asks.window is not None
            first, last = asks.window
            used = self.used("lookups", path, at=first)
            check("QUOTA_LOOKUPS", wanted >= 1 and used + wanted <= quota.lookups_per_day)
            if own:
                used = self.used("lookups", path, alone=True, at=first)
                check("QUOTA_OFFICE", used + wanted <= own.lookups_per_day)
            check("GRANT_WINDOW", first < last and asks.time < last)
            check("GRANT_WINDOW", last - first <= timedelta(hours=24))
            check("GRANT_WINDOW", local_day(last) <= self.document.term.valid_until)
        if asks.action == "lookup":
            grant = self.grants.get(asks.grant)
            about = all(flow.source == "dukcapil" for flow in asks.flows)
            check("GRANT_UNKNOWN", grant and grant["who"] == path and about)
            if grant:
                check("GRANT_REVOKED", not grant["revoked"])
                check("GRANT_NOT_COSIGNED", asks.cosigned > grant["leaf"])
                check("GRANT_EXPIRED", grant["from"] <= asks.time)
                check("GRANT_EXPIRED", asks.time < grant["until"])
                check("GRANT_EXHAUSTED", asks.n_used < grant["number"])

    def _wrong_with_gate(self, asks: Request, path: str, check: Any) -> None:
        limit = self.document.method.gate_limit
        if limit == 1 and not asks.gate:
            return
        check("GATE_MISSING", asks.gate)
        gate = self.gates.get((path.split("/")[1], asks.gate))
        check("GATE_UNKNOWN", gate)
        if gate:
            check("GATE_OTHER_SCHEMA", gate["schema_id"] == asks.schema_id)
            check("GATE_OTHER_EPOCH", gate["epoch"] == asks.epoch)
            check("GATE_EXPIRED", asks.time < datetime.fromisoformat(gate["valid_until"]))
            check("GATE_VOID", gate["void"] is False)
            check("GATE_STRUCTURE", limit == 1 or gate["structure"] is False)
            check("GATE_RATE", not gate["rate"] > limit)


def start() -> tuple[World, Oracle]:
    """The usual world, and what the oracle knows of it."""
    world, document = usual(first())
    oracle = Oracle(world.now, document, len(world.entries), since=5)
    for path in ("party/imigrasi", "party/dukcapil", TAWAU, "auditor/bpk"):
        oracle.certificates[path] = [[tls(path), None]]
    bound = (document.method.schema_id, document.purpose.code)
    holders = {"party/imigrasi", "party/dukcapil", TAWAU}
    oracle.keys[1] = {"of": bound, "made": world.now, "over": False, "holders": holders}
    for party in ("imigrasi", "dukcapil"):
        oracle.gates[party, gate_of(party)] = {
            "schema_id": document.method.schema_id, "epoch": 1, "rate": 0.004, "void": False,
            "structure": False, "valid_until": "2027-06-01T00:00:00+00:00",
        }  # fmt: skip
    day = world.now.replace(hour=0)
    for name, who in (("g1", "party/imigrasi"), ("g2", TAWAU)):
        oracle.grants[grant_id(name)] = {
            "who": who, "leaf": world.state.usage.grants[grant_id(name)].leaf, "revoked": False,
            "number": 10, "from": day, "until": day + timedelta(days=1),
        }  # fmt: skip
    return world, oracle


SIGNERS = ("party/imigrasi", "party/dukcapil", TAWAU, "auditor/bpk", "admin0", "admin1")
USUAL_SIGNERS = (
    ["party/imigrasi", "party/dukcapil"],
    ["party/imigrasi", "party/dukcapil", "auditor/bpk"],
    ["admin0", "admin1"],
    ["party/imigrasi"],
)


def some_signers(rng: Random) -> list[str]:
    if rng.random() < 0.7:
        return rng.choice(USUAL_SIGNERS)
    return rng.sample(SIGNERS, rng.randrange(5))


# How often what happens: what ends everything is rare, or nothing else would be seen.
KINDS = (
    *("time", "revoke", "revoke_certificate", "rotate", "enrol", "terminate", "stop", "resume"),
    *["amend", "make_key", "delegate", "enrol"] * 2,
    *("abort", "begin_key", "lose", "end_grant"),
    *["batch", "gate", "grant"] * 4,
    *["job"] * 8,
)


def serial_of(world: World, path: str) -> int:
    known = world.state.principals.get(uri(path))
    return known.serial + 1 if known else 1


def happen(world: World, oracle: Oracle, rng: Random) -> None:
    """Let one event happen in the log, and tell the oracle."""
    kind = rng.choice(KINDS)
    signers = some_signers(rng)
    path = rng.choice(PATHS)
    known = path in oracle.certificates
    document = oracle.document
    if kind == "time":
        hours = rng.choice([1, 4, 12, 20, 24, 30, 24 * 91])
        world.now += timedelta(hours=hours)
        oracle.now = world.now
    elif kind == "revoke" and known:
        world.revoke(path, signers, serial_of(world, path))
        oracle.revoke(path, set(signers) & lively(oracle, signers))
    elif kind == "revoke_certificate" and known and oracle.certificates[path][0][1] != "revoked":
        world.revoke(path, signers, serial_of(world, path), keys=(tls(path),))
        oracle.revoke_certificate(path, lively(oracle, signers))
    elif kind == "rotate" and known and len(oracle.certificates[path]) == 1:
        begin = world.now + timedelta(hours=rng.choice([0, 0, 2]))
        until = begin + timedelta(hours=rng.choice([0, 2, 48]))
        new = tls(f"{path} new")
        world.rotate(path, signers, serial_of(world, path), tls_keys=(new,), old_until=until)
        if path not in oracle.gone and oracle.may_sign(path, lively(oracle, signers)):
            if oracle.certificates[path][0][1] is None:
                oracle.certificates[path][0][1] = until
            oracle.certificates[path].append([new, None])
    elif kind == "enrol":
        world.enrol(KUCHING, signers, quota=SMALL)
        oracle.enrol_kuching(set(signers))
        if {"admin0", "admin1"} <= set(signers) and KUCHING not in oracle.offices:
            oracle.offices[KUCHING] = SMALL
            oracle.certificates[KUCHING] = [[tls(KUCHING), None]]
    elif kind == "terminate":
        world.terminate(document, signers)
        oracle.terminate(set(signers))
    elif kind in ("stop", "resume"):
        standing = world.state.agreements.get(document.id)
        serial = standing.stops + 1 if standing else 1
        world.stop(document, signers, serial, stopped=kind == "stop")
        (oracle.stop if kind == "stop" else oracle.resume)(set(signers))
    elif kind == "amend":
        new = version(document, rng.randrange(len(CHANGES)))
        by = [name for name in signers if name in ("party/imigrasi", "party/dukcapil")]
        leaf = world.register(new, by)
        oracle.amend(new, set(by), leaf)
    elif kind == "make_key":
        number = rng.choice([max(oracle.keys) + 1, 1, 7])
        fresh = number not in oracle.keys
        if fresh:
            world.exchange(document, number)
            oracle.make_key(number)
    elif kind == "begin_key":
        number = max(oracle.keys) + 1
        world.epoch(document, "commit", "dukcapil", number)
        oracle.begin_key(number)
    elif kind == "lose":
        number = rng.choice([*oracle.keys])
        world.key_state(document, path, epoch=number, after="compromised")
        oracle.lose(number, path)
    elif kind in ("abort", "delegate"):
        number = rng.choice([*oracle.keys])
        party = rng.choice(["imigrasi", "dukcapil"])
        if kind == "abort":
            world.epoch(document, "abort", party, number, reason="withdrawn")
            oracle.abort(number, f"party/{party}")
        else:
            office = rng.choice([TAWAU, KUCHING])
            world.epoch(document, "delegate", party, number, office=uri(office))
            oracle.delegate(number, office, f"party/{party}")
    elif kind == "job":
        name = f"j{len(oracle.jobs)}"
        world.job(document, path, name)
        oracle.jobs.append((path, world.now))
    elif kind == "batch":
        n_records = rng.choice([1, 2_000, 60_000, 199_999])
        world.batch(document, path, n_records)
        oracle.batches.append((path, world.now, n_records))
    elif kind == "gate":
        party = rng.choice(["imigrasi", "dukcapil"])
        fact = {
            "schema_id": rng.choice([document.method.schema_id, "00" * 32]),
            "epoch": rng.choice([*oracle.keys]),
            "rate": rng.choice([0.001, 0.004, 0.005, 0.0051, 0.2]),
            "void": rng.choice([False, False, True]),
            "structure": rng.choice([False, False, True]),
            "valid_until": rng.choice(["2027-06-01T00:00:00+00:00", "2027-03-02T00:00:00+00:00"]),
        }
        world.gate(document, party, **fact)
        oracle.gates[party, gate_of(party)] = fact
    elif kind == "grant":
        name = f"g{oracle.size}"
        begin = world.now + timedelta(hours=rng.choice([0, 0, 2]))
        until = begin + timedelta(hours=rng.choice([1, 8, 24]))
        number = rng.choice([1, 6, 40])
        by = rng.choice([["party/imigrasi", "party/dukcapil"], *[signers] * 2])
        about = "dukcapil"
        world.grant(
            document, path, name, by, number=number, valid_from=begin, valid_until=until,
            register_of=about,
        )  # fmt: skip
        oracle.grant(
            grant_id(name), path, set(by), **{"number": number, "from": begin, "until": until}
        )
    elif kind == "end_grant":
        name = rng.choice([*oracle.grants])
        envelope = GrantRevocation(log=LOG, agreement=document.id, grant=name, reason="selesai")
        world.signed("lookup.grant", envelope, signers, document.id)
        oracle.end_grant(name, set(signers))
    oracle.size = len(world.entries)


def lively(oracle: Oracle, signers: list[str]) -> set[str]:
    """Those signers whose keys count: administrators, and whoever is not revoked."""
    return {s for s in signers if s.startswith("admin") or s not in oracle.gone}


def ask(world: World, oracle: Oracle, rng: Random) -> Request:
    """A request, with none, one or two things wrong with it."""
    action = rng.choice(ACTIONS)
    path = rng.choice(["party/imigrasi"] * 3 + [TAWAU] * 3 + list(PATHS))
    document = oracle.document
    mine = [name for name, grant in oracle.grants.items() if grant["who"] == path]
    asks = world.request(
        document,
        "party/imigrasi" if path == "auditor/bpk" else path,
        action=action,
        grant=rng.choice(mine or [grant_id("g1")]),
        epoch=rng.choice([max(oracle.keys), 1]),
        candidates=4,
    )
    asks = replace(asks, actor=uri(path), key=rng.choice(_keys(oracle, path)))
    for name in rng.sample(sorted(WRONG), rng.choice([0, 0, 1, 1, 2])):
        asks = replace(asks, **{name: rng.choice(WRONG[name])})
    if asks.window is None:
        asks = replace(asks, window=(world.now, world.now))
    return asks


def _keys(oracle: Oracle, path: str) -> list[str]:
    return [name for name, _ in oracle.certificates.get(path, [])] or [tls(path)]


T0 = START
WRONG: dict[str, list[Any]] = {
    "actor": [uri("party/setneg"), "spiffe://other.test/party/imigrasi", ""],
    "key": [tls("nobody"), tls("party/dukcapil"), signer("party/imigrasi").key_id],
    "agreement": ["PKS-0"],
    "digest": ["00" * 32, first().digest()],
    "epoch": [0, 1, 2, 9],
    "schema_id": ["00" * 32],
    "purpose": ["pajak", "visa"],
    "parties": [("imigrasi",), ("dukcapil", "setneg"), ("imigrasi", "imigrasi", "dukcapil")],
    "attributes": [(), (("agama", "lain"),), (("nama", "nama"),)],
    "flows": [
        (),
        (Flow("dukcapil", "imigrasi", "R1"),),
        (Flow("dukcapil", "imigrasi", "R3"),),
        (Flow("dukcapil", "imigrasi", "R4"),),
        (Flow("imigrasi", "dukcapil", "R1"),),
        (Flow("dukcapil", "coordinator", "R0"),),
    ],
    "requester": ["", *(uri(path) for path in PATHS), "spiffe://other.test/office/imigrasi/tawau"],
    "n_records": [0, 1, 2_500, 50_000, 50_001],
    "candidates": [4, 10, 11],
    "gate": ["", "00" * 32, gate_of("dukcapil")],
    "seen_size": [0, 6, 20, 10_000],
    "log_root": ["", "cd" * 32],
    "n_lookups": [0, 1, 9, 60_000],
    "window": [
        (T0, T0 + timedelta(days=3)),
        (T0 + timedelta(days=5), T0 + timedelta(days=1)),
        (T0 - timedelta(days=1), T0),
    ],
    "n_used": [0, 1, 10, 49_000],
    "cosigned": [0, 6, 20],
    "time": [T0 + timedelta(days=700), T0 - timedelta(days=90), T0 + timedelta(days=91)],
}


def compare(seed: int) -> list[str]:
    """One random history, and random requests in its midst; return what both say of them."""
    rng = Random(seed)
    world, oracle = start()
    for _ in range(rng.randrange(12)):
        happen(world, oracle, rng)
    codes = []
    for _ in range(6):
        asks = ask(world, oracle, rng)
        # Quotas are of the day on which is asked: the oracle looks at its clock.
        oracle.now = asks.time
        wrong = oracle.wrong(asks)
        expected = min(wrong, key=ORDER.index) if wrong else "ALLOWED"
        answer = decide(world.state, asks)
        told = f"{sorted(wrong)} {asks}"
        assert answer.code == expected, told
        assert answer.allowed == (not wrong)
        assert all(leaf < len(world.entries) for leaf in answer.leaves)
        codes.append(answer.code)
    # An auditor who has the log only comes to the same state, and so to the same answers.
    if rng.random() < 0.05:
        assert replay(world.entries, world.bodies) == world.state
    return codes


seeds = st.integers(0, 2**63)


@settings(max_examples=500)
@given(seeds)
def test_decide_is_what_a_second_reading_of_the_rules_says(seed: int) -> None:
    compare(seed)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@settings(max_examples=10_000)
@given(seeds)
def test_decide_is_what_a_second_reading_says_ten_thousand_times(seed: int) -> None:
    compare(seed)


def test_the_auditor_of_the_world_is_the_one_that_the_agreement_names() -> None:
    assert uri("auditor/bpk") == AUDITOR
