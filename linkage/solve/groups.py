"""Greedy match groups over any number of parties.

Pairs are taken best first; a pair joins the groups of its two records unless the
joined group would hold two records of a party that may have only one. With no
such party this is single linkage (connected components); with all of them it is
the greedy one-to-one solution, which for two parties is the stable matching by
similarity. With one of two parties it is one-to-many, and the best there is: each record
of the other party joins its best. Every join is kept: it is the explanation of the group.

Known links are joined before any pair, and known non-links are kept apart: two groups
are never joined while a record of the one is known to be no record of the other.

One wrong pair between two groups of many makes many wrong links. So a pair that is not certain
joins two groups only with support: at least as many pairs lead from the one to the other as the
smaller one has records. A record that is alone needs no more than its pair. So the best pair that
may join two groups does, until none may: one that lacks support waits until groups have grown.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numba import int64, njit
from numba.typed import Dict
from numpy.typing import NDArray

from linkage.compare.candidates import Candidates, concatenate
from linkage.errors import InputError
from linkage.schema import Cardinality
from linkage.solve.known import NOTHING, Known

# Parties of a group are kept as a 64-bit set.
MAX_PARTIES = 64


@dataclass(frozen=True)
class Groups:
    """Match groups, and the pairs that joined them.

    Attributes:
        label: for each record the smallest record number of its group, shape (n,);
            a record that is alone has its own number.
        joined: the pairs that joined two groups, best first.
        known: how many of them, the first ones, are known links; their similarity
            reads 1, for they were not compared.
    """

    label: NDArray[np.int32]
    joined: Candidates
    known: int = 0

    def above(self, threshold: float) -> "Groups":
        """Return the groups that the joins at or above a threshold make.

        Where no pair needs support, a greedy solution under a higher threshold is the beginning
        of the one under a lower threshold: these are the groups as solved again.
        """
        n = int(np.searchsorted(-self.joined.similarity, -np.float32(threshold), side="right"))
        n = max(n, self.known)
        kept = Candidates(self.joined.left[:n], self.joined.right[:n], self.joined.similarity[:n])
        return Groups(components(kept, len(self.label)), kept, self.known)


def solve_groups(
    candidates: Candidates,
    party_of: NDArray[np.uint8],
    single: frozenset[int],
    known: Known = NOTHING,
    certain: float = 0.0,
) -> Groups:
    """Return the greedy match groups.

    Args:
        candidates: pairs in any order.
        party_of: party number of each record, below 64, shape (n_records,).
        single: numbers of the parties that have each person at most once.
        known: links and non-links that are decided.
        certain: similarity from which a pair joins two groups without support.

    Raises:
        InputError: the known links contradict the known non-links, or put two records of
            a single party into one group.
    """
    first = Candidates(
        known.links.min(axis=1),
        known.links.max(axis=1),
        np.ones(len(known.links), np.float32),
    )
    ordered = candidates.best_first()
    if len(first):
        ordered = concatenate([first, ordered])
    mask = np.uint64(sum(1 << party for party in single))
    n_known = len(first)
    uncertain = ordered.similarity < np.float32(certain)
    uncertain[:n_known] = False
    label, taken, refused = _join(
        ordered.left, ordered.right, uncertain, party_of, mask, n_known, known.non_links
    )
    if refused >= 0:
        pair = f"{ordered.left[refused]} and {ordered.right[refused]}"
        raise InputError(
            f"records {pair} are a known link, but other known links, non-links or the rule "
            "of one record a person keep them apart"
        )
    joined = Candidates(ordered.left[taken], ordered.right[taken], ordered.similarity[taken])
    return Groups(label, joined, int(taken[:n_known].sum()))


def components(candidates: Candidates, n_records: int) -> NDArray[np.int32]:
    """Return for each record the smallest record connected with it, shape (n_records,)."""
    party = np.zeros(n_records, dtype=np.uint8)
    nothing = np.uint64(0)
    certain = np.zeros(len(candidates), dtype=np.bool_)
    label, _, _ = _join(
        candidates.left, candidates.right, certain, party, nothing, 0, NOTHING.non_links
    )
    return label


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
def _kept_apart(
    parent: NDArray[np.int32],
    first: NDArray[np.int32],
    following: NDArray[np.int32],
    length: NDArray[np.int32],
    non_links: NDArray[np.int32],
    a: int,
    b: int,
) -> bool:
    """Return whether a record of one group is known not to be one of the other."""
    # The shorter list is enough, for a non-link is in both.
    if length[a] > length[b]:
        a, b = b, a
    entry = first[a]
    while entry >= 0:
        if _find(parent, non_links[entry >> 1, 1 - (entry & 1)]) == b:
            return True
        entry = following[entry]
    return False


@njit(cache=True, nogil=True)
def _pairs_by_record(
    left: NDArray[np.int32], right: NDArray[np.int32], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the other ends of each record's pairs, record by record, and where each begins."""
    first = np.zeros(n + 1, dtype=np.int64)
    for pair in range(len(left)):
        first[left[pair] + 1] += 1
        first[right[pair] + 1] += 1
    for record in range(n):
        first[record + 1] += first[record]
    free = first[:-1].copy()
    ends = np.empty(2 * len(left), dtype=np.int32)
    for pair in range(len(left)):
        ends[free[left[pair]]] = right[pair]
        free[left[pair]] += 1
        ends[free[right[pair]]] = left[pair]
        free[right[pair]] += 1
    return first, ends


