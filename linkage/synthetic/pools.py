"""Weighted draws of many items at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkage.synthetic.columns import Ints


class Pool:
    """Items with weights.

    Args:
        ids: the items.
        weights: how often each is drawn, relative to the others; at least one is positive.
    """

    def __init__(
        self,
        ids: Sequence[int] | NDArray[np.integer[Any]],
        weights: Sequence[float] | NDArray[Any],
    ) -> None:
        self._ids: Ints = np.asarray(ids, dtype=np.int64)
        self._cumulative = np.cumsum(np.asarray(weights, dtype=np.float64))
        if not len(self._ids) or self._cumulative[-1] <= 0:
            raise ValueError("a pool needs an item of positive weight")

    def draw(self, rng: np.random.Generator, n: int) -> Ints:
        """Return `n` items, drawn with replacement."""
        drawn = rng.random(n) * self._cumulative[-1]
        at = np.searchsorted(self._cumulative, drawn, side="right")
        drawn_ids: Ints = self._ids[np.minimum(at, len(self._ids) - 1)]
        return drawn_ids


class GroupedPool:
    """Items with weights, in groups: every draw names the group that it is from.

    Args:
        groups: group of each item, from 0.
        ids: the items.
        weights: how often each is drawn within its group.
        n_groups: number of groups; a group may be empty.
    """

    def __init__(
        self,
        groups: NDArray[np.integer[Any]],
        ids: NDArray[np.integer[Any]],
        weights: NDArray[Any],
        n_groups: int,
    ) -> None:
        order = np.argsort(groups, kind="stable")
        self._ids: Ints = np.asarray(ids, dtype=np.int64)[order]
        self._bounds = np.searchsorted(groups[order], np.arange(n_groups + 1))
        self._cumulative = np.concatenate(
            [[0.0], np.cumsum(np.asarray(weights, dtype=np.float64)[order])]
        )
        self.totals = self._cumulative[self._bounds[1:]] - self._cumulative[self._bounds[:-1]]
        """Sum of the weights of each group."""

    def draw(self, rng: np.random.Generator, groups: NDArray[np.integer[Any]]) -> Ints:
        """Return one item for each group named; none of them may be empty."""
        first, end = self._bounds[groups], self._bounds[groups + 1]
        drawn = self._cumulative[first] + rng.random(len(groups)) * self.totals[groups]
        at = np.searchsorted(self._cumulative, drawn, side="right") - 1
        drawn_ids: Ints = self._ids[np.clip(at, first, end - 1)]
        return drawn_ids
