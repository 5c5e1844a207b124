"""A1 and A2: matching the graph of codes to that of plain records.

Nothing is known but a plain register that overlaps the encoded one, and, for A2, a few
pairs. The attack is of the family of Vidanage (CIKM 2020) and of Schaefer, Armknecht and
Heng (ACSAC 2024), with node features in place of their embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.privacy.matching import mutual_neighbours, propagate
from linkage.privacy.pairwise import signed_agreement
from linkage.privacy.people import PlainPeople
from linkage.privacy.rates import Named

# The first guess is the sum of several: each alone finds its way at some overlaps only.
_DIMENSIONS = (8, 12, 18, 25)
_QUANTILES = 42
_FIRST_SHARE = 0.3
# Many landmarks at first, right or wrong: what the right ones say adds up, the rest is noise.
_BLIND_SHARES = (*[0.5] * 8, *[min(0.5 + 0.03 * turn, 1.0) for turn in range(17)])
_SEEDED_SHARES = tuple(min(0.2 + 0.06 * turn, 1.0) for turn in range(12))


@dataclass(frozen=True)
class Overlap:
    """Two registers with persons in common, drawn from one.

    Attributes:
        encoded: numbers of the encoded records; the shared ones come first.
        plain: numbers of the plain records, likewise, the shared ones in the same order.
        n_shared: how many are in both.
    """

    encoded: NDArray[np.int64]
    plain: NDArray[np.int64]
    n_shared: int

    @classmethod
    def draw(cls, n: int, share: float, seed: int) -> "Overlap":
        """Return two registers of equal size that use all n records.

        Args:
            n: number of records.
            share: of each register that is in the other one too.
            seed: of the draw.
        """
        order = np.random.default_rng(seed).permutation(n)
        size = int(n / (2 - share))
        n_shared = round(share * size)
        only = order[n_shared:]
        return cls(
            np.concatenate([order[:n_shared], only[: size - n_shared]]),
            np.concatenate([order[:n_shared], only[size - n_shared : 2 * (size - n_shared)]]),
            n_shared,
        )


def blind_matching(
    codes: NDArray[np.uint64],
    people: PlainPeople,
    overlap: Overlap,
    on_step: Callable[[], None] = lambda: None,
) -> Named:
    """A1: match without any known pair.

    Args:
        codes: of all records, shape (n, n_words).
        people: the same records in plain text.
        overlap: which of them the two registers hold.
        on_step: called after each turn.
    """
    left, right = _graphs(codes, people, overlap)
    (rows, columns), _ = mutual_neighbours(_first_guess(left, right))
    n_seeds = max(round(_FIRST_SHARE * len(rows)), min(len(rows), 2))
    seeds = rows[:n_seeds], columns[:n_seeds]
    best = propagate(left, right, seeds, _BLIND_SHARES, keep_seeds=False, on_step=on_step)
    return _named(best, overlap, 0)


def seeded_matching(
    codes: NDArray[np.uint64],
    people: PlainPeople,
    overlap: Overlap,
    n_known: int,
    on_step: Callable[[], None] = lambda: None,
) -> Named:
    """A2: match from some known pairs; arguments as for `blind_matching`.

    Args:
        codes: of all records.
        people: the same records in plain text.
        overlap: which of them the two registers hold.
        n_known: how many shared persons are known; no more than half of them.
        on_step: called after each turn.
    """
    left, right = _graphs(codes, people, overlap)
    n_known = min(n_known, overlap.n_shared // 2)
    known = np.arange(n_known)
    seeds = known, known
    best = propagate(left, right, seeds, _SEEDED_SHARES, keep_seeds=True, on_step=on_step)
    return _named(best, overlap, n_known)


def _graphs(
    codes: NDArray[np.uint64], people: PlainPeople, overlap: Overlap
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the similarities among encoded and among plain records, diagonals the mean."""
    encoded = codes[overlap.encoded]
    plain = people.take(overlap.plain)
    left = signed_agreement(encoded, encoded)
    right = plain.expected_agreement(plain)
    for graph in (left, right):
        np.fill_diagonal(graph, (graph.sum() - np.trace(graph)) / (len(graph) * (len(graph) - 1)))
    return left, right


