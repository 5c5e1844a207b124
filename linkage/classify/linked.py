"""What becomes of pairs when they are solved into groups, by threshold.

A false pair does not stay alone: it joins whole groups, or nothing where both its records are
taken. How much it does is seen by joining records drawn at random.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.compare.candidates import Candidates
from linkage.solve.groups import Groups, pairs_between

_STATES = 256
_DRAWN = 20_000


@dataclass(frozen=True)
class Linked:
    """Groups under many thresholds.

    Attributes:
        threshold: similarities of joins, falling, shape (n,).
        found: pairs in groups under each.
        implied: of them, pairs that are in a group for other pairs' sake, not their own.
        joining: pairs that a false pair brings into groups there, on average.
    """

    threshold: NDArray[np.float64]
    found: NDArray[np.float64]
    implied: NDArray[np.float64]
    joining: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of thresholds."""
        return len(self.threshold)


def linked(
    groups: Groups,
    candidates: Candidates,
    party_of: NDArray[np.uint8],
    single: frozenset[int],
    lowest: float,
    rng: np.random.Generator,
) -> Linked:
    """Return what greedy groups are under many thresholds.

    Args:
        groups: solved at the lowest threshold or below.
        candidates: what they were solved from.
        party_of: party of each record, shape (n_records,); with one party its own pairs count.
        single: parties that have each person at most once.
        lowest: lowest threshold.
        rng: draws false pairs.
    """
    similarity = groups.joined.similarity
    last = np.append(similarity[1:] != similarity[:-1], True) & (similarity >= lowest)
    ends = np.flatnonzero(last)
    if not len(ends):
        return Linked(*(np.zeros(0) for _ in range(4)))
    threshold = similarity[ends].astype(np.float64)
    # Groups are made anew for some of the thresholds, evenly by joins and by similarity.
    by_joins = np.linspace(0, len(ends) - 1, _STATES // 2).astype(np.int64)
    by_similarity = np.searchsorted(
        -threshold, -np.linspace(threshold[0], threshold[-1], _STATES // 2)
    ).clip(max=len(ends) - 1)
    threshold = threshold[np.unique(np.concatenate([by_joins, by_similarity]))]
    found, own, joining = (np.zeros(len(threshold)) for _ in range(3))
    alike = candidates.above(lowest).best_first()
    ends = np.searchsorted(-alike.similarity, -threshold.astype(np.float32), side="right")
    for number, at in enumerate(threshold):
        label = groups.above(float(at)).label
        found[number] = _pairs(label, party_of)
        end = ends[number]
        own[number] = (label[alike.left[:end]] == label[alike.right[:end]]).sum()
        joining[number] = _joining(label, party_of, single, rng)
    return Linked(threshold, found, np.maximum(found - own, 0.0), joining)


def _pairs(label: NDArray[np.int32], party_of: NDArray[np.uint8]) -> int:
    if party_of.max(initial=0) > 0:
        return pairs_between(label, party_of)
    sizes = np.bincount(label).astype(np.int64)
    return int((sizes * (sizes - 1)).sum()) // 2


def _joining(
    label: NDArray[np.int32],
    party_of: NDArray[np.uint8],
    single: frozenset[int],
    rng: np.random.Generator,
) -> float:
    """Return how many pairs it adds, on average, to join the groups of two records."""
    n, parties = len(label), int(party_of.max(initial=0)) + 1
    one, two = rng.integers(n, size=(2, _DRAWN))
    unlike = (one != two) & ((party_of[one] != party_of[two]) | (parties == 1))
    one, two = label[one[unlike]], label[two[unlike]]
    if not len(one):
        return 1.0
    members = np.zeros((n, parties), np.int64)
    np.add.at(members, (label, party_of), 1)
    left, right = members[one], members[two]
    added = left.sum(axis=1) * right.sum(axis=1)
    if parties > 1:
        added -= (left * right).sum(axis=1)
    apart = one != two
    for party in single:
        apart &= (left[:, party] == 0) | (right[:, party] == 0)
    return float((added * apart).mean())
