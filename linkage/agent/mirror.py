"""The agent's own copy of the match log, and what it says.

The whole log is kept, and may only ever grow: a checkpoint counts if the leaves that came
with it give its root, and if the leaves that were there before are among them. Nothing of
that is taken on the matcher's word. Beside the leaves are the bodies that this party may read,
each held against its leaf: what the party can tell of its own jobs, and give back to a matcher
that lost them.
"""

import copy
import fcntl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from linkage.agreement.state import State
from linkage.errors import (
    CheckpointError,
    MalformedMessageError,
    SplitViewError,
    UnavailableError,
)
from linkage.log.builder import TileBuilder
from linkage.log.checkpoint import Checkpoint, verify_checkpoint
from linkage.log.entry import Entry, format_body, parse_entry, verify_body
from linkage.log.policy import Policy
from linkage.log.tiles import Tile
from linkage.store.log_files import LogFiles


class Logged(NamedTuple):
    """An entry of the log as the matcher shows it to this party.

    Attributes:
        leaf: its bytes.
        opening: opens the commitment; nothing where the leaf is public, or its body is not
            for this party.
        body: what the leaf committed to, likewise.
    """

    leaf: bytes
    opening: bytes = b""
    body: bytes = b""


class LogSource(Protocol):
    """Where the log comes from: the matcher's client."""

    def checkpoint(self) -> bytes:
        """Return the last signed checkpoint."""

    def entries(self, start: int, end: int) -> Iterable[Logged]:
        """Return entries of the log, in their order."""


class Mirror:
    """A copy of the log on disk, under the last checkpoint that was seen.

    Args:
        folder: of the copy.
        trust: the trust file.

    Attributes:
        head: the last checkpoint that was seen; None before the first.
        state: what the log says under it.
        documents: its entries that carry a signed document and count, in their order.

    Raises:
        SignatureError: the checkpoint on disk is not of a log of the trust file.
        CheckpointError: a file of the copy is damaged.
    """

    def __init__(self, folder: Path, trust: Policy) -> None:
        self._folder, self._files = folder, LogFiles(folder)
        self._keys = [line.key for line in trust.logs]
        self._builder = TileBuilder()
        self.documents: list[Entry] = []
        self.state = State()
        note = self._files.read_checkpoint()
        self.head = self._kept(note) if note is not None else None
        if self.head is not None:
            leaves = self._on_disk(self.head.size)
            for leaf in leaves:
                self._builder.append(leaf)
            if self._builder.root() != self.head.root:
                raise self._damaged()
            self._read(map(parse_entry, leaves))

    def update(self, source: LogSource) -> State:
        """Fetch what is new, and return what the log says now.

        Raises:
            SignatureError: the checkpoint is not signed by the log.
            SplitViewError: the log has two histories, or other leaves than its checkpoint. The
                note is kept beside the copy, as `contradiction`: it is evidence.
            VerificationError: a body is not what its leaf committed to.
        """
        return self.follow(source.checkpoint(), source)

    def follow(self, note: bytes, source: LogSource) -> State:
        """Move on to a checkpoint, fetching the leaves up to it; raises as `update`."""
        new = verify_checkpoint(note, self._keys)
        if self.head is not None and new.origin != self.head.origin:
            raise self._contradiction(note, "it is of another log")
        if new.size <= self._builder.size:
            if self.root_at(new.size) != new.root:
                raise self._contradiction(note, "it has another history")
            return self.state
        # Nothing is kept before all of it has been found to belong together.
        ahead, tiles = copy.deepcopy(self._builder), list[tuple[Tile, bytes]]()
        logged = list(source.entries(self._builder.size, new.size))
        try:
            for one in logged:
                tiles += ahead.append(one.leaf)
            entries = [parse_entry(one.leaf) for one in logged]
        except (MalformedMessageError, ValueError) as error:
            raise self._contradiction(note, "it has a leaf that is none") from error
        if (ahead.size, ahead.root()) != (new.size, new.root):
            raise self._contradiction(note, "it did not grow out of what was seen before")
        bodies = _checked_bodies(self._builder.size, entries, logged)
        self._write(note, new.size, (*tiles, *ahead.partial_tiles()), bodies)
        self._builder, self.head = ahead, new
        self._read(entries)
        return self.state

    def root_at(self, size: int) -> bytes:
        """Return the root of the first entries of the log.

        Args:
            size: how many, at most as many as there are.
        """
        if self.head is not None and size == self.head.size:
            return self.head.root
        before = TileBuilder()
        for leaf in self._on_disk(size):
            before.append(leaf)
        return before.root()

    def _write(
        self,
        note: bytes,
        size: int,
        tiles: Iterable[tuple[Tile, bytes]],
        bodies: Mapping[int, bytes],
    ) -> None:
        """Write what is new, unless another run of this agent was there before."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            there = self._files.read_checkpoint()
            if there is not None and self._kept(there).size >= size:
                return
            for tile, data in tiles:
                self._files.write_tile(tile, data)
            for index, data in bodies.items():
                self._files.write_body(index, data)
            self._files.write_checkpoint(note)

    def _read(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            before, self.state = self.state, self.state.after(self.state.size, entry)
            counts = len(self.state.rejected) == len(before.rejected)
            if counts and entry.body is not None and "env" in entry.body:
                self.documents.append(entry)

    def _on_disk(self, size: int) -> list[bytes]:
        try:
            return self._files.read_entries(size)
        except (CheckpointError, UnavailableError) as error:
            raise self._damaged() from error

    def _kept(self, note: bytes) -> Checkpoint:
        """Return the checkpoint on disk, which the log had signed as was asked then."""
        return verify_checkpoint(note, self._keys, every_type=False)

    def _damaged(self) -> CheckpointError:
        return CheckpointError(
            f"{self._folder}: the copy of the log is damaged: keep it for the auditors, and "
            "begin with an empty folder"
        )

    def _contradiction(self, note: bytes, why: str) -> SplitViewError:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "contradiction"
        path.write_bytes(note)
        return SplitViewError(
            f"a checkpoint that the log signed contradicts this agent's copy: {why}. Keep "
            f"{self._folder} as evidence, and tell the auditors"
        )


def _checked_bodies(
    start: int, entries: Sequence[Entry], logged: Sequence[Logged]
) -> dict[int, bytes]:
    """Return the bodies that came with some entries, as files, by index.

    Raises:
        VerificationError: one is not what its leaf committed to.
        MalformedMessageError: one is in another form.
    """
    bodies = {}
    for index, (entry, one) in enumerate(zip(entries, logged, strict=True), start):
        if one.opening:
            verify_body(entry, one.opening, one.body)
            bodies[index] = format_body(one.opening, one.body)
    return bodies
