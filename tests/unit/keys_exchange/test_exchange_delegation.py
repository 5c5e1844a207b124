"""The key of an epoch goes to the office that it was sealed for, and to no other."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from exchange_world import World, signer_of, terms_of

from keys.canonical import to_json
from keys.delegated import PAYLOAD_TYPE, Delegation, read_delegation, sign_delegation
from keys.delegation import delegate, open_delegation
from keys.dsse import sign
from keys.errors import KeysError
from keys.messages import Posting
from keys.sealing import SealKey, seal
from keys.terms import Terms

TERMS = terms_of(4)
HEAD, OFFICE = "kemenlu", "spiffe://padan.test/office/kemenlu.kjri-penang"
SECRET, T = bytearray(range(32)), bytes(range(32, 64))
KEY, OTHER_KEY = SealKey(bytes(range(96))), SealKey(bytes(range(1, 97)))


def given(terms: Terms = TERMS, **changes: Any) -> Posting:
    asked: dict[str, Any] = {
        "party": HEAD, "signer": signer_of(HEAD), "office": OFFICE, "seal_key": KEY.public,
        "secret": SECRET, "transcript_hash": T,
    }  # fmt: skip
    return delegate(terms, **{**asked, **changes})


def opened(posting: Posting, terms: Terms = TERMS, **changes: Any) -> bytearray:
    asked: dict[str, Any] = {
        "envelope": posting.envelope, "ciphertext": posting.ciphertexts[0], "seal_key": KEY,
        "office": OFFICE, "transcript_hash": T,
    }  # fmt: skip
    return open_delegation(terms, **{**asked, **changes})


def test_an_office_gets_the_key_of_its_head_office() -> None:
    world = World(TERMS)
    world.run()
    secret, transcript_hash = world.exchanges[HEAD].linkage_secret(), world.transcript().hash
    posting = given(secret=secret, transcript_hash=transcript_hash)
    assert opened(posting, transcript_hash=transcript_hash) == secret
    assert secret == world.exchanges["ahu"].linkage_secret()


def test_anybody_reads_who_was_given_what() -> None:
    posting = given()
    found = read_delegation(TERMS, posting.envelope)
    assert (found.party, found.office, found.transcript) == (HEAD, OFFICE, T)
    assert bytes(SECRET) not in posting.envelope.payload + posting.ciphertexts[0]
    assert len(posting.envelope.to_bytes()) < 2048


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"office": "spiffe://padan.test/office/kemenlu.kbri-tokyo"}, "a key for"),
        ({"seal_key": OTHER_KEY}, "another key"),
        ({"transcript_hash": bytes(32)}, "another exchange"),
        ({"ciphertext": given().ciphertexts[0]}, "fetch it again"),
        ({"ciphertext": b""}, "fetch it again"),
    ],
)
def test_nothing_else_opens_it(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(KeysError, match=says):
        opened(given(), **changes)


@pytest.mark.parametrize(
    "terms",
    [
        terms_of(4, epoch=2),
        terms_of(4, agreement="pks/2026-02"),
        replace(TERMS, agreement_digest=bytes(32)),
        replace(TERMS, parties={**TERMS.parties, HEAD: signer_of("x").public}),
        terms_of(2),
    ],
    ids=["epoch", "agreement", "digest", "key of the party", "parties"],
)
def test_it_belongs_to_one_agreement_and_epoch(terms: Terms) -> None:
    with pytest.raises(KeysError):
        opened(given(), terms)


def test_the_seal_itself_is_bound_to_all_of_it() -> None:
    """A ciphertext for another office, epoch or exchange does not open, whoever signs for it."""
    wanted = given()
    found = read_delegation(TERMS, wanted.envelope)
    others = [
        given(office="spiffe://padan.test/office/kemenlu.kbri-tokyo"),
        given(transcript_hash=bytes(32)),
        given(terms_of(4, epoch=2)),
        given(party="ahu", signer=signer_of("ahu")),
        Posting(wanted.envelope, (seal(KEY.public, SECRET, b""),)),
    ]
    for other in others:
        (ciphertext,) = other.ciphertexts
        named = replace(found, ciphertext=sha256(ciphertext).digest())
        lie = sign_delegation(TERMS, named, signer_of(HEAD))
        with pytest.raises(KeysError, match="does not open"):
            opened(Posting(lie, (ciphertext,)))


def test_a_ciphertext_of_another_length_is_no_key() -> None:
    longer = seal(KEY.public, bytes(33), b"")
    found = replace(read_delegation(TERMS, given().envelope), ciphertext=sha256(longer).digest())
    with pytest.raises(KeysError, match="length"):
        opened(Posting(sign_delegation(TERMS, found, signer_of(HEAD)), (longer,)))


def test_only_the_head_office_gives_its_key() -> None:
    with pytest.raises(KeysError, match="not the key"):
        given(signer=signer_of("ahu"))
    with pytest.raises(KeysError, match="32 bytes"):
        given(secret=bytearray(31))
    with pytest.raises(KeysError, match="sealed to"):
        given(seal_key=bytes(1216))
    for office in ("", "a b", "a" * 256, "kjri\n"):
        with pytest.raises(KeysError):
            given(office=office)


def test_a_delegation_has_one_spelling_and_one_signature() -> None:
    envelope = given().envelope
    fields = json.loads(envelope.payload)
    bare = replace(envelope, signatures=())
    text = envelope.payload
    refused = [
        bare,
        bare.with_signature(signer_of("ahu")),
        envelope.with_signature(signer_of("ahu")),
        sign("application/json", text, [signer_of(HEAD)]),
        *(
            sign(PAYLOAD_TYPE, payload, [signer_of(HEAD)])
            for payload in (
                b"",
                b"[]",
                b"[" * 100_000,
                text + b" ",
                text.replace(b'"v":1', b'"v":1.0'),
                to_json({**fields, "more": 1}),
                to_json({**fields, "party": "ahu"}),
                to_json({**fields, "party": ["kemenlu"]}),
                to_json({**fields, "party": "nobody"}),
                to_json({**fields, "office": 7}),
                to_json({**fields, "transcript": fields["transcript"][:-4]}),
                *(to_json({k: v for k, v in fields.items() if k != name}) for name in fields),
            )
        ),
    ]
    assert len(refused) == 15 + len(fields)
    for wrong in refused:
        with pytest.raises(KeysError):
            read_delegation(TERMS, wrong)
    assert isinstance(read_delegation(TERMS, envelope), Delegation)
