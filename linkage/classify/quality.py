"""Precision and recall of match groups against known persons.

A pair is an unordered pair of records in one group, whether it was compared or is
implied by the group. Between files only pairs of unlike files count; inside one
file all do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.solve.groups import Groups


@dataclass(frozen=True)
class Quality:
    """Pairs that are true, found, and both.

    Attributes:
        pairs_true: pairs of records of one person.
        pairs_found: pairs of records in one group.
        pairs_correct: pairs that are both.
    """

    pairs_true: int
    pairs_found: int
    pairs_correct: int

    @property
    def precision(self) -> float:
        """Share of found pairs that are true; 1 where none was found."""
        return self.pairs_correct / self.pairs_found if self.pairs_found else 1.0

    @property
    def recall(self) -> float:
        """Share of true pairs that were found; 1 where there is none."""
        return self.pairs_correct / self.pairs_true if self.pairs_true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.pairs_true + self.pairs_found
        return 2 * self.pairs_correct / both if both else 1.0


def quality_of(
    label: NDArray[np.int32], person: NDArray[np.int64], file: NDArray[np.uint8]
) -> Quality:
    """Return the quality of groups.

    Args:
        label: group of each record, shape (n,).
        person: person of each record, shape (n,).
        file: file of each record, shape (n,); with one file its own pairs count.
    """
    _, group = np.unique(label, return_inverse=True)
    both = group.astype(np.int64) * (int(person.max(initial=0)) + 1) + person
    return Quality(_pairs(person, file), _pairs(group, file), _pairs(both, file))


def best_threshold(
    groups: Groups, person: NDArray[np.int64], file: NDArray[np.uint8]
) -> tuple[float, Quality]:
    """Return the threshold with the best F1, and its quality.

    Every threshold that changes the groups is tried, each as if solved again.

    Args:
        groups: groups solved at a threshold low enough to hold the best one.
        person: person of each record, shape (n,).
        file: file of each record, shape (n,).

    Returns:
        The highest of the thresholds with the best F1 (1.0 if no pair helps).
    """
    inside = len(np.unique(file)) == 1
    sizes = [_Counts({int(f): 1}, inside) for f in file]
    persons = [{int(p): _Counts({int(f): 1}, inside)} for p, f in zip(person, file, strict=True)]
    root = np.arange(len(person))
    n_true = _pairs(person, file)
    found = correct = 0
    best = (0.0 if n_true else 1.0, 1.0, Quality(n_true, 0, 0))
    joined = groups.joined
    for at in range(len(joined)):
        a, b = _root(root, joined.left[at]), _root(root, joined.right[at])
        if len(persons[a]) < len(persons[b]):
            a, b = b, a
        root[b] = a
        found += sizes[a].pairs_with(sizes[b])
        sizes[a].add(sizes[b])
        for who, counts in persons[b].items():
            mine = persons[a].get(who)
            if mine is None:
                persons[a][who] = counts
            else:
                correct += mine.pairs_with(counts)
                mine.add(counts)
        persons[b] = {}
        if at + 1 < len(joined) and joined.similarity[at + 1] == joined.similarity[at]:
            continue
        quality = Quality(n_true, found, correct)
        if quality.f1 > best[0]:
            best = (quality.f1, float(joined.similarity[at]), quality)
    return best[1], best[2]


class _Counts:
    """Number of records by file, of one group or of one person in a group."""

    __slots__ = ("by_file", "inside", "total")

    def __init__(self, by_file: dict[int, int], inside: bool) -> None:
        self.by_file, self.inside = by_file, inside
        self.total = sum(by_file.values())

    def pairs_with(self, other: "_Counts") -> int:
        pairs = self.total * other.total
        if self.inside:
            return pairs
        return pairs - sum(n * other.by_file.get(f, 0) for f, n in self.by_file.items())

    def add(self, other: "_Counts") -> None:
        for f, n in other.by_file.items():
            self.by_file[f] = self.by_file.get(f, 0) + n
        self.total += other.total


def _root(root: NDArray[np.int64], record: int) -> int:
    while root[record] != record:
        root[record] = root[root[record]]
        record = root[record]
    return int(record)


def _pairs(group: NDArray[np.int64], file: NDArray[np.uint8]) -> int:
    """Count the pairs of records with equal group; between files if there are several."""
    pairs = _pairs_inside(np.unique(group, return_counts=True)[1])
    if len(np.unique(file)) > 1:
        cells = group.astype(np.int64) * 256 + file
        pairs -= _pairs_inside(np.unique(cells, return_counts=True)[1])
    return pairs


def _pairs_inside(sizes: NDArray[np.int64]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())
