"""A4: do codes show which records cancel each other?

A linear scheme such as diffusion XORs what is in the filters: of four records that are
made of two halves each, X+Y, X+Z, W+Y, W+Z, the XOR is empty, and so is that of the
codes. Whoever looks at codes alone finds such tuples and from them the halves
(Armknecht and Schaefer, PoPETs 2026(2):6-19).
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.compare.wide import differing

# Highest deviation of the lightest planted rectangle: 4 for one, and half of one more since
# the lightest of sixty counts; a blind attacker needs 6.5. And share of rectangles found.
Z_LIMIT, FOUND_LIMIT = 4.5, 0.02
_PLANTED = 60


@dataclass(frozen=True)
class Tuples:
    """How far codes of cancelling records cancel.

    Attributes:
        z_mean: by how many standard deviations of chance the XOR of a planted
            rectangle is lighter, in the mean.
        z_most: of the lightest rectangle.
        found: share of the rectangles in a grid of names that are among as many lightest
            quadruples of codes.
        chance: the same share if the codes tell nothing.
        n_rectangles: how many rectangles the grid has.
    """

    z_mean: float
    z_most: float
    found: float
    chance: float
    n_rectangles: int

    @property
    def found_limit(self) -> float:
        """The highest share that may be found; one may be met by chance, however few."""
        return max(FOUND_LIMIT, 1.5 / max(self.n_rectangles, 1))


def probe(
    rectangles: NDArray[np.uint64], grid: NDArray[np.uint64], cell: NDArray[np.int64]
) -> Tuples:
    """Return how far rectangles show.

    Args:
        rectangles: codes of planted rectangles, shape (n, 4, n_words); if there are none,
            some of the grid stand for them.
        grid: codes of records that are a first and a second half each, shape (m, n_words).
        cell: which halves, shape (m, 2).
    """
    n_bits = 64 * grid.shape[1]
    of_grid = _rectangles(cell)
    if not len(rectangles):
        rectangles = grid[of_grid[:_PLANTED]]
    weight = _xor_weights(rectangles.reshape(-1, rectangles.shape[2]), _in_fours(rectangles))
    mixed = rectangles.copy()
    # Each corner from another rectangle: tuples of the same kind that do not cancel.
    for corner in range(4):
        mixed[:, corner] = np.roll(mixed[:, corner], corner, axis=0)
    usual = _xor_weights(mixed.reshape(-1, mixed.shape[2]), _in_fours(mixed))
    usual_weight = usual.mean() if len(usual) else 0.0
    z = np.append((usual_weight - weight) / (0.5 * np.sqrt(n_bits)), [] if len(weight) else [0.0])
    weights = np.zeros(n_bits + 1, dtype=np.int64)
    _weigh(grid, weights)
    ours = _xor_weights(grid, of_grid)
    found = _among_lightest(weights, ours)
    total = int(weights.sum())
    return Tuples(
        float(z.mean()), float(z.max()), found, len(ours) / total if total else 0.0, len(ours)
    )


def _rectangles(cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the records of all rectangles of a grid, shape (n, 4)."""
    at = {(int(first), int(second)): number for number, (first, second) in enumerate(cell)}
    seconds = {
        first: {second for one, second in at if one == first}
        for first in sorted({f for f, _ in at})
    }
    found = [
        (at[top, one], at[top, other], at[bottom, one], at[bottom, other])
        for top, bottom in itertools.combinations(seconds, 2)
        for one, other in itertools.combinations(sorted(seconds[top] & seconds[bottom]), 2)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 4)


def _in_fours(tuples: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.arange(4 * len(tuples)).reshape(-1, 4)


def _xor_weights(bits: NDArray[np.uint64], corners: NDArray[np.int64]) -> NDArray[np.int64]:
    xor = np.bitwise_xor.reduce(bits[corners], axis=1)
    return np.asarray(np.bitwise_count(xor).sum(axis=1, dtype=np.int64))


def _among_lightest(weights: NDArray[np.int64], ours: NDArray[np.int64]) -> float:
    """Return the share of our tuples among as many lightest ones, ties counted in part."""
    if not len(ours):
        return 0.0
    lighter = np.concatenate(([0], np.cumsum(weights)))[ours]
    fits = np.clip((len(ours) - lighter) / weights[ours], 0, 1)
    return float(fits.mean())


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(codes: NDArray[np.uint64], weights: NDArray[np.int64]) -> None:
    """Count the quadruples of codes by the weight of their XOR."""
    n, n_words = codes.shape
    pair, triple = np.empty(n_words, np.uint64), np.empty(n_words, np.uint64)
    own = np.int64(triple.ctypes.data)
    base = np.int64(codes.ctypes.data)
    for a in range(n):
        for b in range(a + 1, n):
            for word in range(n_words):
                pair[word] = codes[a, word] ^ codes[b, word]
            for c in range(b + 1, n):
                for word in range(n_words):
                    triple[word] = pair[word] ^ codes[c, word]
                for d in range(c + 1, n):
                    other = base + 8 * np.int64(d) * n_words
                    weights[differing(own, other, np.int64(n_words))] += 1
