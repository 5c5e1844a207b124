"""Answers and exact tokens as comparison levels."""

import numpy as np
import pytest

from linkage.classify.levels import Level
from linkage.engine.refinement import Comparison
from linkage.errors import MalformedMessageError
from linkage.fieldrow import FILTER_BYTES, N_SET, row_bytes
from linkage.job import Refinement

REFINEMENT = Refinement(10, True, ("name", "date"), ("email", "nik"))


def rows(
    *values: tuple[int | None, int | None],
) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    """Rows whose filters are a run of set bits from a place on, or empty."""
    bits = np.zeros((len(values), 2, 8 * FILTER_BYTES), np.uint8)
    for row, value in zip(bits, values, strict=True):
        for field, place in zip(row, value, strict=True):
            if place is not None:
                field[place : place + N_SET] = 1
    filters = np.packbits(bits, axis=2, bitorder="little").reshape(len(values), -1)
    return np.concatenate([filters, np.zeros((len(values), 2), np.uint8)], axis=1)


def exact(*values: tuple[int, int]) -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
    return np.array(values, np.uint8)[:, :, None].repeat(16, axis=2)


def test_an_identifier_is_one_more_attribute_and_another_exact_token_none() -> None:
    comparison = Comparison(REFINEMENT)
    # An e-mail address is compared by its filter where the schema has it in the code.
    assert comparison.types == ("name", "date", "nik")
    left, right = rows((0, 50), (0, None), (0, 50)), rows((0, 50), (0, 50), (120, 180))
    levels = comparison.levels(
        left, right, exact((1, 1), (1, 2), (1, 3)), exact((1, 1), (1, 9), (9, 3))
    )
    assert levels.shape == (3, 3)
    assert levels[:, 2].tolist() == [Level.EQUAL, Level.DIFFERENT, Level.EQUAL]
    assert levels[0, :2].tolist() == [Level.EQUAL, Level.EQUAL]
    assert levels[1, 1] == Level.MISSING
    assert levels[2, 0] == Level.DIFFERENT


def test_without_exact_tokens_there_are_only_the_attributes() -> None:
    comparison = Comparison(Refinement(10, True, ("name", "date")))
    none = np.zeros((1, 0, 16), np.uint8)
    levels = comparison.levels(rows((0, 50)), rows((0, 50)), none, none)
    assert levels.tolist() == [[Level.EQUAL, Level.EQUAL]]


@pytest.mark.parametrize("width", [row_bytes(2) - 1, row_bytes(3), 0])
def test_rows_of_another_length_are_no_answer(width: int) -> None:
    comparison = Comparison(REFINEMENT)
    wrong, tokens = np.zeros((1, width), np.uint8), exact((1, 1))
    with pytest.raises(MalformedMessageError):
        comparison.levels(wrong, rows((0, 50)), tokens, tokens)
