"""A9: are the positions of a token an arithmetic progression?

With double hashing (h1 + i h2; Kirsch and Mitzenmacher, ESA 2006) a token is one of m^2
patterns, few enough to try them all: this is how the first published attacks took filters
apart (Niedermeyer et al., JPC 6(2), 2014; Kroll and Steinmetzer, arXiv 1410.6739). All
progressions are looked for in the filters, and as many in the same filters with their
positions renumbered at random, which leaves everything else as it is.

Looked at are the filters under the hardening. Whoever sees codes alone does not see these;
but a hardening must not be all that stands before a broken filter.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.privacy.lint import transposed

# Positions of the progressions looked for: tokens of all but the least weight have as many.
_RUNS = (8, 12)
_RENUMBERINGS = 3
_MOST_RECORDS, _MOST_STEPS = 512, 2047
LIMIT = 1.25


@dataclass(frozen=True)
class Progressions:
    """How much oftener filters hold progressions than chance explains.

    Attributes:
        ratio: the times that one stands in a filter, over the same in renumbered filters;
            near 1 where positions are independent.
    """

    ratio: float

    @property
    def exceeded(self) -> bool:
        """Whether tokens are progressions."""
        return self.ratio > LIMIT


def progressions(filters: NDArray[np.uint64], seed: int) -> Progressions:
    """Look for progressions.

    Args:
        filters: filters under the codes of distinct persons, shape (n, n_words).
        seed: of the renumberings, and of the steps where there are many.
    """
    rng = np.random.default_rng(seed)
    columns = transposed(filters[:_MOST_RECORDS])
    m = len(columns)
    # A step and its negative give the same progressions.
    steps = rng.permutation(np.arange(1, m // 2))[:_MOST_STEPS]
    renumbered = [np.ascontiguousarray(columns[rng.permutation(m)]) for _ in range(_RENUMBERINGS)]
    ratios = []
    for run in _RUNS:
        by_chance = max(_times(other, steps, run) for other in renumbered)
        # Of few, chance makes any ratio: one more for each filter evens it out.
        spare = min(len(filters), _MOST_RECORDS)
        ratios.append((_times(columns, steps, run) + spare) / (by_chance + spare))
    return Progressions(max(ratios))


@njit(cache=True, nogil=True)
def _times(columns: NDArray[np.uint64], steps: NDArray[np.int64], run: int) -> int:
    """Return how often a filter holds a progression of `run` positions.

    Args:
        columns: positions packed over the filters, shape (m, n_words).
        steps: the steps of the progressions, all below m.
        run: their length.
    """
    m, n_words = columns.shape
    both = np.empty(n_words, dtype=np.uint64)
    times = 0
    for step in steps:
        for start in range(m):
            both[:] = columns[start]
            at = start
            for _ in range(run - 1):
                at += step
                if at >= m:
                    at -= m
                left = np.uint64(0)
                for w in range(n_words):
                    both[w] &= columns[at, w]
                    left |= both[w]
                if left == 0:
                    break
            for w in range(n_words):
                word = both[w]
                while word:
                    word &= word - np.uint64(1)
                    times += 1
    return times
