"""Common bits of all pairs of two sets of packed bits: the one costly sum of all attacks."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.compare.bits import popcounts
from linkage.compare.wide import common

# Columns that stay in the cache while rows pass.
_BLOCK = 256


def common_bits(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return how many set bits each pair has in common, shape (n, m).

    Args:
        left: packed bits, shape (n, n_words).
        right: packed bits, shape (m, n_words).
    """
    if left.shape[1] != right.shape[1]:
        raise ValueError("packed bits of unlike lengths have nothing in common")
    out = np.empty((len(left), len(right)), dtype=np.float32)
    _common_bits(np.ascontiguousarray(left), np.ascontiguousarray(right), out)
    return out


def signed_agreement(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return 1 - 2 d / L of each pair, d the bits in which two codes differ, shape (n, m).

    It is the mean product of the bits written as +1 and -1: 1 for equal codes, 0 for
    those of strangers under a hardened scheme.
    """
    agreement = common_bits(left, right)
    scale = np.float32(2 / (64 * left.shape[1]))
    agreement *= 2 * scale
    agreement -= scale * popcounts(left)[:, None].astype(np.float32)
    agreement -= scale * popcounts(right)[None, :].astype(np.float32)
    agreement += np.float32(1)
    return agreement


@njit(cache=True, nogil=True, error_model="numpy")
def _common_bits(
    left: NDArray[np.uint64], right: NDArray[np.uint64], out: NDArray[np.float32]
) -> None:
    n_words = np.int64(left.shape[1])
    for first in range(0, len(right), _BLOCK):
        for row in range(len(left)):
            own = np.int64(left.ctypes.data) + 8 * n_words * row
            for column in range(first, min(first + _BLOCK, len(right))):
                other = np.int64(right.ctypes.data) + 8 * n_words * column
                out[row, column] = common(own, other, n_words)
