"""Receipts: one file that shows, without the matcher, that the log has an entry."""

import base64
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.errors import MalformedMessageError, ProofError, SignatureError, VerificationError
from linkage.log.checkpoint import Checkpoint, add_cosignatures, sign_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.hashing import leaf_hash
from linkage.log.note import Ed25519Signer, format_lines, parse_note, signed_line
from linkage.log.policy import LogLine, Policy, WitnessLine, format_policy
from linkage.log.proof import inclusion_proof
from linkage.log.receipt import Receipt, format_receipt, parse_receipt, verify_receipt
from linkage.log.tree import root_of

LOG = Ed25519Signer("log.test/a", Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
WITNESS = Cosigner("w", Ed25519PrivateKey.from_private_bytes(b"\2" * 32), lambda: 9.0)
POLICY = Policy((LogLine(LOG.key),), (WitnessLine("w", WITNESS.key),), (), "w")
ENTRIES = [b"entry %d" % i for i in range(11)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
SIGNED = sign_checkpoint(Checkpoint("log.test/a", 11, root_of(LEAVES)), LOG)
LINES = format_lines([signed_line(parse_note(SIGNED).text.encode(), WITNESS)])
NOTE = add_cosignatures(SIGNED, LINES, [WITNESS.key])


def receipt(index: int, note: bytes = NOTE) -> bytes:
    proof = inclusion_proof(index, 11, lambda h, i: root_of(LEAVES[i << h : (i + 1) << h]))
    return format_receipt(Receipt(index, tuple(proof), note))


@pytest.mark.parametrize("index", range(11))
def test_a_receipt_shows_its_own_entry_and_no_other(index: int) -> None:
    data = receipt(index)
    cosigned = verify_receipt(data, ENTRIES[index], POLICY)
    assert (cosigned.checkpoint.size, dict(cosigned.times)) == (11, {"w": 9})
    with pytest.raises(ProofError):
        verify_receipt(data, ENTRIES[index - 1], POLICY)


def test_the_bytes_of_a_receipt() -> None:
    data = receipt(10)
    sibling = base64.b64encode(root_of(LEAVES[8:10]))
    left = base64.b64encode(root_of(LEAVES[:8]))
    assert data == (b"c2sp.org/tlog-proof@v1\nindex 10\n" + sibling + b"\n" + left + b"\n\n" + NOTE)
    assert format_receipt(parse_receipt(data)) == data


def test_a_receipt_without_enough_cosignatures_is_worth_nothing() -> None:
    with pytest.raises(SignatureError, match="missing: w"):
        verify_receipt(receipt(3, SIGNED), ENTRIES[3], POLICY)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"proof@v1", b"proof@v2"),
        (b"index 3", b"index 03"),
        (b"index 3", b"Index 3"),
        (b"index 3\n", b""),
        (b"index 3", b"extra YQ==\nindex 3"),
        (b"index 3\n", b"index 3\r\n"),
        (b"index 3\n", b"index 3\nYQ\n"),
        (b"index 3\n", b"index 3\n" + b"YQ==\n" * 64),
        (b"\n\n", b"\n"),
        (b"c2sp", b"\xff"),
    ],
)
def test_malformed_receipts_are_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_receipt(receipt(3).replace(old, new))


def test_what_would_not_parse_is_not_written() -> None:
    with pytest.raises(MalformedMessageError):
        format_receipt(Receipt(-1, (), NOTE))


def test_any_flipped_bit_is_found() -> None:
    data = receipt(3)
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises((MalformedMessageError, VerificationError)):
            verify_receipt(bytes(flipped), ENTRIES[3], POLICY)


def test_the_program_of_contrib_agrees_on_every_flipped_bit() -> None:
    program = receipt_program()
    trust = program.Trust(format_policy(POLICY))
    data, entry = receipt(10), ENTRIES[10]
    changed = [data, data + b"\n", data[:-1], data.replace(b"index 10", b"index 9"), b""]
    changed += [data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]
                for at in range(8 * len(data))]  # fmt: skip
    taken = 0
    for one in changed:
        ours = theirs = True
        try:
            verify_receipt(one, entry, POLICY)
        except (MalformedMessageError, VerificationError):
            ours = False
        try:
            program.verify_receipt(one, entry, trust)
        except program.BadError:
            theirs = False
        assert ours == theirs, one
        taken += ours
    assert taken == 1
    assert program.root_by(entry, 11, 11, []) is None


def receipt_program() -> ModuleType:
    path = Path(__file__).parents[3] / "contrib" / "receipt.py"
    spec = importlib.util.spec_from_file_location("receipt_program", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
