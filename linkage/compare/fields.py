"""Comparing the field filters of both owners of a pair, which the matcher may do.

Counts only: what a count means for a link is left to `classify.levels`. Of two filters
under one key nothing but the number of their common positions can be told (see the
encoder of fields), so these counts are the whole of what the matcher learns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.errors import MalformedMessageError
from linkage.fieldrow import N_BITS, N_SET, RowForm, split_rows

# Positions that filters of strangers have in common by chance.
CHANCE = N_SET * N_SET / N_BITS


@dataclass(frozen=True)
class FieldCounts:
    """Common positions of the filters of pairs, attribute by attribute.

    Attributes:
        straight: of the same attribute on both sides, shape (n_pairs, n_attributes);
            -1 where either side has no value.
        crossed: the most that the left side's attribute has in common with another one of
            its token space on the right; -1 where there is none. Same shape. Only from the
            left: one value found elsewhere is one agreement, not one on each side.
        rarity: class of the value, 1 where few bear it, where both values are equal;
            elsewhere it is noise. Same shape.
        identifiers: 1 where both have the same number, 0 where unlike ones, -1 where either
            has none, shape (n_pairs, n_identifiers).
    """

    straight: NDArray[np.int8]
    crossed: NDArray[np.int8]
    rarity: NDArray[np.uint8]
    identifiers: NDArray[np.int8]


def field_counts(
    left: NDArray[np.uint8],
    right: NDArray[np.uint8],
    spaces: Sequence[str],
    n_identifiers: int = 0,
) -> FieldCounts:
    """Return what the filters of both owners have in common.

    Args:
        left: rows of the owner that the job names first, as `linkage.fieldrow` says.
        right: rows of the other owner, for the same pairs in the same order.
        spaces: token space of each attribute, in the order of the schema.
        n_identifiers: how many identifiers a row holds.

    Raises:
        MalformedMessageError: rows that are none, or are not equally many.
    """
    if len(left) != len(right):
        raise MalformedMessageError("the two owners sent rows for unlike numbers of pairs")
    form = RowForm(len(spaces), n_identifiers)
    own, other = split_rows(left, form), split_rows(right, form)
    left_filters, right_filters = own.filters, other.filters
    shape = (len(left), len(spaces))
    straight = np.empty(shape, dtype=np.int8)
    crossed = np.full(shape, -1, dtype=np.int8)
    for a, space in enumerate(spaces):
        straight[:, a] = _common(left_filters[:, a], right_filters[:, a])
        for b, same_space in enumerate(spaces):
            if a != b and space == same_space:
                common = _common(left_filters[:, a], right_filters[:, b])
                np.maximum(crossed[:, a], common, out=crossed[:, a])
    identifiers = (own.identifiers == other.identifiers).astype(np.int8)
    identifiers[(own.identifiers == 0) | (other.identifiers == 0)] = -1
    return FieldCounts(straight, crossed, own.shares ^ other.shares, identifiers)


def _common(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.int8]:
    """Return the number of common positions, -1 where a filter is empty."""
    common = np.bitwise_count(left & right).sum(axis=1, dtype=np.int8)
    both = left.any(axis=1) & right.any(axis=1)
    return np.where(both, common, np.int8(-1)).astype(np.int8)


def similarities(counts: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return counts as similarities corrected for chance: 1 for equal, 0 for strangers.

    Below 0 where there is less in common than by chance; NaN where the count is -1.
    """
    similarity = (counts.astype(np.float32) - CHANCE) / (N_SET - CHANCE)
    return np.where(counts < 0, np.float32(np.nan), similarity).astype(np.float32)
