"""Who has to cosign, and who stands in for a party whose key to cosign with is gone."""

import pytest
from agreement_world import LOG, World, agreement, amendment, uri, usual
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from linkage.agreement.state import State
from linkage.agreement.witnesses import Needed, lines_missing, witnesses_needed
from linkage.log.checkpoint import Checkpoint, format_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.note import Note, parse_note, sign_note
from linkage.log.vkey import format_vkey

DOCUMENT = agreement("P3")
PAIR = tuple(DOCUMENT.by_id)[:2]
NAMES = DOCUMENT.witnesses.names


def with_lost(*lost: str) -> State:
    """A log in which all parties had a key to cosign with, and some lost it."""
    world, _ = usual(DOCUMENT)
    serials = dict.fromkeys(NAMES, 1)
    for number, party in enumerate(NAMES):
        private = Ed25519PrivateKey.from_private_bytes(bytes([100 + number]) * 32)
        key = format_vkey(Cosigner(f"party/{party}", private, lambda: 0.0).key)
        world.rotate(f"party/{party}", ["admin0", "admin1"], serials[party], witness_key=key)
        serials[party] += 1
    for party in lost:
        keys = world.state.principals.by_uri[uri(f"party/{party}")].keys.values()
        (key_id,) = (one.id for one in keys if one.kind == "witness")
        world.revoke(f"party/{party}", ["admin0", "admin1"], serials[party], keys=(key_id,))
    assert not world.state.rejected
    return world.state


def test_without_a_loss_each_party_has_to_cosign() -> None:
    needed = witnesses_needed(with_lost(), DOCUMENT.id, PAIR)
    assert needed == Needed(PAIR)
    assert needed.missing(lambda party: party == PAIR[0]) == PAIR[1:]
    assert needed.missing(lambda _party: True) == ()


def test_as_many_of_those_outside_the_job_as_agreed_stand_in_for_one_that_is_lost() -> None:
    needed = witnesses_needed(with_lost(PAIR[1]), DOCUMENT.id, PAIR)
    others = tuple(name for name in NAMES if name not in PAIR)
    assert (needed.needed, needed.lost, needed.others) == (PAIR[:1], PAIR[1:], others)
    assert needed.quorum == DOCUMENT.witnesses.replacement_quorum == 2
    # The one that is left has to in any case, and stands in for nobody.
    assert needed.missing(lambda _party: False) == PAIR[:1] + others
    assert needed.missing(lambda party: party == PAIR[0]) == others
    assert needed.missing(lambda party: party in others) == PAIR[:1]
    assert needed.missing(lambda party: party in (PAIR[0], others[0])) == others[1:]
    assert needed.missing(lambda party: party in (PAIR[0], *others)) == ()


def test_where_all_witnesses_are_of_the_job_it_waits_for_the_new_key() -> None:
    needed = witnesses_needed(with_lost(NAMES[1]), DOCUMENT.id, NAMES)
    assert not needed.others
    assert needed.missing(lambda party: party != NAMES[1]) == NAMES[1:2]


def test_where_the_others_are_too_few_only_a_new_key_helps() -> None:
    needed = witnesses_needed(with_lost(*NAMES), DOCUMENT.id, PAIR)
    assert needed.missing(lambda _party: True) == PAIR
    assert Needed((), ("a",), ("b",), 0).missing(lambda _party: True) == ("a",)


def test_who_never_had_a_key_is_waited_for_by_name() -> None:
    world, _ = usual(DOCUMENT)
    assert witnesses_needed(world.state, DOCUMENT.id, PAIR) == Needed(PAIR)


def cosigner(party: str, seed: int) -> Cosigner:
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return Cosigner(f"party/{party}", private, lambda: 1.0)


def enrol(world: World, party: str, serial: int, one: Cosigner, **own: str) -> None:
    key = {"witness_key": format_vkey(one.key)} | own
    world.rotate(f"party/{party}", ["admin0", "admin1"], serial, **key)
    assert world.refused is None


def released() -> tuple[World, Note]:
    """A log, and a checkpoint over all of it that both parties have cosigned with their keys."""
    world, _ = usual(DOCUMENT)
    signers = [cosigner(party, number) for number, party in enumerate(PAIR, 1)]
    for party, one in zip(PAIR, signers, strict=True):
        enrol(world, party, 1, one)
    text = format_checkpoint(Checkpoint(LOG, world.state.size, bytes(32)))
    return world, parse_note(sign_note(text, signers))


