"""The witness: one history for each log, whatever the log and its timing try."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from memory_witness import MemoryStore, nodes_of

from linkage.errors import CheckpointError, MalformedMessageError, SignatureError
from linkage.log.checkpoint import Checkpoint, add_cosignatures, sign_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.hashing import leaf_hash
from linkage.log.note import Ed25519Signer, parse_note, verified_signatures
from linkage.log.proof import consistency_proof
from linkage.log.tree import root_of
from linkage.log.witness import (
    Accepted,
    Cosigned,
    Evidence,
    Refusal,
    Refused,
    Witness,
    WitnessRequest,
    WitnessState,
    format_request,
    judge,
    parse_request,
    request_origin,
)

ORIGIN = "log.test/a"
LOG = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
STRANGER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\2" * 32))
OTHER_LOG = Ed25519Signer("log.test/b", Ed25519PrivateKey.from_private_bytes(b"\3" * 32))
COSIGNERS = (
    Cosigner("w.test", Ed25519PrivateKey.from_private_bytes(b"\4" * 32), lambda: 7.0),
    Cosigner("w.test", MLDSA44PrivateKey.from_seed_bytes(b"\5" * 32), lambda: 7.0),
)
LEAVES = [leaf_hash(b"%d" % i) for i in range(20)]
FORKED = [*LEAVES[:4], leaf_hash(b"other"), *LEAVES[5:]]


def request(
    old: int,
    size: int,
    leaves: Sequence[bytes] = LEAVES,
    signer: Ed25519Signer = LOG,
    proof: Sequence[bytes] | None = None,
) -> bytes:
    head = Checkpoint(signer.key.name, size, root_of(leaves[:size]))
    if proof is None:
        proof = consistency_proof(min(old, size), size, nodes_of(leaves))
    return format_request(WitnessRequest(old, tuple(proof), sign_checkpoint(head, signer)))


def witness(store: MemoryStore) -> Witness:
    return Witness(store, [LOG.key], COSIGNERS)


def state_at(size: int, leaves: Sequence[bytes] = LEAVES) -> WitnessState:
    answer = judge(WitnessState(), request(0, size, leaves), [LOG.key])
    assert isinstance(answer, Accepted)
    return answer.state


def refused(state: WitnessState, data: bytes) -> Refused:
    answer = judge(state, data, [LOG.key])
    assert isinstance(answer, Refused)
    return answer


def test_a_growing_log_is_cosigned_step_by_step() -> None:
    store, old = MemoryStore(), 0
    for size in (0, 1, 2, 5, 5, 8, 19, 20):
        data = request(old, size)
        answer = witness(store).add_checkpoint(data)
        assert isinstance(answer, Cosigned)
        assert answer.state == store.states[ORIGIN]
        assert (answer.state.size, answer.state.root) == (size, root_of(LEAVES[:size]))
        keys = [one.key for one in COSIGNERS]
        note = add_cosignatures(parse_request(data).note, answer.lines, keys)
        assert verified_signatures(parse_note(note), keys) == dict.fromkeys(keys, 7)
        old = size
    assert store.kept == []


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (request(5, 8, signer=OTHER_LOG), Refusal.ORIGIN_UNKNOWN),
        (request(5, 8, signer=STRANGER), Refusal.SIGNATURE_INVALID),
        (request(5, 4, proof=()), Refusal.OLD_SIZE_TOO_LARGE),
        (request(4, 8), Refusal.OLD_SIZE_STALE),
        (request(4, 4), Refusal.OLD_SIZE_STALE),
        (request(0, 8), Refusal.OLD_SIZE_STALE),
        (request(7, 8), Refusal.OLD_SIZE_STALE),
        (request(5, 5, FORKED), Refusal.FORK),
        (request(0, 5, FORKED), Refusal.FORK),
        (request(5, 8, FORKED), Refusal.NOT_CONSISTENT),
        (request(5, 8, proof=()), Refusal.NOT_CONSISTENT),
        (request(5, 5, proof=(LEAVES[0],)), Refusal.NOT_CONSISTENT),
        (request(5, 8, proof=(b"x",)), Refusal.NOT_CONSISTENT),
        (request(5, 8)[:-1], Refusal.MALFORMED),
        (b"", Refusal.MALFORMED),
        (b"old 5\n\nhello\n", Refusal.MALFORMED),
    ],
)
def test_each_refusal_has_its_name_and_changes_nothing(data: bytes, refusal: Refusal) -> None:
    state = state_at(5)
    answer = refused(state, data)
    assert answer.refusal is refusal
    assert answer.size == (5 if refusal.status in (409, 422) else None)
    against = refusal in (Refusal.FORK, Refusal.NOT_CONSISTENT)
    assert answer.evidence == (Evidence(refusal, state.note, data) if against else None)
    store = MemoryStore()
    store.states[ORIGIN] = state
    assert witness(store).add_checkpoint(data) == answer
    assert store.states == {ORIGIN: state}
    assert store.kept == ([answer.evidence] if against else [])


def test_the_evidence_of_a_fork_convinces_a_stranger() -> None:
    evidence = refused(state_at(5), request(5, 5, FORKED)).evidence
    assert evidence is not None
    notes = [evidence.cosigned, parse_request(evidence.request).note]
    for note in notes:
        assert verified_signatures(parse_note(note), [LOG.key]) == {LOG.key: None}
    texts = [parse_note(note).text.split("\n") for note in notes]
    assert texts[0][:2] == texts[1][:2]
    assert texts[0][2] != texts[1][2]


def test_a_log_with_two_keys_has_to_sign_with_both() -> None:
    second = Cosigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(b"\6" * 32), lambda: 7.0)
    keys = [LOG.key, second.key]
    head = Checkpoint(ORIGIN, 1, LEAVES[0])
    one = format_request(WitnessRequest(0, (), sign_checkpoint(head, LOG)))
    both = format_request(WitnessRequest(0, (), sign_checkpoint(head, LOG, second)))
    answer = judge(WitnessState(), one, keys)
    assert isinstance(answer, Refused)
    assert answer.refusal is Refusal.SIGNATURE_INVALID
    assert isinstance(judge(WitnessState(), both, keys), Accepted)


@pytest.mark.parametrize("sizes", [(6, 9), (9, 6), (9, 9)])
def test_two_requests_at_once_never_roll_back(sizes: tuple[int, int]) -> None:
    """Both read the same state; the second to write has to judge anew."""
    for _ in range(20):
        store = MemoryStore()
        store.states[ORIGIN] = state_at(5)
        store.pause = threading.Barrier(2)
        one = Witness(store, [LOG.key], COSIGNERS[:1])
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(one.add_checkpoint, [request(5, size) for size in sizes]))
        cosigned = [one.state.size for one in answers if isinstance(one, Cosigned)]
        lost = [one for one in answers if isinstance(one, Refused)]
        assert len(cosigned) == 1
        assert store.states[ORIGIN].size == cosigned[0]
        assert [(one.refusal, one.size) for one in lost] == [(Refusal.OLD_SIZE_STALE, cosigned[0])]


def test_nothing_is_signed_before_the_state_is_on_disk() -> None:
    class FullDisk(MemoryStore):
        def replace(self, *_: object) -> bool:
            raise OSError("no space")

    class Watched(Cosigner):
        def sign(self, _text: bytes) -> bytes:
            raise AssertionError("signed before it was written")

    key = Ed25519PrivateKey.from_private_bytes(b"\4" * 32)
    watched = Witness(FullDisk(), [LOG.key], [Watched("w.test", key, lambda: 7.0)])
    with pytest.raises(OSError, match="no space"):
        watched.add_checkpoint(request(0, 5))


def test_the_bytes_of_a_request() -> None:
    data = request(5, 8)
    parsed = parse_request(data)
    assert data.startswith(b"old 5\n")
    assert data.count(b"\n\n") == 2
    assert parsed.old == 5
    assert format_request(parsed) == data
    assert request_origin(data) == ORIGIN
    assert format_request(parse_request(request(0, 8))).startswith(b"old 0\n\nlog.test/a\n")


NOTE = parse_request(request(0, 1)).note


@pytest.mark.parametrize(
    "data",
    [
        b"old 5\n" + NOTE.split(b"\n\n")[0],
        b"old 05\n\n" + NOTE,
        b"old  5\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"Old 5\n\n" + NOTE,
        b"5\n\n" + NOTE,
        b"old 5 \n\n" + NOTE,
        b"old 5\r\n\n" + NOTE,
        b"old 5\nYQ\n\n" + NOTE,
        b"old 5\nYQ==\r\n\n" + NOTE,
        b"old 5\n\xff\n\n" + NOTE,
        b"old 5\n" + b"YQ==\n" * 64 + b"\n" + NOTE,
        b"old 5\n\n" + NOTE + bytes(1 << 21),
    ],
)
def test_malformed_requests_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_request(data)


def test_a_request_without_checkpoint_names_no_origin() -> None:
    with pytest.raises(SignatureError):
        request_origin(b"old 5\n\n")
    with pytest.raises(CheckpointError):
        request_origin(b"old 5\n\nhello\n\n" + NOTE.split(b"\n\n")[1])
