"""Who has to cosign, and who stands in for a party whose key to cosign with is gone."""

from agreement_world import agreement, uri, usual
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.agreement.state import State
from linkage.agreement.witnesses import Needed, witnesses_needed
from linkage.log.cosignature import Cosigner
from linkage.log.vkey import format_vkey

DOCUMENT = agreement()
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


def test_as_many_of_the_others_as_agreed_stand_in_for_one_that_is_lost() -> None:
    needed = witnesses_needed(with_lost(PAIR[1]), DOCUMENT.id, PAIR)
    others = tuple(name for name in NAMES if name != PAIR[1])
    assert (needed.needed, needed.lost, needed.others) == (PAIR[:1], PAIR[1:], others)
    assert needed.quorum == DOCUMENT.witnesses.replacement_quorum > 0
    # The one that is left has to in any case; with it, as many as agreed.
    assert needed.missing(lambda _party: False) == others
    assert needed.missing(lambda party: party != PAIR[0])[:1] == PAIR[:1]
    assert needed.missing(lambda party: party in others[: needed.quorum]) == ()
    assert needed.missing(lambda party: party in others[: needed.quorum - 1]) != ()


def test_where_the_others_are_too_few_only_a_new_key_helps() -> None:
    needed = witnesses_needed(with_lost(*NAMES), DOCUMENT.id, PAIR)
    assert needed.missing(lambda _party: True) == PAIR
    assert Needed((), ("a",), ("b",), 0).missing(lambda _party: True) == ("a",)


def test_who_never_had_a_key_is_waited_for_by_name() -> None:
    world, _ = usual(DOCUMENT)
    assert witnesses_needed(world.state, DOCUMENT.id, PAIR) == Needed(PAIR)
