"""Tiles: the tree and its entries cut into files that never change.

A tile of level l holds up to 256 roots of subtrees of 256**l leaves each; an
entry bundle holds up to 256 entries, each after its length in two bytes. The
last tile of a level may be partial and then carries its width in its path.

Source: C2SP tlog-tiles v0.1.0.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from linkage.errors import MalformedMessageError
from linkage.log.canonical import parse_decimal
from linkage.log.hashing import HASH_BYTES

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
ENTRIES = -1
"""The level of an entry bundle."""
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 0xFFFF

_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]{1,3}))?")


@dataclass(frozen=True, order=True)
class Tile:
    """The place of a tile in the log.

    Args:
        level: 0 to 63, or `ENTRIES`.
        index: its place in the level.
        width: the hashes or entries in it, 1 to 256; under 256 it is partial.
    """

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the log's directory, with `/`."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        groups = [f"{self.index % 1000:03}"]
        rest = self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03}")
            rest //= 1000
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"


def parse_tile_path(path: str) -> Tile:
    """Return the tile whose path is `path`.

    Raises:
        MalformedMessageError: not the path of a tile, or a second spelling of one.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise MalformedMessageError("not the path of a tile")
    level, groups, width = match.groups()
    # Zero padding makes the index a number once separators and zeros are gone.
    index = parse_decimal(re.sub("[x/]", "", groups).lstrip("0") or "0")
    tile = Tile(
        ENTRIES if level == "entries" else int(level), index, int(width) if width else TILE_WIDTH
    )
    if tile.path != path or tile.level > MAX_LEVEL or not 1 <= tile.width <= TILE_WIDTH:
        raise MalformedMessageError("not the path of a tile in its one spelling")
    return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every tile of a log of `size` entries: bundles first, then level by level."""
    for level in (ENTRIES, *range(MAX_LEVEL + 1)):
        n_hashes = size >> TILE_HEIGHT * max(level, 0)
        if n_hashes == 0:
            return
        full, width = divmod(n_hashes, TILE_WIDTH)
        for index in range(full):
            yield Tile(level, index)
        if width:
            yield Tile(level, full, width)


def locate_node(height: int, position: int) -> tuple[Tile, int]:
    """Return where the hashes under a node of the tree are.

    Args:
        height: of the node; leaves have 0.
        position: of the node among those of its height.

    Returns:
        The narrowest tile that has them, and the first of them in it. They reach
        to the end of that tile, and the node is the root over them.
    """
    level, inside = divmod(height, TILE_HEIGHT)
    index, first = divmod(position << inside, TILE_WIDTH)
    return Tile(level, index, first + (1 << inside)), first


def format_entries(entries: Sequence[bytes]) -> bytes:
    """Return the entry bundle of up to 256 entries.

    Raises:
        ValueError: an entry of more than 65,535 bytes.
    """
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError(f"an entry of {len(entry)} bytes; {MAX_ENTRY_BYTES} fit")
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def parse_entries(data: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle that is `width` wide.

    Raises:
        MalformedMessageError: more or fewer entries, or bytes left over.
    """
    entries = _split_entries(data)
    if len(entries) != width:
        raise MalformedMessageError(f"an entry bundle of {len(entries)} instead of {width}")
    return entries


def parse_hashes(data: bytes, width: int) -> list[bytes]:
    """Return the hashes of a tile that is `width` wide.

    Raises:
        MalformedMessageError: the tile has another length.
    """
    if len(data) != width * HASH_BYTES:
        raise MalformedMessageError(f"a tile of {len(data)} bytes for {width} hashes")
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def narrow(data: bytes, level: int, width: int) -> bytes:
    """Return a tile or bundle of `level` as it was when it was only `width` wide.

    Raises:
        MalformedMessageError: it does not parse, or is not that wide.
    """
    if level == ENTRIES:
        entries = _split_entries(data)
        if len(entries) < width:
            raise MalformedMessageError(f"an entry bundle of fewer than {width} entries")
        return format_entries(entries[:width])
    if len(data) % HASH_BYTES or len(data) < width * HASH_BYTES:
        raise MalformedMessageError(f"a tile of fewer than {width} hashes")
    return data[: width * HASH_BYTES]


def _split_entries(data: bytes) -> list[bytes]:
    entries = []
    at = 0
    while at < len(data):
        start = at + 2
        end = start + int.from_bytes(data[at:start])
        if end > len(data) or start > len(data):
            raise MalformedMessageError("an entry bundle that is cut short")
        entries.append(data[start:end])
        at = end
    return entries
