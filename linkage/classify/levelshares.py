"""Shares of comparison levels: counted, smoothed, and kept in reasonable bounds.

What is done to counts before they are shares of a class; which pairs count for which
class is left to `estimate`.
"""

import numpy as np
from numpy.typing import NDArray

from linkage.classify.levels import N_LEVELS, SCALES, Level
from linkage.classify.monotone import with_rising_ratio

# Added to the random pairs of each level: what was never seen is not impossible.
_SMOOTHING = 0.5
# The same for levels that no candidate has either: a date has no class of rarity.
_UNSEEN = 1e-3
_USUAL_BAND, _USUAL_EQUAL = 0.05, 0.6
_EQUAL = slice(Level.EQUAL, Level.EQUAL_RARE + 1)
# The most matches that disagree on what is a person's own. Without this bound, in data
# without matches the class of matches turns into one of relatives or neighbours.
_MOST_DISAGREEING = 0.3


def level_counts(levels: NDArray[np.int8], pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many pairs have which level of each attribute, missing ones left out."""
    counts = np.zeros((levels.shape[1], N_LEVELS))
    for a in range(levels.shape[1]):
        counts[a] = np.bincount(levels[:, a], weights=pairs, minlength=N_LEVELS)
    counts[:, Level.MISSING] = 0
    return counts


def normalised(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each level of an attribute, 0 for missing."""
    shares = counts.copy()
    shares[:, Level.MISSING] = 0
    of_rows: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return of_rows


def shares_of_strangers(
    random_levels: NDArray[np.int8], seen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the smoothed shares of random pairs; `seen` are levels that any pair has."""
    counts = level_counts(random_levels, np.ones(len(random_levels)))
    return normalised(counts + np.where(seen, _SMOOTHING, _UNSEEN))


def usual_shares(levels: NDArray[np.int8], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the shares to start from, 0 for levels that were never seen.

    Equal values are divided among the classes of rarity as the candidates have them.
    """
    counts = level_counts(levels, np.ones(len(levels)))[:, _EQUAL] + _UNSEEN
    usual = np.full((levels.shape[1], N_LEVELS), _USUAL_BAND)
    usual[:, _EQUAL] = _USUAL_EQUAL * counts / counts.sum(axis=1, keepdims=True)
    return normalised(np.where(seen, usual, 0.0))


def rising(
    counts: NDArray[np.float64], u: NDArray[np.float64], seen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return shares whose ratio to u rises; a level never seen says nothing by itself."""
    shares = np.where(seen, normalised(counts), u)
    for row, of_strangers in zip(shares, u, strict=True):
        for scale in SCALES:
            levels = slice(scale[0], scale[-1] + 1)
            row[levels] = with_rising_ratio(row[levels], of_strangers[levels])
    return shares


def bounded(m: NDArray[np.float64], own: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return m in which matches do not disagree too often on a person's own attributes."""
    within = m.copy()
    apart, alike = slice(Level.DIFFERENT, Level.PARTIAL), slice(Level.PARTIAL, N_LEVELS)
    for a in np.flatnonzero(own):
        row = within[a]
        disagreeing = row[apart].sum()
        if disagreeing > _MOST_DISAGREEING:
            row[apart] *= _MOST_DISAGREEING / disagreeing
            row[alike] *= (1 - _MOST_DISAGREEING) / row[alike].sum()
    return within
