"""The write path of the match log: files and signature brought up to the database.

Sequencing is the database's: an entry has its index once the caller's transaction
commits. Publishing then writes the tiles, records which head is about to be
signed, signs it, and replaces the checkpoint, in this order; a crash between any
two steps leaves a state from which the next start goes on.

Signing is refused wherever it could contradict an earlier signature. A database
that was restored from a backup is behind the head it signed or behind the files,
or has other entries: going on from there would be a fork. If database and files
were both restored to the same moment, nothing here can notice; the witnesses do.

There is one writer per log. Two processes on one log are kept apart by whoever
starts them.
"""

from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Protocol

from linkage.errors import CheckpointError, InputError, SignatureError, UnavailableError
from linkage.log.builder import TileBuilder
from linkage.log.bundle import CHECKPOINT
from linkage.log.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from linkage.log.note import Signer, parse_note
from linkage.log.proof import consistency_proof, inclusion_proof, root_of_first
from linkage.log.tiles import Tile
from linkage.log.vkey import VerifierKey
from linkage.store.log_files import LogFiles

_CHUNK = 1024
_MOST_ROOTS = 1024
REMEDY = "nothing is signed: `padan matcher rebuild` makes the log again from a mirror"


class EntryStore(Protocol):
    """What the match log needs of the database. Calls see committed state only."""

    def entry_count(self) -> int:
        """Return the number of entries."""
        ...

    def read_entries(self, start: int, end: int) -> list[bytes]:
        """Return entries start up to end, in their order."""
        ...

    def signed_head(self) -> tuple[int, bytes] | None:
        """Return the last (size, root) given to `save_signed_head`, if any."""
        ...

    def save_signed_head(self, size: int, root: bytes) -> None:
        """Record durably, before it returns, that (size, root) is about to be signed."""
        ...


