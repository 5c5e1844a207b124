"""An agreement as a signed document."""

import pytest
from agreement_world import agreement, changed, public, signer

from keys.dsse import parse_envelope, sign
from linkage.agreement.envelope import (
    AGREEMENT_TYPE,
    add_signature,
    agreement_in,
    leaf_bytes,
    sign_agreement,
    signed_by,
)
from linkage.agreement.payload import leaf_body
from linkage.errors import MalformedMessageError
from linkage.log.entry import Entry, format_entry
from linkage.log.tiles import MAX_ENTRY_BYTES

IMIGRASI, DUKCAPIL = signer("party/imigrasi"), signer("party/dukcapil")


def test_a_signed_agreement_is_read_back_with_its_signers() -> None:
    document = agreement()
    envelope = add_signature(sign_agreement(document, [IMIGRASI]), DUKCAPIL)
    again = parse_envelope(envelope.to_bytes())
    assert agreement_in(again) == document
    assert [party.id for party in signed_by(document, again)] == ["imigrasi", "dukcapil"]


def test_a_party_has_signed_when_all_its_keys_have() -> None:
    document = changed(agreement(), "parties.0.sign_keys", [public("party/imigrasi"), public("x")])
    envelope = sign_agreement(document, [IMIGRASI, DUKCAPIL])
    assert [party.id for party in signed_by(document, envelope)] == ["dukcapil"]
    both = add_signature(envelope, signer("x"))
    assert [party.id for party in signed_by(document, both)] == ["imigrasi", "dukcapil"]


def test_nobody_signs_with_a_key_that_is_not_listed() -> None:
    with pytest.raises(MalformedMessageError, match="not listed in the agreement"):
        sign_agreement(agreement(), [signer("stranger")])


def test_a_signature_of_another_document_is_none() -> None:
    envelope = sign_agreement(agreement(), [IMIGRASI])
    other = sign(AGREEMENT_TYPE, changed(agreement(), "rights.hours", 1).to_bytes(), [])
    moved = type(envelope)(other.payload_type, other.payload, envelope.signatures)
    assert signed_by(agreement_in(moved), moved) == ()


@pytest.mark.parametrize("process", ["P1", "P3", "P7"])
def test_a_leaf_is_no_longer_than_was_reckoned(process: str) -> None:
    document = agreement(process)
    names = (
        ["party/instansi", "ppdp"]
        if process == "P7"
        else [f"party/{p.id}" for p in document.parties]
    )
    envelope = sign_agreement(document, [signer(name) for name in names])
    from agreement_world import START

    entry = Entry(
        "agreement.register", START, "office/" + "x" * 200, document.id, tuple(range(10)),
        body=leaf_body(envelope),
    )  # fmt: skip
    assert len(format_entry(entry)) <= leaf_bytes(document) <= MAX_ENTRY_BYTES


def test_an_agreement_that_fits_no_leaf_is_not_signed() -> None:
    text = {"id": "x" * 2_000, "en": "y" * 2_000}
    contacts = [{"name": "n" * 200, "contact": "c" * 200}] * 16
    document = agreement("P3", title=text, purpose={
        "code": "abg", "process": "P3", "text": text, "relation": text,
    }, incident={**agreement().to_json()["incident"], "contacts": contacts}, exemptions=[
        {
            "article": "a" * 200, "law": "l" * 200, "balancing_sha256": "ab" * 32,
            "letter": "t" * 200, "expires_on": "2027-12-31",
        }
    ] * 16)  # fmt: skip
    with pytest.raises(MalformedMessageError, match="shorten"):
        sign_agreement(document, [])


def test_other_documents_are_no_agreements() -> None:
    for kind, payload in (
        ("application/vnd.padan.stop+json", agreement().to_bytes()),
        (AGREEMENT_TYPE, b"{}"),
        (AGREEMENT_TYPE, b"no json"),
    ):
        with pytest.raises(MalformedMessageError):
            agreement_in(sign(kind, payload, []))
