"""A reader's own copy of the match log: it may only ever grow.

The whole log is kept. A checkpoint counts if the leaves that came with it give its root, and if
the leaves that were there before are among them; nothing of that is taken on the matcher's word.
Several processes may have the same copy open: what is on disk is the copy, each of them first
takes over what another has kept, and none keeps or goes on from what does not belong to it.
Beside the leaves are the bodies that the reader may see, each held against its leaf.
"""

import copy
import fcntl
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import NamedTuple, Protocol

from linkage.errors import (
    CheckpointError,
    MalformedMessageError,
    SplitViewError,
    UnavailableError,
)
from linkage.log.builder import TileBuilder
from linkage.log.canonical import JsonObject
from linkage.log.checkpoint import Checkpoint, verify_checkpoint
from linkage.log.entry import Entry, format_body, open_body, parse_body, parse_entry, verify_body
from linkage.log.hashing import EMPTY_ROOT
from linkage.log.proof import inclusion_proof
from linkage.log.vkey import VerifierKey
from linkage.store.log_files import LogFiles

CONTRADICTION = "contradiction"
"""Name of the file beside a copy that keeps a checkpoint which contradicts it."""


_IN_MEMORY_BYTES = 1 << 20
_LENGTHS = struct.Struct(">III")


class Logged(NamedTuple):
    """An entry of the log as the matcher shows it to a reader.

    Attributes:
        leaf: its bytes.
        opening: opens the commitment; nothing where the leaf is public, or its body is not
            for this reader.
        body: what the leaf committed to, likewise.
    """

    leaf: bytes
    opening: bytes = b""
    body: bytes = b""


class LogSource(Protocol):
    """Where the log comes from: a client of the matcher."""

    def checkpoint(self) -> bytes:
        """Return the last signed checkpoint."""

    def entries(self, start: int, end: int) -> Iterable[Logged]:
        """Return entries of the log, in their order."""