class MatchLog:
    """The one writer of a log.

    Args:
        entries: the database.
        files: the tiles and the checkpoint.
        signers: the keys of the log, named as its origin, in the order of their lines.
        origin: the name of the log.

    Raises:
        ValueError: there is no signer, or one has another name.
    """

    def __init__(
        self, entries: EntryStore, files: LogFiles, signers: Sequence[Signer], origin: str
    ) -> None:
        if {signer.key.name for signer in signers} != {origin}:
            names = ", ".join(signer.key.name for signer in signers) or "nobody"
            raise ValueError(f"the signer is {names}, the log {origin}")
        self._entries = entries
        self._files = files
        self._signers = tuple(signers)
        self._origin = origin
        self._lock = RLock()
        # None until the database has been checked, and again after any failure:
        # then nothing is signed before the check has passed once more.
        self._builder: TileBuilder | None = None
        self._note: bytes | None = None
        self._size = 0
        # By size, those that callers have seen lately: of what is published none ever changes.
        self._roots: dict[int, bytes] = {}

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """The keys that verify what it signs."""
        return tuple(signer.key for signer in self._signers)

    @property
    def origin(self) -> str:
        """The name of the log, and of its keys."""
        return self._origin

    def recover(self) -> None:
        """Check database, signed head and files against each other, and mend the files.

        Reads every entry. Call it at start, before anything is served.

        Raises:
            CheckpointError: the database is behind what was signed or written, or
                has another history. Nothing has been signed or written then.
        """
        with self._lock:
            self._roots.clear()
            self._builder = None
            self._builder = self._recover()

    def publish(self) -> bytes:
        """Bring tiles and checkpoint up to the database; nothing new changes nothing.

        Returns:
            The signed checkpoint over every entry that was committed before the call.

        Raises:
            CheckpointError: signing would contradict an earlier signature.
            OSError: a file could not be written; the next call starts over.
        """
        with self._lock:
            builder = self._builder if self._builder is not None else self._recover()
            self._builder = None
            note = self._publish(builder)
            self._builder = builder
            return note

    def checkpoint(self) -> bytes:
        """Return the last published checkpoint.

        Raises:
            UnavailableError: nothing has been published yet.
        """
        with self._lock:
            if self._note is None:
                raise UnavailableError("the log has published nothing yet")
            return self._note

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return published entries start up to end.

        Raises:
            InputError: not 0 <= start <= end <= published size.
        """
        with self._lock:
            self._check_published(0 <= start <= end, end)
            return self._read(start, end)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the proof that leaf `index` is in the log at `size`.

        Raises:
            InputError: not 0 <= index < size <= published size.
        """
        with self._lock:
            self._check_published(0 <= index < size, size)
            return inclusion_proof(index, size, self._files.nodes())

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the log at `new` extends the log at `old`.

        Raises:
            InputError: not 0 <= old <= new <= published size.
        """
        with self._lock:
            self._check_published(0 <= old <= new, new)
            return consistency_proof(old, new, self._files.nodes())

    def root_at(self, size: int) -> bytes | None:
        """Return the root of the log at a size, or None where it is not so long yet."""
        # Without the lock: whoever asks has the database, which publishing waits for. Tiles
        # of what is published never change.
        if not 0 <= size <= self._size:
            return None
        root = self._roots.get(size)
        if root is None:
            if len(self._roots) >= _MOST_ROOTS:
                self._roots.clear()
            root = self._roots[size] = root_of_first(size, self._files.nodes())
        return root

    def bundle_files(self) -> dict[str, bytes]:
        """Return checkpoint and tiles as last published, by path: a bundle but for bodies.

        Raises:
            UnavailableError: nothing has been published yet.
        """
        with self._lock:
            return {CHECKPOINT: self.checkpoint(), **self._files.files_at(self._size)}

    def _recover(self) -> TileBuilder:
        count = self._entries.entry_count()
        heads: dict[int, bytes] = {}
        note = self._files.read_checkpoint()
        published = self._open(note) if note is not None else None
        if published is not None:
            heads[published.size] = published.root
        signed = self._entries.signed_head()
        if signed is not None and heads.setdefault(*signed) != signed[1]:
            raise CheckpointError(f"two roots for size {signed[0]} were signed: {REMEDY}")
        written = max([self._files.entry_count(), *heads])
        if written > count:
            raise CheckpointError(
                f"the database has {count} entries, and {written} were signed or written; "
                f"it may be a restored backup: {REMEDY}"
            )
        size = published.size if published is not None else 0
        missing = []

        def compare(tile: Tile, data: bytes) -> None:
            if not self._files.is_whole(tile, data):
                missing.append(tile)

        # Writing waits until all of the history has been found to be what was signed. What the
        # files have else is damage then, as from a loss of power, and no other history.
        builder = self._replay(count, size, heads, compare)
        if missing:
            builder = self._replay(count, size, heads, self._files.mend_tile)
        self._size, self._note = size, note
        return builder

    def _publish(self, builder: TileBuilder) -> bytes:
        count = self._entries.entry_count()
        if count < builder.size:
            raise CheckpointError(f"the database lost entries while running: {REMEDY}")
        self._feed(builder, count, self._files.write_tile)
        if self._note is not None and count == self._size and self._has_all_lines(self._note):
            return self._note
        for tile, data in builder.partial_tiles():
            self._files.write_tile(tile, data)
        head = Checkpoint(self._origin, count, builder.root())
        # Read again: a second writer by mistake shows here, before it becomes a fork.
        signed = self._entries.signed_head()
        if signed is not None and (
            signed[0] > count or (signed[0] == count and signed[1] != head.root)
        ):
            raise CheckpointError(f"size {signed[0]} was signed by another writer: {REMEDY}")
        self._entries.save_signed_head(head.size, head.root)
        note = sign_checkpoint(head, *self._signers)
        self._open(note)
        self._files.write_checkpoint(note)
        self._note, self._size = note, count
        return note

    def _replay(
        self,
        count: int,
        published: int,
        heads: Mapping[int, bytes],
        put: Callable[[Tile, bytes], None],
    ) -> TileBuilder:
        """Build the log from the database, hand each of its tiles to `put`, check each head."""
        builder = TileBuilder()
        for size in sorted({published, count, *heads}):
            self._feed(builder, size, put)
            if heads.get(size, builder.root()) != builder.root():
                raise CheckpointError(
                    f"the database has another history than what was signed at {size}: {REMEDY}"
                )
            # What is published is served; and whatever was written after it, signed or not, is a
            # part of the end: after a loss of power the checkpoint may be an older one.
            if size in {published, count}:
                for tile, data in builder.partial_tiles():
                    put(tile, data)
        return builder

    def _feed(self, builder: TileBuilder, size: int, put: Callable[[Tile, bytes], None]) -> None:
        while builder.size < size:
            for entry in self._read(builder.size, min(builder.size + _CHUNK, size)):
                for tile, data in builder.append(entry):
                    put(tile, data)

    def _read(self, start: int, end: int) -> list[bytes]:
        entries = self._entries.read_entries(start, end)
        if len(entries) != end - start:
            raise CheckpointError(f"the database has gaps between {start} and {end}: {REMEDY}")
        return entries

    def _open(self, note: bytes) -> Checkpoint:
        try:
            # Of an earlier checkpoint one line is enough: it may be older than the other key.
            checkpoint = verify_checkpoint(note, self.keys, every_type=False)
        except SignatureError as error:
            raise CheckpointError("a checkpoint that is not signed by this log's key") from error
        if checkpoint.origin != self._origin:
            raise CheckpointError("a checkpoint of another log")
        ids = {key.key_id for key in self.keys}
        if any(s.key_id not in ids for s in parse_note(note).signatures if s.name == self._origin):
            # Whoever verifies with that key would refuse all that comes without it.
            raise CheckpointError(
                "the log has signed with a key that is not here: restore all of its key files"
            )
        return checkpoint

    def _has_all_lines(self, note: bytes) -> bool:
        ids = {line.key_id for line in parse_note(note).signatures}
        return ids.issuperset(key.key_id for key in self.keys)

    def _check_published(self, in_order: bool, size: int) -> None:
        if not in_order or size > self._size:
            raise InputError(f"not a range of the {self._size} published entries")