def _named(best: NDArray[np.int64], overlap: Overlap, n_known: int) -> Named:
    """Return which shared persons, the known ones left out, had their own record named."""
    asked = np.arange(n_known, overlap.n_shared)
    return Named(overlap.encoded[asked], best[asked] == asked, 1 / len(overlap.plain))


def _first_guess(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how well the records of both graphs fit by what no numbering changes."""
    walks = _walks(left), _walks(right)
    guess = np.zeros((len(left), len(right)), dtype=np.float32)
    for places in _places(len(left)):
        features = [
            np.concatenate([walk, _quantiles(graph, places)], axis=1)
            for walk, graph in zip(walks, (left, right), strict=True)
        ]
        scores = np.concatenate([_normal_scores(of_side) for of_side in features])
        vectors, values, _ = np.linalg.svd(scores, full_matrices=False)
        vectors = vectors[:, values > 1e-4 * values[0]]
        for dimensions in _DIMENSIONS:
            white = vectors[:, :dimensions]
            white = white / (np.linalg.norm(white, axis=1, keepdims=True) + 1e-12)
            white = white.astype(np.float32)
            guess += white[: len(left)] @ white[len(left) :].T
    return guess


def _walks(similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return sums over walks, squares and moments, shape (n, n_features)."""
    n = len(similarities)
    centred = similarities - similarities.mean()
    centred /= np.sqrt(np.mean(centred**2)) * n + np.float32(1e-12)
    square = centred @ centred
    features = []
    walk = np.ones(n, dtype=np.float32)
    for _ in range(6):
        walk = centred @ walk
        features.append(walk)
    # Diagonals and row sums of products of powers of the matrix.
    features += [np.diag(square), (square * centred).sum(axis=1), (square * square).sum(axis=1)]
    features += [n * (centred**3).sum(axis=1), n * (centred * centred * square).sum(axis=1)]
    own = similarities - similarities.mean(axis=1, keepdims=True)
    features += [(own**power).mean(axis=1) for power in (2, 3, 4, 5)]
    return np.stack(features, axis=1).astype(np.float32)


def _places(n: int) -> tuple[NDArray[np.float64], ...]:
    """Return three sets of quantiles: even, of the ends, and of both."""
    quarter = _QUANTILES // 4
    ends = np.geomspace(min(2 / n, 0.4), 0.5, _QUANTILES // 2)
    outer = np.geomspace(min(5 / n, 0.01), 0.02, quarter)
    return (
        (np.arange(_QUANTILES) + 0.5) / _QUANTILES,
        np.concatenate([1 - ends, ends]),
        np.concatenate([np.linspace(0.02, 0.98, 2 * quarter), 1 - outer, outer]),
    )


def _quantiles(
    similarities: NDArray[np.float32], places: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return quantiles of each record's similarities, shape (n, n_places)."""
    at = (places * (len(similarities) - 1)).round().astype(np.int64)
    return np.sort(similarities, axis=1)[:, at]


def _normal_scores(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the columns' ranks as quantiles of the normal distribution."""
    n = len(features)
    ranks = np.argsort(np.argsort(features, axis=0, kind="stable"), axis=0)
    return _normal_quantile((ranks + 0.5) / n)


def _normal_quantile(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normal quantiles, to 5e-4 (Abramowitz and Stegun 26.2.23)."""
    tail = np.minimum(p, 1 - p)
    t = np.sqrt(-2 * np.log(tail))
    above = 2.515517 + t * (0.802853 + t * 0.010328)
    below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    return np.asarray(np.sign(p - 0.5) * (t - above / below), dtype=np.float64)
