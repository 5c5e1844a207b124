"""Links under the agreed cardinality, by the solver that suits it."""

import numpy as np
from numpy.typing import NDArray

from linkage.compare.candidates import Candidates
from linkage.schema import Cardinality
from linkage.solve.groups import Groups, single_parties, solve_groups
from linkage.solve.known import NOTHING, Known
from linkage.solve.one_to_one import solve_one_to_one

_TWO = 2


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
