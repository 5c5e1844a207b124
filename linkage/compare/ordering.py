"""The order of candidate pairs: by falling similarity, then by record numbers.

A radix sort: a stable pass for every eleven bits of the numbers, from the lowest up,
each of which puts all pairs into 2,048 heaps without comparing any, so that the time
grows with the number of pairs alone. A pass in which all pairs would go to one heap is
left out: small record numbers need few, and pairs that come ordered by record none.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_DIGIT_BITS = 11
_HEAPS = 1 << _DIGIT_BITS


def best_first(
    left: NDArray[np.int32], right: NDArray[np.int32], similarity: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return the pairs by falling similarity; ties by left, then right number.

    Args:
        left: record numbers, none negative, shape (n,).
        right: record numbers, none negative, shape (n,).
        similarity: none negative, shape (n,).
    """
    # The bits of floats that are not negative rise as they do: turned round, the best
    # come first. Adding nothing makes a negative zero a zero.
    rank = ~(similarity + np.float32(0)).view(np.uint32)
    columns = (rank, left.view(np.uint32), right.view(np.uint32))
    ordered = _ordered_by_records(left, right)
    for by in (0,) if ordered else (2, 1, 0):
        for shift in range(0, 32, _DIGIT_BITS):
            columns = _pass(*columns, by, shift)
    rank, first, second = columns
    return first.view(np.int32), second.view(np.int32), (~rank).view(np.float32)


@njit(cache=True, nogil=True)
def _ordered_by_records(left: NDArray[np.int32], right: NDArray[np.int32]) -> bool:
    for i in range(1, len(left)):
        if left[i] < left[i - 1] or (left[i] == left[i - 1] and right[i] < right[i - 1]):
            return False
    return True


@njit(cache=True, nogil=True)
def _pass(
    rank: NDArray[np.uint32],
    left: NDArray[np.uint32],
    right: NDArray[np.uint32],
    by: int,
    shift: int,
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the columns by eleven bits of one of them, equal ones in their order."""
    number = rank if by == 0 else left if by == 1 else right
    n = len(number)
    ends = np.zeros(_HEAPS, dtype=np.int64)
    for i in range(n):
        ends[(number[i] >> np.uint32(shift)) & np.uint32(_HEAPS - 1)] += 1
    if ends.max() == n:
        return rank, left, right
    place = np.cumsum(ends) - ends
    sorted_rank, sorted_left, sorted_right = (
        np.empty_like(rank),
        np.empty_like(left),
        np.empty_like(right),
    )
    for i in range(n):
        heap = (number[i] >> np.uint32(shift)) & np.uint32(_HEAPS - 1)
        to = place[heap]
        place[heap] = to + 1
        sorted_rank[to], sorted_left[to], sorted_right[to] = rank[i], left[i], right[i]
    return sorted_rank, sorted_left, sorted_right