def revoke(world: World, party: str, serial: int) -> None:
    keys = world.state.principals.by_uri[uri(f"party/{party}")].keys.values()
    (key_id,) = (one.id for one in keys if one.kind == "witness" and one.revoked is None)
    world.revoke(f"party/{party}", ["admin0", "admin1"], serial, keys=(key_id,))
    assert world.refused is None


def test_a_key_that_comes_later_is_not_asked_for_under_an_old_checkpoint() -> None:
    world, note = released()
    assert lines_missing(note, world.state, DOCUMENT.id, PAIR) == ()
    private = MLDSA44PrivateKey.from_seed_bytes(bytes([9]) * 32)
    lattice = Cosigner(f"party/{PAIR[1]}", private, lambda: 1.0)
    world.rotate(
        f"party/{PAIR[1]}", ["admin0", "admin1"], 2, witness_ml_dsa_key=format_vkey(lattice.key)
    )
    assert world.refused is None
    assert lines_missing(note, world.state, DOCUMENT.id, PAIR) == ()
    # Under the next one it is.
    text = format_checkpoint(Checkpoint(LOG, world.state.size, bytes(32)))
    signers = [cosigner(party, number) for number, party in enumerate(PAIR, 1)]
    late = parse_note(sign_note(text, signers))
    assert lines_missing(late, world.state, DOCUMENT.id, PAIR) == PAIR[1:]
    late = parse_note(sign_note(text, [*signers, lattice]))
    assert lines_missing(late, world.state, DOCUMENT.id, PAIR) == ()


def test_a_key_that_is_revoked_later_has_signed_an_old_checkpoint() -> None:
    world, note = released()
    revoke(world, PAIR[1], 2)
    assert lines_missing(note, world.state, DOCUMENT.id, PAIR) == ()
    enrol(world, PAIR[1], 3, cosigner(PAIR[1], 7))
    assert lines_missing(note, world.state, DOCUMENT.id, PAIR) == ()
    # What it signs from there on counts no more.
    text = format_checkpoint(Checkpoint(LOG, world.state.size, bytes(32)))
    signers = [cosigner(party, number) for number, party in enumerate(PAIR, 1)]
    late = parse_note(sign_note(text, signers))
    assert lines_missing(late, world.state, DOCUMENT.id, PAIR) == PAIR[1:]


def test_a_whole_party_that_leaves_later_has_signed_an_old_checkpoint() -> None:
    world, note = released()
    world.revoke(f"party/{PAIR[1]}", ["admin0", "admin1"], 2)
    assert world.refused is None
    assert lines_missing(note, world.state, DOCUMENT.id, PAIR) == ()


def test_who_stands_in_is_said_by_the_version_of_that_time() -> None:
    world, _ = released()
    size = world.state.size
    revoke(world, PAIR[1], 2)
    assert witnesses_needed(world.state, DOCUMENT.id, PAIR, size) == Needed(PAIR)
    assert witnesses_needed(world.state, DOCUMENT.id, PAIR).lost == PAIR[1:]
    first = witnesses_needed(world.state, DOCUMENT.id, PAIR)
    before = world.state.size
    later = amendment(DOCUMENT)
    world.register(later)
    assert world.refused is None
    at = world.state.agreements.version_at
    versions = [at(DOCUMENT.id, one) for one in (1, before, before + 1)]
    digests = [one.digest if one else None for one in versions]
    assert digests == [None, DOCUMENT.digest(), later.digest()]
    assert witnesses_needed(world.state, DOCUMENT.id, PAIR, before) == first


@pytest.mark.parametrize("name", [f"party/{PAIR[0]}", LOG, PAIR[1], f"office/{PAIR[1]}/tawau"])
def test_a_key_whose_lines_would_name_somebody_else_is_not_enrolled(name: str) -> None:
    world, _ = usual(DOCUMENT)
    private = Ed25519PrivateKey.from_private_bytes(bytes([50]) * 32)
    lattice = MLDSA44PrivateKey.from_seed_bytes(bytes([50]) * 32)
    for word, key in (("witness_key", private), ("witness_ml_dsa_key", lattice)):
        vkey = format_vkey(Cosigner(name, key, lambda: 1.0).key)
        world.rotate(f"party/{PAIR[1]}", ["admin0", "admin1"], 1, **{word: vkey})
        assert world.refused == "KEY_OF_OTHER_NAME"
        world.enrol("party/ahu-baru", **{word: vkey})
        assert world.refused == "KEY_OF_OTHER_NAME"
