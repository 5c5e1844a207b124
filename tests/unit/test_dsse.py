"""Signed documents: vectors of the standard, one spelling, and who signed."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.dsse import (
    Ed25519Signer,
    Envelope,
    check_envelope,
    envelope_in,
    pae,
    parse_envelope,
    sign,
)
from keys.errors import KeysError

KIND = "application/vnd.padan.test+json"


def signer(seed: int) -> Ed25519Signer:
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def test_the_bytes_signed_are_those_of_the_standard() -> None:
    # protocol.md of DSSE, its worked example.
    kind, payload = "http://example.com/HelloWorld", b"hello world"
    assert pae(kind, payload) == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_another_library_agrees_on_the_bytes_signed() -> None:
    other = pytest.importorskip("securesystemslib.dsse", reason="securesystemslib is not here")
    for payload in (b"", b"x", bytes(range(256)), "Ä".encode()):
        theirs = other.Envelope(payload=payload, payload_type=KIND, signatures={}).pae()
        assert pae(KIND, payload) == theirs


def test_a_signature_counts_under_a_known_key_only() -> None:
    one, two, three = signer(1), signer(2), signer(3)
    envelope = sign(KIND, b"{}", [two, one])
    keys = {s.key_id: s.public for s in (one, three)}
    assert envelope.signers(keys) == {one.key_id}
    assert envelope.with_signature(three).signers(keys) == {one.key_id, three.key_id}


@pytest.mark.parametrize("change", ["type", "payload", "signature", "key"])
def test_a_changed_part_is_not_signed(change: str) -> None:
    one, two = signer(1), signer(2)
    made = sign(KIND, b"{}", [one])
    ((key_id, signature),) = made.signatures
    changed = {
        "type": Envelope(KIND + "x", made.payload, made.signatures),
        "payload": Envelope(KIND, b"{ }", made.signatures),
        "signature": Envelope(KIND, made.payload, ((key_id, signature[:-1]),)),
        "key": Envelope(KIND, made.payload, ((two.key_id, signature),)),
    }[change]
    assert not changed.signers({s.key_id: s.public for s in (one, two)})


def test_an_envelope_that_was_checked_before_says_the_same() -> None:
    one, two, three, four = (signer(number) for number in range(1, 5))
    made = sign(KIND, b"{}", [one, two, three])
    forged = tuple(
        (key, made if key != two.key_id else b"\0" * 64) for key, made in made.signatures
    )
    envelope = Envelope(KIND, made.payload, forged)
    tried = {s.key_id: s.public for s in (one, two, four)}
    checked = check_envelope(envelope, tried)
    assert (checked.tried.keys(), checked.holding) == ({one.key_id, two.key_id}, {one.key_id})
    # Another public key under the name of one that was tried; and one that was not.
    for keys in (tried, {one.key_id: two.public}, {three.key_id: three.public}, {}):
        assert checked.signers(keys) == envelope.signers(keys)


def test_envelopes_of_one_document_are_merged_and_of_two_not() -> None:
    one, two = signer(1), signer(2)
    merged = sign(KIND, b"{}", [one]).merged(sign(KIND, b"{}", [two]))
    assert merged == sign(KIND, b"{}", [one, two])
    with pytest.raises(KeysError, match="different documents"):
        merged.merged(sign(KIND, b"[]", [two]))


def test_an_envelope_has_one_spelling() -> None:
    made = sign(KIND, b"\xff\xfe~", [signer(1), signer(2)])
    content = made.to_bytes()
    assert parse_envelope(content) == made
    fields = json.loads(content)
    spellings = [
        content + b"\n",
        json.dumps(fields).encode(),
        json.dumps(dict(reversed(fields.items())), separators=(",", ":")).encode(),
        content.replace(b"//5+", b"__5-"),
        content.replace(b'"signatures"', b'"sig\\u006eatures"'),
    ]
    assert content not in spellings
    for spelling in spellings:
        with pytest.raises(KeysError):
            parse_envelope(spelling)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": None},
        {"payload": "no base64"},
        {"payloadType": ""},
        {"payloadType": "x" * 129},
        {"more": 1},
        {"signatures": {}},
        {"signatures": [{"keyid": "a"}]},
        {"signatures": [{"keyid": "a", "sig": "", "more": ""}]},
        {"signatures": [{"keyid": "a", "sig": ""}] * 2},
        {"signatures": [{"keyid": "b", "sig": ""}, {"keyid": "a", "sig": ""}]},
        {"signatures": [{"keyid": f"{i:03}", "sig": ""} for i in range(65)]},
    ],
)
def test_what_is_no_envelope_is_refused(change: dict[str, object]) -> None:
    fields = sign(KIND, b"{}", [signer(1)]).to_json()
    with pytest.raises(KeysError, match="not an envelope"):
        envelope_in({**fields, **change})
    with pytest.raises(KeysError, match="not an envelope"):
        parse_envelope(json.dumps({**fields, **change}, separators=(",", ":")).encode())


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_no_json_is_no_envelope(content: bytes) -> None:
    with pytest.raises(KeysError, match="not an envelope"):
        parse_envelope(content)


def test_a_signer_shows_nothing_of_its_key() -> None:
    one = signer(1)
    assert repr(one) == f"Ed25519Signer({one.key_id})"
