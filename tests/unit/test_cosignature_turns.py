"""Parties that are slow come together on one checkpoint, though the log goes on."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.identity import Identity
from linkage.agreement.principals import Key, Principal, Principals
from linkage.agreement.state import State
from linkage.log.checkpoint import Checkpoint, add_cosignatures, sign_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.hashing import leaf_hash
from linkage.log.note import Ed25519Signer, format_lines, parse_note, signed_line
from linkage.log.vkey import format_vkey
from linkage.matcher.cosignatures import Cosignatures
from linkage.store.cosigned_files import CosignedFiles

ORIGIN = "padan.test/log"
LOG = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\1" * 32))


@dataclass
class GrowingLog:
    """A log with one leaf more each second; its roots are of nothing."""

    now: float = 0.0
    origin: str = ORIGIN

    def checkpoint(self) -> bytes:
        size = 1 + int(self.now)
        return sign_checkpoint(Checkpoint(ORIGIN, size, leaf_hash(b"%d" % size)), LOG)


def cosigner_of(party: str) -> Cosigner:
    seed = leaf_hash(party.encode())
    return Cosigner(f"party/{party}", Ed25519PrivateKey.from_private_bytes(seed), lambda: 1.0)


def principal_of(party: str) -> Principal:
    key = Key(party, "witness", format_vkey(cosigner_of(party).key).encode(), 1)
    return Principal(f"spiffe://padan.test/party/{party}", 1, {key.id: key})


@pytest.mark.parametrize("trip_s", [0.1, 1.0, 3.0, 4.5])
def test_slow_parties_cosign_the_same(trip_s: float, tmp_path: Path) -> None:
    parties = ("a", "b", "c", "d", "e")
    principals = Principals()
    for party in parties:
        principals = principals._with(principal_of(party))
    log = GrowingLog()
    known = replace(State(), principals=principals)
    cosignatures = Cosignatures(
        cast("Any", log),
        cast("Any", SimpleNamespace(known=known)),
        CosignedFiles(tmp_path),
        lambda: 1.0,
        lambda: None,
        monotonic=lambda: log.now,
    )
    # Each asks, and its line arrives after a trip; then it asks again. They are out of step.
    asks = {party: number * trip_s / len(parties) for number, party in enumerate(parties)}
    carried = dict[str, bytes]()
    while cosignatures.complete("", parties, 0) is None:
        party = min(asks, key=lambda one: asks[one])
        log.now = asks[party]
        assert log.now < 60, "they never cosigned one checkpoint together"
        if party in carried:
            note, cosigner = carried.pop(party), cosigner_of(party)
            line = format_lines([signed_line(parse_note(note).text.encode(), cosigner)])
            identity = Identity("padan.test", "party", party)
            cosignatures.add(identity, add_cosignatures(note, line, [cosigner.key]))
            asks[party] += 0.2
        else:
            carried[party] = cosignatures.head()
            asks[party] += trip_s
