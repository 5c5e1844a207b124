"""Matching two graphs of similarities from seeds: the loop that A1 and A2 share.

Records of both sides are described by how alike they are to a set of landmarks, pairs
of records held for the same. Mutual nearest neighbours are ranked by margin, the best
become landmarks, and so on. Right landmarks make further ones right.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def mutual_neighbours(scores: NDArray[np.float32]) -> tuple[Pairs, NDArray[np.float32]]:
    """Return the pairs that are each other's best, best margin first, and their margins.

    Args:
        scores: of all pairs, shape (n, m), m above 1; the higher the better.
    """
    best = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    top = scores[rows, best].copy()
    back = scores.argmax(axis=0)
    mutual = np.flatnonzero(back[best] == rows)
    scores[rows, best] = -np.inf
    margin = top - scores.max(axis=1)
    scores[rows, best] = top
    order = mutual[np.argsort(-margin[mutual], kind="stable")]
    return (order, best[order]), margin[order]


def propagate(
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    seeds: Pairs,
    shares: Sequence[float],
    *,
    keep_seeds: bool,
    on_step: Callable[[], None] = lambda: None,
) -> NDArray[np.int64]:
    """Return the best record of the right graph for each of the left one, shape (n,).

    Args:
        left: similarities of all pairs of left records, shape (n, n).
        right: those of right records, shape (m, m).
        seeds: pairs to begin with.
        shares: for each turn, which share of the mutual neighbours become landmarks.
        keep_seeds: whether the seeds are known to be right, and stay landmarks.
        on_step: called after each turn.
    """
    landmarks = seeds
    scores = _scores(left, right, landmarks)
    for share in shares:
        (rows, columns), _ = mutual_neighbours(scores)
        n_kept = max(round(share * len(rows)), min(len(rows), 2))
        landmarks = rows[:n_kept], columns[:n_kept]
        if keep_seeds:
            fresh = ~(np.isin(landmarks[0], seeds[0]) | np.isin(landmarks[1], seeds[1]))
            landmarks = (
                np.concatenate([seeds[0], landmarks[0][fresh]]),
                np.concatenate([seeds[1], landmarks[1][fresh]]),
            )
        scores = _scores(left, right, landmarks)
        on_step()
    best: NDArray[np.int64] = scores.argmax(axis=1)
    return best


def _scores(
    left: NDArray[np.float32], right: NDArray[np.float32], landmarks: Pairs
) -> NDArray[np.float32]:
    """Return cosines of the similarities to landmarks, each standardised, shape (n, m)."""
    own, other = _described(left[:, landmarks[0]]), _described(right[:, landmarks[1]])
    return own @ other.T


def _described(similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    vectors = similarities - similarities.mean(axis=0, keepdims=True)
    vectors /= vectors.std(axis=0, keepdims=True) + np.float32(1e-9)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + np.float32(1e-9)
    return np.asarray(vectors, dtype=np.float32)
