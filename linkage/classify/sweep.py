"""Groups at any threshold, as curves and the best threshold need them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from linkage.classify.quality import Quality, best_threshold, quality_of
from linkage.compare.candidates import Candidates
from linkage.schema import Cardinality
from linkage.solve.agreed import solve_agreed
from linkage.solve.groups import Groups

_THRESHOLDS = 100


class Sweep(Protocol):
    """Groups at any threshold."""

    def label(self, similarity: float) -> NDArray[np.int32]:
        """Return the group of each record at a threshold, shape (n,)."""

    def best(self, person: NDArray[np.int64], file: NDArray[np.uint8]) -> tuple[float, Quality]:
        """Return the threshold with the best F1, and its quality.

        Args:
            person: person of each record, shape (n,).
            file: file of each record, shape (n,).
        """


@dataclass(frozen=True)
class GreedySweep:
    """Greedy groups: those at a higher threshold are the beginning of those at a lower one."""

    groups: Groups

    def label(self, similarity: float) -> NDArray[np.int32]:
        """Return the group of each record at a threshold, shape (n,)."""
        return self.groups.above(similarity).label

    def best(self, person: NDArray[np.int64], file: NDArray[np.uint8]) -> tuple[float, Quality]:
        """Return the threshold with the best F1 of all, and its quality."""
        return best_threshold(self.groups, person, file)


@dataclass(frozen=True)
class SolvedSweep:
    """Groups that are solved anew at each threshold, as a job solves them.

    Attributes:
        candidates: all scored pairs.
        party_of: party number of each record, shape (n,).
        n_parties: number of parties.
        cardinality: how many records of each party may be one person.
        certain: similarity from which a pair needs no support.
        least: lowest threshold that may be the best.
    """

    candidates: Candidates
    party_of: NDArray[np.uint8]
    n_parties: int
    cardinality: Cardinality
    certain: float
    least: float = 0.0

    def label(self, similarity: float) -> NDArray[np.int32]:
        """Return the group of each record at a threshold, shape (n,)."""
        return solve_agreed(
            self.candidates,
            self.party_of,
            self.n_parties,
            self.cardinality,
            similarity,
            self.certain,
        ).label

    def best(self, person: NDArray[np.int64], file: NDArray[np.uint8]) -> tuple[float, Quality]:
        """Return the best of a hundred thresholds that part the pairs evenly."""
        shares = np.linspace(0, 1, _THRESHOLDS)
        of_pairs = self.candidates.above(self.least).similarity.astype(np.float64)
        tried = [1.0, *(np.unique(np.quantile(of_pairs, shares))[::-1] if len(of_pairs) else [])]
        found = [(float(at), quality_of(self.label(at), person, file)) for at in tried]
        # Of equal ones the highest threshold.
        return max(found, key=lambda one: (one[1].f1, one[0]))
