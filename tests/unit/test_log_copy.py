"""One copy of the log, opened by two processes of a party: it has one history all the same."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.agent.cosigning import Witness
from linkage.agent.mirror import Mirror
from linkage.errors import SplitViewError
from linkage.log.builder import TileBuilder
from linkage.log.checkpoint import Checkpoint, sign_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.entry import Entry, format_entry
from linkage.log.note import Ed25519Signer, is_signed_by, parse_note
from linkage.store.log_copy import CONTRADICTION, LogCopy, Logged

ORIGIN = "padan.test/log"
LOG = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
OWN = Cosigner("party/a", Ed25519PrivateKey.from_private_bytes(b"\2" * 32), lambda: 1.0)
TRUST = cast("Any", SimpleNamespace(logs=[SimpleNamespace(key=LOG.key)]))


def leaf(type_: str, **body: str) -> bytes:
    time = datetime(2026, 11, 1, tzinfo=UTC)
    return format_entry(Entry(type_, time, "matcher/m", None, body=dict(body)))


COMMON = [leaf("genesis", origin=ORIGIN), *(leaf("admin.x", t=f"c{i}") for i in range(4))]
ONE = COMMON + [leaf("admin.x", t=f"x{i}") for i in range(600)]
OTHER = COMMON + [leaf("admin.x", t=f"y{i}") for i in range(600)]


class Shown:
    """A matcher as one process sees it: a log, up to a size.

    Args:
        leaves: of the log.
        size: how many of them.
        between: called while the leaves are fetched.
    """

    def __init__(self, leaves: list[bytes], size: int, between: Any = None) -> None:
        self._leaves, self._size, self._between = leaves, size, between
        self.cosigned = b""

    def checkpoint(self, *, to_cosign: bool = False) -> bytes:
        del to_cosign
        builder = TileBuilder()
        for one in self._leaves[: self._size]:
            builder.append(one)
        return sign_checkpoint(Checkpoint(ORIGIN, self._size, builder.root()), LOG)

    def entries(self, start: int, end: int) -> Iterable[Logged]:
        if self._between is not None:
            self._between()
        return [Logged(one) for one in self._leaves[start:end]]

    def add_cosignature(self, note: bytes) -> None:
        self.cosigned = note


def cosigned(mirror: Mirror, shown: Shown) -> bool:
    Witness(mirror, [OWN]).cosign(cast("Any", shown))
    return is_signed_by(parse_note(shown.cosigned), [OWN.key])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Mirror, Mirror]:
    first = Mirror(tmp_path / "log", TRUST)
    assert cosigned(first, Shown(COMMON, 5))
    return first, Mirror(tmp_path / "log", TRUST)


@pytest.mark.parametrize("size", [15, 20, 30, 300])
def test_a_second_process_cosigns_no_other_history(pair: tuple[Mirror, Mirror], size: int) -> None:
    first, second = pair
    assert cosigned(first, Shown(ONE, 20))
    shown = Shown(OTHER, size)
    with pytest.raises(SplitViewError):
        cosigned(second, shown)
    assert not shown.cosigned
    assert (first.copy.folder / CONTRADICTION).read_bytes() == shown.checkpoint()
    # The copy goes on as it was.
    assert cosigned(first, Shown(ONE, 40))
    assert Mirror(first.copy.folder, TRUST).root_at(40) == first.root_at(40)


@pytest.mark.parametrize("size", [15, 20, 30, 300])
def test_nor_does_one_whose_leaves_come_while_the_other_writes(
    pair: tuple[Mirror, Mirror], size: int
) -> None:
    first, second = pair
    shown = Shown(OTHER, size, lambda: cosigned(first, Shown(ONE, 20)))
    with pytest.raises(SplitViewError):
        cosigned(second, shown)
    assert not shown.cosigned
    assert (first.copy.folder / CONTRADICTION).read_bytes() == shown.checkpoint()
    assert cosigned(first, Shown(ONE, 40))


def test_processes_of_one_log_take_over_what_the_other_has_kept(
    pair: tuple[Mirror, Mirror],
) -> None:
    first, second = pair
    for size in (20, 250, 256, 300, 290, 600):
        assert cosigned(first, Shown(ONE, size))
        before = Shown(ONE, size - 5, between=pytest.fail)
        assert cosigned(second, before)
        assert second.state.size == first.state.size
        assert second.head == first.head
        first, second = second, first
    late = Shown(ONE, 603, lambda: cosigned(first, Shown(ONE, 605)))
    assert cosigned(second, late)
    assert cosigned(second, Shown(ONE, 604))
    assert second.state.size == first.state.size == LogCopy(first.copy.folder, [LOG.key]).size
