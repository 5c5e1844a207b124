"""Links under the agreed cardinality, by the solver that suits it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.compare.candidates import Candidates
from linkage.schema import Cardinality
from linkage.solve.groups import Groups, single_parties, solve_groups
from linkage.solve.known import NOTHING, Known
from linkage.solve.one_to_one import solve_one_to_one

_TWO = 2


@dataclass(frozen=True)
class Solution:
    """Match groups, and those that stand without any doubtful pair.

    Attributes:
        label: group of each record, see `Groups`, shape (n,).
        surely: the part of its group that sure pairs alone make, likewise.
    """

    label: NDArray[np.int32]
    surely: NDArray[np.int32]


def solve_surely(
    candidates: Candidates,
    party_of: NDArray[np.uint8],
    n_parties: int,
    cardinality: Cardinality,
    threshold: float,
    certain: float,
    sure: float,
) -> Solution:
    """Return the match groups, solved again of sure pairs alone where doubtful ones may join more.

    Args:
        candidates: as `solve_agreed`, like all but the last.
        party_of: likewise.
        n_parties: likewise.
        cardinality: likewise.
        threshold: likewise.
        certain: likewise.
        sure: similarity from which a pair is.
    """
    groups = solve_agreed(candidates, party_of, n_parties, cardinality, threshold, certain)
    if certain <= threshold or (cardinality == "one-to-one" and n_parties == _TWO):
        return Solution(groups.label, groups.above(sure).label)
    # Doubtful pairs support others: what they joined must not count as sure for it.
    again = solve_agreed(candidates, party_of, n_parties, cardinality, sure, certain)
    both = groups.label.astype(np.int64) << 32 | again.label
    _, first, part = np.unique(both, return_index=True, return_inverse=True)
    return Solution(groups.label, first[part].astype(np.int32))


def solve_agreed(
    candidates: Candidates,
    party_of: NDArray[np.uint8],
    n_parties: int,
    cardinality: Cardinality,
    threshold: float,
    certain: float = 0.0,
    known: Known = NOTHING,
) -> Groups:
    """Return the match groups.

    One-to-one links of two parties are the best in sum; everything else is taken best
    first, which is the best for one-to-many and the only feasible way for more parties.

    Args:
        candidates: pairs in any order.
        party_of: party number of each record, shape (n_records,).
        n_parties: number of parties; a single one has its records de-duplicated.
        cardinality: how many records of each party may be one person.
        threshold: lowest similarity of a link.
        certain: similarity from which a pair joins two groups without support, see `groups`.
        known: links and non-links that are decided.

    Raises:
        InputError: known links contradict each other.
    """
    if cardinality == "one-to-one" and n_parties == _TWO:
        return solve_one_to_one(candidates, party_of, threshold, known).groups
    single = single_parties(cardinality, n_parties) if n_parties > 1 else frozenset[int]()
    return solve_groups(candidates.above(threshold), party_of, single, known, certain)
