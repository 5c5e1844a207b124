"""Strangers, relatives and matches, told apart by how many pairs have which similarity.

Strangers thin out steeply as similarity rises; so do relatives and namesakes, less steeply;
matches thin out towards lower similarities. Each class is a log-concave curve (`curve`), and
their sum is fitted to the counts of all pairs that lie in the tail of the strangers or above.
Relatives are told only where the counts cannot be explained without them.

Where the counts do not tell classes apart, no method can: without matches the class of matches
holds what is left over. `threshold` judges what was found.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.classify.curve import BEND, DEVIATIONS, SLOPE, Curve, Fitted, fit_sum
from linkage.classify.null import Null
from linkage.classify.rivals import Rivals

Floats = NDArray[np.float64]

# The tail of the strangers that is fitted: up to as many pairs for each record.
TAIL = 20
# From here on every pair is of matches, but for what the other curves leave there: equal records
# are a class of their own.
_EQUAL = 0.97
# Bins grow by one for so many: the tail is steep where it begins, and thin where it ends.
_GROWTH = 40
_FEWEST_BINS = 12
_KNOTS = 10
_STRANGER_KNOTS = 7
_UNKNOWN = 1e3
_MORE_PARAMETERS = 2
# Expected pairs of a bin in which the spread of counts is seen.
_ENOUGH = 5
_BEND_SPREAD = 0.7
# Relatives thin out about so much less steeply than strangers do.
_RELATIVES_SLOPE, _RELATIVES_SPREAD = 0.6, 0.25
# Bins are divided by rivals from where strangers are expected to be fewer than this share.
_DIVIDED = 0.5
_EPSILON = 1e-6
# Strangers left for each record where the fit may begin to look for matches.
_SPLITS = (1.0, 0.1, 0.01, 0.001, 1e-5)


@dataclass(frozen=True)
class Mixture:
    """Expected numbers of pairs of each class.

    Attributes:
        at: lowest similarity of each bin, rising, shape (n,).
        counts: pairs in each, shape (n,).
        strangers: of them, as expected, shape (n,).
        relatives: of them, as expected; all 0 where none are told, shape (n,).
        matches: of them, as expected, shape (n,).
        hidden: matches below the first bin, where strangers hide them.
        tells_relatives: whether the counts cannot be explained without relatives.
    """

    at: Floats
    counts: Floats
    strangers: Floats
    relatives: Floats
    matches: Floats
    hidden: float
    tells_relatives: bool

    @property
    def n_matches(self) -> float:
        """Number of all matches, as expected."""
        return float(self.matches.sum()) + self.hidden

    def unlike_from(self, similarity: Floats) -> Floats:
        """Return how many pairs of no match reach each similarity, as expected."""
        return self._from(self.strangers + self.relatives, similarity)

    def matches_from(self, similarity: Floats) -> Floats:
        """Return how many matches reach each similarity, as expected."""
        return self._from(self.matches, similarity)

    def _from(self, counts: Floats, similarity: Floats) -> Floats:
        reaching = np.append(np.cumsum(counts[::-1])[::-1], 0.0)
        edges = np.append(self.at, max(1.0, self.at[-1]) + _EPSILON)
        found: Floats = np.interp(similarity, edges, reaching)
        return found


class MixtureFit:
    """A fit of the mixture, from which other mixtures can be drawn that fit nearly as well.

    Args:
        histogram: pairs by similarity, equal bins over [0, 1] and one for 1, shape (bins + 1,).
        null: what is known of strangers.
        n_records: number of records.
        rivals: what sure partners elsewhere tell of the same pairs; None where not asked.

    Raises:
        ValueError: too few pairs are alike for anything to be fitted.
    """

    def __init__(
        self,
        histogram: NDArray[np.int64],
        null: Null,
        n_records: int,
        rivals: Rivals | None = None,
    ) -> None:
        bins = len(histogram) - 1
        reaching = np.cumsum(histogram[::-1])[::-1]
        first = max(int(np.argmax(reaching <= TAIL * n_records)), 1)
        edges = _growing(first, bins + 1)
        self.counts = np.add.reduceat(histogram[first:], edges[:-1] - first).astype(np.float64)
        self.edges = np.minimum(edges / bins, 1.0)
        self._null, self._n_records = null, n_records
        likeness = null.likeness(self.edges)
        self._span = _EQUAL - float(likeness[0])
        self._lowest = float(likeness[0])
        scaled = (likeness - likeness[0]) / self._span
        self._place = (scaled[1:] + scaled[:-1]) / 2
        # A bin holds as many similarities of codes as fall into it.
        held = np.add.reduceat(null.held(bins)[first:], edges[:-1] - first)
        self._held = np.log(held / np.diff(edges))
        self._width = np.log(np.maximum(np.diff(scaled), _EPSILON)) + self._held
        # Bins with only matches in them are not fitted: equal records may be any number.
        self._fitted = int(np.searchsorted(likeness[1:], _EQUAL, side="right"))
        if self._fitted < _FEWEST_BINS or not self.counts.any():
            raise ValueError("too few bins")
        self._rivals = self._divided(rivals, first, edges) if rivals else None
        self._curves, self._fit = self._best()

    def mixture(self) -> Mixture:
        """Return the most probable mixture."""
        return self._mixture(self._fit.parameters)

    def drawn(self, rng: np.random.Generator) -> Mixture:
        """Return a mixture that the counts do not rule out, drawn at random."""
        together = self._together(self._curves, self._fit)
        return self._mixture(self._fit.drawn(rng, together))

    def _mixture(self, parameters: list[Floats]) -> Mixture:
        strangers, *relatives, matches = (
            curve.expected(own) for curve, own in zip(self._curves, parameters, strict=True)
        )
        between = relatives[0] if relatives else np.zeros(len(self.counts))
        above = slice(self._fitted, None)
        matches[above] = np.maximum(self.counts - strangers - between, 0.0)[above]
        return Mixture(
            at=self.edges[:-1],
            counts=self.counts,
            strangers=strangers,
            relatives=between,
            matches=matches,
            hidden=self._hidden(parameters[-1]),
            tells_relatives=bool(relatives),
        )

    def _hidden(self, parameters: Floats) -> float:
        """Return the matches below the first bin: their curve goes on bending as usual."""
        at = np.linspace(-max(self._lowest, 0.0) / self._span, 0.0, 200)
        bent = 0.5 * math.exp(min(parameters[BEND], 10.0)) * _KNOTS * at**2
        return float(np.trapezoid(self._curves[-1].expected(parameters, at) * np.exp(-bent), at))

    def _divided(
        self, rivals: Rivals, first: int, edges: NDArray[np.int64]
    ) -> tuple[Floats, Floats, Floats] | None:
        """Return pairs with a rival, and their shares among unlike pairs and matches, by bin.

        Where nearly all are strangers nothing is divided: there are so many that the slightest
        difference between their shares would pass for matches.
        """
        if not rivals.telling:
            return None
        have = np.add.reduceat(rivals.histogram[first:], edges[:-1] - first)[: self._fitted]
        strangers, start = self._strangers()
        tail = self._cut(strangers).expected(start)
        begin = int(np.argmax(tail < _DIVIDED * self.counts[: self._fitted]))
        there = np.arange(self._fitted) >= begin
        return (
            np.where(there, have, 0.0),
            np.where(there, rivals.of_strangers, _EPSILON),
            np.where(there, rivals.of_matches, _EPSILON),
        )

    def _best(self) -> tuple[list[Curve], Fitted]:
        """Return the curves of the best fit, with relatives only where they are needed."""
        strangers, start = self._strangers()
        tail = self._cut(strangers).expected(start)
        left = np.cumsum(tail[::-1])[::-1]
        without: list[tuple[list[Curve], Fitted]] = []
        among: list[tuple[list[Curve], Fitted]] = []
        last = self._fitted - 4
        for split in sorted(
            {min(int(np.argmax(left <= s * self._n_records)), last) for s in _SPLITS}
        ):
            matches, of_matches = self._matches(split)
            relatives, of_relatives = self._relatives(split, tail)
            two = [strangers, matches]
            three = [strangers, relatives, matches]
            without.append((two, self._fitted_to(two, [start, of_matches])))
            among.append((three, self._fitted_to(three, [start, of_relatives, of_matches])))
        best_without = max(without, key=lambda one: one[1].log_posterior)
        best_among = max(among, key=lambda one: one[1].log_posterior)
        gain = best_among[1].log_likelihood - best_without[1].log_likelihood
        return best_among if gain > self._needed(*best_without) else best_without

    def _needed(self, curves: list[Curve], fit: Fitted) -> float:
        """Return by how much relatives must raise the likelihood to be told.

        By Akaike's criterion where rivals tell them. By Schwarz's where only the shape of the
        counts does, in units of how much pairs vary together: whole families and all records of
        a person are alike at once.
        """
        if self._rivals is not None:
            return float(_MORE_PARAMETERS)
        together = self._together(curves, fit)
        return together * _MORE_PARAMETERS / 2 * math.log(max(self._n_records, 2))

    def _together(self, curves: list[Curve], fit: Fitted) -> float:
        """Return how many times more the counts vary than pairs that vary by themselves."""
        expected = np.sum(
            [self._cut(c).expected(own) for c, own in zip(curves, fit.parameters, strict=True)],
            axis=0,
        )
        enough = expected >= _ENOUGH
        off = (self.counts[: self._fitted] - expected)[enough] ** 2 / expected[enough]
        freedom = max(int(enough.sum()) - len(fit.covariance), 1)
        return max(float(off.sum()) / freedom, 1.0)

    def _fitted_to(self, curves: list[Curve], start: list[Floats]) -> Fitted:
        counts, cut = self.counts[: self._fitted], [self._cut(c) for c in curves]
        if self._rivals is None:
            return fit_sum(cut, counts, start)
        have, of_unlike, of_matches = self._rivals
        shares = [*[of_unlike] * (len(cut) - 1), of_matches]
        both = [_divided(c, s) for c, s in zip(cut, shares, strict=True)]
        return fit_sum(both, np.concatenate([have, counts - have]), start)

    def _cut(self, curve: Curve, n: int | None = None) -> Curve:
        """Return a curve over the first bins; those that are fitted where no number is given."""
        n = self._fitted if n is None else n
        return Curve(curve.at[:n], curve.offset[:n], curve.knots, curve.mean, curve.spread)

    def _strangers(self) -> tuple[Curve, Floats]:
        """Return the curve of strangers, and where it begins: as if the tail were all theirs."""
        similarity = (self.edges[1:] + self.edges[:-1]) / 2
        start, scale = self.edges[0], self.edges[self._fitted] - self.edges[0]
        at = (similarity - start) / scale
        offset = np.log(np.maximum(np.diff(self.edges), _EPSILON) / scale) + self._held
        reaching = np.cumsum(self.counts[::-1])[::-1]
        n = max(int(np.argmax(reaching <= 0.05 * reaching[0])), _FEWEST_BINS // 2)
        half = max(n // 2, 1)
        dense = np.log(np.maximum(self.counts[:n], 0.5)) - offset[:n]
        slope = (dense[half:].mean() - dense[:half].mean()) / (at[half:n].mean() - at[:half].mean())
        level = float(dense[0])
        if self._null.known:
            offset = offset - (at * scale) ** 2 / (2 * self._null.variance)
            knots, mean = np.zeros(0), np.array([level, slope])
        else:
            knots = np.arange(_STRANGER_KNOTS) / _KNOTS
            mean = np.concatenate([[level, slope, math.log(0.5)], np.zeros(_STRANGER_KNOTS)])
        spread = np.full(len(mean), _BEND_SPREAD)
        spread[: SLOPE + 1] = _UNKNOWN
        if len(knots):
            spread[BEND] = _BEND_SPREAD
        curve = Curve(at, offset, knots, mean, spread)
        return curve, fit_sum([self._cut(curve, n)], self.counts[:n], [mean]).parameters[0]

    def _relatives(self, split: int, tail: Floats) -> tuple[Curve, Floats]:
        """Return the curve of relatives, less steep than that of strangers at a split."""
        place = self._place
        dense = np.log(np.maximum(tail, 1e-300)) - self._width[: len(tail)]
        steep = (dense[split + 1] - dense[split]) / (place[split + 1] - place[split])
        slope = _RELATIVES_SLOPE * min(steep, -5.0)
        level = math.log(max(0.3 * tail[split], 1e-4)) - self._width[split] - slope * place[split]
        mean = np.array([level, slope])
        spread = np.array([4.0 - slope * _RELATIVES_SPREAD, -slope * _RELATIVES_SPREAD])
        return Curve(place, self._width, np.zeros(0), mean, spread), mean

    def _matches(self, split: int) -> tuple[Curve, Floats]:
        """Return the curve of matches; it begins as a normal one over the pairs from a split."""
        knots = np.arange(_KNOTS) / _KNOTS
        mean = np.zeros(DEVIATIONS + _KNOTS)
        mean[BEND] = math.log(4 / _KNOTS)
        spread = np.full(len(mean), _BEND_SPREAD)
        spread[:DEVIATIONS] = _UNKNOWN, 30.0, 2.0
        curve = Curve(self._place, self._width, knots, mean, spread)
        there = slice(split, self._fitted)
        counts, at = self.counts[there] + _EPSILON, self._place[there]
        middle = float(np.average(at, weights=counts))
        variance = max(float(np.average((at - middle) ** 2, weights=counts)), 0.003)
        start = mean.copy()
        start[SLOPE] = (middle + 0.5 / _KNOTS) / variance
        start[BEND] = -math.log(_KNOTS * variance)
        start[0] = math.log(max(counts.sum(), 1.0) / float(curve.expected(start)[there].sum()))
        return curve, start


def _growing(first: int, last: int) -> NDArray[np.int64]:
    """Return edges of bins from first to last, ever wider."""
    edges = [first]
    while edges[-1] < last:
        edges.append(min(edges[-1] + max(1, (edges[-1] - first) // _GROWTH), last))
    return np.array(edges)


def _divided(curve: Curve, share: Floats) -> Curve:
    """Return a curve over the bins of pairs with a rival, then over those without."""
    offset = np.concatenate([curve.offset + np.log(share), curve.offset + np.log1p(-share)])
    return Curve(np.tile(curve.at, 2), offset, curve.knots, curve.mean, curve.spread)
