"""Parties that are slow come together on one checkpoint, though the log goes on."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
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
    key = Key(party, "witness", format_vkey(cosigner_of(party).key).encode(), 0)
    return Principal(f"spiffe://padan.test/party/{party}", 0, {key.id: key})


def cosignatures_of(principals: Principals, log: GrowingLog, folder: Path) -> Cosignatures:
    known = replace(State(), principals=principals)
    return Cosignatures(
        cast("Any", log),
        cast("Any", SimpleNamespace(known=known, refresh=lambda: None)),
        CosignedFiles(folder),
        lambda: 1.0,
        lambda: None,
        monotonic=lambda: log.now,
    )


@pytest.mark.parametrize("trip_s", [0.1, 1.0, 3.0, 4.5])
def test_slow_parties_cosign_the_same(trip_s: float, tmp_path: Path) -> None:
    parties = ("a", "b", "c", "d", "e")
    principals = Principals()
    for party in parties:
        principals = principals._with(principal_of(party))
    log = GrowingLog()
    cosignatures = cosignatures_of(principals, log, tmp_path)
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


def with_lines(note: bytes, cosigners: list[Cosigner]) -> bytes:
    lines = format_lines([signed_line(parse_note(note).text.encode(), one) for one in cosigners])
    return add_cosignatures(note, lines, [one.key for one in cosigners])


def test_a_party_with_many_keys_takes_up_one_line(tmp_path: Path) -> None:
    secrets = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(40)]
    cosigners = [Cosigner("party/a", secret, lambda: 1.0) for secret in secrets]
    until = datetime(2030, 1, 1, tzinfo=UTC)
    vkeys = [format_vkey(one.key) for one in cosigners]
    keys = [Key(vkey, "witness", vkey.encode(), 1, until) for vkey in vkeys]
    principal = Principal("spiffe://padan.test/party/a", 1, {key.id: key for key in keys})
    cosignatures = cosignatures_of(Principals()._with(principal), GrowingLog(), tmp_path)
    note = cosignatures.head()
    for sent in ([cosigners[7]], cosigners[:30], [cosigners[39]], cosigners[:5]):
        cosignatures.add(Identity("padan.test", "party", "a"), with_lines(note, sent))
    (line,) = (one for one in parse_note(cosignatures.head()).signatures if one.name == "party/a")
    assert line.key_id == cosigners[39].key.key_id


def test_lines_sent_again_or_for_what_is_over_make_no_turn_longer(tmp_path: Path) -> None:
    log = GrowingLog()
    cosignatures = cosignatures_of(Principals()._with(principal_of("a")), log, tmp_path)
    identity, first = Identity("padan.test", "party", "a"), cosignatures.head()
    sent = with_lines(first, [cosigner_of("a")])
    cosignatures.add(identity, sent)
    log.now = 4.0
    cosignatures.add(identity, sent)
    second = cosignatures.head()
    assert second != first
    log.now = 20.0
    cosignatures.add(identity, with_lines(second, [cosigner_of("a")]))
    assert list(cosignatures._late_s) == [0.0]


def test_only_a_full_disk_is_a_reason_to_try_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        CosignedFiles(tmp_path / "file").write(1, b"")
