"""The agent's own copy of the match log, and what it says.

The whole log is kept, and may only ever grow: a checkpoint counts if the leaves that came
with it give its root, and if the leaves that were there before are among them. Nothing of
that is taken on the matcher's word.
"""

import copy
import fcntl
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from linkage.agreement.state import State
from linkage.errors import (
    CheckpointError,
    MalformedMessageError,
    SplitViewError,
    UnavailableError,
)
from linkage.log.builder import TileBuilder
from linkage.log.checkpoint import verify_checkpoint
from linkage.log.entry import Entry, parse_entry
from linkage.log.policy import Policy
from linkage.log.tiles import ENTRIES, Tile, parse_entries, tiles_of
from linkage.store.log_files import LogFiles


class LogSource(Protocol):
    """Where the log comes from: the matcher's client."""

    def checkpoint(self) -> bytes:
        """Return the last signed checkpoint."""

    def leaves(self, start: int, end: int) -> Iterable[bytes]:
        """Return leaves of the log, in their order."""


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
        self.head = verify_checkpoint(note, self._keys) if note is not None else None
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
        leaves = list(source.leaves(self._builder.size, new.size))
        try:
            for leaf in leaves:
                tiles += ahead.append(leaf)
            entries = [parse_entry(leaf) for leaf in leaves]
        except (MalformedMessageError, ValueError) as error:
            raise self._contradiction(note, "it has a leaf that is none") from error
        if (ahead.size, ahead.root()) != (new.size, new.root):
            raise self._contradiction(note, "it did not grow out of what was seen before")
        self._write(note, new.size, (*tiles, *ahead.partial_tiles()))
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

    def _write(self, note: bytes, size: int, tiles: Iterable[tuple[Tile, bytes]]) -> None:
        """Write what is new, unless another run of this agent was there before."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            there = self._files.read_checkpoint()
            if there is not None and verify_checkpoint(there, self._keys).size >= size:
                return
            for tile, data in tiles:
                self._files.write_tile(tile, data)
            self._files.write_checkpoint(note)

    def _read(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            before, self.state = self.state, self.state.after(self.state.size, entry)
            counts = len(self.state.rejected) == len(before.rejected)
            if counts and entry.body is not None and "env" in entry.body:
                self.documents.append(entry)

    def _on_disk(self, size: int) -> list[bytes]:
        tiles = [tile for tile in tiles_of(size) if tile.level == ENTRIES]
        try:
            return [
                leaf
                for tile in tiles
                for leaf in parse_entries(self._files.read_tile(tile), tile.width)
            ]
        except (MalformedMessageError, UnavailableError) as error:
            raise self._damaged() from error

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