class LogCopy:
    """A copy on disk, under the last checkpoint that was seen.

    Args:
        folder: of the copy.
        keys: of the log.

    Attributes:
        folder: the same.
        head: the last checkpoint that was seen; None before the first.

    Raises:
        SignatureError: the checkpoint on disk is not of the log.
        CheckpointError: a file of the copy is damaged.
    """

    def __init__(self, folder: Path, keys: Sequence[VerifierKey]) -> None:
        self.folder, self._files, self._keys = folder, LogFiles(folder), tuple(keys)
        self._builder = TileBuilder()
        # Under which the builder stands; another process may have kept a newer one since.
        self._note = self._files.read_checkpoint()
        self.head = self._kept(self._note) if self._note is not None else None
        if self.head is not None:
            for leaf in self.leaves(self.head.size):
                self._builder.append(leaf)
            if self._builder.root() != self.head.root:
                raise self.damaged()

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._builder.size

    @property
    def note(self) -> bytes:
        """The last checkpoint that was seen, as the log signed it; nothing before the first."""
        return self._files.read_checkpoint() or b""

    def leaves(self, size: int, start: int = 0) -> list[bytes]:
        """Return the first entries of the copy, from one on.

        Raises:
            CheckpointError: a file of the copy is damaged.
        """
        try:
            return self._files.read_entries(size, start)
        except (CheckpointError, UnavailableError) as error:
            raise self.damaged() from error

    def body(self, index: int) -> JsonObject | None:
        """Return what one leaf committed to; None if it is not here; raises as `bodies`."""
        data = self._files.read_body(index)
        try:
            return None if data is None else open_body(data).fields
        except MalformedMessageError as error:
            raise self.damaged() from error

    def bodies(self) -> dict[int, JsonObject]:
        """Return what confidential leaves committed to, by index, as far as it is here.

        Raises:
            CheckpointError: a file of the copy is damaged.
        """
        try:
            return {
                index: open_body(data).fields
                for index, data in self._files.read_bodies()
                if index < self.size
            }
        except MalformedMessageError as error:
            raise self.damaged() from error

    def follow(
        self,
        note: bytes,
        source: LogSource,
        on_new: Callable[[Logged, Entry], None] = lambda _logged, _entry: None,
    ) -> None:
        """Move on to a checkpoint, fetching the entries up to it; they are never all in memory.

        Args:
            note: the checkpoint.
            source: where they come from.
            on_new: told each of them in turn, once all are kept, and before them those that
                another process has kept.

        Raises:
            SignatureError: the checkpoint is not signed by the log.
            SplitViewError: the log has two histories, or other leaves than its checkpoint. The
                note is kept beside the copy: it is evidence.
            VerificationError: a body is not what its leaf committed to.
        """
        new = verify_checkpoint(note, self._keys)
        self._take_over(on_new)
        if self.head is not None and new.origin != self.head.origin:
            raise self._contradiction(note, "it is of another log")
        if new.size <= self.size:
            if self.root_at(new.size) != new.root:
                raise self._contradiction(note, "it has another history")
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES, dir=str(self.folder)) as file:
            fetched = _Fetched(file)
            ahead = copy.deepcopy(self._builder)
            for one in source.entries(self.size, new.size):
                try:
                    ahead.append(one.leaf)
                    parse_entry(one.leaf)
                except (MalformedMessageError, ValueError) as error:
                    raise self._contradiction(note, "it has a leaf that is none") from error
                fetched.add(one)
            if (ahead.size, ahead.root()) != (new.size, new.root):
                raise self._contradiction(note, "it did not grow out of what was seen before")
            # Nothing is kept before all of it has been found to belong together.
            for one in fetched:
                _check_body(one)
            self._write(note, new.size, fetched)
            self._builder, self.head, self._note = ahead, new, note
            for one in fetched:
                on_new(one, parse_entry(one.leaf))

    def root_at(self, size: int) -> bytes:
        """Return the root of the first entries of the log.

        Args:
            size: how many, at most as many as there are.
        """
        if self.head is not None and size == self.head.size:
            return self.head.root
        before = TileBuilder()
        for leaf in self.leaves(size):
            before.append(leaf)
        return before.root()

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the proof that a leaf is in the log at a size, which the copy has reached.

        Raises:
            CheckpointError: a file of the copy is damaged.
        """
        return inclusion_proof(index, size, self._files.nodes())

    def _take_over(self, on_new: Callable[[Logged, Entry], None]) -> None:
        """Go on to what another process has kept in this copy; raises and tells as `follow`."""
        note = self._files.read_checkpoint()
        if note == self._note:
            return
        there = self._kept(note) if note is not None else None
        if note is None or there is None or there.size < self.size:
            raise self.damaged()
        ahead, first = copy.deepcopy(self._builder), self.size
        leaves = self.leaves(there.size, first)
        for leaf in leaves:
            ahead.append(leaf)
        if ahead.root() != there.root:
            raise self._contradiction(self._note or note, "another process has kept another one")
        self._builder, self.head, self._note = ahead, there, note
        for index, leaf in enumerate(leaves, first):
            on_new(Logged(leaf, *self._kept_body(index)), parse_entry(leaf))

    def _write(self, note: bytes, size: int, fetched: "_Fetched") -> None:
        """Write what is new, of which another process may have written some, or more.

        Raises:
            SplitViewError: what that one wrote is of another history.
        """
        with (self.folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            on_disk = self._files.read_checkpoint()
            if on_disk != self._note:
                there = self._kept(on_disk) if on_disk is not None else None
                if there is None or there.size < self.size:
                    raise self.damaged()
                common = min(there.size, size)
                if self._root_of(fetched, common) != self._root_on_disk(there, common):
                    raise self._contradiction(note, "another process has seen another history")
                if there.size >= size:
                    return
            builder = copy.deepcopy(self._builder)
            for one in fetched:
                if one.opening:
                    self._files.write_body(builder.size, format_body(one.opening, one.body))
                for tile, data in builder.append(one.leaf):
                    self._files.write_tile(tile, data)
            for tile, data in builder.partial_tiles():
                self._files.write_tile(tile, data)
            self._files.write_checkpoint(note)

    def _root_of(self, fetched: "_Fetched", size: int) -> bytes:
        """Return the root of what is known and the first of what was fetched."""
        builder = copy.deepcopy(self._builder)
        for one in islice(fetched, size - self.size):
            builder.append(one.leaf)
        return builder.root()

    def _root_on_disk(self, there: Checkpoint, size: int) -> bytes:
        """Return the root of the first leaves on disk, which have to be of its checkpoint."""
        builder, root = TileBuilder(), EMPTY_ROOT
        for leaf in self.leaves(there.size):
            builder.append(leaf)
            if builder.size == size:
                root = builder.root()
        if builder.root() != there.root:
            raise self.damaged()
        return root

    def _kept_body(self, index: int) -> tuple[bytes, bytes]:
        """Return opening and body of one leaf; empty if they are not here; raises as `bodies`."""
        data = self._files.read_body(index)
        try:
            return (b"", b"") if data is None else parse_body(data)
        except MalformedMessageError as error:
            raise self.damaged() from error

    def _kept(self, note: bytes) -> Checkpoint:
        """Return the checkpoint on disk, which the log had signed as was asked then."""
        return verify_checkpoint(note, self._keys, every_type=False)

    def damaged(self) -> CheckpointError:
        """Return the error that says that a file of the copy is not what was written."""
        return CheckpointError(
            f"{self.folder}: the copy of the log is damaged: keep it for the auditors, and "
            "begin with an empty folder"
        )

    def _contradiction(self, note: bytes, why: str) -> SplitViewError:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / CONTRADICTION).write_bytes(note)
        return SplitViewError(
            f"a checkpoint that the log signed contradicts this copy: {why}. Keep "
            f"{self.folder} as evidence, and tell the auditors"
        )


class _Fetched:
    """Entries that came and are not kept yet.

    Args:
        file: where they are meanwhile.
    """

    def __init__(self, file: "SpooledTemporaryFile[bytes]") -> None:
        self._file = file

    def add(self, one: Logged) -> None:
        """Take the next one."""
        self._file.write(_LENGTHS.pack(*map(len, one)) + b"".join(one))

    def __iter__(self) -> Iterator[Logged]:
        """Yield all of them, from the first."""
        self._file.seek(0)
        while lengths := self._file.read(_LENGTHS.size):
            yield Logged(*(self._file.read(length) for length in _LENGTHS.unpack(lengths)))


def _check_body(one: Logged) -> None:
    """Check the body that came with an entry.

    Raises:
        VerificationError: it is not what its leaf committed to.
        MalformedMessageError: it is in another form.
    """
    if one.opening:
        verify_body(parse_entry(one.leaf), one.opening, one.body)
        format_body(one.opening, one.body)
