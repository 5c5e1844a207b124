"""What the log last set out to sign, kept beside its key and so apart from its data.

Whoever restores the data from a backup, database and files to one moment, cannot tell from them
that more was signed since. This record can: it lies where the signing key lies, is left out of
backups, and only grows. A matcher without it, or behind it, does not start.
"""

import hashlib
from pathlib import Path

from linkage.errors import CheckpointError, MalformedMessageError
from linkage.log.canonical import parse_decimal
from linkage.log.hashing import EMPTY_ROOT, HASH_BYTES
from linkage.matcher.match_log import REMEDY, EntryStore
from linkage.store.log_files import Disk

_Head = tuple[int, bytes]
# Two heads stand in the file, each in a place of its own.
_PLACE_BYTES = 128


class HeadRecord:
    """The record of one signing key.

    Args:
        signing_key: the keystore file of the key.
        disk: the file operations.
    """

    def __init__(self, signing_key: Path, disk: Disk | None = None) -> None:
        self._path = signing_key.with_name(f"{signing_key.name}.head")
        self._disk = disk or Disk()

    def begin(self) -> None:
        """Record that nothing has been signed: for a key that has just been made."""
        self.replace(0, EMPTY_ROOT)

    def read(self) -> _Head | None:
        """Return (size, root) of the last head that was to be signed; None without a record.

        Raises:
            CheckpointError: the record is damaged.
        """
        data = self._disk.read(self._path)
        if data is None:
            return None
        # One place may be half written, by a crash before what it says was signed.
        heads = [head for head in _places(data) if head is not None]
        if not heads:
            raise CheckpointError(
                f"{self._path}: the record of what was signed is damaged: {REMEDY}"
            )
        return max(heads)

    def write(self, size: int, root: bytes) -> None:
        """Record a head durably, which is not before the last one."""
        data = self._disk.read(self._path)
        if data is None or len(data) != 2 * _PLACE_BYTES:
            self.replace(size, root)
            return
        first, second = _places(data)
        # In the place of the older one, so that one of them is whole at any time.
        older = 0 if first is None or (second is not None and first < second) else 1
        self._disk.overwrite(self._path, older * _PLACE_BYTES, _format(size, root))

    def replace(self, size: int, root: bytes) -> None:
        """Record a head in the place of all before it, at once and durably."""
        temporary = self._path.with_name(f"{self._path.name}.tmp")
        self._disk.remove(temporary)
        self._disk.create(temporary, 2 * _format(size, root))
        self._disk.replace(temporary, self._path)
        self._disk.sync_directory(self._path.parent)

    def known(self) -> _Head:
        """Return what `read` returns.

        Raises:
            CheckpointError: there is no record, or it is damaged.
        """
        head = self.read()
        if head is None:
            raise CheckpointError(
                f"{self._path} is missing: nothing says how much this key has signed, as after a "
                f"restored backup: {REMEDY}"
            )
        return head


class RecordedEntries:
    """A database whose signed head is kept in the record; an `EntryStore`.

    A head that the database has is from before there was a record.

    Args:
        entries: the database.
        record: the record.
    """

    def __init__(self, entries: EntryStore, record: HeadRecord) -> None:
        self._entries, self._record = entries, record

    def entry_count(self) -> int:
        """Return the number of entries."""
        return self._entries.entry_count()

    def read_entries(self, start: int, end: int) -> list[bytes]:
        """Return entries start up to end, in their order."""
        return self._entries.read_entries(start, end)

    def signed_head(self) -> _Head | None:
        """Return the last head that was to be signed, whoever remembers it.

        Raises:
            CheckpointError: there is no record, or it and the database contradict each other.
        """
        recorded, own = self._record.known(), self._entries.signed_head()
        if own is None or own[0] < recorded[0]:
            return recorded if recorded[0] else None
        if own[0] == recorded[0] and own[1] != recorded[1]:
            raise CheckpointError(f"two roots for size {own[0]} were signed: {REMEDY}")
        return own

    def save_signed_head(self, size: int, root: bytes) -> None:
        """Record durably, before it returns, that (size, root) is about to be signed."""
        self._record.write(size, root)


def _format(size: int, root: bytes) -> bytes:
    said = f"{size} {root.hex()}"
    line = f"{said} {hashlib.sha256(said.encode()).hexdigest()[:16]}"
    return f"{line:<{_PLACE_BYTES - 1}}\n".encode()


def _places(data: bytes) -> tuple[_Head | None, _Head | None]:
    return _parse(data[:_PLACE_BYTES]), _parse(data[_PLACE_BYTES:])


def _parse(place: bytes) -> _Head | None:
    """Return the head in a place; None where it is not whole."""
    try:
        size, root, _ = place.decode("ascii").split()
        head = parse_decimal(size), bytes.fromhex(root)
    except (ValueError, MalformedMessageError):
        return None
    return head if len(head[1]) == HASH_BYTES and _format(*head) == place else None
