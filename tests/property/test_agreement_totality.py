"""Nothing that parses makes the state or a decision fail, and nothing unsigned changes it."""

import base64
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "agreement"))

from agreement_world import AUDITOR, World, agreement, signer, tls, uri, usual
from told_world import Told

from keys.dsse import Envelope, sign
from linkage.agreement.decide import decide
from linkage.agreement.decision import ACTIONS, Flow, Request
from linkage.agreement.denial import ALLOWED, DENIALS
from linkage.agreement.model import Agreement
from linkage.agreement.payload import leaf_body
from linkage.agreement.render import render
from linkage.agreement.state import State
from linkage.errors import LinkageError
from linkage.log.canonical import format_json, parse_json
from linkage.log.entry import Entry, format_entry, is_confidential, parse_entry

TYPES = [
    "genesis", "enrol", "key.rotate", "key.revoke", "key.other", "agreement.register",
    "agreement.amend", "agreement.terminate", "agreement.stop", "agreement.other", "epoch.commit",
    "epoch.seal", "epoch.confirm", "epoch.abort", "epoch.delegate", "epoch.other", "gate", "batch",
    "job.request", "job.authorise", "job.deny", "job.other", "lookup.grant", "lookup.minute",
    "release", "freeze", "anchor", "incident.report", "incident.step", "incident.other",
    "rights.notice", "rights.answer", "rights.other",
]  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(max_size=12) | st.sampled_from(["PKS-2027-1", "imigrasi", uri("party/imigrasi")]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23)).map(  # noqa: DTZ001
    lambda time: time.replace(tzinfo=UTC, microsecond=0)
)
NAMES = ["admin0", "admin1", "party/imigrasi", "party/dukcapil", "auditor/bpk", "nobody"]


@cache
def known() -> tuple[World, Agreement]:
    world, document = usual()
    world.rotate("party/imigrasi", ["party/imigrasi"], tls_keys=(tls("new"),))
    world.stop(document, ["auditor/bpk"])
    world.job(document, "party/imigrasi")
    return world, document


@cache
def payloads() -> tuple[tuple[str, str, bytes], ...]:
    """Type, payload type and payload of every signed leaf of the world, and of its end."""
    world, document = usual()
    world.rotate("party/imigrasi", ["party/imigrasi"], tls_keys=(tls("new"),))
    world.revoke("party/imigrasi", ["party/imigrasi"], 2, keys=(tls("new"),))
    world.stop(document, ["auditor/bpk"])
    world.epoch(document, "abort", "imigrasi", reason="withdrawn")
    world.terminate(document, ["party/imigrasi"])
    told = Told(world, document)
    told.notice()
    told.answer()
    told.incident()
    told.step("dukcapil", "subjects")
    found = []
    for index, entry in enumerate(world.entries):
        body = entry.body or world.bodies[index]
        if "env" in body:
            env: Any = body["env"]
            found.append((entry.type, env["payloadType"], base64.b64decode(env["payload"])))
    return tuple(found)


