"""The best one-to-one links between two parties.

Among all ways to give each record at most one partner this is the one with the greatest
sum of similarities above the threshold; taking pairs best first can miss it, where a
record's best partner is the only one that another record has. Connected components are
solved by themselves, exactly while they are small. Larger ones, which a low threshold
or a family of namesakes makes, are solved best first, and listed.

Of three parties and more the best groups cannot be found in reasonable time: for them
there is `groups` only. One-to-many needs no search: best first is the best there.

Source: the shortest augmenting paths of Kuhn and Munkres in the form of Jonker and
Volgenant, Computing 38 (1987) 325-340, on dense matrices.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.compare.candidates import Candidates, concatenate
from linkage.solve.groups import Groups, components, solve_groups
from linkage.solve.known import NOTHING, Known

# Records of a component that is still solved exactly.
LARGEST = 256
# Similarities are weighed as whole numbers, so that sums do not depend on their order.
_UNITS = 2.0**40


@dataclass(frozen=True)
class OneToOne:
    """One-to-one links, and how they were found.

    Attributes:
        groups: groups of at most two; `joined` are the links, known ones first, the
            others best first. Not for `Groups.above`: under a higher threshold other
            links can be the best, so solve again.
        n_components: connected components among the pairs that were left to decide.
        greedy: the smallest record of each component that was too large and was solved
            best first, in rising order.
    """

    groups: Groups
    n_components: int
    greedy: NDArray[np.int32]


def solve_one_to_one(
    candidates: Candidates,
    party_of: NDArray[np.uint8],
    threshold: float,
    known: Known = NOTHING,
    largest: int = LARGEST,
) -> OneToOne:
    """Return the links with the greatest sum of similarities above a threshold.

    Args:
        candidates: pairs of records of unlike parties, in any order.
        party_of: party number of each record, 0 or 1, shape (n_records,).
        threshold: lowest similarity of a link; a link at it adds nothing to the sum, but
            of equal sums the one with more links wins.
        known: links and non-links that are decided.
        largest: records of a component up to which it is solved exactly.

    Raises:
        ValueError: another party, or a pair within one.
        InputError: known links contradict each other or the known non-links.
    """
    n = len(party_of)
    if (
        party_of.max(initial=0) > 1
        or (party_of[candidates.left] == party_of[candidates.right]).any()
    ):
        raise ValueError("one-to-one links are between two parties, 0 and 1")
    both = frozenset({0, 1})
    settled = solve_groups(concatenate([]), party_of, both, known).joined
    open_pairs = _open_pairs(candidates, n, threshold, settled, known)
    component = components(open_pairs, n)
    sizes = np.bincount(component, minlength=n)
    large = sizes[component] > largest
    small_pairs = _chosen(open_pairs, ~large[open_pairs.left])
    large_pairs = _chosen(open_pairs, large[open_pairs.left])
    links = concatenate(
        [
            _assigned(small_pairs, component, party_of, threshold),
            solve_groups(large_pairs, party_of, both).joined,
        ]
    ).best_first()
    joined = concatenate([settled, links])
    groups = Groups(components(joined, n), joined, len(settled))
    return OneToOne(groups, int((sizes > 1).sum()), np.unique(component[large]))


def _open_pairs(
    candidates: Candidates, n: int, threshold: float, settled: Candidates, known: Known
) -> Candidates:
    """Return the pairs that may become links, by record numbers."""
    taken = np.zeros(n, dtype=np.bool_)
    taken[settled.left] = taken[settled.right] = True
    left = np.minimum(candidates.left, candidates.right)
    right = np.maximum(candidates.left, candidates.right)
    number = _number(left, right)
    apart = _number(known.non_links.min(axis=1), known.non_links.max(axis=1))
    possible = (candidates.similarity >= np.float32(threshold)) & ~taken[left] & ~taken[right]
    possible &= ~np.isin(number, apart)
    order = np.flatnonzero(possible)
    order = order[np.argsort(number[order], kind="stable")]
    return Candidates(left[order], right[order], candidates.similarity[order])


def _number(left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
    return (left.astype(np.int64) << 32) | right


def _chosen(candidates: Candidates, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Candidates:
    return Candidates(
        candidates.left[chosen], candidates.right[chosen], candidates.similarity[chosen]
    )


def _assigned(
    candidates: Candidates,
    component: NDArray[np.int32],
    party_of: NDArray[np.uint8],
    threshold: float,
) -> Candidates:
    """Return the best links of each component; pairs come by record numbers."""
    order = np.argsort(component[candidates.left], kind="stable")
    ordered = _chosen(candidates, order)
    ends = np.flatnonzero(np.diff(component[ordered.left], append=-1)) + 1
    above = np.maximum(ordered.similarity.astype(np.float64) - np.float32(threshold), 0)
    # One unit more for every pair: of equal sums the one with more links.
    weight = (above * _UNITS).astype(np.int64) + 1
    swapped = party_of[ordered.left] == 1
    one = np.where(swapped, ordered.right, ordered.left)
    other = np.where(swapped, ordered.left, ordered.right)
    taken = _assign_all(one, other, weight, ends)
    return _chosen(ordered, taken)


@njit(cache=True, nogil=True)
def _assign_all(
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    weight: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which pairs are links; `ends` are the places after each component's pairs."""
    taken = np.zeros(len(left), dtype=np.bool_)
    begin = 0
    for end in ends:
        if end == begin + 1:
            taken[begin] = True
        else:
            rows, columns = np.unique(left[begin:end]), np.unique(right[begin:end])
            weights = np.zeros((len(rows), len(columns)), dtype=np.int64)
            pair_of = np.full((len(rows), len(columns)), -1, dtype=np.int64)
            for pair in range(begin, end):
                row = np.searchsorted(rows, left[pair])
                column = np.searchsorted(columns, right[pair])
                # Of a pair listed twice the better one counts.
                if weight[pair] > weights[row, column]:
                    weights[row, column] = weight[pair]
                    pair_of[row, column] = pair
            if len(rows) <= len(columns):
                of_row = _assign(weights)
                for row in range(len(rows)):
                    if pair_of[row, of_row[row]] >= 0:
                        taken[pair_of[row, of_row[row]]] = True
            else:
                of_column = _assign(weights.T.copy())
                for column in range(len(columns)):
                    if pair_of[of_column[column], column] >= 0:
                        taken[pair_of[of_column[column], column]] = True
        begin = end
    return taken


