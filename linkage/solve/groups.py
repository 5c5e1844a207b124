"""Greedy match groups over any number of parties.

Pairs are taken best first; a pair joins the groups of its two records unless the
joined group would hold two records of a party that may have only one. With no
such party this is single linkage (connected components); with all of them it is
the greedy one-to-one solution, which for two parties is the stable matching by
similarity. Every join is kept: it is the explanation of the group.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.compare.candidates import Candidates
from linkage.schema import Cardinality

# Parties of a group are kept as a 64-bit set.
MAX_PARTIES = 64


@dataclass(frozen=True)
class Groups:
    """Match groups, and the pairs that joined them.

    Attributes:
        label: for each record the smallest record number of its group, shape (n,);
            a record that is alone has its own number.
        joined: the pairs that joined two groups, in the order they were taken.
    """

    label: NDArray[np.int32]
    joined: Candidates

    def above(self, threshold: float) -> "Groups":
        """Return the groups as solved again with a higher threshold.

        A greedy solution under a higher threshold is the beginning of the one under
        a lower threshold, so only the joins up to there are made again.
        """
        n = int(np.searchsorted(-self.joined.similarity, -np.float32(threshold), side="right"))
        kept = Candidates(self.joined.left[:n], self.joined.right[:n], self.joined.similarity[:n])
        party = np.zeros(len(self.label), dtype=np.uint8)
        label, _ = _join(kept.left, kept.right, party, np.uint64(0))
        return Groups(label, kept)


def solve_groups(
    candidates: Candidates, party_of: NDArray[np.uint8], single: frozenset[int]
) -> Groups:
    """Return the greedy match groups.

    Args:
        candidates: pairs in any order.
        party_of: party number of each record, below 64, shape (n_records,).
        single: numbers of the parties that have each person at most once.
    """
    ordered = candidates.best_first()
    mask = np.uint64(sum(1 << party for party in single))
    label, taken = _join(ordered.left, ordered.right, party_of, mask)
    joined = Candidates(ordered.left[taken], ordered.right[taken], ordered.similarity[taken])
    return Groups(label, joined)


def single_parties(cardinality: Cardinality, n_parties: int) -> frozenset[int]:
    """Return the numbers of the parties that have each person at most once."""
    match cardinality:
        case "one-to-one":
            return frozenset(range(n_parties))
        case "one-to-many":
            return frozenset({0})
        case "many-to-many":
            return frozenset()


def pairs_between(label: NDArray[np.int32], party_of: NDArray[np.uint8]) -> int:
    """Return the number of pairs of records of unlike parties that share a group.

    Counted, not listed: a group of n records has n^2 / 2 pairs.
    """
    of_group = np.bincount(label).astype(np.int64)
    of_cell = np.unique(label.astype(np.int64) * MAX_PARTIES + party_of, return_counts=True)[1]
    return int((of_group**2).sum() - (of_cell.astype(np.int64) ** 2).sum()) // 2


def pairs_in_groups(label: NDArray[np.int32]) -> Candidates:
    """Return every pair of records that share a group, those implied counted too.

    The similarity is not known for implied pairs and is 0 for all.
    """
    order = np.argsort(label, kind="stable").astype(np.int32)
    sizes = np.bincount(label)
    sizes = sizes[sizes > 0]
    left, right = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes > 1]):
        rows = order[starts[sizes == size][:, None] + np.arange(size)[None]]
        i, j = np.triu_indices(size, 1)
        left.append(rows[:, i].ravel())
        right.append(rows[:, j].ravel())
    lefts, rights = np.concatenate(left), np.concatenate(right)
    return Candidates(lefts, rights, np.zeros(len(lefts), np.float32))


@njit(cache=True, nogil=True)
def _find(parent: NDArray[np.int32], record: int) -> int:
    while parent[record] != record:
        parent[record] = parent[parent[record]]
        record = parent[record]
    return record


@njit(cache=True, nogil=True)
def _join(
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    party_of: NDArray[np.uint8],
    single: np.uint64,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    n = len(party_of)
    parent = np.arange(n).astype(np.int32)
    parties = np.zeros(n, dtype=np.uint64)
    for record in range(n):
        parties[record] = (np.uint64(1) << np.uint64(party_of[record])) & single
    taken = np.zeros(len(left), dtype=np.bool_)
    for pair in range(len(left)):
        a = _find(parent, left[pair])
        b = _find(parent, right[pair])
        if a == b or parties[a] & parties[b]:
            continue
        # The smaller number becomes the root, so that a label never depends on order.
        root, leaf = min(a, b), max(a, b)
        parent[leaf] = root
        parties[root] |= parties[leaf]
        taken[pair] = True
    for record in range(n):
        parent[record] = _find(parent, record)
    return parent, taken
