"""Tickets that met: which pairs of records of two parties share a block token.

Knows tickets as numbers only. A pair is known by the sum of its two marks, not by its
records, which nothing here tells.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.ticket import Tickets, stands_once

_MOST_WAITING = 16_000_000


@dataclass(frozen=True)
class MetPairs:
    """Distinct pairs of records of two parties, each by one pair of tickets, in no order.

    Attributes:
        left: the left party's ticket of each pair.
        right: the right party's, with the same entry and token.
        count: how many tickets the two records share, shape (n,).
    """

    left: Tickets
    right: Tickets
    count: NDArray[np.int16]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.count)

    def at(self, chosen: NDArray[np.int64]) -> "MetPairs":
        """Return some of the pairs."""
        return MetPairs(self.left.at(chosen), self.right.at(chosen), self.count[chosen])


@dataclass(frozen=True)
class _Found:
    """Pairs with one of their tickets each, in parallel arrays."""

    total: NDArray[np.uint64]
    left_mark: NDArray[np.uint64]
    token: NDArray[np.uint64]
    entry: NDArray[np.uint8]
    rank: NDArray[np.uint32]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.total)

    def at(self, chosen: NDArray[np.int64]) -> "_Found":
        return _Found(
            self.total[chosen],
            self.left_mark[chosen],
            self.token[chosen],
            self.entry[chosen],
            self.rank[chosen],
            self.count[chosen],
        )

    @classmethod
    def together(cls, parts: "list[_Found]") -> "_Found":
        return cls(
            np.concatenate([part.total for part in parts]),
            np.concatenate([part.left_mark for part in parts]),
            np.concatenate([part.token for part in parts]),
            np.concatenate([part.entry for part in parts]),
            np.concatenate([part.rank for part in parts]),
            np.concatenate([part.count for part in parts]),
        )


def met_pairs(entries: Iterable[tuple[Tickets, Tickets]], rng: np.random.Generator) -> MetPairs:
    """Return the pairs that share a ticket.

    Of the tickets that a pair shares one is drawn at random to stand for it, so that an
    owner who is asked about it learns no more than that this one met.

    Args:
        entries: tickets of both parties, entry by entry.
        rng: draws tickets, and the order of the pairs.
    """
    waiting: list[_Found] = []
    whole = _merged([_meet(Tickets.none(), Tickets.none(), rng)])
    for left, right in entries:
        waiting.append(_meet(left, right, rng))
        # Merged as they come: the tickets are many times the pairs.
        if sum(len(part) for part in waiting) > _MOST_WAITING:
            whole, waiting = _merged([whole, *waiting]), []
    whole = _merged([whole, *waiting])
    whole = whole.at(rng.permutation(len(whole)))
    return MetPairs(
        Tickets(whole.entry, whole.token, whole.left_mark),
        Tickets(whole.entry, whole.token, whole.total - whole.left_mark),
        whole.count.clip(max=2**15 - 1).astype(np.int16),
    )


def _meet(left: Tickets, right: Tickets, rng: np.random.Generator) -> _Found:
    """Return the tickets of one entry that met."""
    left, right = _alone(left), _alone(right)
    _, own, other = np.intersect1d(left.token, right.token, assume_unique=True, return_indices=True)
    return _Found(
        left.mark[own] + right.mark[other],
        left.mark[own],
        left.token[own],
        left.entry[own],
        rng.integers(0, 2**32, len(own), dtype=np.uint32),
        np.ones(len(own), np.int64),
    )


def _alone(tickets: Tickets) -> Tickets:
    """Return the tickets whose token stands once, in the order of tokens.

    One that stands twice met by chance, or breaks the rules.
    """
    tickets = tickets.at(np.argsort(tickets.token, kind="stable"))
    return tickets.at(stands_once(tickets.token))


def _merged(parts: list[_Found]) -> _Found:
    """Return each pair once, with the ticket of the greatest rank and all counts added."""
    whole = _Found.together(parts)
    whole = whole.at(np.lexsort((whole.rank, whole.total)))
    last = np.concatenate((whole.total[1:] != whole.total[:-1], [True]))[: len(whole)]
    at = np.flatnonzero(last)
    added = np.diff(np.concatenate(([0], np.cumsum(whole.count)[at])))
    chosen = whole.at(at)
    return _Found(chosen.total, chosen.left_mark, chosen.token, chosen.entry, chosen.rank, added)
