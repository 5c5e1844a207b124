"""What the log says: what counts, and what changes nothing and is reported."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from agreement_world import (
    AUDITOR,
    LOG,
    START,
    World,
    agreement,
    amendment,
    changed,
    public,
    signer,
    tls,
    uri,
    usual,
)

from keys.dsse import sign
from keys.rotation import Event as KeyEvent
from keys.rotation import Reason
from keys.states import KeyState
from linkage.agreement.envelope import AGREEMENT_TYPE, sign_agreement
from linkage.agreement.epochs import Held
from linkage.agreement.model import Agreement
from linkage.agreement.payload import Enrolment, OfficeQuota, Stop, Termination, leaf_body
from linkage.agreement.state import State, replay
from linkage.log.entry import Entry

OFFICE = "office/imigrasi/tawau"
ADMINS = ["admin0", "admin1"]


def same_but_for_the_report(before: State, after: State) -> bool:
    fields = ("log", "principals", "agreements", "epochs", "usage")
    return all(getattr(before, name) == getattr(after, name) for name in fields)


def test_a_usual_log_is_accepted_and_replayed_to_the_same_state() -> None:
    world, document = usual()
    assert replay(world.entries, world.bodies) == world.state
    standing = world.state.agreements.get(document.id)
    assert standing is not None
    assert standing.agreement == document
    epoch = world.state.epochs.get(document.id, 1)
    assert epoch is not None
    assert epoch.confirmed == 9
    assert set(epoch.delegated) == {uri(OFFICE)}
    assert world.state.usage.unread == 0


def test_a_reader_without_bodies_knows_all_but_the_counts() -> None:
    world, _ = usual()
    blind = replay(world.entries)
    assert (blind.agreements, blind.epochs) == (world.state.agreements, world.state.epochs)
    assert blind.usage.unread == len(world.bodies)
    assert not blind.usage.gates


Event = Callable[[World, Agreement], Any]
REFUSED: list[tuple[str, Event, str]] = [
    ("a second genesis", lambda w, _: w.genesis(), "OUT_OF_ORDER"),
    ("enrolled by one administrator", lambda w, _: w.enrol("party/ahu", ["admin0"]), "NOT_SIGNED"),
    ("enrolled by a party", lambda w, _: w.enrol("party/ahu", ["party/imigrasi"]), "NOT_SIGNED"),
    ("enrolled by nobody", lambda w, _: w.enrol("party/ahu", []), "NOT_SIGNED"),
    (
        "an office by another party",
        lambda w, _: w.enrol("office/imigrasi/a", ["party/dukcapil"]),
        "NOT_SIGNED",
    ),
    (
        "an office by another office",
        lambda w, _: w.enrol("office/imigrasi/a", [OFFICE]),
        "NOT_SIGNED",
    ),
    ("an office of nobody", lambda w, _: w.enrol("office/setneg/a", ADMINS), "NO_SUCH_PARTY"),
    ("enrolled twice", lambda w, _: w.enrol("party/imigrasi"), "ALREADY_ENROLLED"),
    (
        "the name in another domain",
        lambda w, _: w.enrol(
            "party/imigrasi", principal="spiffe://other.test/party/imigrasi",
            tls_keys=(tls("x"),), sign_key=None, seal_key=None,
        ),
        "ALREADY_ENROLLED",
    ),
    (
        "with a certificate of another",
        lambda w, _: w.enrol("party/ahu", tls_keys=(tls("party/imigrasi"),)),
        "KEY_IN_USE",
    ),
    (
        "with a key of an administrator",
        lambda w, _: w.enrol("party/ahu", sign_key=public("admin2")),
        "KEY_IN_USE",
    ),
    (
        "with a signing key that it did not show",
        lambda w, _: w.enrol("party/ahu", sign_key=public("someone")),
        "KEY_NOT_SHOWN",
    ),
    (
        "with the same key twice",
        lambda w, _: w.enrol("party/ahu", tls_keys=(tls("a"), tls("a"))),
        "KEY_IN_USE",
    ),
    (
        "a party with an office's quota",
        lambda w, _: w.enrol(
            "party/ahu", quota=OfficeQuota(records_per_day=1, jobs_per_day=1, lookups_per_day=1)
        ),
        "QUOTA_OF_NO_OFFICE",
    ),
    ("for another log", lambda w, _: w.enrol("party/ahu", log="other.test/log"), "OTHER_LOG"),
    (
        "keys of nobody changed",
        lambda w, _: w.rotate("party/ahu", ADMINS, tls_keys=(tls("a"),)),
        "NO_SUCH_PRINCIPAL",
    ),
    (
        "keys changed by another party",
        lambda w, _: w.rotate("party/imigrasi", ["party/dukcapil"], tls_keys=(tls("a"),)),
        "NOT_SIGNED",
    ),
    (
        "keys of the head changed by its office",
        lambda w, _: w.rotate("party/imigrasi", [OFFICE], tls_keys=(tls("a"),)),
        "NOT_SIGNED",
    ),
    (
        "keys changed with a wrong number",
        lambda w, _: w.rotate("party/imigrasi", ["party/imigrasi"], 2, tls_keys=(tls("a"),)),
        "REPLAYED",
    ),
    (
        "keys changed to nothing",
        lambda w, _: w.rotate("party/imigrasi", ["party/imigrasi"]),
        "NO_CHANGE",
    ),
    (
        "an unknown key revoked",
        lambda w, _: w.revoke("party/imigrasi", ADMINS, keys=(tls("a"),)),
        "NO_SUCH_KEY",
    ),
    (
        "a key of another revoked",
        lambda w, _: w.revoke("party/imigrasi", ["party/imigrasi"], keys=(tls("party/dukcapil"),)),
        "NO_SUCH_KEY",
    ),
    (
        "another party revoked",
        lambda w, _: w.revoke("party/imigrasi", ["party/dukcapil"]),
        "NOT_SIGNED",
    ),
    ("an agreement again", lambda w, d: w.register(d), "REPLAYED"),
    (
        "the id of another agreement",
        lambda w, d: w.register(changed(d, "rights.hours", 10)),
        "ID_TAKEN",
    ),
    (
        "an agreement of another log",
        lambda w, d: w.register(changed(d, "log", "other.test/log")),
        "OTHER_LOG",
    ),
    ("an agreement without signatures", lambda w, d: w.register(other(d), []), "NOT_SIGNED"),
    (
        "an agreement with keys that the log does not know",
        lambda w, d: w.register(
            changed(other(d), "parties.0.sign_keys", [public("forger")]), ["forger"]
        ),
        "NOT_SIGNED",
    ),
    (
        "an agreement under the name of another",
        lambda w, d: w.add(
            "agreement.register", leaf_body(sign_agreement(other(d), [signer("party/imigrasi")])),
            d.id,
        ),
        "OTHER_AGREEMENT",
    ),
    ("an amendment of nothing", lambda w, d: w.register(amendment(other(d))), "NOT_IN_FORCE"),
    (
        "an amendment that skips a version",
        lambda w, d: w.register(changed(amendment(d), "version", 3)),
        "NOT_NEXT_VERSION",
    ),
    (
        "an amendment again",
        lambda w, d: [w.register(amendment(d)), w.register(amendment(d))],
        "REPLAYED",
    ),
    (
        "a key begun before an amendment that it does not serve",
        lambda w, d: [
            w.epoch(d, "commit", "imigrasi", 2),
            w.register(changed(amendment(d), "purpose.code", "visa")),
            w.epoch(changed(amendment(d), "purpose.code", "visa"), "commit", "dukcapil", 2),
        ],
        "OTHER_AGREEMENT",
    ),
    (
        "an end for another log",
        lambda w, d: w.terminate(d, ["party/imigrasi"], log="other.test/log"),
        "OTHER_LOG",
    ),
    (
        "an amendment of another text",
        lambda w, d: w.register(changed(amendment(d), "supersedes", "00" * 32)),
        "NOT_NEXT_VERSION",
    ),
    ("an end by nobody", lambda w, d: w.terminate(d, []), "NOT_SIGNED"),
    ("an end by an office", lambda w, d: w.terminate(d, [OFFICE]), "NOT_SIGNED"),
    ("an end by an auditor", lambda w, d: w.terminate(d, ["auditor/bpk"]), "NOT_SIGNED"),
    (
        "an end of another version",
        lambda w, d: w.terminate(d, ["party/imigrasi"], digest="00" * 32),
        "NOT_IN_FORCE",
    ),
    (
        "an end of nothing",
        lambda w, d: w.terminate(other(d), ["party/imigrasi"]),
        "NOT_IN_FORCE",
    ),
    ("a stop by nobody", lambda w, d: w.stop(d, [OFFICE]), "NOT_SIGNED"),
    ("a stop with a wrong number", lambda w, d: w.stop(d, ["party/imigrasi"], 2), "REPLAYED"),
    (
        "going on, not stopped",
        lambda w, d: w.stop(d, ["party/imigrasi", "party/dukcapil"], stopped=False),
        "NO_CHANGE",
    ),
    ("a key that skips a number", lambda w, d: w.epoch(d, "commit", "imigrasi", 3), "OUT_OF_ORDER"),
    ("a key from its end", lambda w, d: w.epoch(d, "confirm", "imigrasi", 2), "OUT_OF_ORDER"),
    ("a key of a stranger", lambda w, d: w.epoch(d, "commit", "ahu", 2), "NOT_SIGNED"),
    (
        "a key in another's name",
        lambda w, d: w.epoch(d, "commit", "imigrasi", 2, by="party/dukcapil"),
        "NOT_SIGNED",
    ),
    ("a key of number 0", lambda w, d: w.epoch(d, "commit", "imigrasi", 0), "MALFORMED"),
    ("a key of nobody", lambda w, d: w.epoch(d, "commit", [1], 2, by="x"), "MALFORMED"),
    ("a key of another agreement", lambda w, d: w.epoch(other(d), "commit", "imigrasi"),
     "NOT_IN_FORCE"),
    (
        "a key for another version",
        lambda w, d: w.epoch(changed(d, "rights.hours", 1), "commit", "imigrasi", 2),
        "OTHER_AGREEMENT",
    ),
    (
        "a key for an office of another",
        lambda w, d: w.epoch(d, "delegate", "dukcapil", office=uri(OFFICE)),
        "NO_SUCH_OFFICE",
    ),
    (
        "a key for nobody",
        lambda w, d: w.epoch(d, "delegate", "imigrasi", office=uri("office/imigrasi/x")),
        "NO_SUCH_OFFICE",
    ),
    (
        "a key for an office again",
        lambda w, d: w.epoch(d, "delegate", "imigrasi", office=uri(OFFICE)),
        "REPLAYED",
    ),
    (
        "a confirmation of nothing",
        lambda w, d: [w.epoch(d, "commit", "imigrasi", 2), w.epoch(d, "confirm", "imigrasi", 2)],
        "MALFORMED",
    ),
    (
        "a decision about no job",
        lambda w, d: w.add("job.authorise", {"job": "x"}, d.id),
        "NO_SUCH_JOB",
    ),
    ("a job without a name", lambda w, d: w.add("job.request", {"job": 1}, d.id), "MALFORMED"),
    ("a batch without a number", lambda w, d: w.batch(d, "party/imigrasi", -1), "MALFORMED"),
    ("a gate of no rate", lambda w, d: w.gate(d, "imigrasi", rate="high"), "MALFORMED"),
    ("a gate of rate 2", lambda w, d: w.gate(d, "imigrasi", rate=2), "MALFORMED"),
    ("a gate of no verdict", lambda w, d: w.gate(d, "imigrasi", void=0), "MALFORMED"),
    ("a gate of no end", lambda w, d: w.gate(d, "imigrasi", valid_until="soon"), "MALFORMED"),
    ("a gate of no schema", lambda w, d: w.gate(d, "imigrasi", schema_id="x"), "MALFORMED"),
    ("a grant twice", lambda w, d: w.grant(d, "party/imigrasi"), "REPLAYED"),
    ("a grant of no form", lambda w, d: w.add("lookup.grant", enrolment(), d.id), "MALFORMED"),
    ("a grant in plain words", lambda w, d: w.add("lookup.grant", {"grant": "g"}, d.id),
     "MALFORMED"),
    (
        "a grant that the register's owner did not sign",
        lambda w, d: w.grant(d, "party/imigrasi", "g", by=["party/imigrasi"]),
        "NOT_SIGNED",
    ),
    (
        "a grant that the party of the caller did not sign",
        lambda w, d: w.grant(d, OFFICE, "g", by=[OFFICE, "party/dukcapil"]),
        "NOT_SIGNED",
    ),
    (
        "a grant for another log",
        lambda w, d: w.grant(d, "party/imigrasi", "g", log="other.test/log"),
        "OTHER_LOG",
    ),
    (
        "a grant for another agreement",
        lambda w, d: w.grant(d, "party/imigrasi", "g", agreement="PKS-0"),
        "OTHER_AGREEMENT",
    ),
    (
        "a grant under another version",
        lambda w, d: w.grant(d, "party/imigrasi", "g", digest="00" * 32),
        "NOT_IN_FORCE",
    ),
    (
        "a grant for nobody",
        lambda w, d: w.grant(d, "office/imigrasi/nowhere", "g"),
        "NO_SUCH_PRINCIPAL",
    ),
    (
        "a grant for an auditor",
        lambda w, d: w.grant(d, "auditor/bpk", "g", by=["party/dukcapil"]),
        "NO_SUCH_PRINCIPAL",
    ),
    (
        "a grant for one's own register",
        lambda w, d: w.grant(d, "party/dukcapil", "g"),
        "NO_SUCH_PARTY",
    ),
    ("the end of no grant", lambda w, d: w.end_grant(d, "g", ["party/dukcapil"]), "NO_SUCH_GRANT"),
    (
        "the end of a grant by a third",
        lambda w, d: w.end_grant(d, "g1", [OFFICE]),
        "NOT_SIGNED",
    ),
    (
        "the end of a grant twice",
        lambda w, d: [w.end_grant(d, "g1", ["party/imigrasi"]) for _ in range(2)],
        "NO_CHANGE",
    ),
    ("an unknown word of keys", lambda w, _: w.add("key.lost", {"env": 1}), "MALFORMED"),
    ("no envelope", lambda w, _: w.add("enrol", {}), "MALFORMED"),
    ("more than an envelope", lambda w, _: w.add("enrol", {**enrolment(), "x": 1}), "MALFORMED"),
    (
        "a key event of no kind",
        lambda w, _: w.add("key.lost", enrolment()),
        "UNKNOWN_TYPE",
    ),
    (
        "an agreement event of no kind",
        lambda w, d: w.add("agreement.read", enrolment(), d.id),
        "UNKNOWN_TYPE",
    ),
    ("an epoch event of no kind", lambda w, d: w.add("epoch.read", enrolment(), d.id),
     "UNKNOWN_TYPE"),
    ("one document in another leaf", lambda w, d: w.add("agreement.stop", enrolment(), d.id),
     "MALFORMED"),
    ("an amendment as a first version", lambda w, d: w.add(
        "agreement.register",
        leaf_body(sign_agreement(amendment(d), [signer("party/imigrasi")])),
        d.id,
    ), "NOT_NEXT_VERSION"),
]  # fmt: skip


def other(document: Agreement) -> Agreement:
    return changed(document, "id", "PKS-2")


def enrolment() -> dict[str, Any]:
    payload = World().enrolment("party/ahu")
    return leaf_body(sign(Enrolment.TYPE, payload.to_bytes(), [signer("admin0")]))


@pytest.mark.parametrize(
    ("event", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_does_not_count_changes_nothing_and_is_reported(event: Event, code: str) -> None:
    world, document = usual()
    before, size = world.state, len(world.entries)
    event(world, document)
    assert world.refused == code
    assert world.state.size == len(world.entries)
    if len(world.entries) == size + 1:
        assert same_but_for_the_report(before, world.state)


def test_every_accepted_entry_counts_once() -> None:
    world, _ = usual()
    for entry, body in [(e, world.bodies.get(i)) for i, e in enumerate(world.entries)]:
        if entry.type in ("job.request", "gate", "job.admit"):
            continue  # the matcher's own words: a gate result may be shown again
        again = world.state.after(world.state.size, entry, body)
        assert again.rejected, entry.type
        assert same_but_for_the_report(world.state, again)


def test_entries_out_of_order_change_nothing_at_all() -> None:
    world, document = usual()
    body = leaf_body(sign_agreement(other(document), [signer("party/imigrasi")]))
    entry = Entry("agreement.register", START, "matcher/m", "PKS-2", body=body)
    for index in (0, world.state.size - 1, world.state.size + 1, -1):
        moved = world.state.after(index, entry)
        assert moved.rejected[-1].code == "OUT_OF_ORDER"
        assert replace(moved, rejected=()) == replace(world.state, rejected=())
    ahead = world.state.after(world.state.size, replace(entry, ref=(world.state.size,)))
    assert ahead.rejected[-1].code == "OUT_OF_ORDER"
    assert same_but_for_the_report(world.state, ahead)


def test_a_changed_byte_of_a_signed_document_is_not_signed() -> None:
    world, document = usual()
    envelope = sign_agreement(other(document), [signer("party/imigrasi")])
    for old, new in ((b'"hours":72', b'"hours":71'), (b'"PKS-2"', b'"PKS-3"')):
        forged = replace(envelope, payload=envelope.payload.replace(old, new))
        assert forged != envelope
        name = "PKS-3" if new == b'"PKS-3"' else "PKS-2"
        world.add("agreement.register", leaf_body(forged), name)
        assert world.refused == "NOT_SIGNED"


def test_signatures_of_an_agreement_may_come_one_by_one() -> None:
    world, document = usual()
    second = other(document)
    world.register(second, ["party/dukcapil"])
    assert world.refused is None
    assert world.state.agreements.get("PKS-2") is None
    assert set(world.state.agreements.versions[second.digest()].signed) == {"dukcapil"}
    last = world.register(second, ["party/imigrasi"])
    standing = world.state.agreements.get("PKS-2")
    assert standing is not None
    assert standing.since == last


def test_a_document_that_not_all_signed_takes_no_id_away() -> None:
    world, document = usual()
    squatter = changed(other(document), "rights.hours", 1)
    world.register(squatter, ["party/dukcapil"])
    world.register(other(document))
    assert world.state.agreements.get("PKS-2") is not None
    world.register(squatter, ["party/imigrasi"])
    assert world.refused == "ID_TAKEN"


def test_a_signature_whose_key_was_revoked_meanwhile_does_not_complete() -> None:
    world, document = usual()
    world.register(other(document), ["party/dukcapil"])
    world.revoke("party/dukcapil", ADMINS, keys=(signer("party/dukcapil").key_id,))
    world.register(other(document), ["party/imigrasi"])
    assert world.refused == "SIGNER_REVOKED"
    assert world.state.agreements.get("PKS-2") is None


def test_all_keys_that_a_party_lists_sign() -> None:
    world, document = usual()
    two = changed(
        other(document), "parties.0.sign_keys", [public("party/imigrasi"), public("ppdp")]
    )
    world.register(two, ["party/imigrasi", "party/dukcapil"])
    assert world.state.agreements.get("PKS-2") is None
    world.register(two, ["party/imigrasi", "ppdp"])
    assert world.state.agreements.get("PKS-2") is not None
    swapped = changed(two, "parties.0.sign_keys", [public("ppdp"), public("party/imigrasi")])
    world.register(changed(swapped, "id", "PKS-3"), ["party/imigrasi", "ppdp", "party/dukcapil"])
    assert world.state.agreements.get("PKS-3") is None


def without_dukcapil(document: Agreement) -> Agreement:
    fields = amendment(document).to_json()
    fields["parties"] = fields["parties"][:2]
    fields["results"] = fields["results"][:1]
    fields["duties"] = dict.fromkeys(fields["duties"], "ahu")
    fields["legal_basis"] = [b for b in fields["legal_basis"] if b["party"] != "dukcapil"]
    return agreement("P2", **fields)


def test_a_party_that_an_amendment_leaves_out_signs_it_too() -> None:
    world, document = usual(agreement("P2"))
    shorter = without_dukcapil(document)
    world.register(shorter)
    standing = world.state.agreements.get(document.id)
    assert standing is not None
    assert standing.version.digest == document.digest()
    envelope = sign_agreement(shorter, [signer("party/ahu")])
    envelope = envelope.with_signature(signer("party/dukcapil"))
    world.add("agreement.amend", leaf_body(envelope), document.id)
    standing = world.state.agreements.get(document.id)
    assert standing is not None
    assert standing.history == (document.digest(), shorter.digest())
    # From then on what is said to all parties is not for who left.
    left, agreements = standing.since, world.state.agreements
    for party, before, after in (
        ("dukcapil", True, False),
        ("ahu", True, True),
        ("x", False, False),
    ):
        said = [
            agreements.is_for(document.id, party, index) for index in (left - 1, left, left + 1)
        ]
        assert said == [before, after, after]
    assert not agreements.is_for("PKS-0", "ahu", left)


def test_a_party_that_is_enrolled_no_more_need_not_sign_that_it_is_left_out() -> None:
    world, document = usual(agreement("P2"))
    world.revoke("party/dukcapil", ADMINS)
    world.register(without_dukcapil(document))
    assert world.refused is None
    standing = world.state.agreements.get(document.id)
    assert standing is not None
    assert [party.id for party in standing.agreement.parties] == ["ahu", "imigrasi"]


def test_one_of_two_amendments_comes_into_force() -> None:
    world, document = usual()
    one, two = (changed(amendment(document), "rights.hours", hours) for hours in (1, 2))
    world.register(one, ["party/imigrasi"])
    world.register(two, ["party/imigrasi"])
    world.register(one, ["party/dukcapil"])
    world.register(two, ["party/dukcapil"])
    assert world.refused == "NOT_NEXT_VERSION"
    standing = world.state.agreements.get(document.id)
    assert standing is not None
    assert standing.agreement == one


def test_the_end_is_for_ever_and_of_any_version() -> None:
    world, document = usual()
    world.register(amendment(document))
    world.terminate(document, ["party/dukcapil"])
    assert world.refused is None
    world.register(amendment(amendment(document)))
    assert world.refused == "NOT_IN_FORCE"
    world.register(changed(document, "rights.hours", 3))
    assert world.refused == "ID_TAKEN"
    world.terminate(document, ["party/imigrasi"])
    assert world.refused == "NO_CHANGE"


def test_a_stop_ends_only_when_all_and_whoever_stopped_sign() -> None:
    world, document = usual()
    both = ["party/imigrasi", "party/dukcapil"]
    world.stop(document, ["auditor/bpk"])
    world.stop(document, ["party/imigrasi"], 2)
    world.stop(document, ["party/imigrasi"], 3, stopped=False)
    assert world.refused == "NOT_SIGNED"
    world.stop(document, both, 3, stopped=False)
    assert world.refused == "NOT_SIGNED"
    world.stop(document, [*both, "auditor/bpk"], 3, stopped=False)
    assert world.refused is None
    standing = world.state.agreements.get(document.id)
    assert standing is not None
    assert standing.stopped is None
    world.stop(document, ["auditor/bpk"])
    assert world.refused == "REPLAYED"


def test_an_auditor_whom_the_agreement_does_not_name_stops_nothing() -> None:
    world, document = usual()
    world.enrol("auditor/lain")
    assert uri("auditor/lain") != AUDITOR
    world.stop(document, ["auditor/lain"])
    assert world.refused == "NOT_SIGNED"


def test_documents_made_for_other_agreements_stop_and_end_none() -> None:
    world, document = usual()
    world.register(other(document))
    fields = {"log": LOG, "agreement": "PKS-2", "digest": other(document).digest()}
    by = [signer("party/imigrasi")]
    for kind, payload in (
        ("terminate", Termination(**fields, reason="x")),
        ("stop", Stop(**fields, serial=1, stopped=True, reason="x")),
    ):
        envelope = sign(payload.TYPE, payload.to_bytes(), by)
        world.add(f"agreement.{kind}", leaf_body(envelope), document.id)
        assert world.refused == "OTHER_AGREEMENT"


def test_a_key_once_revoked_never_returns() -> None:
    world, _ = usual()
    world.revoke("party/imigrasi", ["party/imigrasi"], keys=(tls("party/imigrasi"),))
    world.rotate("party/imigrasi", ["party/imigrasi"], 2, tls_keys=(tls("party/imigrasi"),))
    assert world.refused == "KEY_IN_USE"
    world.revoke("party/imigrasi", ["party/imigrasi"], 2, keys=(tls("party/imigrasi"),))
    assert world.refused == "NO_SUCH_KEY"
    world.revoke("party/imigrasi", ADMINS, 2)
    world.enrol("party/imigrasi", tls_keys=(tls("y"),), sign_key=public("y"))
    assert world.refused == "ALREADY_ENROLLED"
    world.rotate("party/imigrasi", ADMINS, 3, tls_keys=(tls("z"),))
    assert world.refused == "NO_SUCH_PRINCIPAL"


def test_replaced_keys_overlap_until_their_time() -> None:
    world, _ = usual()
    world.rotate("party/imigrasi", ["party/imigrasi", "new"], sign_key=public("new"))
    assert world.refused is None
    imigrasi = world.state.principals.of_party("imigrasi")
    assert imigrasi is not None
    old, new = signer("party/imigrasi").key_id, signer("new").key_id
    assert set(imigrasi.sign_keys(START)) == {old, new}
    assert set(imigrasi.sign_keys(START + timedelta(days=1))) == {new}
    assert len(imigrasi.counting("tls", START + timedelta(days=1))) == 1
    world.now = START + timedelta(days=1)
    world.revoke("party/imigrasi", ["party/imigrasi"], 2)
    assert world.refused == "NOT_SIGNED"
    world.revoke("party/imigrasi", ["new"], 2)
    assert world.refused is None


def test_a_lost_seal_key_ends_the_keys_sealed_to_it() -> None:
    world, document = usual()
    imigrasi = world.state.principals.of_party("imigrasi")
    assert imigrasi is not None
    (seal,) = imigrasi.counting("seal", START)
    world.revoke("party/imigrasi", ADMINS, keys=(seal.id,))
    epoch = world.state.epochs.get(document.id, 1)
    assert epoch is not None
    assert epoch.ended == len(world.entries) - 1
    world.revoke("party/imigrasi", ADMINS, 2, keys=(tls("party/imigrasi"),))
    assert world.refused is None


def test_a_holder_says_what_became_of_its_key() -> None:
    world, document = usual()
    leaf = world.key_state(document, "party/imigrasi")
    epoch = world.state.epochs.get(document.id, 1)
    assert epoch is not None
    held = Held(KeyState.DEACTIVATED, 1, leaf)
    assert dict(epoch.held) == {uri("party/imigrasi"): held}
    assert epoch.ended is None
    for change, code in (
        ({}, "REPLAYED"),
        ({"revision": 2}, "OUT_OF_ORDER"),
        ({"revision": 2, "before": "deactivated", "after": "active"}, "NO_CHANGE"),
        ({"epoch": 2}, "NO_SUCH_KEY"),
        ({"log": "padan.test/other"}, "OTHER_LOG"),
        ({"agreement": "PKS-LAIN"}, "OTHER_AGREEMENT"),
        ({"by": "party/dukcapil", "revision": 2, "before": "deactivated"}, "NOT_SIGNED"),
    ):
        world.key_state(document, "party/imigrasi", **change)
        assert world.refused == code, change
    world.key_state(document, "party/imigrasi", before="deactivated", after="destroyed", revision=2)
    assert world.refused is None


@pytest.mark.parametrize("by", ["office/imigrasi/tawau", "party/imigrasi"])
def test_a_key_that_a_holder_may_have_lost_ends_its_epoch(by: str) -> None:
    world, document = usual()
    leaf = world.key_state(document, "office/imigrasi/tawau", by, after="compromised")
    epoch = world.state.epochs.get(document.id, 1)
    assert epoch is not None
    assert epoch.ended == leaf
    assert epoch.lost == KeyEvent(Reason.LOSS, world.now, "office/imigrasi/tawau")


def test_who_does_not_hold_a_key_says_nothing_of_it() -> None:
    world, document = usual()
    world.enrol("office/imigrasi/kuching")
    world.key_state(document, "office/imigrasi/kuching", after="compromised")
    assert world.refused == "NO_SUCH_KEY"
    world.epoch(document, "commit", "imigrasi", 2)
    world.key_state(document, "party/imigrasi", epoch=2, after="compromised")
    assert world.refused == "NO_SUCH_KEY"


def test_two_words_of_one_party_end_an_exchange() -> None:
    world, document = usual()
    world.epoch(document, "commit", "imigrasi", 2, commitment="a")
    world.epoch(document, "commit", "imigrasi", 2, commitment="a")
    assert world.refused == "REPLAYED"
    last = world.epoch(document, "commit", "imigrasi", 2, commitment="b")
    epoch = world.state.epochs.get(document.id, 2)
    assert epoch is not None
    assert epoch.ended == last
    world.epoch(document, "confirm", "dukcapil", 2, seals=[], tag="t")
    assert world.refused == "EPOCH_ENDED"


def test_confirmations_of_different_transcripts_make_no_key() -> None:
    world, document = usual()
    world.epoch(document, "commit", "imigrasi", 2)
    for party in ("imigrasi", "dukcapil"):
        world.epoch(document, "confirm", party, 2, seals=[party], tag="t")
    epoch = world.state.epochs.get(document.id, 2)
    assert epoch is not None
    assert epoch.confirmed is None


def test_offices_get_a_key_that_is_confirmed() -> None:
    world, document = usual()
    world.epoch(document, "commit", "imigrasi", 2)
    world.epoch(document, "delegate", "imigrasi", 2, office=uri(OFFICE))
    assert world.refused == "OUT_OF_ORDER"


def test_use_is_counted_by_caller_and_day_of_western_indonesia() -> None:
    world, document = usual()
    world.job(document, "party/imigrasi", "j1")
    world.batch(document, OFFICE, 40)
    world.now = START.replace(hour=17)
    world.job(document, uri(OFFICE), "j2")
    world.add("job.request", {"job": "j3"}, document.id, "party/imigrasi")
    world.add("job.deny", {"job": "j3", "code": "QUOTA_JOBS"}, document.id)
    usage, first, second = world.state.usage, START.date(), START.date() + timedelta(days=1)
    assert usage.jobs == {document.id: 2}
    assert usage.by_party(document.id, "imigrasi", first).jobs == 1
    assert usage.by_party(document.id, "imigrasi", first).records == 40
    assert usage.by_party(document.id, "imigrasi", second).jobs == 1
    assert usage.on(document.id, OFFICE, second).jobs == 1
    assert usage.by_party(document.id, "imi", first).jobs == 0
    assert not usage.asked


@pytest.mark.parametrize(
    "body",
    [
        None, {}, {"origin": 1}, {"origin": LOG, "admins": "x"}, {"origin": LOG, "admins": ["AA"]},
        {"origin": LOG, "admins": [public("a"), public("a")]},
        {"origin": LOG, "admins": [public("a")], "threshold": 2},
        {"origin": LOG, "admins": [public("a")], "threshold": 0},
        {"origin": LOG, "admins": [public("a")], "threshold": True},
        {"origin": LOG, "admins": [1]}, {"origin": LOG, "admins": ["=" * 44]},
    ],
)  # fmt: skip
def test_a_genesis_that_cannot_be_read_opens_no_log(body: dict[str, Any] | None) -> None:
    state = State().after(0, Entry("genesis", START, "matcher/m", None, body=body))
    assert state.rejected[-1].code == "MALFORMED"
    assert state.log == ""


def test_a_genesis_without_administrators_enrols_nobody() -> None:
    world = World()
    world.add("genesis", {"origin": LOG, "parties": ["imigrasi"]})
    assert world.state.log == LOG
    world.enrol("party/imigrasi")
    assert world.refused == "NOT_SIGNED"


def test_an_envelope_of_another_type_is_not_what_it_says() -> None:
    world, document = usual()
    payload = other(document).to_bytes()
    wrong = sign("application/vnd.padan.request+json", payload, [signer("party/imigrasi")])
    world.add("agreement.register", leaf_body(wrong), "PKS-2")
    assert world.refused == "MALFORMED"
    spaced = sign(AGREEMENT_TYPE, payload + b" ", [signer("party/imigrasi")])
    world.add("agreement.register", leaf_body(spaced), "PKS-2")
    assert world.refused == "MALFORMED"
    assert base64.b64decode(leaf_body(spaced)["env"]["payload"]) == payload + b" "


def test_an_exchange_is_signed_with_the_key_that_the_agreement_lists() -> None:
    world, document = usual()
    world.rotate("party/imigrasi", ["party/imigrasi", "new"], sign_key=public("new"))
    world.epoch(document, "commit", "imigrasi", 2, by="new")
    assert world.refused == "NOT_SIGNED"
    world.epoch(document, "commit", "imigrasi", 2)
    assert world.refused is None
    world.epoch(document, "abort", "imigrasi", 2, by="new", reason="withdrawn")
    assert world.refused is None
    world.now += timedelta(days=1)
    world.epoch(document, "commit", "imigrasi", 3)
    assert world.refused == "NOT_SIGNED"
    world.register(changed(amendment(document), "parties.0.sign_keys", [public("new")]), ["new"])
    assert world.refused is None
