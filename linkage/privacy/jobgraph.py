"""A7: what the matcher sees of a whole job, as a graph, and matching two such graphs.

Records of both parties are the nodes. A pair that shares a block or an exact token is an
edge, and what the matcher knows of it are labels: in which entries, in which slots, and
at which level each attribute compares. No key is needed to read such labels. An attacker
who holds plain registers runs the same job among them under own keys and matches the
graph that he gets to the one that he sees.

Two records fit if their edges have like labels, the rarer the more, and if what is at the
other end of these edges fits too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

_TURNS = 3
# A record's own labels against what its neighbours say.
_OWN = 0.3
_SHARPNESS = 4

Known = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class JobGraph:
    """Labelled edges between the records of two parties, by label.

    Attributes:
        sizes: number of records of the left and the right party.
        left: left record of each label of an edge, shape (n,).
        right: right record, likewise.
        first: where each label begins, and the end, shape (n_labels + 1,).
    """

    sizes: tuple[int, int]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    first: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        sizes: tuple[int, int],
        labels: Sequence[tuple[NDArray[np.int32], NDArray[np.int32]]],
    ) -> "JobGraph":
        """Return the graph of edges listed label by label."""
        none = np.zeros(0, np.int32)
        return cls(
            sizes,
            np.concatenate([none, *(left for left, _ in labels)]),
            np.concatenate([none, *(right for _, right in labels)]),
            np.concatenate(([0], np.cumsum([len(left) for left, _ in labels]))).astype(np.int64),
        )

    @property
    def counts(self) -> NDArray[np.int64]:
        """Edges with each label, shape (n_labels,)."""
        return np.diff(self.first)

    def profiles(self, side: int, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return which labels the edges of each record have, rows of length 1."""
        ends = (self.left, self.right)[side]
        profile = np.zeros((self.sizes[side], len(weights)), dtype=np.float32)
        label = np.repeat(np.arange(len(weights)), self.counts)
        np.add.at(profile, (ends, label), 1)
        profile = np.sqrt(profile) * weights
        length = np.linalg.norm(profile, axis=1, keepdims=True)
        return np.asarray(profile / (length + np.float32(1e-9)), dtype=np.float32)

    def strengths(self, side: int, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the root of the weight of all labels of each record, shape (n,)."""
        ends = (self.left, self.right)[side]
        weight = np.repeat(weights, self.counts)
        total = np.bincount(ends, weight, minlength=self.sizes[side])
        return np.asarray(np.sqrt(total + 1e-6), dtype=np.float32)


def match_jobs(seen: JobGraph, own: JobGraph, known: Known) -> NDArray[np.float32]:
    """Return how well each left record seen fits each left plain record, shape (n, m).

    Args:
        seen: the graph of the job under attack.
        own: the attacker's, over the same labels.
        known: left records seen, and the plain records that they are known to be.
    """
    counts = seen.counts + own.counts + 2
    weights = np.log(counts.sum() / counts).astype(np.float32)
    first = [seen.profiles(side, weights) @ own.profiles(side, weights).T for side in (0, 1)]
    scale = [
        seen.strengths(side, weights)[:, None] * own.strengths(side, weights)[None, :]
        for side in (0, 1)
    ]
    ends = ((seen.left, own.left), (seen.right, own.right))
    fit = _clamped(first[0], known)
    for _ in range(_TURNS):
        for side in (1, 0):
            said = np.zeros_like(first[side])
            _spread(
                _sharpened(fit), *ends[1 - side], *ends[side], seen.first, own.first, weights, said
            )
            fit = _OWN * first[side] + said / scale[side]
            if side == 0:
                fit = _clamped(fit, known)
    return fit


def _clamped(fit: NDArray[np.float32], known: Known) -> NDArray[np.float32]:
    """Return the fit with known records fitting none but their own."""
    fit = fit.copy()
    fit[known[0]] = 0
    fit[:, known[1]] = 0
    fit[known] = 1
    return fit


def _sharpened(fit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the fit as belief: near 1 for those who fit each other best, else near 0."""
    fit = np.maximum(fit, 0)
    fit = fit / (fit.max(axis=1, keepdims=True) + np.float32(1e-9))
    back = fit / (fit.max(axis=0, keepdims=True) + np.float32(1e-9))
    return np.asarray((fit * back) ** _SHARPNESS, dtype=np.float32)


@njit(cache=True, nogil=True)
def _spread(
    fit: NDArray[np.float32],
    seen_from: NDArray[np.int32],
    own_from: NDArray[np.int32],
    seen_to: NDArray[np.int32],
    own_to: NDArray[np.int32],
    seen_first: NDArray[np.int64],
    own_first: NDArray[np.int64],
    weights: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Add to each pair of records how well the other ends of edges of one label fit."""
    for label in range(len(weights)):
        for i in range(seen_first[label], seen_first[label + 1]):
            for j in range(own_first[label], own_first[label + 1]):
                out[seen_to[i], own_to[j]] += weights[label] * fit[seen_from[i], own_from[j]]
