"""Packed codes as arrays of 64-bit words."""

import numpy as np
from numpy.typing import NDArray

from linkage.errors import SchemaMismatchError

LANES = 64


def as_words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return packed codes as words, shape (n, n_bits / 64), without a copy if possible.

    Args:
        codes: packed codes, shape (n, n_bits / 8), n_bits a multiple of 64.

    Raises:
        SchemaMismatchError: the codes are no whole number of words long.
    """
    if codes.shape[1] % 8:
        raise SchemaMismatchError(f"codes of {8 * codes.shape[1]} bits: not a multiple of 64")
    return np.ascontiguousarray(codes).view("<u8").astype(np.uint64, copy=False)


def popcounts(words: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Return the number of set bits of each row, shape (n,)."""
    counts: NDArray[np.int32] = np.bitwise_count(words).sum(axis=1, dtype=np.int32)
    return counts


def in_lanes(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return rows regrouped for the kernels, shape (ceil(n / 64), n_words, 64).

    Sixty-four rows lie side by side, word by word, so that one word of a single
    row meets the same word of 64 others in a few vector instructions. The last
    group is filled up with empty codes.
    """
    n, n_words = words.shape
    groups = -(-n // LANES)
    padded = np.zeros((groups * LANES, n_words), dtype=np.uint64)
    padded[:n] = words
    return np.ascontiguousarray(padded.reshape(groups, LANES, n_words).transpose(0, 2, 1))
