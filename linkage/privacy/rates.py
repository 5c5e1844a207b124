"""How often an attack was right, what chance would give, and what is allowed."""

import math
from dataclasses import dataclass

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
    def exceeded(self) -> bool:
        """Whether the limit is exceeded as far as so many trials can tell.

        The upper bound of the interval counts. Where trials are so few that chance alone
        could lift it above the limit, it is the lower bound.
        """
        low, high = self.interval
        mean = self.trials * self.chance
        by_chance = min(math.ceil(mean + 3 * math.sqrt(mean)), self.trials)
        enough = Rate(by_chance, self.trials, self.chance).interval[1] <= self.limit
        return (high if enough else low) > self.limit

    def __add__(self, other: "Rate") -> "Rate":
        """Return both together, with the mean chance."""
        trials = self.trials + other.trials
        weight = self.trials / trials if trials else 0.5
        chance = weight * self.chance + (1 - weight) * other.chance
        return Rate(self.hits + other.hits, trials, chance)
