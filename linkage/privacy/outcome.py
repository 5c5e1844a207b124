"""One figure of the gate, whatever the attack."""

import math
from dataclasses import dataclass

from linkage.privacy.rates import Rate


@dataclass(frozen=True)
class Outcome:
    """One figure of the gate.

    Attributes:
        attack: which attack, beginning with its number.
        setting: under which circumstances.
        value: the figure.
        limit: the highest allowed.
        exceeded: whether it is above, as far as can be told.
        chance: the figure by chance, where there is one.
        interval: 95 % of the value, where it is a rate.
        bound: of a rate of persons named, what is held against a limit, see `Rate.bound`.
        control: the figure on the textbook scheme.
        unbroken: the same attack failed on the textbook scheme.
    """

    attack: str
    setting: str
    value: float
    limit: float
    exceeded: bool
    chance: float | None = None
    interval: tuple[float, float] | None = None
    bound: float | None = None
    control: float | None = None
    unbroken: bool = False

    @property
    def void(self) -> bool:
        """Whether the figure says nothing: neither scheme nor control was broken."""
        return self.unbroken and not self.exceeded

    @property
    def verdict(self) -> str:
        """`void`, `exceeded` or `passed`."""
        return "void" if self.void else "exceeded" if self.exceeded else "passed"


def rate_outcome(attack: str, setting: str, found: Rate, control: Rate, least: float) -> Outcome:
    """Return a rate of persons named as an outcome; the control must reach `least`."""
    return Outcome(
        attack,
        setting,
        found.value,
        found.limit,
        found.exceeded,
        found.chance,
        found.interval,
        found.bound,
        control.value,
        unbroken=control.value < least,
    )


def at_chance(attack: str, setting: str, found: Rate, control: Rate, least: float) -> Outcome:
    """Hold a rate against chance alone.

    Four such tests are made by a gate; together they fail a sound scheme once in a hundred.
    """
    limit = _most_by_chance(found, 0.01 / 4)
    return Outcome(
        attack,
        setting,
        found.value,
        limit / found.trials if found.trials else 1.0,
        found.hits > limit,
        found.chance,
        found.interval,
        control=control.value,
        unbroken=control.value < least,
    )


def _most_by_chance(rate: Rate, p: float) -> int:
    """Return the most hits that chance brings with a probability of 1 - p (Poisson)."""
    mean, hits = rate.trials * rate.chance, 0
    term = total = math.exp(-mean)
    while total < 1 - p:
        hits += 1
        term *= mean / hits
        total += term
    return hits
