"""The agreement matrix, second half: every fact made wrong gives its named denial."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agreement_world import (
    AUDITOR,
    SCHEMA,
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

from keys.rotation import usable_epochs
from linkage.agreement.decide import decide
from linkage.agreement.decision import ACTIONS, Action, Flow, Request
from linkage.agreement.denial import DENIALS, NOT_ADMITTED, NOT_AVAILABLE, outward
from linkage.agreement.epochs import custody_of
from linkage.agreement.model import Agreement
from linkage.agreement.payload import OfficeQuota

OFFICE = "office/imigrasi/tawau"
DAY = timedelta(days=1)


def code(world: World, request: Request) -> str:
    return decide(world.state, request).code


def asked(action: Action, path: str = "party/imigrasi", **own: Any) -> str:
    world, document = usual()
    return code(world, world.request(document, path, action=action, **own))


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("path", ["party/imigrasi", OFFICE])
def test_a_request_inside_the_agreement_is_allowed(action: Action, path: str) -> None:
    world, document = usual()
    grant = grant_id("g1" if path.startswith("party") else "g2")
    answer = decide(world.state, world.request(document, path, action=action, grant=grant))
    assert (answer.allowed, answer.code) == (True, "ALLOWED")
    assert answer.leaves == tuple(sorted(set(answer.leaves)))
    assert answer.outward() == ("ALLOWED", "")


# What the request says, made wrong: action, changes, denial.
REQUESTS: list[tuple[Action, dict[str, Any], str]] = [
    ("submit", {"actor": uri("party/setneg")}, "PRINCIPAL_UNKNOWN"),
    ("submit", {"actor": ""}, "PRINCIPAL_UNKNOWN"),
    ("submit", {"key": tls("party/dukcapil")}, "KEY_UNKNOWN"),
    ("submit", {"key": ""}, "KEY_UNKNOWN"),
    ("submit", {"key": signer("party/imigrasi").key_id}, "KEY_UNKNOWN"),
    ("submit", {"actor": AUDITOR, "key": tls("auditor/bpk")}, "ROLE_NOT_ALLOWED"),
    ("submit", {"seen_size": 9_999}, "SEEN_AHEAD"),
    ("submit", {"log_root": "cd" * 32}, "LOG_FORKED"),
    ("submit", {"seen_root": "", "log_root": ""}, "LOG_FORKED"),
    ("submit", {"agreement": "PKS-2"}, "AGREEMENT_UNKNOWN"),
    ("submit", {"digest": "00" * 32}, "AGREEMENT_OTHER_VERSION"),
    ("submit", {"seen_size": 3}, "SEEN_STALE"),
    ("submit", {"time": datetime(2026, 12, 31, 16, tzinfo=UTC)}, "AGREEMENT_NOT_YET_VALID"),
    ("submit", {"time": datetime(2028, 12, 31, 17, tzinfo=UTC)}, "AGREEMENT_EXPIRED"),
    ("submit", {"time": datetime(2027, 12, 1, 17, tzinfo=UTC)}, "DPIA_REVIEW_DUE"),
    ("submit", {"purpose": "pajak"}, "PURPOSE_MISMATCH"),
    ("submit", {"parties": ("imigrasi",)}, "PARTIES_MISMATCH"),
    ("submit", {"parties": ("imigrasi", "imigrasi")}, "PARTIES_MISMATCH"),
    ("submit", {"parties": ("imigrasi", "setneg")}, "PARTIES_MISMATCH"),
    ("submit", {"parties": ("dukcapil", "setneg")}, "PARTIES_MISMATCH"),
    ("submit", {"schema_id": "00" * 32}, "SCHEMA_MISMATCH"),
    ("submit", {"attributes": (("agama", "lain"),)}, "ATTRIBUTE_NOT_AGREED"),
    ("submit", {"attributes": (("nama", "kelahiran"),)}, "ATTRIBUTE_NOT_AGREED"),
    ("submit", {"attributes": ()}, "ATTRIBUTE_NOT_AGREED"),
    ("submit", {"flows": ()}, "LEVEL_NOT_AGREED"),
    ("submit", {"flows": (Flow("dukcapil", "imigrasi", "R4"),)}, "LEVEL_NOT_SUPPORTED"),
    ("submit", {"flows": (Flow("dukcapil", "imigrasi", "R3"),)}, "LEVEL_NOT_AGREED"),
    ("submit", {"flows": (Flow("imigrasi", "dukcapil", "R0"),)}, "LEVEL_NOT_AGREED"),
    ("submit", {"flows": (Flow("dukcapil", "coordinator", "R0"),)}, "LEVEL_NOT_AGREED"),
    ("submit", {"flows": (Flow("dukcapil", "setneg", "R0"),)}, "LEVEL_NOT_AGREED"),
    ("submit", {"flows": (Flow("dukcapil", "imigrasi", "R9"),)}, "LEVEL_NOT_AGREED"),
    ("submit", {"epoch": 2}, "EPOCH_UNKNOWN"),
    ("submit", {"time": START + 91 * DAY}, "EPOCH_EXPIRED"),
    ("submit", {"candidates": 11}, "TOO_MANY_CANDIDATES"),
    ("submit", {"candidates": -1}, "TOO_MANY_CANDIDATES"),
    ("start", {"candidates": 11}, "TOO_MANY_CANDIDATES"),
    ("upload", {"n_records": 50_001}, "TOO_MANY_RECORDS"),
    ("upload", {"n_records": 0}, "TOO_MANY_RECORDS"),
    ("upload", {"gate": ""}, "GATE_MISSING"),
    ("upload", {"gate": "00" * 32}, "GATE_UNKNOWN"),
    ("lookup_grant", {"n_lookups": 50_001}, "QUOTA_LOOKUPS"),
    ("lookup_grant", {"n_lookups": 0}, "QUOTA_LOOKUPS"),
    ("lookup_grant", {"window": None}, "GRANT_WINDOW"),
    ("lookup_grant", {"window": (START, START)}, "GRANT_WINDOW"),
    ("lookup_grant", {"window": (START, START + 2 * DAY)}, "GRANT_WINDOW"),
    ("lookup_grant", {"window": (START - DAY, START)}, "GRANT_WINDOW"),
    ("lookup", {"grant": grant_id("g2")}, "GRANT_UNKNOWN"),
    ("lookup", {"flows": (Flow("setneg", "imigrasi", "R1"),)}, "LEVEL_NOT_AGREED"),
    ("lookup", {"cosigned": 0}, "GRANT_NOT_COSIGNED"),
    ("lookup", {"grant": ""}, "GRANT_UNKNOWN"),
    ("lookup", {"time": START + DAY}, "GRANT_EXPIRED"),
    ("lookup", {"time": START - timedelta(hours=2)}, "GRANT_EXPIRED"),
    ("lookup", {"n_used": 10}, "GRANT_EXHAUSTED"),
    ("lookup", {"n_used": -1}, "GRANT_EXHAUSTED"),
]


@pytest.mark.parametrize(("action", "own", "denied"), REQUESTS)
def test_a_request_made_wrong_is_denied_by_name(
    action: Action, own: dict[str, Any], denied: str
) -> None:
    assert asked(action, **own) == denied


# What the agreement says, made wrong: path, value, denial at a submit in its midst.
AGREEMENTS: list[tuple[str, Any, str]] = [
    ("term.valid_from", "2027-03-02", "AGREEMENT_NOT_YET_VALID"),
    ("term.valid_until", "2027-02-28", "AGREEMENT_EXPIRED"),
    ("dpia.review_on", "2027-02-28", "DPIA_REVIEW_DUE"),
    ("notice.published_on", "2027-03-02", "NOTICE_NOT_PUBLISHED"),
    (
        "exemptions",
        [
            {
                "article": "Ps. 15", "law": "UU 17/2011", "balancing_sha256": "ab" * 32,
                "letter": "S-1", "expires_on": "2027-02-28",
            }
        ],
        "EXEMPTION_EXPIRED",
    ),
    ("method.scheme", "clk", "WAIVER_MISSING"),
    ("method.gate_limit", 1.0, "WAIVER_MISSING"),
    ("results.0.level", "R1", "LEVEL_NOT_AGREED"),
    ("results.0.recipient", "coordinator", "LEVEL_NOT_AGREED"),
    ("results", [], "LEVEL_NOT_AGREED"),
    ("method.candidates", 9, "TOO_MANY_CANDIDATES"),
    ("scope.quota.jobs", 0, "QUOTA_JOBS"),
    ("scope.quota.jobs_per_day", 0, "QUOTA_JOBS_DAY"),
    ("purpose.process", "P7", "PROCESS_IS_INTERNAL"),
    ("key_custody.rotation_days", 1, ""),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "denied"), AGREEMENTS)
def test_an_agreement_made_wrong_denies_by_name(path: str, value: Any, denied: str) -> None:
    right = agreement()
    wrong = changed(right, path, value)
    world, _ = usual(changed(wrong, "purpose.process", "P1") if wrong.internal else wrong)
    if wrong.internal:
        world = World()
        world.genesis()
        for party in wrong.parties:
            world.enrol(f"party/{party.id}")
        world.register(wrong)
    asks = world.request(right, digest=wrong.digest())
    assert code(world, asks) == (denied or "ALLOWED")


def waived_until(day: str) -> dict[str, Any]:
    reason = {"id": "uji coba", "en": "a trial"}
    return {"reason": reason, "approved_by": "Menteri", "expires_on": day}


def test_a_waiver_counts_until_its_day() -> None:
    waiver = waived_until("2027-03-01")
    document = changed(changed(agreement(), "method.scheme", "clk"), "method.waiver", waiver)
    world, _ = usual(document)
    assert code(world, world.request(document)) == "ALLOWED"
    later = world.request(document, time=START + DAY)
    assert code(world, later) == "WAIVER_EXPIRED"


# What happens in the log, then a denial: events, action, changes of the request.
EVENTS: list[tuple[str, Callable[[World, Agreement], Any], Action, dict[str, Any], str]] = [
    (
        "revoked party",
        lambda w, _: w.revoke("party/imigrasi", ["admin0", "admin1"]),
        "submit", {}, "PRINCIPAL_REVOKED",
    ),
    (
        "revoked key",
        lambda w, _: w.revoke("party/imigrasi", ["party/imigrasi"], keys=(tls("party/imigrasi"),)),
        "release", {}, "KEY_REVOKED",
    ),
    (
        "replaced key",
        lambda w, _: w.rotate(
            "party/imigrasi", ["party/imigrasi"], tls_keys=(tls("new"),), old_until=START
        ),
        "submit", {}, "KEY_EXPIRED",
    ),
    (
        "replaced key of a running job",
        lambda w, _: w.rotate(
            "party/imigrasi", ["party/imigrasi"], tls_keys=(tls("new"),), old_until=START
        ),
        "start", {}, "ALLOWED",
    ),
    (
        "replaced key, overlapping",
        lambda w, _: w.rotate("party/imigrasi", ["party/imigrasi"], tls_keys=(tls("new"),)),
        "submit", {}, "ALLOWED",
    ),
    (
        "other party revoked",
        lambda w, _: w.revoke("party/dukcapil", ["admin0", "admin1"]),
        "submit", {}, "PARTY_REVOKED",
    ),
    ("terminated", lambda w, d: w.terminate(d, ["party/dukcapil"]), "submit", {},
     "AGREEMENT_TERMINATED"),
    ("terminated, at release", lambda w, d: w.terminate(d, ["party/dukcapil"]), "release", {},
     "AGREEMENT_TERMINATED"),
    ("stopped", lambda w, d: w.stop(d, ["auditor/bpk"]), "start", {}, "AGREEMENT_STOPPED"),
    (
        "amended",
        lambda w, d: w.register(changed(amendment(d), "rights.hours", 48)),
        "submit", {}, "AGREEMENT_OTHER_VERSION",
    ),
    ("aborted key", lambda w, d: w.epoch(d, "abort", "dukcapil", reason="withdrawn"), "submit", {},
     "EPOCH_ENDED"),
    ("key begun", lambda w, d: w.epoch(d, "commit", "dukcapil", 2), "submit", {"epoch": 2},
     "EPOCH_NOT_CONFIRMED"),
    ("job quota of the day", lambda w, d: [w.job(d, "party/imigrasi", f"j{n}") for n in range(10)],
     "submit", {}, "QUOTA_JOBS_DAY"),
    ("jobs of offices count", lambda w, d: [w.job(d, OFFICE, f"j{n}") for n in range(10)],
     "submit", {}, "QUOTA_JOBS_DAY"),
    ("jobs of others do not", lambda w, d: [w.job(d, "party/dukcapil", f"j{n}") for n in range(10)],
     "submit", {}, "ALLOWED"),
    ("record quota", lambda w, d: w.batch(d, "party/imigrasi", 199_001), "upload", {},
     "QUOTA_RECORDS"),
    ("lookup quota", lambda w, d: w.grant(d, "party/imigrasi", grant="g9", number=49_990),
     "lookup_grant", {}, "QUOTA_LOOKUPS"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "action", "own", "denied"),
    [row[1:] for row in EVENTS],
    ids=[row[0] for row in EVENTS],
)
def test_what_happens_in_the_log_denies_by_name(
    event: Callable[[World, Agreement], Any], action: Action, own: dict[str, Any], denied: str
) -> None:
    world, document = usual()
    event(world, document)
    assert world.refused is None
    answer = decide(world.state, world.request(document, action=action, **own))
    assert answer.code == denied
    # The answer names the leaf that changed it, but for what is only counted.
    if denied not in ("ALLOWED", "KEY_EXPIRED") and not denied.startswith(("QUOTA", "EPOCH_NOT")):
        assert len(world.entries) - 1 in answer.leaves


@pytest.mark.parametrize(
    ("fact", "denied"),
    [
        ({"party": "dukcapil"}, "GATE_UNKNOWN"),
        ({"schema_id": "00" * 32}, "GATE_OTHER_SCHEMA"),
        ({"epoch": 2}, "GATE_OTHER_EPOCH"),
        ({"valid_until": "2027-03-01T01:00:00Z"}, "GATE_EXPIRED"),
        ({"void": True}, "GATE_VOID"),
        ({"structure": True}, "GATE_STRUCTURE"),
        ({"rate": 0.0051}, "GATE_RATE"),
        ({"rate": 0.005}, "ALLOWED"),
    ],
)
def test_a_gate_result_made_wrong_denies_by_name(fact: dict[str, Any], denied: str) -> None:
    world, document = usual()
    world.gate(document, "imigrasi", **fact)
    asks = world.request(document, action="upload", gate=gate_of(fact.get("party", "imigrasi")))
    assert code(world, asks) == denied


def test_the_limit_of_the_gate_is_the_agreement_s() -> None:
    world, document = usual(changed(agreement(), "method.gate_limit", 0.004))
    assert code(world, world.request(document, action="upload")) == "ALLOWED"
    world, document = usual(changed(agreement(), "method.gate_limit", 0.0039))
    assert code(world, world.request(document, action="upload")) == "GATE_RATE"


def test_a_key_serves_until_its_last_moment() -> None:
    world, document = usual()
    end = START + document.key_custody.rotation_days * DAY
    last = end - timedelta(microseconds=1)
    assert code(world, world.request(document, time=last)) == "ALLOWED"
    assert code(world, world.request(document, time=end)) == "EPOCH_EXPIRED"


def test_a_key_finishes_what_was_begun_beside_the_next_one() -> None:
    world, document = usual()
    world.now += 80 * DAY
    world.exchange(document, 2)
    ends = world.now + 14 * DAY
    for time in (world.now, ends - timedelta(microseconds=1)):
        asks = world.request(document, time=time)
        assert code(world, asks) == "EPOCH_REPLACED"
        assert code(world, replace(asks, action="start")) == "ALLOWED"
        assert code(world, replace(asks, epoch=2)) == "ALLOWED"
    over = world.request(document, action="start", time=ends)
    assert code(world, over) == "EPOCH_REPLACED"
    # A newer key that is given up brings no older one back.
    world.key_state(document, "party/dukcapil", epoch=2, after="compromised")
    asks = world.request(document, time=world.now)
    assert code(world, asks) == "EPOCH_REPLACED"
    assert code(world, replace(asks, epoch=2)) == "EPOCH_ENDED"


@pytest.mark.parametrize("late", [0, 1, 110])
def test_a_newer_key_brings_back_none_whose_time_is_over(late: int) -> None:
    world, document = usual()
    world.now += (document.key_custody.rotation_days + late) * DAY
    world.exchange(document, 2)
    for time in (world.now, world.now + 13 * DAY):
        for action in ("submit", "upload", "start"):
            asks = world.request(document, time=time, epoch=1, action=action)
            assert code(world, asks) == "EPOCH_EXPIRED"
    assert code(world, world.request(document, time=world.now, epoch=2)) == "ALLOWED"


@pytest.mark.parametrize("made", [70, 120])
def test_what_decide_allows_is_what_the_rules_of_rotation_say(made: int) -> None:
    world, document = usual()
    custody = custody_of(document)
    world.now += made * DAY
    world.exchange(document, 2)
    world.now += 5 * DAY
    world.exchange(document, 3)
    keyed = [one for epoch in world.state.epochs.of(document.id) if (one := epoch.keyed())]
    for days in range(110):
        time = world.now + days * DAY
        found = usable_epochs(keyed, [], time, custody.period, custody.overlap)
        for number in (1, 2, 3):
            asks = world.request(document, time=time, epoch=number)
            begins = code(world, asks) == "ALLOWED"
            goes_on = code(world, replace(asks, action="start")) == "ALLOWED"
            assert begins == (number == found.current)
            assert goes_on == (number in (found.current, *found.finishing))


def test_a_waived_gate_accepts_findings_but_no_void_result() -> None:
    waiver = waived_until("2027-12-01")
    document = changed(changed(agreement(), "method.gate_limit", 1.0), "method.waiver", waiver)
    world, _ = usual(document)
    world.gate(document, "imigrasi", rate=0.9, structure=True)
    assert code(world, world.request(document, action="upload")) == "ALLOWED"
    assert code(world, world.request(document, action="upload", gate="")) == "ALLOWED"
    world.gate(document, "imigrasi", void=True)
    assert code(world, world.request(document, action="upload")) == "GATE_VOID"


# Who asked for a job, who uploads in it, and what is said to that.
OTHER_OFFICE = "office/imigrasi/kuching"
TAKE_PART = [
    ("party/imigrasi", "party/imigrasi", "ALLOWED"),
    ("party/imigrasi", "party/dukcapil", "ALLOWED"),
    ("party/imigrasi", OFFICE, "JOB_OF_ANOTHER"),
    (OFFICE, OFFICE, "ALLOWED"),
    (OFFICE, "party/dukcapil", "ALLOWED"),
    (OFFICE, "party/imigrasi", "JOB_OF_ANOTHER"),
    (OFFICE, OTHER_OFFICE, "JOB_OF_ANOTHER"),
    ("party/dukcapil", OFFICE, "JOB_OF_ANOTHER"),
    ("party/dukcapil", "party/imigrasi", "ALLOWED"),
    ("party/nobody", OFFICE, "JOB_OF_ANOTHER"),
    ("party/nobody", "party/imigrasi", "ALLOWED"),
]


@pytest.mark.parametrize(("asker", "path", "denied"), TAKE_PART)
def test_who_asked_for_a_job_takes_part_in_it_for_its_party(
    asker: str, path: str, denied: str
) -> None:
    world, document = usual(changed(agreement(), "parties.0.offices", ["*"]))
    world.enrol(OTHER_OFFICE)
    world.epoch(document, "delegate", "imigrasi", office=uri(OTHER_OFFICE))
    for action in ("upload", "release"):
        asks = world.request(document, path, action=action, requester=uri(asker))
        flows = (Flow("dukcapil", "imigrasi", "R1"),)
        if path == "party/dukcapil" and action == "release":
            continue  # who is told nothing is not asked about
        asks = replace(asks, flows=flows)
        assert code(world, asks) == denied


@pytest.mark.parametrize("offices", [[], ["kuching"]])
def test_an_office_asks_for_jobs_only_where_the_agreement_names_it(offices: list[str]) -> None:
    world, document = usual(changed(agreement(), "parties.0.offices", offices))
    for action in ("submit", "upload", "start", "release"):
        assert code(world, world.request(document, OFFICE, action=action)) == "OFFICE_NOT_AGREED"
    grant = grant_id("g2")
    for action in ("lookup_grant", "lookup"):
        assert code(world, world.request(document, OFFICE, action=action, grant=grant)) == "ALLOWED"
    assert code(world, world.request(document)) == "ALLOWED"
    # Of another party an office of the same name is not meant.
    world.enrol("office/dukcapil/kuching")
    asks = world.request(document, "office/dukcapil/kuching")
    assert code(world, replace(asks, flows=world.request(document).flows)) == "OFFICE_NOT_AGREED"


def test_an_office_needs_its_head_the_key_and_its_quota() -> None:
    world, document = usual(changed(agreement(), "parties.0.offices", ["*"]))
    quota = OfficeQuota(records_per_day=500, jobs_per_day=1, lookups_per_day=4)
    world.enrol("office/imigrasi/kuching", quota=quota)
    new = "office/imigrasi/kuching"
    assert code(world, world.request(document, new, action="upload")) == "EPOCH_NOT_DELEGATED"
    assert code(world, world.request(document, new)) == "EPOCH_NOT_DELEGATED"
    world.epoch(document, "delegate", "imigrasi", office=uri(new))
    for action, own in (
        ("upload", {"n_records": 501}),
        ("lookup_grant", {"n_lookups": 5}),
    ):
        assert code(world, world.request(document, new, action=action, **own)) == "QUOTA_OFFICE"
    assert code(world, world.request(document, new)) == "ALLOWED"
    world.job(document, new)
    assert code(world, world.request(document, new)) == "QUOTA_OFFICE"
    world.revoke("party/imigrasi", ["admin0", "admin2"])
    assert code(world, world.request(document, new)) == "PRINCIPAL_REVOKED"


def test_either_party_ends_a_grant_at_once() -> None:
    for party in ("party/imigrasi", "party/dukcapil"):
        world, document = usual()
        assert code(world, world.request(document, action="lookup")) == "ALLOWED"
        world.end_grant(document, "g1", [party])
        assert code(world, world.request(document, action="lookup")) == "GRANT_REVOKED"


def test_a_grant_is_used_on_the_day_on_which_it_begins() -> None:
    world, document = usual()
    tomorrow = START + DAY
    most = document.scope.quota.lookups_per_day
    world.grant(
        document, "party/imigrasi", "g3", number=most, valid_from=tomorrow,
        valid_until=tomorrow + DAY,
    )  # fmt: skip
    for day, denied in ((START, "ALLOWED"), (tomorrow, "QUOTA_LOOKUPS")):
        asked_for = {"n_lookups": 1, "window": (day, day + timedelta(hours=1))}
        assert code(world, world.request(document, action="lookup_grant", **asked_for)) == denied


def test_a_removed_office_ends_the_key_that_it_had() -> None:
    world, document = usual()
    world.revoke(OFFICE, ["party/imigrasi"])
    assert code(world, world.request(document, OFFICE)) == "PRINCIPAL_REVOKED"
    assert code(world, world.request(document)) == "EPOCH_ENDED"
    world.exchange(document, 2)
    assert code(world, world.request(document, epoch=2)) == "ALLOWED"


def test_an_amendment_that_keeps_schema_purpose_and_parties_keeps_the_key() -> None:
    world, document = usual()
    same = changed(amendment(document), "rights.hours", 48)
    world.register(same)
    assert code(world, world.request(same)) == "ALLOWED"
    other = changed(amendment(same), "method.schema_id", "cd" * 32)
    world.register(other)
    assert world.refused is None
    assert code(world, world.request(other)) == "EPOCH_MISMATCH"


def test_unsigned_is_told_to_those_who_are_to_sign_and_nothing_to_others() -> None:
    world, document = usual()
    pending = agreement(id="PKS-9")
    world.register(pending, ["party/imigrasi"])
    assert code(world, world.request(pending)) == "AGREEMENT_NOT_ACTIVE"
    world.enrol("party/setneg")
    for known in (document, pending):
        asks = replace(world.request(known), actor=uri("party/setneg"), key=tls("party/setneg"))
        assert code(world, asks) == "NOT_A_PARTY"
        unknown = replace(asks, agreement="PKS-77", digest="00" * 32)
        assert code(world, unknown) == "AGREEMENT_UNKNOWN"
        for language in ("en", "id"):
            told = decide(world.state, asks).outward(language)
            assert told == decide(world.state, unknown).outward(language)
            assert told[0] == NOT_AVAILABLE


def test_a_stranger_with_the_name_of_a_party_in_another_domain_is_nobody() -> None:
    world, document = usual()
    asks = replace(world.request(document), actor="spiffe://other.test/party/imigrasi")
    assert code(world, asks) == "PRINCIPAL_UNKNOWN"


def test_an_internal_order_lets_nothing_reach_the_matcher() -> None:
    order = agreement("P7")
    world = World()
    world.genesis()
    world.enrol("party/instansi")
    world.register(order, ["party/instansi", "ppdp"])
    assert world.state.agreements.get(order.id) is not None
    asks = world.request(agreement(), agreement=order.id, digest=order.digest())
    asks = replace(asks, actor=uri("party/instansi"), key=tls("party/instansi"))
    assert code(world, asks) == "PROCESS_IS_INTERNAL"


def test_every_denial_is_reached_by_a_test_and_speaks_both_languages() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for name, denial in DENIALS.items():
        assert denial.outward in DENIALS
        assert denial.en != denial.id
        assert name in (NOT_ADMITTED, NOT_AVAILABLE) or f'"{name}"' in tests, name
    rules = [denial.rule for denial in DENIALS.values()]
    assert len(set(rules)) == len(rules)


def test_what_the_matcher_alone_can_see_has_its_sentence_too() -> None:
    # Not of the state: questions themselves are nowhere in the log.
    assert outward("GRANT_SUSPENDED")[0] == "GRANT_SUSPENDED"


def test_the_documentation_has_the_table_of_denials() -> None:
    page = (Path(__file__).parents[3] / "docs" / "agreements.md").read_text()
    rows = re.findall(r"^\| (\w+) \| `([A-Z_]+)` \| (.+?) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert [row[1] for row in rows] == list(DENIALS)
    for rule, name, told, en, indonesian in rows:
        denial = DENIALS[name]
        assert (rule, en, indonesian) == (denial.rule, denial.en, denial.id)
        assert told == ("the same" if denial.outward == name else f"`{denial.outward}`")


def test_who_is_not_admitted_is_not_told_why() -> None:
    who = [
        name for name, denial in DENIALS.items() if denial.rule in ("I1", "I2", "I3", "I4", "I5")
    ]
    assert len({outward(name) for name in who}) == 1


def test_times_without_a_zone_are_a_bug_of_the_caller() -> None:
    world, document = usual()
    with pytest.raises(ValueError, match="zone"):
        world.request(document, time=datetime(2027, 3, 1))  # noqa: DTZ001


def test_the_last_hours_that_can_be_written_are_decided_too() -> None:
    for time in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        assert asked("lookup_grant", time=time, window=(time, time)) != "ALLOWED"


def test_a_schema_of_the_world_is_the_agreed_one() -> None:
    assert agreement().method.schema_id == SCHEMA