def mutated(data: st.DataObject, value: Any) -> Any:
    """A JSON value with one thing in it exchanged."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(value)))
        return {**value, name: mutated(data, value[name])}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], mutated(data, value[at]), *value[at + 1 :]]
    return data.draw(json_values)


def body_of(data: st.DataObject, leaf_type: str) -> dict[str, Any]:
    """The body of a leaf: a document of the world, changed and signed anew, or anything."""
    documents = [row for row in payloads() if row[0] == leaf_type] or list(payloads())
    choice = data.draw(st.integers(0, 5))
    if choice == 0:
        return data.draw(st.dictionaries(st.text(max_size=6), json_values, max_size=4))
    _, kind, payload = data.draw(st.sampled_from(documents))
    if choice > 1:
        payload = format_json(mutated(data, parse_json(payload)))
    signers = [signer(name) for name in data.draw(st.lists(st.sampled_from(NAMES), max_size=3))]
    whole: dict[str, Any] = leaf_body(sign(kind, payload, signers))
    changed = mutated(data, whole) if choice == 2 else whole
    # A body is an object: `linkage.log.entry` takes no other.
    return changed if isinstance(changed, dict) else whole


def entry_of(data: st.DataObject) -> tuple[Entry, Any] | None:
    leaf_type = data.draw(st.sampled_from(TYPES))
    agreement_id = data.draw(st.sampled_from([None, "PKS-2027-1", "PKS-2"]))
    actor = data.draw(st.sampled_from(["party/imigrasi", uri("party/dukcapil"), "x"]))
    body, opened = body_of(data, leaf_type), None
    if is_confidential(leaf_type):
        opened = data.draw(st.none() | st.just(body) | st.dictionaries(
            st.sampled_from(
                ["job", "n_records", "gate", "party", "schema_id", "epoch", "rate", "void",
                 "structure", "valid_until", "grant", "caller", "number", "from", "until"]
            ),
            json_values | st.sampled_from(["ab" * 32, "2027-01-01T00:00:00Z", "9999-12-31T23:59Z"]),
        ))  # fmt: skip
        entry = Entry(leaf_type, data.draw(times), actor, agreement_id, commitment="A" * 43 + "=")
    else:
        entry = Entry(leaf_type, data.draw(times), actor, agreement_id, body=body)
    try:
        return parse_entry(format_entry(entry)), opened
    except LinkageError:
        return None


def parts(state: State) -> tuple[Any, ...]:
    return (
        state.log, state.principals, state.agreements, state.epochs, state.usage,
        state.rights, state.incidents,
    )  # fmt: skip


@given(st.data())
def test_no_entry_that_parses_makes_the_state_fail(data: st.DataObject) -> None:
    made = entry_of(data)
    if made is None:
        return
    entry, body = made
    for state in (State(), known()[0].state):
        index = data.draw(st.sampled_from([state.size, state.size, 0, 3]))
        moved = state.after(index, entry, body)
        if moved.rejected != state.rejected:
            assert len(moved.rejected) == len(state.rejected) + 1
            assert parts(moved) == parts(state)
        if index != state.size:
            assert moved.rejected[-1].code == "OUT_OF_ORDER"


@given(st.data())
def test_nothing_that_is_signed_by_nobody_changes_anything(data: st.DataObject) -> None:
    world, _ = known()
    leaf_type, kind, payload = data.draw(st.sampled_from(payloads()))
    strangers = [signer(name) for name in data.draw(st.lists(st.sampled_from(["x", "y"])))]
    envelope = sign(kind, payload, strangers)
    forged = dict.fromkeys((signer(name).key_id for name in NAMES), b"\x00" * 64)
    if data.draw(st.booleans()):
        envelope = Envelope(
            kind, payload, tuple(sorted({**dict(envelope.signatures), **forged}.items()))
        )
    body = leaf_body(envelope)
    entry = Entry(leaf_type, world.now, "matcher/m", "PKS-2027-1", body=body)
    moved = world.state.after(world.state.size, entry, body)
    assert parts(moved) == parts(world.state)
    assert len(moved.rejected) == len(world.state.rejected) + 1


words = st.sampled_from(
    ["", "imigrasi", "dukcapil", "PKS-2027-1", uri("party/imigrasi"), AUDITOR, "R4", "coordinator"]
) | st.text(max_size=8)  # fmt: skip
numbers = st.integers(-(2**63), 2**63)


@given(st.data())
def test_no_request_makes_a_decision_fail(data: st.DataObject) -> None:
    world, document = known()
    near = world.request(document)
    fields: dict[str, Any] = {
        "actor": words, "key": words | st.just(near.key), "time": times, "agreement": words,
        "digest": words | st.just(near.digest), "epoch": numbers, "schema_id": words,
        "purpose": words, "parties": st.lists(words, max_size=3).map(tuple),
        "attributes": st.lists(st.tuples(words, words), max_size=2).map(tuple),
        "flows": st.lists(st.builds(Flow, words, words, words), max_size=2).map(tuple),
        "n_records": numbers, "candidates": numbers, "gate": words, "seen_size": numbers,
        "seen_root": words, "log_root": words, "n_lookups": numbers,
        "window": st.none() | st.tuples(times, times), "grant": words, "n_used": numbers,
    }  # fmt: skip
    names = data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=8, unique=True))
    asks: Request = replace(near, action=data.draw(st.sampled_from(ACTIONS)))
    asks = replace(asks, **{name: data.draw(fields[name]) for name in names})
    state = data.draw(st.sampled_from([State(), world.state]))
    answer = decide(state, asks)
    assert answer.code == ALLOWED or answer.code in DENIALS
    assert answer.allowed == (answer.code == ALLOWED)
    assert not answer.allowed  # the world is under an emergency stop
    assert answer == decide(state, asks)


@given(st.text(min_size=1, max_size=60))
def test_what_parties_write_stays_text_in_what_they_read(text: str) -> None:
    try:
        document = Agreement.model_validate_json(
            format_json({**agreement().to_json(), "title": {"id": text, "en": text}})
        )
    except (ValueError, LinkageError):
        return
    page = render(document, "id")
    usual_page = render(agreement(), "id")
    assert page.count("\n## ") == usual_page.count("\n## ")
    assert "<!--" not in page
    assert page.count("\n") == usual_page.count("\n")


def test_the_far_ends_of_time_count_as_days() -> None:
    world, document = known()
    for time in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        entry = Entry(
            "job.admit", time.replace(microsecond=0), "party/x", document.id, commitment=""
        )
        moved = world.state.after(world.state.size, entry, {"n_records": 1})
        assert not moved.rejected
    assert world.now + timedelta(days=1) > world.now
