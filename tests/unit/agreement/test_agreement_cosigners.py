"""By which of its keys a party has cosigned a checkpoint."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from linkage.agreement.cosigners import cosigning_keys, has_cosigned, has_lost
from linkage.agreement.principals import Key, Kind, Principal
from linkage.log.checkpoint import Checkpoint, format_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.note import Note, parse_note, sign_note
from linkage.log.vkey import format_vkey

TEXT = format_checkpoint(Checkpoint("padan.test/log", 3, bytes(32)))
NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def cosigner(kind: Kind, seed: int = 1) -> Cosigner:
    secret = bytes([seed]) * 32
    lattice = kind == "witness-ml-dsa-44"
    make = MLDSA44PrivateKey.from_seed_bytes if lattice else Ed25519PrivateKey.from_private_bytes
    return Cosigner("party/ahu", make(secret), lambda: 1.0)


CLASSIC, LATTICE = cosigner("witness"), cosigner("witness-ml-dsa-44")


def key_of(one: Cosigner, kind: Kind) -> Key:
    public = format_vkey(one.key).encode()
    return Key(sha256(public).hexdigest(), kind, public, since=1)


OLD, NEW = key_of(CLASSIC, "witness"), key_of(LATTICE, "witness-ml-dsa-44")


def party(*keys: Key) -> Principal:
    return Principal("spiffe://padan.test/party/ahu", 1, {key.id: key for key in keys})


def note(*signers: Cosigner) -> Note:
    return parse_note(sign_note(TEXT, signers))


def test_a_party_that_enrolled_one_key_cosigns_with_it() -> None:
    assert has_cosigned(note(CLASSIC), party(OLD))
    assert has_cosigned(note(CLASSIC, LATTICE), party(OLD))
    assert not has_cosigned(note(LATTICE), party(OLD))


def test_a_party_that_enrolled_both_cosigns_with_both() -> None:
    assert has_cosigned(note(LATTICE, CLASSIC), party(OLD, NEW))
    for one in (CLASSIC, LATTICE):
        assert not has_cosigned(note(one), party(OLD, NEW))
    assert cosigning_keys(party(NEW, OLD)) == [CLASSIC.key, LATTICE.key]


def test_a_type_that_was_enrolled_once_is_asked_for_ever() -> None:
    for gone in (replace(NEW, revoked=5), replace(NEW, until=NOW)):
        assert not has_cosigned(note(CLASSIC), party(OLD, gone), NOW)
        assert not has_cosigned(note(CLASSIC, LATTICE), party(OLD, gone), NOW)
    second = cosigner("witness-ml-dsa-44", 2)
    both = party(OLD, replace(NEW, revoked=5), key_of(second, "witness-ml-dsa-44"))
    assert has_cosigned(note(CLASSIC, second), both, NOW)
    assert not has_cosigned(note(CLASSIC, LATTICE), both, NOW)


def test_a_key_that_another_replaced_counts_where_no_time_is_asked() -> None:
    replaced = party(OLD, replace(NEW, until=NOW))
    assert has_cosigned(note(CLASSIC, LATTICE), replaced, NOW - DAY)
    assert not has_cosigned(note(CLASSIC, LATTICE), replaced, NOW)
    assert has_cosigned(note(CLASSIC, LATTICE), replaced)


def test_who_is_not_enrolled_or_has_no_key_has_not_cosigned() -> None:
    assert not has_cosigned(note(CLASSIC, LATTICE), None)
    assert not has_cosigned(note(CLASSIC, LATTICE), party())
    assert cosigning_keys(None) == []


def test_a_party_is_lost_once_its_newest_key_of_a_type_is_revoked() -> None:
    replaced = replace(OLD, until=NOW)
    second = key_of(cosigner("witness", 2), "witness")
    assert not has_lost(party(replaced, second, NEW))
    assert has_lost(party(replaced, replace(second, revoked=5), NEW))
    third = key_of(cosigner("witness", 3), "witness")
    assert not has_lost(party(replaced, replace(second, revoked=5), third, NEW))
