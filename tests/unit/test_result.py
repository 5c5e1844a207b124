"""Results as plain data: what each level may hold, and what the log's digest covers."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import MalformedMessageError
from linkage.result import MATCH, UNDETERMINED, Part, result_digest
from linkage.solve.counts import in_words, told_counts

SALT = b"s" * 32
ONE, TWO = b"a" * 16, b"b" * 16
FIELDS = ("references", "grades", "link_ids", "comparisons")
PARTS = [
    Part("imigrasi", "R3", ONE + TWO, b"\1\2", b"l" * 32),
    Part("kemenlu", "R2", ONE, b"\2", comparisons=b"t" * 20),
    Part("setneg", "R0", counts=(40, 20, 10)),
]


def test_the_digest_is_that_of_salt_and_all_fields_with_lengths() -> None:
    def lengthy(field: bytes) -> bytes:
        return len(field).to_bytes(8, "big") + field

    whole = lengthy(SALT)
    for part in PARTS:
        counts = b"".join(count.to_bytes(8, "big") for count in part.counts)
        fields = part.counterpart.encode(), part.level.encode(), part.references, part.grades
        fields += part.link_ids, part.comparisons, counts
        whole += lengthy(b"".join(map(lengthy, fields)))
    assert result_digest(SALT, PARTS) == hashlib.sha256(whole).digest()
    assert result_digest(SALT, PARTS[::-1]) == result_digest(SALT, PARTS)


@given(st.data())
def test_any_bit_of_a_result_or_its_salt_changes_the_digest(data: st.DataObject) -> None:
    part = data.draw(st.integers(0, 1))
    name = data.draw(st.sampled_from([n for n in FIELDS if getattr(PARTS[part], n)]))
    content = bytearray(getattr(PARTS[part], name))
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    changed = list(PARTS)
    changed[part] = replace(PARTS[part], **{name: bytes(content)})
    salt = bytearray(SALT)
    salt[data.draw(st.integers(0, 31))] ^= 1
    unlike = [
        result_digest(SALT, PARTS),
        result_digest(SALT, changed),
        result_digest(bytes(salt), PARTS),
        result_digest(SALT, [*PARTS[:2], replace(PARTS[2], counts=(40, 20, 11))]),
        result_digest(SALT, [*PARTS[:2], replace(PARTS[2], counterpart="setne")]),
        result_digest(SALT, [replace(PARTS[0], level="R1"), *PARTS[1:]]),
        result_digest(SALT, PARTS[:2]),
    ]
    assert len(set(unlike)) == len(unlike)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_comes_back_from_disk(part: Part) -> None:
    part.check()
    assert Part.from_bytes(part.to_bytes()) == part


@pytest.mark.parametrize(
    "part",
    [
        Part("x", "R0", ONE, b"\1", counts=(1, 0, 0)),
        Part("x", "R0"),
        Part("x", "R0", counts=(1, 0)),
        Part("x", "R1", ONE, b"\1", link_ids=b"l" * 16),
        Part("x", "R1", ONE, b"\1", comparisons=b"c"),
        Part("x", "R1", counts=(1, 0, 0)),
        Part("x", "R2", ONE, b"\1", link_ids=b"l" * 16),
        Part("x", "R3", ONE, b"\1", b"l" * 16, b"c"),
        Part("x", "R4", ONE, b"\1"),
        Part("x", "R1", ONE[:15], b"\1"),
        Part("x", "R1", ONE, b""),
        Part("x", "R1", ONE, b"\3"),
        Part("x", "R3", ONE, b"\1", b"l" * 15),
        Part("x", "R1", ONE + ONE, b"\1\1"),
        Part("x", "R1", TWO + ONE, b"\1\1"),
    ],
    ids=str,
)
def test_a_part_with_more_or_other_than_its_level_tells_is_refused(part: Part) -> None:
    with pytest.raises(MalformedMessageError):
        part.check()


def test_no_small_count_and_no_difference_of_counts_shows() -> None:
    """By brute force: whatever is told of a table, ten small numbers could be in each cell."""
    for n in range(56):
        tables: dict[tuple[int, ...], list[tuple[int, int, int]]] = {}
        for match in range(n + 1):
            for undetermined in range(n + 1 - match):
                told = told_counts(n, {"match": match, "undetermined": undetermined})
                cells = match, undetermined, n - match - undetermined
                tables.setdefault(tuple(told.values()), []).append(cells)
        for told_cells, possible in tables.items():
            assert all(count % 10 == 0 for count in told_cells)
            for combined in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2)):
                sums = {sum(table[cell] for cell in combined) for table in possible}
                assert min(sums) >= 10 or len(sums) >= min(10, n + 1)


def test_a_record_more_shows_at_a_ten_only() -> None:
    tables = [told_counts(100, {"match": m, "undetermined": 0})["match"] for m in range(60)]
    steps = [m for m in range(1, 60) if tables[m] != tables[m - 1]]
    assert steps == [10, 20, 30, 40, 50]


def test_grades_are_two() -> None:
    assert (UNDETERMINED, MATCH) == (1, 2)


def test_a_count_in_words_tells_tens() -> None:
    told = [in_words(count) for count in (0, 9, 10, 19, 1_234)]
    assert told == [*["fewer than 10"] * 2, *["at least 10"] * 2, "at least 1,230"]
