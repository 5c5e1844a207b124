"""The threshold of a one-round linkage, chosen without truth, and how good its links are.

How many false pairs reach a similarity is known from the mixture of strangers, relatives and
matches, what a false pair does to the groups from joining records at random; how many pairs were
found is counted. The difference are the right ones, and the threshold with the best F1 is taken.
It never lies below the floor, where pairs of no match become as many as there are records.

The two worst errors are taken care of: a false pair between large groups costs many links, and
what was found beyond what the matches' own curve has is not counted as right.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.classify.intervals import UNKNOWN, Interval, off_by
from linkage.classify.linked import Linked, linked
from linkage.classify.mixture import Mixture, MixtureFit
from linkage.classify.null import Null
from linkage.classify.rivals import rivals_of
from linkage.compare.candidates import Candidates
from linkage.solve.groups import Groups

# Links above are graded as matches: at most one in a hundred is false.
SURE_PRECISION = 0.99
# With fewer matches there is nothing to learn a threshold from.
_FEWEST_MATCHES = 10.0
# Then not one false pair in so many jobs is accepted.
_CAUTION = 0.05
_FLOOR_PAIRS = 1.0
_DRAWS = 400
_NONE_SURE = 2.0
# Plain filters that find fewer matches have not told them apart; of hardened ones it is usual.
_FEW_FOUND = 0.6
# Half a pair may be false, or missed, though none is expected; of more than so many none is drawn.
_HALF, _MOST = 0.5, 1e12
# By what factor the mixture's numbers of false pairs and of missed matches may be off: ADR 5 has
# the figures of known registers. More are missed than a log-concave curve has, for some records
# lack whole attributes.
_FALSE_OFF, _MISSED_OFF = 3.0, 3.5
_MISSED_MORE = 1.5
# With links that are worse than this the mixture did not tell classes apart.
_LEAST_PRECISION = 0.5
# While so few pairs of no match are there for each match, those found show what groups add.
_CLEAN = 0.01


@dataclass(frozen=True)
class Threshold:
    """A threshold and the quality of the links from there.

    Attributes:
        value: lowest similarity of a link.
        sure: lowest similarity of a link that is graded a match; those between both are
            undetermined. Above 1 where none is sure.
        floor: similarity from which pairs of no match are fewer than records.
        precision: estimated share of right links.
        recall: estimated share of matches that are linked.
        matches: estimated number of matches.
        notes: what a reader of these figures must know; empty if all went well.
    """

    value: float
    sure: float
    floor: float
    precision: Interval
    recall: Interval
    matches: float
    notes: tuple[str, ...] = ()


def choose_threshold(
    histogram: NDArray[np.int64],
    candidates: Candidates,
    groups: Groups,
    party_of: NDArray[np.uint8],
    single: frozenset[int],
    null: Null,
    rng: np.random.Generator,
) -> Threshold:
    """Return the threshold with the best F1, as far as similarities tell.

    Args:
        histogram: of all pairs by similarity, equal bins over [0, 1] and one for 1, shape
            (bins + 1,).
        candidates: all pairs from some similarity on; `mixture.TAIL` for each record or more.
        groups: the greedy solution of the candidates.
        party_of: party of each record, shape (n_records,).
        single: parties that have each person at most once.
        null: what is known of strangers.
        rng: draws pairs and intervals.
    """
    n, bins = len(party_of), len(histogram) - 1
    try:
        fit = MixtureFit(histogram, null, n)
        rivals = rivals_of(candidates, party_of, fit.mixture().n_matches, bins, rng)
        if rivals.telling:
            fit = MixtureFit(histogram, null, n, rivals)
    except (ValueError, np.linalg.LinAlgError):
        note = "too few pairs are alike to tell matches from others: nothing is linked"
        return Threshold(1.0, _NONE_SURE, 1.0, UNKNOWN, UNKNOWN, 0.0, (note,))
    mixture = fit.mixture()
    floor = _reached(mixture, _FLOOR_PAIRS * n)
    states = linked(groups, candidates, party_of, single, floor, rng)
    judged = _Judged(states, mixture)
    at = int(np.argmax(judged.f1)) if len(states) else 0
    if problem := _problem(mixture, judged, at):
        value = _reached(mixture, _CAUTION)
        return Threshold(value, _NONE_SURE, floor, UNKNOWN, UNKNOWN, mixture.n_matches, (problem,))
    precision, recall = _intervals(fit, states, judged, at, rng)
    precise = np.flatnonzero(judged.precision >= SURE_PRECISION)
    lowest = float(states.threshold[at])
    notes = []
    if mixture.tells_relatives and not rivals.telling:
        notes.append("relatives are told from matches by the shape of the counts only")
    if not null.known and recall.estimate < _FEW_FOUND:
        notes.append("matches seem to reach far among strangers: relatives may be taken for them")
    return Threshold(
        value=lowest,
        sure=max(float(states.threshold[precise[-1]]), lowest) if len(precise) else _NONE_SURE,
        floor=floor,
        precision=precision,
        recall=recall,
        matches=float(judged.matches[at]),
        notes=tuple(notes),
    )


def _problem(mixture: Mixture, judged: "_Judged", at: int) -> str | None:
    """Return why no threshold can be learnt, if so."""
    if mixture.n_matches < _FEWEST_MATCHES or not len(judged.f1):
        return f"there are about {mixture.n_matches:.0f} matches, too few to learn a threshold from"
    if judged.precision[at] < _LEAST_PRECISION:
        return "matches could not be told from others: only what is beyond doubt is linked"
    return None


def _reached(mixture: Mixture, pairs: float) -> float:
    """Return the lowest similarity that at most so many pairs of no match reach."""
    reaching = mixture.unlike_from(mixture.at)
    few = np.flatnonzero(reaching <= pairs)
    return float(mixture.at[few[0]]) if len(few) else 1.0


class _Judged:
    """What groups are worth under each threshold, as a mixture has it."""

    def __init__(self, states: Linked, mixture: Mixture) -> None:
        unlike = mixture.unlike_from(states.threshold)
        # Pairs of no match between two thresholds meet groups as they are at the upper one.
        joining = np.concatenate([states.joining[:1], states.joining[:-1]])
        self.false = np.minimum(np.cumsum(np.diff(unlike, prepend=0.0) * joining), states.found)
        direct = mixture.matches_from(states.threshold)
        right = states.found - self.false
        # Groups of several records add pairs to those that are alike themselves: by how much is
        # seen where nothing is false yet. What is found beyond that is false too.
        clean = np.flatnonzero(unlike > _CLEAN * direct)
        first = int(clean[0]) if len(clean) else len(direct)
        more = float(right[first - 1] / max(direct[first - 1], 1.0)) if first else 1.0
        most = np.where(np.arange(len(direct)) < first, np.inf, max(more, 1.0) * direct)
        self.right = np.minimum(right, most)
        self.false = states.found - self.right
        self.precision = self.right / np.maximum(states.found, 1.0)
        below = np.maximum(mixture.n_matches - direct, 0.0)
        missed = np.maximum(below - states.implied * self.precision, 0.0)
        self.matches = np.maximum(self.right + missed, mixture.n_matches)
        self.f1 = 2 * self.right / np.maximum(states.found + self.matches, 1.0)
        self.missed = _MISSED_MORE * missed
        self.recall = self.right / np.maximum(self.right + self.missed, 1.0)


def _intervals(
    fit: MixtureFit, states: Linked, judged: _Judged, at: int, rng: np.random.Generator
) -> tuple[Interval, Interval]:
    """Return precision and recall at one of the thresholds, with intervals."""
    found = states.found[at]
    others = [_Judged(states, fit.drawn(rng)) for _ in range(_DRAWS)]
    false = np.array([max(other.false[at], _HALF) for other in others])
    missed = np.array([max(other.missed[at], _HALF) for other in others])
    # The model may be off, and what there is is one draw of what it expects; false pairs come
    # in as many as groups join.
    false = false * off_by(_FALSE_OFF, _DRAWS, rng)
    missed = missed * off_by(_MISSED_OFF, _DRAWS, rng)
    joined = max(float(states.joining[: at + 1].mean()), 1.0)
    false = joined * rng.poisson(np.minimum(false / joined, _MOST))
    missed = 1.0 * rng.poisson(np.minimum(missed, _MOST))
    right = np.maximum(found - false, 0.0)
    return (
        Interval.of(float(judged.precision[at]), right / max(found, 1.0)),
        Interval.of(float(judged.recall[at]), right / np.maximum(right + missed, 1.0)),
    )