@njit(cache=True, nogil=True)
def _between(a: int, b: int) -> int:
    """Return one number for two groups, whichever is named first."""
    return (min(a, b) << 32) | max(a, b)


@njit(cache=True, nogil=True)
def _join(
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    uncertain: NDArray[np.bool_],
    party_of: NDArray[np.uint8],
    single: np.uint64,
    n_known: int,
    non_links: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.bool_], int]:
    """Join groups pair by pair; the first `n_known` pairs have to be joined.

    Args:
        left: one record of each pair, best first.
        right: the other one.
        uncertain: which pairs need support.
        party_of: party number of each record.
        single: the parties that have each person at most once, a bit each.
        n_known: how many pairs are known links.
        non_links: known non-links, shape (n, 2).

    Returns:
        Labels, which pairs joined two groups, and the first known pair that could not be
        joined or -1.
    """
    n = len(party_of)
    parent = np.arange(n).astype(np.int32)
    parties = np.zeros(n, dtype=np.uint64)
    for record in range(n):
        parties[record] = (np.uint64(1) << np.uint64(party_of[record])) & single
    # Entries 2i and 2i + 1 are the sides of a non-link; each group has a list of its own.
    first, last = np.full(n, -1, dtype=np.int32), np.full(n, -1, dtype=np.int32)
    length = np.zeros(n, dtype=np.int32)
    following = np.full(2 * len(non_links), -1, dtype=np.int32)
    for entry in range(2 * len(non_links)):
        record = non_links[entry >> 1, entry & 1]
        following[entry] = first[record]
        if first[record] < 0:
            last[record] = entry
        first[record] = entry
        length[record] += 1
    # Between every two groups: how many pairs there are, and the best of those that wait for
    # support. Groups are named by `name` there. Kept only where a pair may have to wait.
    counted = len(left) if uncertain.any() else 0
    first_end, ends = _pairs_by_record(left[:counted], right[:counted], n)
    count, best = Dict.empty(int64, int64), Dict.empty(int64, int64)
    for pair in range(counted):
        groups = _between(left[pair], right[pair])
        count[groups] = count.get(groups, 0) + 1
    name, size, n_ends = np.arange(n), np.ones(n, dtype=np.int64), np.diff(first_end)
    next_member, last_member = np.full(n, -1, dtype=np.int64), np.arange(n)
    taken = np.zeros(len(left), dtype=np.bool_)
    # Pairs that waited and have support now: better than all that are still to come.
    ready = [0]
    ready.pop()
    at = 0
    while at < len(left) or len(ready) > 0:
        if len(ready) > 0:
            pair = heapq.heappop(ready)
        else:
            pair, at = at, at + 1
        a = _find(parent, left[pair])
        b = _find(parent, right[pair])
        if a == b:
            continue
        apart = (parties[a] & parties[b]) != 0
        if not apart and len(non_links):
            apart = _kept_apart(parent, first, following, length, non_links, a, b)
        if apart:
            if pair < n_known:
                return parent, taken, pair
            continue
        if uncertain[pair]:
            groups = _between(name[a], name[b])
            if count[groups] < min(size[a], size[b]):
                best[groups] = min(best.get(groups, pair), pair)
                continue
        # The smaller number becomes the root, so that a label never depends on order.
        root, leaf = min(a, b), max(a, b)
        parent[leaf] = root
        parties[root] |= parties[leaf]
        if first[leaf] >= 0:
            if first[root] < 0:
                first[root] = first[leaf]
            else:
                following[last[root]] = first[leaf]
            last[root] = last[leaf]
            length[root] += length[leaf]
        taken[pair] = True
        if counted == 0:
            continue
        # What is known of the group with fewer pairs goes over to the other one, so that a pair
        # is looked at only when its group has doubled.
        fewer = root if n_ends[root] < n_ends[leaf] else leaf
        old_name, name[root] = name[fewer], name[root + leaf - fewer]
        size[root] += size[leaf]
        n_ends[root] += n_ends[leaf]
        member, last_one = fewer, int(last_member[fewer])
        while True:
            for entry in range(first_end[member], first_end[member + 1]):
                other = _find(parent, ends[entry])
                old, new = _between(old_name, name[other]), _between(name[root], name[other])
                if other == root or old not in count:
                    continue
                count[new] = count.get(new, 0) + count[old]
                del count[old]
                if old in best:
                    best[new] = min(best.get(new, best[old]), best[old])
                    del best[old]
                if new in best and count[new] >= min(size[root], size[other]):
                    heapq.heappush(ready, best[new])
                    del best[new]
            if member == last_one:
                break
            member = int(next_member[member])
        next_member[last_member[root]] = leaf
        last_member[root] = last_member[leaf]
    for record in range(n):
        parent[record] = _find(parent, record)
    return parent, taken, -1
