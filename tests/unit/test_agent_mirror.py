"""The agent's copy of the log: grows by proof, and never takes two histories."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from linkage.agent.mirror import Mirror
from linkage.errors import (
    CheckpointError,
    SignatureError,
    SplitViewError,
    VerificationError,
)
from linkage.log.builder import TileBuilder
from linkage.log.canonical import JsonObject, format_json
from linkage.log.checkpoint import Checkpoint, sign_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.entry import Entry, commit_body, format_entry, parse_body
from linkage.log.note import Ed25519Signer, Signer
from linkage.log.policy import LogLine, Policy
from linkage.store.log_copy import Logged

ORIGIN = "padan.test/log"
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
TRUST = Policy((LogLine(SIGNER.key),))
TIME = datetime(2026, 11, 22, tzinfo=UTC)


def leaf(number: int, word: str = "a") -> bytes:
    body: JsonObject = {"origin": ORIGIN, "admins": [], "word": word, "number": number}
    kind = "genesis" if number == 0 else "anchor"
    return format_entry(Entry(kind, TIME, "matcher", None, body=body))


class Log:
    """A log that a matcher shows, whatever it may be."""

    def __init__(self, leaves: Sequence[bytes], signer: Ed25519Signer = SIGNER) -> None:
        self.all, self.size = list(leaves), len(leaves)
        self.signers: tuple[Signer, ...] = (signer,)

    def root(self) -> bytes:
        builder = TileBuilder()
        for one in self.all[: self.size]:
            builder.append(one)
        return builder.root()

    def checkpoint(self) -> bytes:
        return sign_checkpoint(Checkpoint(ORIGIN, self.size, self.root()), *self.signers)

    def entries(self, start: int, end: int) -> list[Logged]:
        return [Logged(one) for one in self.all[start:end]]


@pytest.mark.parametrize("sizes", [[1], [5], [255, 256, 257], [300, 300, 900], [1, 700]])
@pytest.mark.parametrize("in_memory", [1 << 20, 100])
def test_a_copy_grows_with_its_log_and_is_the_same_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], in_memory: int
) -> None:
    monkeypatch.setattr("linkage.store.log_copy._IN_MEMORY_BYTES", in_memory)
    log, mirror = Log([leaf(i) for i in range(900)]), Mirror(tmp_path / "log", TRUST)
    for size in sizes:
        log.size = size
        state = mirror.update(log)
        again = Mirror(tmp_path / "log", TRUST)
        assert mirror.head is not None
        assert again.head == mirror.head
        assert (mirror.head.size, mirror.head.root) == (size, log.root())
        assert again.state == mirror.state == state
        assert state.size == size
    for size in (0, 1, sizes[0] - 1):
        log.size = size
        assert mirror.root_at(size) == log.root()


def test_an_older_checkpoint_of_the_same_log_changes_nothing(tmp_path: Path) -> None:
    log, mirror = Log([leaf(i) for i in range(20)]), Mirror(tmp_path / "log", TRUST)
    mirror.update(log)
    log.size = 7
    assert mirror.update(log).size == 20
    assert mirror.head is not None
    assert mirror.head.size == 20


@pytest.mark.parametrize("size", [1, 5, 9, 10, 11, 300])
@pytest.mark.parametrize("restart", [False, True])
def test_another_history_is_refused_and_kept_as_evidence(
    tmp_path: Path, size: int, restart: bool
) -> None:
    mirror = Mirror(tmp_path / "log", TRUST)
    mirror.update(Log([leaf(i) for i in range(10)]))
    if restart:
        mirror = Mirror(tmp_path / "log", TRUST)
    other = Log([leaf(i, "b") for i in range(size)])
    with pytest.raises(SplitViewError, match="contradicts"):
        mirror.update(other)
    assert (tmp_path / "log" / "contradiction").read_bytes() == other.checkpoint()
    # What was seen first stays, also on disk.
    kept = Mirror(tmp_path / "log", TRUST)
    assert kept.head == mirror.head
    assert kept.state.size == 10


def test_leaves_that_their_checkpoint_does_not_cover_are_refused(tmp_path: Path) -> None:
    class Lies(Log):
        def entries(self, start: int, end: int) -> list[Logged]:
            return [*super().entries(start, end)[:-1], Logged(leaf(99, "c"))]

    with pytest.raises(SplitViewError, match="did not grow"):
        Mirror(tmp_path / "log", TRUST).update(Lies([leaf(i) for i in range(10)]))


def test_a_leaf_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SplitViewError, match="a leaf that is none"):
        Mirror(tmp_path / "log", TRUST).update(Log([leaf(0), b"{}"]))


def test_a_checkpoint_under_another_key_is_refused(tmp_path: Path) -> None:
    other = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    with pytest.raises(SignatureError):
        Mirror(tmp_path / "log", TRUST).update(Log([leaf(0)], other))
    assert not (tmp_path / "log" / "checkpoint").exists()


def test_a_copy_goes_on_under_a_trust_file_that_names_a_second_key(tmp_path: Path) -> None:
    """What is on disk was signed by one key; what comes from now on has to be by both."""
    log = Log([leaf(i) for i in range(3)])
    Mirror(tmp_path / "log", TRUST).update(log)
    second = Cosigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes(32)), lambda: 1.0)
    trust = Policy((LogLine(SIGNER.key), LogLine(second.key)))
    mirror = Mirror(tmp_path / "log", trust)
    assert mirror.state.size == 3
    with pytest.raises(SignatureError, match="0x06"):
        mirror.update(log)
    log.signers = (SIGNER, second)
    log.all.append(leaf(3))
    log.size = 4
    assert mirror.update(log).size == 4


def test_a_damaged_copy_is_refused(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "log", TRUST)
    mirror.update(Log([leaf(i) for i in range(10)]))
    (path,) = (p for p in (tmp_path / "log" / "tile" / "entries").rglob("*") if p.is_file())
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"number":3', b'"number":4'))
    with pytest.raises(CheckpointError, match="damaged"):
        Mirror(tmp_path / "log", TRUST)
    path.write_bytes(content[:-3])
    with pytest.raises(CheckpointError, match="damaged"):
        Mirror(tmp_path / "log", TRUST)
    path.unlink()
    with pytest.raises(CheckpointError, match="damaged"):
        Mirror(tmp_path / "log", TRUST)


def test_two_runs_of_an_agent_on_one_copy_do_not_harm_each_other(tmp_path: Path) -> None:
    log = Log([leaf(i) for i in range(40)])
    one, other = Mirror(tmp_path / "log", TRUST), Mirror(tmp_path / "log", TRUST)
    log.size = 30
    one.update(log)
    log.size = 20
    other.update(log)
    assert Mirror(tmp_path / "log", TRUST).state.size == 30
    log.size = 40
    other.update(log)
    one.update(log)
    assert Mirror(tmp_path / "log", TRUST).state.size == 40


def _with_body(opening: bytes, body: bytes) -> Logged:
    """A confidential leaf, and what the matcher says that it committed to."""
    commitment = commit_body(bytes(32), format_json({"job": "a"}))
    entry = Entry("job.cancelled", TIME, "matcher", "PKS-1", commitment=commitment)
    return Logged(format_entry(entry), opening, body)


class _Confidential(Log):
    """A log that ends in a confidential leaf."""

    def __init__(self, last: Logged) -> None:
        super().__init__([leaf(0), last.leaf])
        self._last = last

    def entries(self, start: int, end: int) -> list[Logged]:
        return [*super().entries(start, end)[:-1], self._last]


def test_bodies_that_the_party_may_read_are_kept_as_a_bundle_has_them(tmp_path: Path) -> None:
    content = format_json({"job": "a"})
    Mirror(tmp_path / "log", TRUST).update(_Confidential(_with_body(bytes(32), content)))
    kept = (tmp_path / "log" / "bodies" / "1.json").read_bytes()
    assert parse_body(kept) == (bytes(32), content)


@pytest.mark.parametrize(
    ("opening", "body"),
    [(bytes(32), b'{"job":"b"}'), (b"x" * 32, b'{"job":"a"}'), (bytes(31), b'{"job":"a"}')],
)
def test_a_body_that_its_leaf_did_not_commit_to_is_refused(
    opening: bytes, body: bytes, tmp_path: Path
) -> None:
    with pytest.raises(VerificationError, match="body"):
        Mirror(tmp_path / "log", TRUST).update(_Confidential(_with_body(opening, body)))
    assert not (tmp_path / "log" / "checkpoint").exists()
