"""The match log on disk: tiles that never change, and one checkpoint that does.

Every path is written once. A tile goes to a temporary file and appears under its name
by a hard link, so that a name either has all of its bytes or does not exist; writing
it again is harmless with the same bytes and refused with others. What to write, and
when, is decided by `matcher.match_log`, which is also the one that keeps two writers
apart.

Where these files are all that there is, as at an agent, each is forced to disk before it
appears. A matcher's database has every entry, durably: its tiles need not be forced, for
what a loss of power takes of them it makes again at the next start. A process that is
killed loses nothing of either.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from linkage.errors import CheckpointError, MalformedMessageError, UnavailableError
from linkage.log.bundle import CHECKPOINT, body_path, parse_body_path
from linkage.log.proof import GetNode
from linkage.log.tiles import (
    ENTRIES,
    TILE_WIDTH,
    Tile,
    locate_node,
    narrow,
    parse_entries,
    parse_hashes,
    parse_tile_path,
    tiles_of,
)
from linkage.log.tree import root_of

_TEMPORARY = ".tmp"
_ENTRIES_FOLDER = "tile/entries"
_BODIES_FOLDER = "bodies"


class Disk:
    """The file operations that the log is made of; tests let each of them fail."""

    def read(self, path: Path) -> bytes | None:
        """Return the bytes of a file, or None where there is none."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def names(self, path: Path) -> list[str]:
        """Return the names in a directory; none where there is no directory."""
        try:
            return sorted(child.name for child in path.iterdir())
        except FileNotFoundError:
            return []

    def create(self, path: Path, data: bytes) -> None:
        """Write a new file and force it to disk."""
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file; the disk has it when the system sees fit."""
        with path.open("xb") as file:
            file.write(data)

    def overwrite(self, path: Path, start: int, data: bytes) -> None:
        """Write over some bytes of a file, and force them to disk."""
        with path.open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), data, start)
            os.fdatasync(file.fileno())

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name, which must be free."""
        target.hardlink_to(source)

    def replace(self, source: Path, target: Path) -> None:
        """Rename a file over another, at once."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        path.unlink(missing_ok=True)

    def make_directory(self, path: Path) -> None:
        """Make a directory whose parent exists."""
        path.mkdir()

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()

    def sync_directory(self, path: Path) -> None:
        """Force the names in a directory to disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class LogFiles:
    """The files of one log, for one writer at a time and any number of readers.

    Args:
        directory: where they are; made when the first file is written.
        disk: the file operations.
        derived: whether all of it can be made again from a database, which is durable: then
            only the checkpoint is forced to disk.
    """

    def __init__(self, directory: Path, disk: Disk | None = None, *, derived: bool = False) -> None:
        self._directory, self._derived = directory, derived
        self._disk = disk or Disk()

    def read_checkpoint(self) -> bytes | None:
        """Return the last signed checkpoint, or None before the first."""
        return self._disk.read(self._directory / CHECKPOINT)

    def write_checkpoint(self, note: bytes) -> None:
        """Replace the checkpoint, at once and durably; of derived files the older may return."""
        self._make_directories(self._directory)
        path = self._directory / CHECKPOINT
        temporary = self._write_temporary(path, note, force=True)
        self._disk.replace(temporary, path)
        self._sync(path.parent)

    def write_tile(self, tile: Tile, data: bytes) -> None:
        """Write a tile; once it is full, its partial forms go.

        Raises:
            CheckpointError: the tile is there with other bytes, so this is
                another history than the one that was written before.
        """
        if not self.has_tile(tile, data):
            path = self._directory / tile.path
            self._make_directories(path.parent)
            temporary = self._write_temporary(path, data, force=not self._derived)
            self._disk.link(temporary, path)
            self._disk.remove(temporary)
            self._sync(path.parent)
        if tile.width == TILE_WIDTH:
            self._drop_partials(tile)

    def mend_tile(self, tile: Tile, data: bytes) -> None:
        """Write a tile, in the place of what is there; a narrower form that is damaged goes.

        The caller has found that `data` belongs to the history that was signed.
        """
        for path, whole in self._forms(tile, data):
            if self._disk.read(path) not in (None, whole):
                self._disk.remove(path)
        self.write_tile(tile, data)

    def is_whole(self, tile: Tile, data: bytes) -> bool:
        """Return whether the tile is there with these bytes, and no narrower form with others."""
        return all(self._disk.read(path) == whole for path, whole in self._forms(tile, data))

    def has_tile(self, tile: Tile, data: bytes) -> bool:
        """Return whether the tile is there with these bytes.

        Raises:
            CheckpointError: it is there with others.
        """
        found = self._disk.read(self._directory / tile.path)
        if found is not None and found != data:
            raise CheckpointError(
                f"{tile.path} holds another history than the database: "
                "nothing is signed: `padan matcher rebuild` makes both again from a mirror"
            )
        return found is not None

    def read_tile(self, tile: Tile) -> bytes:
        """Return a tile, cut from a wider form of it where its own is gone.

        Raises:
            UnavailableError: there is no form of it that is wide enough.
            CheckpointError: the file is damaged.
        """
        # Own form, full form, then the wider partial ones: a writer removes those
        # only after the full one is there.
        found = self._disk.read(self._directory / tile.path)
        if found is not None:
            return found
        for width in (TILE_WIDTH, *self._partial_widths(tile), TILE_WIDTH):
            if width <= tile.width:
                continue
            found = self._disk.read(self._directory / Tile(tile.level, tile.index, width).path)
            if found is not None:
                with _reporting_damage(tile):
                    return narrow(found, tile.level, tile.width)
        raise UnavailableError(f"{tile.path} is not there")

    def read_entries(self, size: int, start: int = 0) -> list[bytes]:
        """Return the first `size` entries of the log, from one on.

        Raises:
            UnavailableError: the log on disk is smaller.
            CheckpointError: a file is damaged.
        """
        entries, first = [], start // TILE_WIDTH
        for tile in tiles_of(size):
            if tile.level == ENTRIES and tile.index >= first:
                with _reporting_damage(tile):
                    entries += parse_entries(self.read_tile(tile), tile.width)
        return entries[start - first * TILE_WIDTH :]

    def write_body(self, index: int, data: bytes) -> None:
        """Write what a confidential leaf committed to, as a bundle has it."""
        path = self._directory / body_path(index)
        self._make_directories(path.parent)
        self._disk.replace(self._write_temporary(path, data, force=True), path)
        self._sync(path.parent)

    def read_body(self, index: int) -> bytes | None:
        """Return what one leaf committed to; None if it is not there."""
        return self._disk.read(self._directory / body_path(index))

    def read_bodies(self) -> Iterator[tuple[int, bytes]]:
        """Yield the bodies that are there, with the indexes of their leaves."""
        folder = self._directory / _BODIES_FOLDER
        for name in self._disk.names(folder):
            with suppress(MalformedMessageError):  # a temporary file that a crash left
                index = parse_body_path(f"{_BODIES_FOLDER}/{name}")
                data = self._disk.read(folder / name)
                if data is not None:
                    yield index, data

    def nodes(self) -> GetNode:
        """Return a look-up of tree nodes that remembers the tiles it read: one per proof."""
        tiles: dict[Tile, bytes] = {}

        def get_node(height: int, position: int) -> bytes:
            tile, first = locate_node(height, position)
            if tile not in tiles:
                tiles[tile] = self.read_tile(tile)
            with _reporting_damage(tile):
                return root_of(parse_hashes(tiles[tile], tile.width)[first:])

        return get_node

    def files_at(self, size: int) -> dict[str, bytes]:
        """Return the tiles and entry bundles of the log at `size`, by path.

        Raises:
            UnavailableError: the log on disk is smaller.
            CheckpointError: a file is damaged.
        """
        return {tile.path: self.read_tile(tile) for tile in tiles_of(size)}

    def entry_count(self) -> int:
        """Return how many entries the bundles on disk reach to, signed for or not."""
        folder = self._directory / _ENTRIES_FOLDER
        count = 0
        for path in folder.rglob("*"):
            try:
                tile = parse_tile_path(path.relative_to(self._directory).as_posix())
            except MalformedMessageError:
                continue  # a directory, or a temporary file that a crash left
            if path.is_file():
                count = max(count, tile.index * TILE_WIDTH + tile.width)
        return count

    def _forms(self, tile: Tile, data: bytes) -> Iterator[tuple[Path, bytes]]:
        """Yield where a tile and its narrower forms that are there lie, and what each has to be."""
        yield self._directory / tile.path, data
        for width in self._partial_widths(tile):
            if 0 < width < tile.width:
                path = self._directory / Tile(tile.level, tile.index, width).path
                yield path, narrow(data, tile.level, width)

    def _partial_widths(self, tile: Tile) -> list[int]:
        names = self._disk.names(self._partial_folder(tile))
        return sorted(int(name) for name in names if name.isdecimal())

    def _drop_partials(self, tile: Tile) -> None:
        folder = self._partial_folder(tile)
        names = self._disk.names(folder)
        for name in names:
            self._disk.remove(folder / name)
        if names:
            self._disk.remove_directory(folder)

    def _partial_folder(self, tile: Tile) -> Path:
        path = self._directory / Tile(tile.level, tile.index).path
        return path.with_name(path.name + ".p")

    def _write_temporary(self, path: Path, data: bytes, *, force: bool) -> Path:
        temporary = path.with_name(path.name + _TEMPORARY)
        # What a crash left may already be linked under the final name: it must
        # be removed, never opened and cut.
        self._disk.remove(temporary)
        (self._disk.create if force else self._disk.write)(temporary, data)
        return temporary

    def _make_directories(self, path: Path) -> None:
        if path.is_dir():
            return
        self._make_directories(path.parent)
        self._disk.make_directory(path)
        self._sync(path.parent)

    def _sync(self, directory: Path) -> None:
        if not self._derived:
            self._disk.sync_directory(directory)


@contextmanager
def _reporting_damage(tile: Tile) -> Iterator[None]:
    try:
        yield
    except MalformedMessageError as error:
        raise CheckpointError(f"{tile.path} on disk is damaged") from error
