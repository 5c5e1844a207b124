"""How good the links of two rounds are, from their probabilities.

A link of probability p is false with 1 - p; a candidate that was not linked is a missed match
with p; and some matches are no candidates: how many is told by how often the others were found
(`missed`). The sums are estimates; their intervals hold that each pair is a match or not, and
how far off the probabilities may be.

That is the greater part. Attributes agree together more often than by chance inside a class,
which the model denies; so probabilities run to their ends too fast, and sums of small ones are
too small. By what factor is known from registers of known persons only: ADR 5 has the figures,
and says where they are not enough.
"""

import numpy as np
from numpy.typing import NDArray

from linkage.classify.intervals import Interval, off_by

_DRAWS = 2_000
# By what factor the numbers of false links and of missed matches may be off.
_FALSE_OFF, _MISSED_OFF = 4.0, 4.0
# Half a pair may be false, or missed, though all are sure.
_HALF = 0.5


def estimate_quality(
    posterior: NDArray[np.float64],
    linked: NDArray[np.bool_],
    unseen: float,
    rng: np.random.Generator,
) -> tuple[Interval, Interval]:
    """Return precision and recall of links, estimated, with intervals.

    Args:
        posterior: probability of each candidate to be a match, shape (n,).
        linked: whether its records are linked, shape (n,).
        unseen: estimated number of matches that are no candidates.
        rng: draws the intervals.
    """
    n_linked = float(linked.sum())
    false = float((1 - posterior[linked]).sum())
    left = float(posterior[~linked].sum())
    missed = left + unseen
    falses = rng.poisson(max(false, _HALF) * off_by(_FALSE_OFF, _DRAWS, rng))
    # Known registers show that there may be next to none of those unseen, or all that are told.
    lefts = np.maximum(left + unseen * rng.random(_DRAWS), _HALF)
    misses = rng.poisson(lefts * off_by(_MISSED_OFF, _DRAWS, rng))
    right = np.maximum(n_linked - falses, 0.0)
    return (
        Interval.of(1 - false / max(n_linked, 1.0), right / max(n_linked, 1.0)),
        Interval.of(
            (n_linked - false) / max(n_linked - false + missed, 1.0),
            right / np.maximum(right + misses, 1.0),
        ),
    )
