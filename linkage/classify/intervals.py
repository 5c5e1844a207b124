"""Intervals: what a figure may be, where it was estimated and not counted.

95 % intervals throughout, from draws of what was estimated. How far off a model can be does not
show in its own draws; `off_by` adds it as a factor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        estimate: the figure.
        low: lower end.
        high: upper end.
    """

    estimate: float
    low: float
    high: float

    def __contains__(self, figure: float) -> bool:
        """Return whether a figure lies in the interval, its ends included."""
        return self.low <= figure <= self.high

    @classmethod
    def of(cls, estimate: float, drawn: NDArray[np.float64]) -> "Interval":
        """Return an estimate with the interval of draws around it.

        The interval is made to hold the estimate too.
        """
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return cls(estimate, float(min(low, estimate)), float(max(high, estimate)))


UNKNOWN = Interval(0.5, 0.0, 1.0)


def off_by(factor: float, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw factors by which a model is off, shape (n,).

    Args:
        factor: 95 % of the draws lie between its inverse and itself.
        n: number of draws.
        rng: draws them.
    """
    drawn: NDArray[np.float64] = np.exp(rng.normal(0.0, np.log(factor) / 1.96, n))
    return drawn
