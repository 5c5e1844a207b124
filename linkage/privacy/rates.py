"""How often an attack was right, what chance would give, and what is allowed."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Two-sided 95 %.
_Z = 1.959964
_LIMIT, _TIMES_CHANCE = 0.005, 5


@dataclass(frozen=True)
class Rate:
    """Hits among trials.

    Attributes:
        hits: encodings whose person was named first.
        trials: encodings that there was a right answer for.
        chance: rate of hits of who names a candidate at random.
    """

    hits: int
    trials: int
    chance: float

    @property
    def value(self) -> float:
        """Share of hits, 0 without trials."""
        return self.hits / self.trials if self.trials else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval at 95 % (Wilson, JASA 22 (1927) 209)."""
        if not self.trials:
            return 0.0, 1.0
        n, p = self.trials, self.value
        middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
        return max(middle - half, 0.0), min(middle + half, 1.0)

    @property
    def limit(self) -> float:
        """The highest rate that may be: half a percent, or five times chance if that is more."""
        return max(_LIMIT, _TIMES_CHANCE * self.chance)

    @property
    def bound(self) -> float:
        """The figure that is held against a limit.

        The upper bound of the interval. Where trials are so few that chance alone could
        lift it above the limit, it is the lower bound.
        """
        low, high = self.interval
        mean = self.trials * self.chance
        by_chance = min(math.ceil(mean + 3 * math.sqrt(mean)), self.trials)
        enough = Rate(by_chance, self.trials, self.chance).interval[1] <= self.limit
        return high if enough else low

    @property
    def exceeded(self) -> bool:
        """Whether the limit is exceeded as far as so many trials can tell."""
        return self.bound > self.limit

    def __add__(self, other: "Rate") -> "Rate":
        """Return both together, with the mean chance."""
        trials = self.trials + other.trials
        weight = self.trials / trials if trials else 0.5
        chance = weight * self.chance + (1 - weight) * other.chance
        return Rate(self.hits + other.hits, trials, chance)


@dataclass(frozen=True)
class Named:
    """Whom an attack named.

    Attributes:
        targets: numbers of the records that there was a right answer for, shape (n,).
        right: whether it was given, likewise.
        chance: rate of hits of who names a candidate at random.
    """

    targets: NDArray[np.int64]
    right: NDArray[np.bool_]
    chance: float

    def rate(self, of: NDArray[np.bool_] | None = None) -> Rate:
        """Return how often it was right, over all targets or some of them.

        Args:
            of: which of all records count, shape (n_records,).
        """
        counted = self.right if of is None else self.right[of[self.targets]]
        return Rate(int(counted.sum()), len(counted), self.chance)


def total(rates: Iterable[Rate]) -> Rate:
    """Return some rates together."""
    whole, *others = rates
    for rate in others:
        whole += rate
    return whole
