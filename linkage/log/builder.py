"""The builder of tiles: entries in, tiles out, in one pass.

The matcher writes its log with it and the auditor rebuilds the log with it, each
holding no more than the open tiles in memory.
"""

from linkage.log.hashing import leaf_hash
from linkage.log.tiles import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    format_entries,
)
from linkage.log.tree import Frontier


class TileBuilder:
    """A log that grows by entries, and hands out its tiles as they fill."""

    def __init__(self) -> None:
        self._tree = Frontier()
        self._entries: list[bytes] = []
        self._hashes: list[list[bytes]] = []

    @property
    def size(self) -> int:
        """The number of entries so far."""
        return self._tree.size

    def root(self) -> bytes:
        """Return the root of the log so far."""
        return self._tree.root()

    def append(self, entry: bytes) -> list[tuple[Tile, bytes]]:
        """Add one entry.

        Returns:
            The full tiles that it completes, with their bytes; mostly none.

        Raises:
            ValueError: the entry has more than 65,535 bytes.
        """
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError(f"an entry of {len(entry)} bytes; {MAX_ENTRY_BYTES} fit")
        roots = self._tree.append(leaf_hash(entry))
        index = (self.size - 1) // TILE_WIDTH
        done = []
        self._entries.append(entry)
        if len(self._entries) == TILE_WIDTH:
            done.append((Tile(ENTRIES, index), format_entries(self._entries)))
            self._entries = []
        # A leaf completes a hash of tile level l exactly when it completes a
        # perfect subtree of height 8 l.
        for level, root in enumerate(roots[::TILE_HEIGHT]):
            if level == len(self._hashes):
                self._hashes.append([])
            self._hashes[level].append(root)
            if len(self._hashes[level]) == TILE_WIDTH:
                done.append((Tile(level, index), b"".join(self._hashes[level])))
                self._hashes[level] = []
            index //= TILE_WIDTH
        return done

    def partial_tiles(self) -> list[tuple[Tile, bytes]]:
        """Return the partial tiles of the log as it stands, with their bytes."""
        index = self.size // TILE_WIDTH
        partial = []
        if self._entries:
            partial.append(
                (Tile(ENTRIES, index, len(self._entries)), format_entries(self._entries))
            )
        for level, hashes in enumerate(self._hashes):
            if hashes:
                partial.append((Tile(level, index, len(hashes)), b"".join(hashes)))
            index //= TILE_WIDTH
        return partial
