"""The replay finds every job that the agreements did not allow, whatever the matcher logged."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "agreement"))
from agreement_world import (
    LOG,
    START,
    World,
    agreement,
    changed,
    gate_of,
    signer,
    tls,
    usual,
)

from keys.dsse import sign
from linkage.agreement.decide import decide
from linkage.agreement.decision import Decision, Request, flows_of
from linkage.agreement.jobs import UNDECIDED, read_jobs
from linkage.agreement.model import Agreement
from linkage.agreement.request import REQUEST_TYPE, Seen, SignedRequest, request_id
from linkage.audit.leaves import Part, read_part, signing_keys
from linkage.audit.replay import ReplayReport, replay_decisions
from linkage.audit.report import by_agreement
from linkage.audit.verify import Contents
from linkage.log.canonical import JsonObject, format_json
from linkage.log.entry import Entry, commit_body, format_body, format_entry
from linkage.log.hashing import leaf_hash
from linkage.log.tree import root_of

JOB = "j1"
SUBMIT, UPLOAD = "/linkage.v1.JobService/RequestJob", "/linkage.v1.BatchService/OpenBatch"
ALLOW = Decision(True, "ALLOWED", (), ())
Change = Callable[[World, Agreement], None]


def leaf(
    world: World, kind: str, body: dict[str, Any], actor: str = "matcher", ref: tuple[int, ...] = ()
) -> int:
    """Append a confidential leaf of a job."""
    index = len(world.entries)
    commitment = commit_body(b"\0" * 32, format_json(body))
    entry = Entry(kind, world.now, actor, "PKS-2027-1", ref, commitment=commitment)
    world.entries.append(entry)
    world.bodies[index] = body
    world.state = world.state.after(index, entry, body)
    return index


def hashes(world: World) -> list[bytes]:
    return [leaf_hash(format_entry(entry)) for entry in world.entries]


def replayed(world: World) -> ReplayReport:
    """The report, which has to be the same where another process has checked signatures."""
    report = replay_decisions(Contents(world.entries, hashes(world), world.bodies))
    files = {
        index: format_body(b"\0" * 32, format_json(body)) for index, body in world.bodies.items()
    }
    entries = tuple(map(format_entry, world.entries))
    read = read_part(Part(entries, files, signing_keys(entries)))
    requests = {index: leaf.request for index, leaf in enumerate(read) if leaf.request is not None}
    checked = Contents(world.entries, [leaf.hash for leaf in read], world.bodies, requests)
    assert replay_decisions(checked) == report
    return report


def codes(world: World) -> list[str]:
    return [finding.code for finding in replayed(world).findings]


def spec_of(document: Agreement, **own: Any) -> dict[str, Any]:
    one, other = document.parties
    shared = {(d.name, d.element) for d in one.data} & {(d.name, d.element) for d in other.data}
    fields: dict[str, Any] = {
        "agreement_id": document.id,
        "agreement_sha256": document.digest(),
        "purpose": document.purpose.code,
        "attributes": [list(pair) for pair in sorted(shared)],
        "parties": [one.id, other.id],
        "codes": {"epoch": 1, "schema_id": document.method.schema_id},
        "refinement": {"candidates": 5},
        "results": [[one.id, other.id, "R3"], [other.id, one.id, "R3"]],
    }
    return {**fields, **own}


def envelope(
    world: World, document: Agreement, path: str, method: str, body: bytes, epoch: int = 1
) -> JsonObject:
    """A request as the caller signs it now."""
    now = int(world.now.timestamp())
    whole = hashes(world)
    request = SignedRequest(
        aud=LOG, method=method, agreement=document.digest(), epoch=epoch,
        id=request_id(world.now, bytes(10)), iat=now, exp=now + 60,
        body=hashlib.sha256(body).hexdigest(),
        seen=Seen(size=len(whole), root=root_of(whole).hex()),
    )  # fmt: skip
    signed = sign(REQUEST_TYPE, request.to_bytes(), [signer(path)])
    return signed.to_json()  # type: ignore[return-value]


def asked_for(
    world: World, document: Agreement, spec: dict[str, Any], action: str, path: str
) -> Request:
    parties = tuple(spec["parties"])
    root = root_of(hashes(world)).hex()
    return replace(
        world.request(document, path),
        action=action,  # type: ignore[arg-type]
        agreement=spec["agreement_id"],
        attributes=tuple((name, element) for name, element in spec["attributes"]),
        parties=parties,
        flows=flows_of(tuple(result) for result in spec["results"]),
        candidates=spec["refinement"]["candidates"],
        purpose=spec["purpose"], schema_id=spec["codes"]["schema_id"],
        seen_size=len(world.entries), seen_root=root, log_root=root,
    )  # fmt: skip


def verdict(decision: Decision) -> dict[str, Any]:
    return {"code": decision.code, "rules": list(decision.rules)}


def submitted(
    world: World, document: Agreement, asked_spec: dict[str, Any], path: str = "party/imigrasi",
    claim: Decision | None = None, epoch: int = 1, **own: Any,
) -> None:  # fmt: skip
    """A request for a job and its decision: the one the rules give, or what is claimed."""
    signed = envelope(world, document, path, SUBMIT, format_json(asked_spec), epoch)
    decision = claim or decide(world.state, asked_for(world, document, asked_spec, "submit", path))
    body = {"job": JOB, "spec": asked_spec, "key": tls(path), "request": signed, **own}
    asked = leaf(world, "job.request", body, path)
    word = "job.authorise" if decision.allowed else "job.deny"
    ref = tuple(sorted({asked, *decision.leaves}))
    leaf(world, word, {"job": JOB, **verdict(decision)}, ref=ref)


def uploaded(world: World, document: Agreement, spec: dict[str, Any], path: str) -> Decision:
    party = path.split("/")[1]
    manifest = hashlib.sha256(party.encode()).digest()
    signed = envelope(world, document, path, UPLOAD, JOB.encode() + manifest)
    asked = asked_for(world, document, spec, "upload", path)
    decision = decide(world.state, replace(asked, flows=(), n_records=100, gate=gate_of(party)))
    body = {
        "job": JOB, "manifest": manifest.hex(), "n_records": 100, "gate": gate_of(party),
        "key": tls(path), "request": signed, **verdict(decision),
    }  # fmt: skip
    leaf(world, "job.admit" if decision.allowed else "job.refuse", body, path, decision.leaves)
    return decision


def finished(world: World, document: Agreement, spec: dict[str, Any]) -> None:
    """Both uploads, the plan, the result and its release."""
    for party in spec["parties"]:
        assert uploaded(world, document, spec, f"party/{party}").allowed
    plan = decide(world.state, asked_for(world, document, spec, "start", "party/imigrasi"))
    leaf(world, "job.plan", {"job": JOB, **verdict(plan)}, ref=plan.leaves)
    leaf(world, "result", {"job": JOB})
    leaf(world, "release", {"job": JOB})


@pytest.fixture
def site() -> tuple[World, Agreement, dict[str, Any]]:
    """An agreement under which both parties get links, so that all flows of a job are agreed."""
    base = agreement()
    one, other = (party.id for party in base.parties)
    result = {**base.to_json()["results"][0], "level": "R3"}
    both = [{**result, "source": a, "recipient": b} for a, b in ((one, other), (other, one))]
    world, document = usual(changed(base, "results", both))
    return world, document, spec_of(document)


Site = tuple[World, Agreement, dict[str, Any]]


def test_an_honest_job_follows_from_the_log(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec)
    finished(world, document, spec)
    report = replayed(world)
    assert report.findings == []
    assert (report.verdict, report.decisions, report.jobs) == ("OK", 10, {"ALLOWED": 1})
    assert report.rejected == []


def test_an_honest_denial_follows_from_the_log(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, {**spec, "purpose": "lain"})
    report = replayed(world)
    assert (report.verdict, report.jobs) == ("OK", {"PURPOSE_MISMATCH": 1})


@pytest.mark.parametrize(
    ("own", "code"),
    [
        ({"number": 1_000_000}, "QUOTA_LOOKUPS"),
        ({"purpose": "lain"}, "PURPOSE_MISMATCH"),
        ({"valid_until": START + timedelta(days=9)}, "GRANT_WINDOW"),
    ],
)
def test_a_grant_that_was_logged_against_the_rules(
    own: dict[str, Any], code: str, site: Site
) -> None:
    world, document, _ = site
    world.grant(document, "party/imigrasi", "g3", **own)
    (finding,) = replayed(world).findings
    assert finding.code == "DECISION_DIFFERS"
    assert f"the rules give {code}" in finding.text


def terminated(world: World, document: Agreement) -> None:
    world.terminate(document, ["party/imigrasi"])


def much_later(world: World, _document: Agreement) -> None:
    world.now += timedelta(days=800)


def nothing(_world: World, _document: Agreement) -> None:
    """No change of the log."""


@pytest.mark.parametrize(
    ("before", "own", "code"),
    [
        (nothing, {"agreement_id": "PKS-2027-9"}, "AGREEMENT_UNKNOWN"),
        (much_later, {}, "AGREEMENT_EXPIRED"),
        (terminated, {}, "AGREEMENT_TERMINATED"),
        (nothing, {"attributes": [["sidik", "biometrik"]]}, "ATTRIBUTE_NOT_AGREED"),
        (nothing, {"purpose": "lain"}, "PURPOSE_MISMATCH"),
        (nothing, {"parties": ["imigrasi", "imigrasi"]}, "PARTIES_MISMATCH"),
        (nothing, {"codes": {"epoch": 1, "schema_id": "00" * 32}}, "SCHEMA_MISMATCH"),
        (nothing, {"epoch": 7}, "EPOCH_UNKNOWN"),
        (nothing, {"refinement": {"candidates": 10_000}}, "TOO_MANY_CANDIDATES"),
        (nothing, {"results": [["dukcapil", "imigrasi", "R4"]]}, "LEVEL_NOT_SUPPORTED"),
        (nothing, {"results": [["dukcapil", "setneg", "R1"]]}, "LEVEL_NOT_AGREED"),
        (nothing, {"results": []}, "LEVEL_NOT_AGREED"),
    ],
)  # fmt: skip
def test_a_job_that_was_authorised_against_the_rules(
    before: Change, own: dict[str, Any], code: str, site: Site
) -> None:
    world, document, spec = site
    before(world, document)
    epoch = own.get("epoch", 1)
    codes = {"codes": {**spec["codes"], "epoch": epoch}}
    submitted(world, document, {**spec, **codes, **own}, claim=ALLOW, epoch=epoch)
    (finding,) = replayed(world).findings
    assert finding.code == "DECISION_DIFFERS"
    assert f"the rules give {code}" in finding.text


def test_an_agreement_that_one_party_never_signed() -> None:
    world, document = World(), agreement()
    world.genesis()
    for party in document.parties:
        world.enrol(f"party/{party.id}")
    world.register(document, by=["party/imigrasi"])
    submitted(world, document, spec_of(document), claim=ALLOW)
    (finding,) = replayed(world).findings
    assert "the rules give AGREEMENT_NOT_ACTIVE" in finding.text


def test_a_denial_that_the_rules_do_not_give(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec, claim=Decision(False, "QUOTA_JOBS", ("Q1",), ()))
    (finding,) = replayed(world).findings
    assert (finding.code, "the rules give ALLOWED" in finding.text) == ("DECISION_DIFFERS", True)


def test_a_decision_that_does_not_name_its_leaves(site: Site) -> None:
    world, document, spec = site
    right = decide(world.state, asked_for(world, document, spec, "submit", "party/imigrasi"))
    submitted(world, document, spec, claim=replace(right, leaves=()))
    assert codes(world) == ["DECISION_DIFFERS"]


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({"request": {"payload": "", "payloadType": "x", "signatures": []}}, "does not count"),
        ({"request": None}, "not signed"),
        ({"key": None}, "without key"),
        ({"spec": None}, "without spec"),
        ({"spec": {}}, "does not count"),
    ],
)
def test_a_request_that_its_caller_did_not_sign(own: dict[str, Any], why: str, site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec, claim=ALLOW, **own)
    findings = replayed(world).findings
    assert [finding.code for finding in findings] == ["REQUEST_INVALID", "NOT_AUTHORISED"]
    assert why in findings[0].text


def test_a_request_signed_by_another_party(site: Site) -> None:
    world, document, spec = site
    forged = envelope(world, document, "party/dukcapil", SUBMIT, format_json(spec))
    submitted(world, document, spec, claim=ALLOW, request=forged)
    assert "REQUEST_NOT_SIGNED" in replayed(world).findings[0].text


def test_a_spec_that_was_changed_after_it_was_signed(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec, claim=ALLOW, spec={**spec, "purpose": "lain"})
    assert "REQUEST_OTHER_BODY" in replayed(world).findings[0].text


def test_steps_of_a_job_that_was_never_asked_for_or_denied(site: Site) -> None:
    world, document, spec = site
    leaf(world, "result", {"job": "other"})
    assert codes(world) == ["NOT_AUTHORISED"]
    submitted(world, document, {**spec, "purpose": "lain"})
    leaf(world, "job.plan", {"job": JOB, "code": "ALLOWED", "rules": []})
    assert codes(world) == ["NOT_AUTHORISED", "NOT_AUTHORISED"]


def test_a_request_that_was_turned_away_is_no_step_of_a_job(site: Site) -> None:
    world, _, _ = site
    refusal = {"method": SUBMIT, "key": "00" * 32, "code": "REQUEST_EXPIRED", "rules": ["S7"]}
    leaf(world, "job.refuse", refusal, "party/imigrasi")
    assert codes(world) == []


def test_a_result_after_the_agreement_was_terminated(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec)
    for party in spec["parties"]:
        uploaded(world, document, spec, f"party/{party}")
    terminated(world, document)
    leaf(world, "result", {"job": JOB})
    findings = replayed(world).findings
    assert [finding.code for finding in findings] == ["DECISION_DIFFERS"] * 2
    assert all("AGREEMENT_TERMINATED" in finding.text for finding in findings)


def test_a_result_without_the_upload_of_a_party(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec)
    uploaded(world, document, spec, "party/imigrasi")
    leaf(world, "result", {"job": JOB})
    (finding,) = replayed(world).findings
    assert (finding.code, "upload of dukcapil" in finding.text) == ("NOT_AUTHORISED", True)


def test_a_body_that_is_kept_back(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec)
    del world.bodies[len(world.entries) - 1]
    assert codes(world) == ["BODY_MISSING"]


def test_documents_that_changed_nothing_are_listed(site: Site) -> None:
    world, document, _ = site
    world.terminate(document, ["party/nobody"])
    report = replayed(world)
    assert report.verdict == "OK"
    assert [(one.type, one.code) for one in report.rejected] == [
        ("agreement.terminate", "NOT_SIGNED")
    ]


def test_the_report_of_a_job(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec)
    for party in spec["parties"]:
        uploaded(world, document, spec, f"party/{party}")
        leaf(world, "batch", {"job": JOB, "n_records": 100}, f"party/{party}")
    leaf(world, "job.plan", {"job": JOB, "comparisons": 10_000, "code": "ALLOWED", "rules": []})
    world.now += timedelta(hours=1)
    leaf(world, "release", {"job": JOB})
    contents = Contents(world.entries, hashes(world), world.bodies)
    (job,) = read_jobs(contents.entries, contents.bodies)
    assert (job.agreement, job.requester, job.outcome) == (
        document.id, "party/imigrasi", "ALLOWED",
    )  # fmt: skip
    assert (job.records, job.comparisons) == (dict.fromkeys(spec["parties"], 100), 10_000)
    assert job.released == world.now
    assert job.keys == {f"party/{party}": tls(f"party/{party}") for party in spec["parties"]}
    assert job.attributes == tuple(name for name, _ in spec["attributes"])
    assert job.leaves == tuple(range(len(world.entries) - 8, len(world.entries)))
    (added,) = by_agreement(contents, [job])
    assert (added.purpose, added.released) == (document.purpose.text.id, 1)
    assert (added.jobs, added.records) == ({"ALLOWED": 1}, dict.fromkeys(spec["parties"], 100))
    assert len(added.basis) == len(document.legal_basis)


def test_the_report_passes_over_what_is_not_there(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec)
    leaf(world, "result", {"job": "other"})
    leaf(world, "result", {"n": 1})
    del world.bodies[len(world.entries) - 3]
    (job,) = read_jobs(world.entries, world.bodies)
    assert (job.outcome, job.released) == (UNDECIDED, None)
    leaf(world, "job.request", {"job": "odd", "spec": [], "key": 1})
    assert read_jobs(world.entries, world.bodies)[1].parties == ()


def test_a_job_that_the_rules_ended_is_decided_on_again(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec)
    terminated(world, document)
    decision = decide(world.state, asked_for(world, document, spec, "start", "party/imigrasi"))
    n_before = replayed(world).decisions
    leaf(world, "job.cancelled", {"job": JOB, **verdict(decision)}, ref=decision.leaves)
    report = replayed(world)
    assert (report.verdict, report.decisions) == ("OK", n_before + 1)


def test_a_job_that_was_ended_against_the_rules(site: Site) -> None:
    world, document, spec = site
    submitted(world, document, spec)
    leaf(world, "job.failed", {"job": JOB, "code": "EPOCH_ENDED", "rules": ["E2"]})
    (finding,) = replayed(world).findings
    assert finding.code == "DECISION_DIFFERS"
    assert "the rules give ALLOWED" in finding.text


def test_a_flood_of_refusals_is_counted_and_read(site: Site) -> None:
    world, _, _ = site
    flood = {"minute": 28_000_000, "codes": {"PURPOSE_MISMATCH": 5, "REQUEST_EXPIRED": 2}}
    world.add("job.refusals", flood, actor="party/imigrasi")
    report = replayed(world)
    assert report.verdict == "OK"
    assert report.flooded == flood["codes"]
    for codes in ({}, {"NONE_SUCH": 1}, {"PURPOSE_MISMATCH": 0}, {"PURPOSE_MISMATCH": "5"}, None):
        world.add("job.refusals", {"minute": 28_000_001, "codes": codes}, actor="party/imigrasi")
    assert [one.code for one in replayed(world).findings] == ["REQUEST_INVALID"] * 5
