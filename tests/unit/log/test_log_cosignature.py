"""Cosignatures: what exactly is signed, by whom, and what a checkpoint is worth with them."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from linkage.errors import SignatureError
from linkage.log.checkpoint import (
    Checkpoint,
    add_cosignatures,
    format_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from linkage.log.cosignature import (
    Cosigner,
    cosigned_message,
    verify_cosignature,
)
from linkage.log.cosigned import read_cosigned, verify_cosigned
from linkage.log.note import (
    Ed25519Signer,
    format_lines,
    parse_lines,
    parse_note,
    signed_line,
    verified_signatures,
)
from linkage.log.policy import GroupLine, LogLine, Policy, WitnessLine
from linkage.log.vkey import VerifierKey, parse_vkey

ORIGIN = "log.test/a"
HEAD = Checkpoint(ORIGIN, 3, bytes(range(32)))
TEXT = format_checkpoint(HEAD).encode()
LOG = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
LOG_PQ = Cosigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(b"\2" * 32), lambda: 1000.0)


def cosigner(name: str, seed: int, time: float = 1000.9) -> Cosigner:
    return Cosigner(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32), lambda: time)


def cosigner_pq(name: str, seed: int, time: float = 1000.9) -> Cosigner:
    return Cosigner(name, MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32), lambda: time)


W1, W2, W3 = (cosigner(f"w{i}.test", 10 + i) for i in range(3))
W1_PQ = cosigner_pq("w0.test", 20)
POLICY = Policy(
    (LogLine(LOG.key), LogLine(LOG_PQ.key)),
    (
        WitnessLine("a-classic", W1.key),
        WitnessLine("a-pq", W1_PQ.key),
        WitnessLine("b", W2.key),
        WitnessLine("c", W3.key),
    ),
    (GroupLine("a", 2, ("a-classic", "a-pq")), GroupLine("all", 3, ("a", "b", "c"))),
    "all",
)


def lines(*cosigners: Cosigner, text: bytes = TEXT) -> bytes:
    return format_lines([signed_line(text, one) for one in cosigners])


def test_the_message_of_ed25519_by_hand() -> None:
    key = W1.key
    time = (1000).to_bytes(8, "big")
    stamped = W1.sign(TEXT)
    assert stamped[:8] == time
    Ed25519PublicKey.from_public_bytes(key.public).verify(
        stamped[8:], b"cosignature/v1\ntime 1000\n" + TEXT
    )
    assert key.key_id == hashlib.sha256(b"w0.test\n\x04" + key.public).digest()[:4]


def test_the_message_of_ml_dsa_by_hand() -> None:
    stamped = W1_PQ.sign(TEXT)
    message = (
        b"subtree/v1\n\x00" + b"\x07w0.test" + (1000).to_bytes(8, "big")
        + b"\x0alog.test/a" + (0).to_bytes(8, "big") + (3).to_bytes(8, "big") + HEAD.root
    )  # fmt: skip
    assert stamped[:8] == (1000).to_bytes(8, "big")
    MLDSA44PublicKey.from_public_bytes(W1_PQ.key.public).verify(stamped[8:], message)
    assert W1_PQ.key.key_id == hashlib.sha256(b"w0.test\n\x06" + W1_PQ.key.public).digest()[:4]
    assert cosigned_message(W1_PQ.key, 1000, TEXT) == message


def test_the_line_of_the_specification_example_parses() -> None:
    # C2SP tlog-cosignature; its key is not published, so only the form can be checked.
    line = (
        b"\xe2\x80\x94 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWX"
        b"EhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    (signature,) = parse_lines(line)
    assert int.from_bytes(signature.signature[:8]) == 1679315147
    assert len(signature.signature) == 8 + 64
    assert format_lines([signature]) == line


@pytest.mark.parametrize("one", [W1, W1_PQ], ids=["ed25519", "ml-dsa-44"])
def test_every_part_of_what_is_signed_matters(one: Cosigner) -> None:
    stamped = one.sign(TEXT)
    assert verify_cosignature(one.key, TEXT, stamped) == 1000
    other_time = (1001).to_bytes(8) + stamped[8:]
    for text in (
        TEXT.replace(b"3\n", b"4\n", 1),
        TEXT.replace(b"log.test/a", b"log.test/b"),
        format_checkpoint(Checkpoint(ORIGIN, 3, bytes(32))).encode(),
    ):
        with pytest.raises(SignatureError, match="does not verify"):
            verify_cosignature(one.key, text, stamped)
    for wrong in (other_time, stamped[:-1], stamped + b"\0", stamped[:8]):
        with pytest.raises(SignatureError, match="does not verify"):
            verify_cosignature(one.key, TEXT, wrong)
    with pytest.raises(SignatureError, match="no time"):
        verify_cosignature(one.key, TEXT, b"\xff" * len(stamped))
    with pytest.raises(SignatureError, match="no time"):
        verify_cosignature(one.key, TEXT, b"")


def test_an_ml_dsa_cosignature_binds_the_name_of_its_key() -> None:
    renamed = VerifierKey("w9.test", 0x06, W1_PQ.key.public)
    with pytest.raises(SignatureError, match="does not verify"):
        verify_cosignature(renamed, TEXT, W1_PQ.sign(TEXT))


@pytest.mark.parametrize(
    "text",
    [b"", b"hello\n", TEXT + b"extension\n", TEXT[:-1], TEXT.replace(b"3\n", b"03\n", 1),
     b"\n" + TEXT.split(b"\n", 1)[1], TEXT.replace(b"A", b"", 1)],
)  # fmt: skip
def test_only_checkpoints_of_three_lines_are_cosigned(text: bytes) -> None:
    with pytest.raises(SignatureError, match="three lines"):
        W1.sign(text)
    with pytest.raises(SignatureError, match="three lines"):
        W1_PQ.sign(text)


def test_a_log_with_two_keys_has_to_sign_with_both() -> None:
    both = sign_checkpoint(HEAD, LOG, LOG_PQ)
    keys = [LOG.key, LOG_PQ.key]
    assert verify_checkpoint(both, keys) == HEAD
    assert verify_checkpoint(both, [LOG.key]) == HEAD
    assert verified_signatures(parse_note(both), keys) == {LOG.key: None, LOG_PQ.key: 1000}
    for one, missing in ((LOG, "0x06"), (LOG_PQ, "0x01")):
        with pytest.raises(SignatureError, match=f"missing types: {missing}"):
            verify_checkpoint(sign_checkpoint(HEAD, one), keys)
    with pytest.raises(SignatureError, match="without signature"):
        sign_checkpoint(HEAD)


def test_a_log_that_changes_its_key_signs_with_either() -> None:
    new = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\3" * 32))
    for one in (LOG, new):
        assert verify_checkpoint(sign_checkpoint(HEAD, one), [LOG.key, new.key]) == HEAD


def test_a_checkpoint_collects_its_cosignatures() -> None:
    note = sign_checkpoint(HEAD, LOG, LOG_PQ)
    keys = POLICY.witness_keys()
    with pytest.raises(SignatureError, match="missing: a-classic, a-pq, b, c"):
        verify_cosigned(note, POLICY)
    note = add_cosignatures(note, lines(W1, W1_PQ), keys)
    read = read_cosigned(note, POLICY)
    assert dict(read.times) == {"a-classic": 1000, "a-pq": 1000}
    assert read.met == {"none", "a-classic", "a-pq", "a"}
    with pytest.raises(SignatureError, match="missing: b, c"):
        verify_cosigned(note, POLICY)
    note = add_cosignatures(note, lines(W2), keys)
    note = add_cosignatures(note, lines(W3), keys)
    assert verify_cosigned(note, POLICY).checkpoint == HEAD
    assert "all" in verify_cosigned(note, POLICY).met
    # Asked twice, a witness answers twice; the first answer stays.
    later = cosigner("w1.test", 11, time=2000.0)
    assert add_cosignatures(note, lines(later), keys) == note


def test_one_key_of_two_does_not_make_the_agency_count() -> None:
    note = sign_checkpoint(HEAD, LOG, LOG_PQ)
    for one in (W1_PQ, W2, W3):
        note = add_cosignatures(note, lines(one), POLICY.witness_keys())
    with pytest.raises(SignatureError, match=r"make up all; missing: a-classic$"):
        verify_cosigned(note, POLICY)


def test_what_is_not_added() -> None:
    note = sign_checkpoint(HEAD, LOG, LOG_PQ)
    keys = POLICY.witness_keys()
    stranger = cosigner("w7.test", 77)
    assert add_cosignatures(note, lines(stranger, W2), keys) == add_cosignatures(
        note, lines(W2), keys
    )
    with pytest.raises(SignatureError, match="no signature of a known key"):
        add_cosignatures(note, lines(stranger), keys)
    other = format_checkpoint(Checkpoint(ORIGIN, 4, HEAD.root)).encode()
    with pytest.raises(SignatureError, match=r"w1\.test does not verify"):
        add_cosignatures(note, lines(W2, text=other), keys)
    for wrong in (b"", b"\n", b"x\n\n" + lines(W2), lines(W2) + b"\n", lines(W2)[:-1]):
        with pytest.raises(SignatureError):
            add_cosignatures(note, wrong, keys)


def test_a_wrong_line_of_a_trusted_witness_refuses_the_checkpoint() -> None:
    note = sign_checkpoint(HEAD, LOG, LOG_PQ)
    forged = bytearray(lines(W2)[:-1])
    text, _, encoded = bytes(forged).rpartition(b" ")
    data = bytearray(base64.b64decode(encoded))
    data[-1] ^= 1
    line = text + b" " + base64.b64encode(bytes(data)) + b"\n"
    with pytest.raises(SignatureError, match=r"w1\.test does not verify"):
        read_cosigned(note + line, POLICY)


def test_a_note_with_all_keys_of_the_largest_agreement_parses() -> None:
    # Twenty parties with two keys each, and the log with two.
    note = sign_checkpoint(HEAD, LOG, LOG_PQ)
    cosigners: list[Cosigner] = [cosigner(f"p{i}", 100 + i) for i in range(20)]
    cosigners_pq = [cosigner_pq(f"p{i}", 100 + i) for i in range(20)]
    keys = [one.key for one in (*cosigners, *cosigners_pq)]
    note = add_cosignatures(note, lines(*cosigners, *cosigners_pq), keys)
    assert len(parse_note(note).signatures) == 42
    assert len(verified_signatures(parse_note(note), keys)) == 40


def test_a_key_of_the_go_checksum_database_parses() -> None:
    key = parse_vkey("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
    assert (key.name, key.algorithm) == ("sum.golang.org", 0x01)
