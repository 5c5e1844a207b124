"""Curves whose logarithm is concave, and the fit of their sum to counts.

A class of pairs thins out from where most of its similarities lie, ever faster: so the
logarithm of its density bends down. It is written as a straight line that bends at knots. How
much it bends at each is alike at all of them, unless the counts say otherwise; so a curve has a
sensible course also where there are few counts, or where another class hides it.

Parameters of a curve: level, slope, logarithm of the usual bend, deviation of each bend.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL, SLOPE, BEND, DEVIATIONS = 0, 1, 2, 3
_MOST_STEPS = 80
_SETTLED = 1e-3
_LONGEST_STEP = 1.0
_TINY = 1e-9
_HIGHEST = 60.0
_MOST_HALVINGS = 6


@dataclass(frozen=True)
class Curve:
    """A log-concave curve over bins.

    Attributes:
        at: place of each bin, shape (n,).
        offset: logarithm of what a bin holds at level 0, shape (n,): its width, or what is
            known of the curve.
        knots: places where the curve may bend; none for a straight line.
        mean: parameters before any count is seen; with no knots level and slope only.
        spread: their standard deviations.
    """

    at: Floats
    offset: Floats
    knots: Floats
    mean: Floats
    spread: Floats

    def __post_init__(self) -> None:
        """Refuse parameters that do not fit the knots.

        Raises:
            ValueError: a caller's mistake.
        """
        expected = DEVIATIONS + len(self.knots) if len(self.knots) else BEND
        if len(self.mean) != expected or len(self.spread) != expected:
            raise ValueError("a curve has level and slope; with knots a bend and deviations")

    def expected(self, parameters: Floats, at: Floats | None = None) -> Floats:
        """Return the expected counts of the bins, or the density at other places.

        Args:
            parameters: of this curve.
            at: places; offsets are 0 there.
        """
        places, offset = (self.at, self.offset) if at is None else (at, 0.0)
        line = parameters[LEVEL] + parameters[SLOPE] * places + offset
        if len(self.knots):
            line = line - self._bent(places) @ _bends(parameters)
        counts: Floats = np.exp(np.clip(line, -200, _HIGHEST))
        return counts

    def gradient(self, parameters: Floats, counts: Floats) -> Floats:
        """Return the derivatives of the expected counts, shape (n, n_parameters)."""
        columns = [np.ones(len(self.at)), self.at]
        if len(self.knots):
            bends = self._bent(self.at) * _bends(parameters)
            columns += [-bends.sum(axis=1), *-bends.T]
        return np.stack(columns, axis=1) * counts[:, None]

    def _bent(self, at: Floats) -> Floats:
        bent: Floats = np.maximum(at[:, None] - self.knots, 0.0)
        return bent


def _bends(parameters: Floats) -> Floats:
    bends: Floats = np.exp(parameters[BEND] + parameters[DEVIATIONS:])
    return bends


@dataclass(frozen=True)
class Fitted:
    """Curves whose sum fits counts.

    Attributes:
        parameters: of each curve.
        covariance: of all parameters in a row, as far as the counts tell.
        log_likelihood: of the counts, without constants.
        log_posterior: that and what was known of the parameters beforehand.
        judge: log posterior of other parameters, all in a row.
    """

    parameters: list[Floats]
    covariance: Floats
    log_likelihood: float
    log_posterior: float
    judge: Callable[[Floats], float] = field(repr=False)

    def drawn(self, rng: np.random.Generator, together: float = 1.0) -> list[Floats]:
        """Return parameters that the counts do not rule out, drawn at random.

        Args:
            rng: draws them.
            together: how many times more the counts vary than Poisson's.
        """
        mode = np.concatenate(self.parameters)
        off = rng.multivariate_normal(
            np.zeros(len(mode)), together * self.covariance, check_valid="ignore"
        )
        # Far from the mode the posterior falls faster than a normal one.
        for _ in range(_MOST_HALVINGS):
            if self.judge(mode + off) >= self.log_posterior - together * len(mode):
                break
            off = off / 2
        return np.split(mode + off, np.cumsum([len(own) for own in self.parameters])[:-1])


def fit_sum(curves: Sequence[Curve], counts: Floats, start: Sequence[Floats]) -> Fitted:
    """Return the most probable parameters of curves whose sum the counts are drawn from.

    Args:
        curves: over the same bins.
        counts: of each bin, shape (n,).
        start: parameters of each curve to begin at.

    Source: Poisson counts, scored by Fisher's information, steps damped after Marquardt
    1963, J Soc Indust Appl Math 11:431.
    """
    cuts = np.cumsum([len(own) for own in start])[:-1]
    mean = np.concatenate([curve.mean for curve in curves])
    precision = np.concatenate([curve.spread for curve in curves]) ** -2.0
    # Level and slope of a curve belong together; the others are logarithms.
    bounded = np.concatenate([np.arange(len(own)) >= BEND for own in start])
    now = np.concatenate(list(start))

    def value(at: Floats) -> tuple[float, list[Floats]]:
        parts = [c.expected(own) for c, own in zip(curves, np.split(at, cuts), strict=True)]
        total = np.sum(parts, axis=0) + _TINY
        return float((counts * np.log(total) - total).sum()), parts

    def prior(at: Floats) -> float:
        return -0.5 * float((precision * (at - mean) ** 2).sum())

    likelihood, parts = value(now)
    best, damping = likelihood + prior(now), 1e-2
    information = np.diag(precision)
    for _ in range(_MOST_STEPS):
        total = np.sum(parts, axis=0) + _TINY
        gradient = np.concatenate(
            [
                curve.gradient(own, part)
                for curve, own, part in zip(curves, np.split(now, cuts), parts, strict=True)
            ],
            axis=1,
        )
        uphill = gradient.T @ (counts / total - 1) - precision * (now - mean)
        information = (gradient / total[:, None]).T @ gradient + np.diag(precision)
        gain = 0.0
        while damping < 1e9:
            step = np.linalg.solve(information + damping * np.diag(np.diag(information)), uphill)
            step *= min(1.0, _LONGEST_STEP / max(np.abs(step[bounded]).max(initial=0), _TINY))
            tried, tried_parts = value(now + step)
            gain = tried + prior(now + step) - best
            if gain >= 0:
                now, likelihood, parts = now + step, tried, tried_parts
                best, damping = best + gain, max(damping / 6, 1e-9)
                break
            damping *= 4
        if gain < _SETTLED:
            break
    return Fitted(
        np.split(now, cuts),
        np.linalg.inv(information).astype(np.float64),
        likelihood,
        best,
        lambda at: value(at)[0] + prior(at),
    )
