import pytest

from linkage.errors import MalformedMessageError
from linkage.log.builder import TileBuilder
from linkage.log.hashing import leaf_hash
from linkage.log.proof import inclusion_proof, verify_inclusion
from linkage.log.tiles import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    Tile,
    format_entries,
    locate_node,
    narrow,
    parse_entries,
    parse_hashes,
    parse_tile_path,
    tiles_of,
)
from linkage.log.tree import root_of


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(ENTRIES, 0), "tile/entries/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(0, 1000), "tile/0/x001/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(ENTRIES, 1234067, 4), "tile/entries/x001/x234/067.p/4"),
        (Tile(63, 0, 255), "tile/63/000.p/255"),
    ],
)
def test_paths(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/0000", "tile/00/000", "tile/64/000",
        "tile/-1/000", "tile/0/x000/001", "tile/0/001/002", "tile/0/x001", "tile/0/x001/x002",
        "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01",
        "tile/0/000.p/1/", "/tile/0/000", "tile/0/000/", "tile//000", "tile/Entries/000",
        "tile/0/\u0660\u0660\u0660", "tile/0/000\n", "x/tile/0/000", "tile/0/../000",
        "tile/0/" + "x999/" * 7 + "999",
    ],
)  # fmt: skip
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(MalformedMessageError):
        parse_tile_path(path)


def test_the_tiles_of_the_specification() -> None:
    """70,000 entries: 273 full and one of 112, one full and one of 17, one of 1."""
    tiles = [tile for tile in tiles_of(70_000) if tile.level != ENTRIES]
    assert len(tiles) == 277
    assert tiles[272:] == [
        Tile(0, 272),
        Tile(0, 273, 112),
        Tile(1, 0),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]
    bundles = [tile for tile in tiles_of(70_000) if tile.level == ENTRIES]
    assert len(bundles) == 274
    assert bundles[-1] == Tile(ENTRIES, 273, 112)


def test_the_tiles_of_small_logs() -> None:
    assert list(tiles_of(0)) == []
    assert list(tiles_of(1)) == [Tile(ENTRIES, 0, 1), Tile(0, 0, 1)]
    assert list(tiles_of(256)) == [Tile(ENTRIES, 0), Tile(0, 0), Tile(1, 0, 1)]


def test_a_bundle_of_entries() -> None:
    entries = [b"", b"a", b"x" * MAX_ENTRY_BYTES]
    data = format_entries(entries)
    assert data[:5] == b"\0\0\0\1a"
    assert parse_entries(data, 3) == entries
    assert narrow(data, ENTRIES, 2) == b"\0\0\0\1a"


@pytest.mark.parametrize("data", [b"\0", b"\0\1", b"\0\2a", b"\0\1a\0", b"\0\1a\0\0", b""])
def test_malformed_bundles_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_entries(data, 1)


def test_an_entry_that_does_not_fit() -> None:
    large = bytes(MAX_ENTRY_BYTES + 1)
    with pytest.raises(ValueError, match="65536"):
        format_entries([large])
    with pytest.raises(ValueError, match="65536"):
        TileBuilder().append(large)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_malformed_tiles_are_refused(length: int) -> None:
    with pytest.raises(MalformedMessageError):
        parse_hashes(bytes(length), 1)


def test_narrowing_needs_the_width() -> None:
    assert narrow(bytes(64), 0, 1) == bytes(32)
    with pytest.raises(MalformedMessageError):
        narrow(bytes(32), 0, 2)
    with pytest.raises(MalformedMessageError):
        narrow(bytes(33), 0, 1)
    with pytest.raises(MalformedMessageError):
        narrow(b"\0\1a", ENTRIES, 2)


def test_a_log_over_three_levels() -> None:
    """Every tile of 65,800 entries is produced once, and proofs can be made from them."""
    size = 65_800
    builder = TileBuilder()
    tiles: dict[Tile, bytes] = {}
    for i in range(size):
        for tile, data in builder.append(b"%d" % i):
            assert tile not in tiles
            tiles[tile] = data
    tiles.update(builder.partial_tiles())
    assert sorted(tiles) == sorted(tiles_of(size))
    widest = {(tile.level, tile.index): data for tile, data in tiles.items()}
    assert tiles[Tile(2, 0, 1)] == root_of(parse_hashes(tiles[Tile(1, 0)], 256))

    def get_node(height: int, position: int) -> bytes:
        tile, first = locate_node(height, position)
        data = narrow(widest[tile.level, tile.index], tile.level, tile.width)
        return root_of(parse_hashes(data, tile.width)[first:])

    for index in (0, 255, 256, 65_535, 65_536, size - 1):
        proof = inclusion_proof(index, size, get_node)
        verify_inclusion(leaf_hash(b"%d" % index), index, size, proof, builder.root())
