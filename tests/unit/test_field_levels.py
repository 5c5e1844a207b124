"""Rows of field filters to comparison levels, and rows that are none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.classify.levels import Agreement, Level, agreements, comparison_levels
from linkage.compare.fields import FieldCounts, field_counts, similarities
from linkage.encode.fields import FieldEncoder
from linkage.errors import MalformedMessageError
from linkage.fieldrow import IDENTIFIER_BYTES, N_CLASSES, N_SET, RowForm, split_rows
from linkage.normalise.attributes import normalise_column
from linkage.schema import parse_schema

TYPES = ("given_name", "surname", "date", "sex", "phone")
SCHEMA = parse_schema(
    'name = "f"\n'
    + "\n".join(f'[[attributes]]\nname = "{name}"\ntype = "{name}"' for name in TYPES)
)
SPACES = [a.of_type.space for a in SCHEMA.fuzzy]
RECORDS = [
    ("Siti", "Wulandari", "1987-03-21", "P", "08123456789"),
    ("Wulandari", "Siti", "1987-03-12", "P", ""),
    ("Siti", "Wulandary", "1987-03-21", "L", "08123456788"),
    ("Bambang", "Hutapea", "1951-11-05", "L", "02199887700"),
    ("Marpaung", "Bambang", "1951-11-05", "L", ""),
]


def levels_of(left: int, right: int) -> dict[str, Level]:
    columns = {
        name: normalise_column([record[i] for record in RECORDS], name)
        for i, name in enumerate(TYPES)
    }
    encoder = FieldEncoder(SCHEMA, columns)
    key = np.arange(32, dtype=np.uint8).reshape(1, 32)
    rows = [
        encoder.encode(np.array([record]), key, side)
        for record, side in ((left, "left"), (right, "right"))
    ]
    levels = comparison_levels(field_counts(rows[0], rows[1], SPACES))[0]
    return dict(zip(TYPES, map(Level, levels.tolist()), strict=True))


def test_a_record_with_itself_is_equal_in_all() -> None:
    assert all(level >= Level.EQUAL for level in levels_of(0, 0).values())


def test_swapped_names_are_seen_and_what_is_missing_is_neutral() -> None:
    levels = levels_of(0, 1)
    assert levels["given_name"] == levels["surname"] == Level.MOVED
    assert Level.FAINT <= levels["date"] <= Level.CLOSE
    assert levels["sex"] >= Level.EQUAL
    assert levels["phone"] == Level.MISSING


def test_one_name_that_stands_elsewhere_is_one_agreement() -> None:
    levels = levels_of(3, 4)
    assert levels["given_name"] == Level.MOVED
    assert levels["surname"] <= Level.FAINT


def test_a_slip_is_close_and_another_sex_different() -> None:
    levels = levels_of(0, 2)
    assert Level.ALIKE <= levels["surname"] < Level.EQUAL
    assert Level.ALIKE <= levels["phone"] < Level.EQUAL
    assert levels["sex"] == Level.DIFFERENT


def test_strangers_differ() -> None:
    levels = levels_of(0, 3)
    assert max(levels.values()) <= Level.TRACE


def test_levels_follow_the_counts() -> None:
    straight = np.array([[-1, 0, 13, 20, N_SET - 1, N_SET, N_SET]], dtype=np.int8)
    crossed = np.array([[-1, -1, -1, -1, -1, -1, N_SET]], dtype=np.int8)
    rarity = np.array([[1, 1, 1, 1, 1, 0, 1]], dtype=np.uint8)
    none = np.zeros((1, 0), dtype=np.int8)
    levels = comparison_levels(FieldCounts(straight, crossed, rarity, none))[0]
    assert levels.tolist() == [
        Level.MISSING, Level.DIFFERENT, Level.TRACE, Level.FAINT, Level.NEAR,
        Level.EQUAL, Level.EQUAL_RARE,
    ]  # fmt: skip
    assert agreements(levels).tolist() == [
        Agreement.MISSING, Agreement.DISAGREE, Agreement.DISAGREE, Agreement.DISAGREE,
        Agreement.PARTIAL, Agreement.AGREE, Agreement.AGREE,
    ]  # fmt: skip


def test_similarity_is_corrected_for_chance() -> None:
    got = similarities(np.array([-1, N_SET, 0], dtype=np.int8))
    assert np.isnan(got[0])
    assert got[1] == 1
    assert got[2] < 0


def test_identifiers_follow_the_attributes() -> None:
    straight = np.full((3, 1), N_SET, dtype=np.int8)
    nowhere, common = np.full((3, 1), -1, dtype=np.int8), np.zeros((3, 1), dtype=np.uint8)
    identifiers = np.array([[1, 0], [0, -1], [-1, 1]], dtype=np.int8)
    levels = comparison_levels(FieldCounts(straight, nowhere, common, identifiers))
    assert levels[:, 0].tolist() == [Level.EQUAL] * 3
    assert levels[:, 1:].tolist() == [
        [Level.EQUAL, Level.DIFFERENT],
        [Level.DIFFERENT, Level.MISSING],
        [Level.MISSING, Level.EQUAL],
    ]


ONE, WITH_NUMBER = RowForm(1), RowForm(1, 1)


def row(change: int | None = None, number: int | None = None) -> NDArray[np.uint8]:
    """A row of one attribute, and of one identifier where a number is given."""
    made = np.zeros((1, (ONE if number is None else WITH_NUMBER).n_bytes), dtype=np.uint8)
    made[0, :5] = 255
    if change is not None:
        made[0, change] ^= 1
    if number is not None:
        made[0, -IDENTIFIER_BYTES] = number
    return made


def test_rows_that_are_none_are_refused() -> None:
    split_rows(row(), ONE)
    with pytest.raises(MalformedMessageError, match="length"):
        split_rows(row()[:, 1:], ONE)
    with pytest.raises(MalformedMessageError, match="length"):
        split_rows(row(), WITH_NUMBER)
    with pytest.raises(MalformedMessageError, match="length"):
        split_rows(row(number=1), ONE)
    with pytest.raises(MalformedMessageError, match="set bits"):
        split_rows(row(change=9), ONE)
    for wrong in (row(), row(number=1)):
        wrong[0, ONE.n_bytes - 1] = N_CLASSES
        with pytest.raises(MalformedMessageError, match="class"):
            split_rows(wrong, ONE if len(wrong[0]) == ONE.n_bytes else WITH_NUMBER)
    with pytest.raises(MalformedMessageError, match="numbers of pairs"):
        field_counts(row(), np.concatenate([row(), row()]), ["name"])


def test_numbers_are_equal_unlike_or_missing() -> None:
    for ours, theirs, expected in ((7, 7, 1), (7, 8, 0), (0, 7, -1), (7, 0, -1), (0, 0, -1)):
        counts = field_counts(row(number=ours), row(number=theirs), ["name"], 1)
        assert counts.identifiers.tolist() == [[expected]]


def test_a_callers_bugs_are_named() -> None:
    columns = {name: normalise_column(["x"], name) for name in TYPES}
    encoder = FieldEncoder(SCHEMA, columns)
    key = np.zeros((1, 32), dtype=np.uint8)
    with pytest.raises(ValueError, match="no such record"):
        encoder.encode(np.array([1]), key, "left")
    with pytest.raises(ValueError, match="one key"):
        encoder.encode(np.array([0]), key[:, :16], "left")
    assert encoder.encode(np.zeros(0, np.int64), key[:0], "left").shape == (0, encoder.row_bytes)
