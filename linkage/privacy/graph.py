"""A1 and A2: matching the graph of codes to that of plain records.

Nothing is known but a plain register that overlaps the encoded one, and, for A2, a few
pairs. The attack is of the family of Vidanage (CIKM 2020) and of Schaefer, Armknecht and
Heng (ACSAC 2024), with node features in place of their embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.privacy.matching import Pairs, mutual_neighbours, propagate
from linkage.privacy.pairwise import signed_agreement
from linkage.privacy.people import PlainPeople
from linkage.privacy.rates import Rate

_DIMENSIONS = 25
_QUANTILES = 42
_BLIND_TURNS, _SEEDED_TURNS = 25, 12
_FIRST_SHARE = 0.3


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
) -> Rate:
    """A1: match without any known pair.

    Args:
        codes: of all records, shape (n, n_words).
        people: the same records in plain text.
        overlap: which of them the two registers hold.
        on_step: called after each turn.
    """
    left, right = _graphs(codes, people, overlap)
    own, other = _whitened(_node_features(left), _node_features(right))
    (rows, columns), _ = mutual_neighbours(own @ other.T)
    n_seeds = max(round(_FIRST_SHARE * len(rows)), min(len(rows), 2))
    shares = [min(0.15 + 0.04 * turn, 1.0) for turn in range(_BLIND_TURNS)]
    seeds = rows[:n_seeds], columns[:n_seeds]
    best = propagate(left, right, seeds, shares, keep_seeds=False, on_step=on_step)
    return _hits(best, overlap, 0)


def seeded_matching(
    codes: NDArray[np.uint64],
    people: PlainPeople,
    overlap: Overlap,
    n_known: int,
    on_step: Callable[[], None] = lambda: None,
) -> Rate:
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
    shares = [min(0.2 + 0.06 * turn, 1.0) for turn in range(_SEEDED_TURNS)]
    best = propagate(left, right, (known, known), shares, keep_seeds=True, on_step=on_step)
    return _hits(best, overlap, n_known)


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


def _hits(best: NDArray[np.int64], overlap: Overlap, n_known: int) -> Rate:
    """Count shared persons, the known ones left out, whose own plain record was named."""
    asked = np.arange(n_known, overlap.n_shared)
    return Rate(int((best[asked] == asked).sum()), len(asked), 1 / len(overlap.plain))


def _node_features(similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what no numbering of the records changes of each, shape (n, n_features)."""
    n = len(similarities)
    centred = similarities - similarities.mean()
    centred /= np.sqrt(np.mean(centred**2)) * n + np.float32(1e-12)
    square = centred @ centred
    features = []
    walk = np.ones(n, dtype=np.float32)
    for _ in range(6):
        walk = centred @ walk
        features.append(walk)
    features += [np.diag(square), (square * centred).sum(axis=1), (square * square).sum(axis=1)]
    features += [(centred**2).sum(axis=1), (centred**3 * n).sum(axis=1)]
    features += [(centred * square).sum(axis=1), (centred * square * centred * n).sum(axis=1)]
    scaled = similarities - similarities.mean(axis=1, keepdims=True)
    features += [(scaled**power).mean(axis=1) for power in (2, 3, 4, 5)]
    ordered = np.sort(similarities, axis=1)
    # More of the upper end, where relatives and namesakes are.
    at = 1 - np.geomspace(1 / n, 1, _QUANTILES)
    features += list(ordered[:, (at * (n - 1)).round().astype(np.int64)].T)
    return np.stack(features, axis=1).astype(np.float32)


def _whitened(
    left: NDArray[np.float32], right: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both sides' features as normal scores, whitened together, of length 1."""
    both = np.concatenate([_normal_scores(left), _normal_scores(right)])
    vectors, values, _ = np.linalg.svd(both, full_matrices=False)
    kept = values[:_DIMENSIONS] > 1e-4 * values[0]
    vectors = vectors[:, :_DIMENSIONS][:, kept]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12
    vectors = vectors.astype(np.float32)
    return vectors[: len(left)], vectors[len(left) :]


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
    return np.sign(p - 0.5) * (t - above / below)


__all__ = ["Overlap", "Pairs", "blind_matching", "seeded_matching"]
