"""How many matches are not among the candidates: told from how often the others were found.

A match is found by as many block entries as its records agree on. If many matches were found
by a single entry, and fewer by two, there are some that none has found. The number of
classes never seen, from the numbers seen once and twice, is at least f1^2 / (2 f2) whatever
the chances of each to be seen.

Source: Chao 1987, Biometrics 43:783, with the bias correction of Chao 2005.
"""

import numpy as np
from numpy.typing import NDArray


def missed_matches(found_by: NDArray[np.integer], posterior: NDArray[np.float64]) -> float:
    """Return an estimate of the number of matches that are no candidates; a lower bound.

    Args:
        found_by: for each candidate pair by how many entries it was found; 0 for pairs
            found by their codes alone.
        posterior: probability of each to be a match.
    """
    once = float(posterior[found_by == 1].sum())
    twice = float(posterior[found_by == 2].sum())
    by_none = once * max(once - 1, 0.0) / (2 * (twice + 1))
    # Some that no entry found were found by their codes.
    return max(by_none - float(posterior[found_by == 0].sum()), 0.0)
