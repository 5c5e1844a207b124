"""Likelihood ratios that never fall as a level rises."""

import numpy as np
from numpy.typing import NDArray


def with_rising_ratio(m: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return m changed as little as can be, so that m / u never falls.

    Pools adjacent violators: neighbours whose ratio falls get the ratio of their sums. For
    fixed u that is the most likely m under the constraint, and its sum stays what it was.

    Args:
        m: shares or counts of the levels of a scale, lowest first, shape (n,).
        u: shares of the same levels, all above 0.

    Source: Dykstra, Kochar and Robertson 1995, Scand J Statist 22:1-14 (likelihood ratio
    ordering as isotonic regression of m / u with weights u).
    """
    blocks: list[tuple[float, float, int]] = []
    for own_m, own_u in zip(m.tolist(), u.tolist(), strict=True):
        block = (own_m, own_u, 1)
        while blocks and blocks[-1][0] * block[1] > block[0] * blocks[-1][1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    ratios = np.repeat([b[0] / b[1] for b in blocks], [b[2] for b in blocks])
    changed: NDArray[np.float64] = ratios * u
    return changed
