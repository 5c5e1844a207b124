"""What the log last set out to sign, kept beside its key and so apart from its data.

Whoever restores the data from a backup, database and files to one moment, cannot tell from them
that more was signed since. This record can: it lies where the signing key lies, is left out of
backups, and only grows. A matcher without it, or behind it, does not start.
"""

from pathlib import Path

from linkage.errors import CheckpointError, MalformedMessageError
from linkage.log.canonical import parse_decimal
from linkage.log.hashing import EMPTY_ROOT, HASH_BYTES
from linkage.matcher.match_log import REMEDY, EntryStore
from linkage.store.log_files import Disk

_Head = tuple[int, bytes]


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
        self.write(0, EMPTY_ROOT)

    def read(self) -> _Head | None:
        """Return (size, root) of the last head that was to be signed; None without a record.

        Raises:
            CheckpointError: the record is damaged.
        """
        data = self._disk.read(self._path)
        if data is None:
            return None
        try:
            size, root = data.decode("ascii").removesuffix("\n").split(" ")
            head = parse_decimal(size), bytes.fromhex(root)
        except (ValueError, MalformedMessageError) as error:
            raise self._damaged() from error
        if len(head[1]) != HASH_BYTES or _format(*head) != data:
            raise self._damaged()
        return head

    def write(self, size: int, root: bytes) -> None:
        """Replace the record, at once and durably."""
        temporary = self._path.with_name(f"{self._path.name}.tmp")
        self._disk.remove(temporary)
        self._disk.create(temporary, _format(size, root))
        self._disk.replace(temporary, self._path)
        self._disk.sync_directory(self._path.parent)

    def _damaged(self) -> CheckpointError:
        return CheckpointError(f"{self._path}: the record of what was signed is damaged: {REMEDY}")

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
    return f"{size} {root.hex()}\n".encode()
