"""Candidate pairs: which records of which parties are alike, and how much."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.compare.ordering import best_first

# Whole-job record numbers are 32-bit: a job of more records needs more than one job.
MAX_RECORDS = 2**31 - 1


@dataclass(frozen=True)
class Candidates:
    """Pairs of records with their similarity, in parallel arrays.

    Attributes:
        left: record numbers, shape (n,).
        right: record numbers, shape (n,); never equal to `left`.
        similarity: in [0, 1], shape (n,).
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.left)

    def where(self, chosen: NDArray[np.bool_]) -> "Candidates":
        """Return the pairs for which `chosen` holds, shape (n,)."""
        return Candidates(self.left[chosen], self.right[chosen], self.similarity[chosen])

    def above(self, threshold: float) -> "Candidates":
        """Return the pairs whose similarity reaches a threshold."""
        return self.where(self.similarity >= np.float32(threshold))

    def distinct(self) -> "Candidates":
        """Return each pair once, with the greatest of its similarities, best first."""
        ordered = self.best_first()
        pairs = ordered.left.astype(np.int64) << 32 | ordered.right
        _, first = np.unique(pairs, return_index=True)
        first.sort()
        return Candidates(ordered.left[first], ordered.right[first], ordered.similarity[first])

    def shifted(self, left: int, right: int) -> "Candidates":
        """Return a copy of the pairs with both sides' record numbers moved up."""
        return Candidates(
            self.left + np.int32(left), self.right + np.int32(right), self.similarity.copy()
        )

    def best_first(self) -> "Candidates":
        """Return the pairs by falling similarity; ties by left, then right number.

        The order is total, so that a solver gives the same links on every run and
        under every executor.
        """
        return Candidates(*best_first(self.left, self.right, self.similarity))


def concatenate(parts: Iterable[Candidates]) -> Candidates:
    """Return all pairs of `parts` in one, in their order."""
    rows = list(parts)
    if not rows:
        return Candidates(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    return Candidates(
        np.concatenate([part.left for part in rows]),
        np.concatenate([part.right for part in rows]),
        np.concatenate([part.similarity for part in rows]),
    )
