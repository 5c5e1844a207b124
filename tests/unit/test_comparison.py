"""Answers as comparison levels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.classify.levels import Level
from linkage.engine.refinement import Comparison
from linkage.errors import MalformedMessageError
from linkage.fieldrow import FILTER_BYTES, IDENTIFIER_BYTES, N_SET, RowForm
from linkage.job import Refinement

REFINEMENT = Refinement(10, True, ("name", "date"), ("nik", "passport"))
FORM = RowForm(2, 2)
Place = int | None


def rows(*values: tuple[Place, Place, int, int]) -> NDArray[np.uint8]:
    """Rows whose filters are a run of set bits from a place on, or empty; then two numbers."""
    bits = np.zeros((len(values), 2, 8 * FILTER_BYTES), np.uint8)
    for row, value in zip(bits, values, strict=True):
        for field, place in zip(row, value[:2], strict=True):
            if place is not None:
                field[place : place + N_SET] = 1
    filters = np.packbits(bits, axis=2, bitorder="little").reshape(len(values), -1)
    numbers = np.array([value[2:] for value in values], np.uint8)
    return np.concatenate(
        [filters, np.zeros((len(values), 2), np.uint8), numbers.repeat(IDENTIFIER_BYTES, axis=1)],
        axis=1,
    )


def test_identifiers_are_more_attributes_after_the_others() -> None:
    comparison = Comparison(REFINEMENT)
    assert comparison.types == ("name", "date", "nik", "passport")
    left = rows((0, 50, 1, 1), (0, None, 1, 0), (0, 50, 1, 3))
    right = rows((0, 50, 1, 2), (0, 50, 1, 9), (120, 180, 0, 3))
    assert left.shape == (3, FORM.n_bytes)
    levels = comparison.levels(left, right)
    assert levels.shape == (3, 4)
    assert levels[:, 2].tolist() == [Level.EQUAL, Level.EQUAL, Level.MISSING]
    assert levels[:, 3].tolist() == [Level.DIFFERENT, Level.MISSING, Level.EQUAL]
    assert levels[0, :2].tolist() == [Level.EQUAL, Level.EQUAL]
    assert levels[1, 1] == Level.MISSING
    assert levels[2, 0] == Level.DIFFERENT


def test_without_identifiers_there_are_only_the_attributes() -> None:
    comparison = Comparison(Refinement(10, True, ("name", "date")))
    plain = rows((0, 50, 0, 0))[:, : RowForm(2).n_bytes]
    assert comparison.levels(plain, plain).tolist() == [[Level.EQUAL, Level.EQUAL]]


@pytest.mark.parametrize(
    "width", [FORM.n_bytes - 1, RowForm(2).n_bytes, RowForm(3, 2).n_bytes, RowForm(2, 3).n_bytes, 0]
)
def test_rows_of_another_length_are_no_answer(width: int) -> None:
    comparison = Comparison(REFINEMENT)
    wrong, right = np.zeros((1, width), np.uint8), rows((0, 50, 1, 1))
    for pair in ((wrong, right), (right, wrong)):
        with pytest.raises(MalformedMessageError):
            comparison.levels(*pair)


def test_no_rows_are_no_levels() -> None:
    none = np.zeros((0, FORM.n_bytes), np.uint8)
    assert Comparison(REFINEMENT).levels(none, none).shape == (0, 4)
