"""Comparison levels: what the counts of a pair say of each attribute, in a few steps.

One set of levels for all kinds of attributes; what a level is worth is estimated for each
attribute by `fellegi_sunter`. Thresholded, the same levels are result level R2.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from linkage.compare.fields import FieldCounts, similarities
from linkage.fieldrow import N_SET


class Level(IntEnum):
    """How an attribute compares in one pair.

    Levels from `DIFFERENT` to `NEAR` are bands of similarity. `MOVED`: the left record's
    value stands in another attribute of the right one. Of swapped given name and surname
    both have moved; where one name alone stands elsewhere, one has.
    `EQUAL_RARE` is an equal value that few bear; attributes without classes have `EQUAL`
    only.
    """

    MISSING = 0
    DIFFERENT = 1
    TRACE = 2
    FAINT = 3
    PARTIAL = 4
    ALIKE = 5
    CLOSE = 6
    NEAR = 7
    MOVED = 8
    EQUAL = 9
    EQUAL_RARE = 10


class Agreement(IntEnum):
    """What result level R2 says of an attribute."""

    MISSING = 0
    DISAGREE = 1
    PARTIAL = 2
    AGREE = 3


N_LEVELS = len(Level)

# Levels in which a higher one never speaks more against a link: likeness, and rarity of
# what is equal. Between the two there is no order: that rare names are alike can say more
# than that a common one is equal.
SCALES = (
    tuple(range(Level.DIFFERENT, Level.NEAR + 1)),
    tuple(range(Level.EQUAL, Level.EQUAL_RARE + 1)),
)

# Lower bounds of TRACE to NEAR.
_BOUNDS = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
# A value has moved if it is close to the other attribute, and no more than faintly alike
# the one where it should stand.
_MOVED_FROM = 0.7
# By what the counts say: unlike, equal; -1, the last, is missing.
_IDENTIFIER = np.array([Level.DIFFERENT, Level.EQUAL, Level.MISSING], dtype=np.int8)
_AGREEMENT = np.full(N_LEVELS, Agreement.PARTIAL, dtype=np.int8)
_AGREEMENT[Level.MISSING] = Agreement.MISSING
_AGREEMENT[Level.DIFFERENT : Level.PARTIAL] = Agreement.DISAGREE
_AGREEMENT[Level.EQUAL :] = Agreement.AGREE


def comparison_levels(counts: FieldCounts) -> NDArray[np.int8]:
    """Return the `Level` of every attribute, then of every identifier, in every pair.

    Returns:
        Levels, shape (n_pairs, n_attributes + n_identifiers).
    """
    straight, crossed = similarities(counts.straight), similarities(counts.crossed)
    levels = (np.digitize(np.nan_to_num(straight), _BOUNDS) + Level.DIFFERENT).astype(np.int8)
    equal = counts.straight == N_SET
    levels[equal] = (Level.EQUAL + counts.rarity[equal]).astype(np.int8)
    levels[counts.straight < 0] = Level.MISSING
    # Also where the own attribute of the other side is missing.
    levels[(crossed >= _MOVED_FROM) & (levels <= Level.FAINT)] = Level.MOVED
    return np.concatenate([levels, _IDENTIFIER[counts.identifiers]], axis=1)


def agreements(levels: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the `Agreement` of every attribute in every pair: result level R2."""
    return _AGREEMENT[levels]
