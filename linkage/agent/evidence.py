"""What an evaluation saw of its pairs: the figures behind those that it prints.

Counts by score and by pair of files, and quality by threshold. Of the records themselves
it knows no value, only numbers.

A score is what the last round decides by: with one round the similarity of two codes, with
two the log2 odds of a match, in bits.
"""

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linkage.classify.fellegi_sunter import LinkageModel, Scores
from linkage.classify.levels import N_LEVELS
from linkage.classify.quality import Quality, quality_of
from linkage.classify.sweep import Sweep
from linkage.compare.candidates import Candidates
from linkage.engine.plan import Task

# Pairs whose weights are held at once.
_AT_ONCE = 1 << 18
_MOST_BARS = 100
_POINTS = 31


@dataclass(frozen=True)
class Evidence:
    """The scored pairs of an evaluation, and what became of them.

    Record numbers count over all files.

    Attributes:
        person: person of each record, shape (n_records,).
        file: number of its file, shape (n_records,), ascending.
        candidates: the scored pairs, each once.
        label: group of each record at the threshold, by the agreed solver, shape
            (n_records,).
        sweep: the groups at any threshold.
        threshold: lowest similarity of a link, as the solver takes it.
        compared: comparisons by pair of files: of all pairs, and of those sharing a token.
        levels: comparison levels of the pairs, shape (n_pairs, n_attributes); None with
            one round.
        model: what was learnt of the levels; None with one round.
    """

    person: NDArray[np.int64]
    file: NDArray[np.uint8]
    candidates: Candidates
    label: NDArray[np.int32]
    sweep: Sweep
    threshold: float
    compared: Mapping[tuple[int, int], tuple[int, int]]
    levels: NDArray[np.int8] | None = None
    model: LinkageModel | None = None

    @property
    def records(self) -> list[int]:
        """Number of records by file."""
        return [int(n) for n in np.bincount(self.file)]

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """Score of each pair, shape (n_pairs,)."""
        if self.levels is None or self.model is None:
            return self.candidates.similarity.astype(np.float64)
        starts = range(0, len(self.levels), _AT_ONCE)
        parts = [self.model.score(self.levels[start : start + _AT_ONCE]) for start in starts]
        return np.concatenate([np.zeros(0), *(part.log_odds for part in parts)])

    @cached_property
    def same(self) -> NDArray[np.bool_]:
        """Whether the pair is of one person, shape (n_pairs,)."""
        same: NDArray[np.bool_] = (
            self.person[self.candidates.left] == self.person[self.candidates.right]
        )
        return same

    @cached_property
    def linked(self) -> NDArray[np.bool_]:
        """Whether the pair is in one group at the threshold, shape (n_pairs,)."""
        linked: NDArray[np.bool_] = (
            self.label[self.candidates.left] == self.label[self.candidates.right]
        )
        return linked

    @property
    def above(self) -> NDArray[np.bool_]:
        """Whether the pair reaches the threshold, shape (n_pairs,)."""
        return self.candidates.similarity >= np.float32(self.threshold)

    def similarity_of(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores as similarities, as the solver takes them."""
        if self.model is None:
            return scores
        nothing = np.zeros(len(scores), np.float32)
        return Scores(nothing[:, None], nothing, scores).similarity.astype(np.float64)

    def where(self, pair: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return file and number of both records of a pair; numbers count from 1 in a file."""
        first = np.concatenate(([0], np.cumsum(self.records)))
        left, right = int(self.candidates.left[pair]), int(self.candidates.right[pair])
        one, other = int(self.file[left]), int(self.file[right])
        return (one, left - int(first[one]) + 1), (other, right - int(first[other]) + 1)


@dataclass(frozen=True)
class Histogram:
    """Number of pairs by score.

    Attributes:
        edges: ends of the bars, shape (n_bars + 1,), equally wide.
        same: pairs of one person, shape (n_bars,).
        others: pairs of two, shape (n_bars,).
    """

    edges: NDArray[np.float64]
    same: NDArray[np.int64]
    others: NDArray[np.int64]


@dataclass(frozen=True)
class FilePair:
    """What was done and found between two files, or inside a single one.

    Attributes:
        files: numbers of the files; equal for a single one.
        compared: comparisons of all pairs, and of those sharing a token.
        scored: pairs that were scored.
        quality: of the links at the threshold.
    """

    files: tuple[int, int]
    compared: tuple[int, int]
    scored: int
    quality: Quality


def comparisons_by_files(tasks: Iterable[Task]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the comparisons by pair of files: of all pairs, and of those sharing a token."""
    compared: dict[tuple[int, int], tuple[int, int]] = {}
    for task in tasks:
        everything, shared = compared.get((task.left, task.right), (0, 0))
        if task.columns is None:
            shared += task.comparisons
        else:
            everything += task.comparisons
        compared[task.left, task.right] = everything, shared
    return compared


def histogram(evidence: Evidence) -> Histogram:
    """Return the number of pairs by score; no bar at all where there is no pair."""
    score = evidence.score
    if not len(score):
        return Histogram(np.zeros(1), np.zeros(0, np.int64), np.zeros(0, np.int64))
    edges = even_edges(float(score.min()), float(score.max()), _MOST_BARS)
    same = np.histogram(score[evidence.same], edges)[0]
    others = np.histogram(score[~evidence.same], edges)[0]
    return Histogram(edges, same.astype(np.int64), others.astype(np.int64))


def even_edges(low: float, high: float, most: int) -> NDArray[np.float64]:
    """Return multiples of a round step that hold a range, with at most `most` steps.

    Args:
        low: lowest number.
        high: highest number.
        most: most steps, at least 2.
    """
    power = 10.0 ** np.floor(np.log10(max(high - low, 1e-6) / most))
    for step in power * np.array([1, 2, 5, 10, 20]):
        first, last = np.floor(low / step), np.floor(high / step) + 1
        if last - first <= most:
            break
    edges: NDArray[np.float64] = np.arange(first, last + 1) * step
    return edges


def quality_curve(evidence: Evidence, scores: Sequence[float]) -> list[Quality]:
    """Return the quality at each of some thresholds, each as if solved again, best first.

    Args:
        evidence: the solved pairs.
        scores: thresholds, as scores.
    """
    known: dict[bytes, Quality] = {}
    curve = []
    for similarity in evidence.similarity_of(np.array(scores, np.float64)):
        label = evidence.sweep.label(float(similarity))
        groups = hashlib.sha256(label.tobytes()).digest()
        if groups not in known:
            known[groups] = quality_of(label, evidence.person, evidence.file)
        curve.append(known[groups])
    return curve


def thresholds(evidence: Evidence) -> NDArray[np.float64]:
    """Return the thresholds of a curve from the lowest to the highest score, rising.

    Closer where true matches are, and as many of the others that come nearest to them:
    codes of strangers lie so close together that even steps would pass over them.
    """
    others = np.sort(evidence.score[~evidence.same])
    same, score = evidence.score[evidence.same], evidence.score
    close = [part for part in (same, others[-max(len(same), 1) :]) if len(part)]
    ranges = [np.array([score.min(), score.max()]), *close] if len(score) else []
    share = np.linspace(0, 1, _POINTS)
    return np.unique(np.concatenate([score[:0], *(np.quantile(part, share) for part in ranges)]))


def by_files(evidence: Evidence) -> list[FilePair]:
    """Return what was done and found between every two files."""
    label = evidence.label
    n = len(evidence.records)
    pairs = list(itertools.combinations(range(n), 2)) or [(0, 0)]
    left, right = evidence.file[evidence.candidates.left], evidence.file[evidence.candidates.right]
    found = []
    for one, other in pairs:
        inside = (evidence.file == one) | (evidence.file == other)
        quality = quality_of(label[inside], evidence.person[inside], evidence.file[inside])
        scored = int(((left == one) & (right == other)).sum())
        compared = evidence.compared.get((one, other), (0, 0))
        found.append(FilePair((one, other), compared, scored, quality))
    return found


def level_counts(evidence: Evidence) -> NDArray[np.int64]:
    """Return how many scored pairs have which level, shape (n_attributes, N_LEVELS)."""
    levels = evidence.levels
    if levels is None:
        return np.zeros((0, N_LEVELS), np.int64)
    return np.array(
        [np.bincount(levels[:, a], minlength=N_LEVELS) for a in range(levels.shape[1])],
        dtype=np.int64,
    ).reshape(levels.shape[1], N_LEVELS)
