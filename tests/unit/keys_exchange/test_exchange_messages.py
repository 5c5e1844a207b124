"""Messages have one spelling, and none can be used in another place."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from exchange_world import DAY, NAMES, OPENS, SOON, World, signer_of, terms_of

from keys.canonical import to_json
from keys.dsse import Envelope, sign
from keys.errors import KeysError
from keys.messages import (
    Message,
    ShareComplaint,
    TagComplaint,
    Withdrawal,
    kind_of,
    payload_type,
    read_message,
    sign_message,
)
from keys.sealing import SealKey
from keys.terms import Terms
from keys.transcript import Transcript

TERMS = terms_of(3)


def one_of_each() -> dict[str, Envelope]:
    """A message of each kind, all of party ahu."""
    world = World(TERMS)
    world.run()
    made = {env.payload_type: env for env in world.log if json.loads(env.payload)["party"] == "ahu"}
    complaints: list[Message] = [
        ShareComplaint("ahu", "imigrasi", bytes(1200), bytes(96)),
        TagComplaint("ahu", "imigrasi", (bytes(64),) * 3),
        Withdrawal("ahu"),
    ]
    named = {kind.split(".")[-1].removesuffix("+json"): env for kind, env in made.items()}
    for complaint in complaints:
        named[type(complaint).__name__] = sign_message(TERMS, complaint, signer_of("ahu"))
    return named


MESSAGES = one_of_each()


def resigned(envelope: Envelope, payload: bytes, party: str = "ahu") -> Envelope:
    """Other bytes, and a signature that holds."""
    return sign(envelope.payload_type, payload, [signer_of(party)])


def test_there_is_one_of_each_kind() -> None:
    assert sorted(MESSAGES) == [
        "ShareComplaint", "TagComplaint", "Withdrawal", "commit", "confirm", "seal",
    ]  # fmt: skip
    for envelope in MESSAGES.values():
        message = read_message(TERMS, envelope)
        assert envelope.payload_type == payload_type(kind_of(message))
        assert sign_message(TERMS, message, signer_of("ahu")) == envelope


def changed_values(value: Any) -> Iterator[Any]:
    """A value, changed in ways that a careless reader would pass over."""
    match value:
        case bool() | None:
            pass
        case int():
            yield from (value + 1, float(value), str(value), True, -value)
        case str():
            yield from (value + "A", value[:-1], value + "\n", [value], 7, None)
            if len(value) > 8:
                # Bits beside the last byte of base64, and the other alphabet of it.
                yield from (value[:-2] + "B=", value.replace("/", "_").replace("+", "-") + "_")
                yield value[1:] + value[0]
        case list():
            yield from (value[:-1], [*value, value[-1]], {}, "")
            for at, item in enumerate(value):
                for other in changed_values(item):
                    yield [*value[:at], other, *value[at + 1 :]]
        case dict():
            yield from ([], {**value, "mitra-9": next(iter(value.values()))})
            for name, item in value.items():
                yield {key: one for key, one in value.items() if key != name}
                for other in changed_values(item):
                    yield {**value, name: other}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_changed_message_is_refused_or_says_something_else(kind: str) -> None:
    """Whoever signs another payload signs another message, in its one spelling."""
    envelope = MESSAGES[kind]
    fields = json.loads(envelope.payload)
    tried = refused = 0
    for other in changed_values(fields):
        payload = json.dumps(other, sort_keys=True, separators=(",", ":")).encode()
        if payload == envelope.payload:
            continue
        tried += 1
        try:
            message = read_message(TERMS, resigned(envelope, payload))
        except KeysError:
            refused += 1
        else:
            assert message != read_message(TERMS, envelope)
            assert sign_message(TERMS, message, signer_of("ahu")).payload == payload
    assert tried > 20
    # Only another value of the right length is a message too.
    assert refused > tried * 0.7


@pytest.mark.parametrize("kind", MESSAGES)
def test_other_spellings_of_the_same_are_refused(kind: str) -> None:
    envelope = MESSAGES[kind]
    fields = json.loads(envelope.payload)
    text = envelope.payload.decode()
    spellings = [
        json.dumps(fields, sort_keys=True),
        json.dumps(dict(reversed(fields.items())), separators=(",", ":")),
        text + "\n",
        " " + text,
        text.replace('"v":1', '"v":1.0'),
        text.replace('"v":1', '"v":1,"v":1'),
        text.replace('"epoch"', '"epo\\u0063h"'),
        text.replace('"party"', '"more":null,"party"'),
        "[" + text + "]",
        "[" * 100_000,
        "",
    ]
    for spelling in spellings:
        assert spelling != text
        with pytest.raises(KeysError):
            read_message(TERMS, resigned(envelope, spelling.encode()))
    with pytest.raises(KeysError):
        read_message(TERMS, resigned(envelope, b"\xff" + envelope.payload))


OTHER_TERMS = {
    "agreement": replace(TERMS, agreement_id="pks/2026-02"),
    "digest of the agreement": replace(TERMS, agreement_digest=bytes(32)),
    "epoch": replace(TERMS, epoch=2),
    "key of the party": replace(TERMS, parties={**TERMS.parties, "ahu": signer_of("x").public}),
    "party": replace(
        TERMS, parties={name: TERMS.parties[name] for name in ("dukcapil", "imigrasi")}
    ),
}


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("change", OTHER_TERMS)
def test_no_message_counts_under_other_terms(kind: str, change: str) -> None:
    with pytest.raises(KeysError):
        read_message(OTHER_TERMS[change], MESSAGES[kind])


@pytest.mark.parametrize("kind", MESSAGES)
def test_only_its_party_signs_a_message(kind: str) -> None:
    envelope = MESSAGES[kind]
    bare = replace(envelope, signatures=())
    ours, theirs = signer_of("ahu"), signer_of("imigrasi")
    for signed in (bare, bare.with_signature(theirs), envelope.with_signature(theirs)):
        with pytest.raises(KeysError, match="signed by ahu"):
            read_message(TERMS, signed)
    payload = envelope.payload.replace(b'"party":"ahu"', b'"party":"imigrasi"')
    with pytest.raises(KeysError):
        read_message(TERMS, resigned(envelope, payload, "ahu"))
    with pytest.raises(KeysError, match="not the key"):
        sign_message(TERMS, Withdrawal("imigrasi"), ours)


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_is_of_its_kind(kind: str) -> None:
    envelope = MESSAGES[kind]
    kinds = [payload_type(one) for one in ("commit", "seal", "confirm", "abort", "delegate")]
    for other in {*kinds, "application/json"} - {envelope.payload_type}:
        with pytest.raises(KeysError):
            read_message(TERMS, sign(other, envelope.payload, [signer_of("ahu")]))


def test_a_complaint_is_about_another_party() -> None:
    for about in ("ahu", "nobody"):
        made = sign_message(
            TERMS, ShareComplaint("ahu", about, bytes(1200), bytes(96)), signer_of("ahu")
        )
        with pytest.raises(KeysError):
            read_message(TERMS, made)


def test_a_seal_key_that_nobody_can_seal_to_is_refused() -> None:
    fields = json.loads(MESSAGES["commit"].payload)
    sound = SealKey(bytes(range(96))).public
    for public in (b"\xff" * 1184 + sound[-32:], sound[:-32] + bytes(32), sound[:-1], bytes(1216)):
        fields["seal_key"] = base64.b64encode(public).decode()
        with pytest.raises(KeysError):
            read_message(TERMS, resigned(MESSAGES["commit"], to_json(fields)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"agreement_id": ""}, "agreement id"),
        ({"agreement_id": "a b"}, "agreement id"),
        ({"agreement_id": "a" * 256}, "agreement id"),
        ({"agreement_digest": bytes(31)}, "32 bytes"),
        ({"epoch": 0}, "epoch"),
        ({"epoch": 2**32}, "epoch"),
        ({"parties": {"ahu": bytes(32)}}, "1 parties"),
        ({"parties": {f"p{n}": bytes([n] * 32) for n in range(21)}}, "21 parties"),
        ({"parties": {"ahu": bytes(32), "AHU": b"1" * 32}}, "name of a party"),
        ({"parties": {"ahu": bytes(32), "x/y": b"1" * 32}}, "name of a party"),
        ({"parties": {"ahu": bytes(32), "imigrasi": bytes(32)}}, "one key"),
        ({"parties": {"ahu": bytes(32), "imigrasi": bytes(31)}}, "no Ed25519 key"),
    ],
)
def test_terms_that_cannot_be_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(KeysError, match=says):
        replace(TERMS, **change)


def test_terms_have_one_order_of_parties() -> None:
    parties = [(name, TERMS.parties[name]) for name in reversed(TERMS.names)]
    again = Terms(TERMS.agreement_id, TERMS.agreement_digest, TERMS.epoch, dict(parties))
    assert again.names == TERMS.names == tuple(sorted(NAMES[:3]))
    assert again == TERMS


def test_no_two_hashes_of_an_exchange_can_meet() -> None:
    """One label, other parts or other cuts of them, another hash."""
    digests = [bytes([n]) * 32 for n in range(3)]
    made = [
        TERMS.commitment("ahu", bytes(64)),
        TERMS.commitment("ah", b"u" + bytes(63)),
        TERMS.commits_hash(digests),
        TERMS.commits_hash(digests[:2]),
        TERMS.commits_hash([digests[0] + digests[1], digests[2]]),
        TERMS.transcript_hash(digests[0], digests[1:]),
        TERMS.transcript_hash(digests[0], digests),
        TERMS.share_info("ahu", "imigrasi", digests[0]),
        TERMS.share_info("imigrasi", "ahu", digests[0]),
        TERMS.share_info("ahuimi", "grasi", digests[0]),
        *(
            other.share_info("ahu", "imigrasi", digests[0])
            for name, other in OTHER_TERMS.items()
            if name not in {"key of the party", "party"}
        ),
    ]
    assert len(set(made)) == len(made) == 13


def test_a_transcript_takes_no_message_of_another() -> None:
    transcript = Transcript(OTHER_TERMS["epoch"], OPENS, DAY)
    for envelope in MESSAGES.values():
        with pytest.raises(KeysError):
            transcript.add(envelope, SOON)
    assert transcript.sent_by("ahu") == frozenset()