@njit(cache=True, nogil=True)
def _assign(weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a column for each row, all unlike, with the greatest sum of weights.

    Args:
        weights: none negative, not more rows than columns; 0 for no pair.
    """
    n, m = weights.shape
    # Row and column 0 are none; a path begins at column 0 with the row to be placed.
    row_price, column_price = np.zeros(n + 1, np.int64), np.zeros(m + 1, np.int64)
    row_of = np.zeros(m + 1, dtype=np.int64)
    came_from = np.zeros(m + 1, dtype=np.int64)
    never = np.int64(2**62)
    for row in range(1, n + 1):
        row_of[0] = row
        column = 0
        distance = np.full(m + 1, never, dtype=np.int64)
        visited = np.zeros(m + 1, dtype=np.bool_)
        while row_of[column]:
            visited[column] = True
            here = row_of[column]
            nearest, step = 0, never
            for other in range(1, m + 1):
                if visited[other]:
                    continue
                reduced = -weights[here - 1, other - 1] - row_price[here] - column_price[other]
                if reduced < distance[other]:
                    distance[other] = reduced
                    came_from[other] = column
                if distance[other] < step:
                    nearest, step = other, distance[other]
            for other in range(m + 1):
                if visited[other]:
                    row_price[row_of[other]] += step
                    column_price[other] -= step
                else:
                    distance[other] -= step
            column = nearest
        while column:
            row_of[column] = row_of[came_from[column]]
            column = came_from[column]
    column_of = np.zeros(n, dtype=np.int64)
    for column in range(1, m + 1):
        if row_of[column]:
            column_of[row_of[column] - 1] = column - 1
    return column_of
