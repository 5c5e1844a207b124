"""Keyed Bloom filters: the positions of a token, and filters of many records.

A token sets k positions that follow from HMAC-SHA-256 under the key of its token
space, expanded by SHAKE-256. All positions are independent: with double hashing
(h1 + i h2) a filter is a mixture of only m^2 patterns, which is how the first
published attacks took CLKs apart (Niedermeyer et al. 2014; Kroll and Steinmetzer,
arXiv 1410.6739).
"""

import hashlib
import hmac
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray


def token_positions(key: bytes, token: str, n_positions: int, n_bits: int) -> NDArray[np.uint32]:
    """Return the filter positions of one token; some may coincide.

    Args:
        key: key of the token space, 32 bytes.
        token: a token.
        n_positions: how many positions to draw. A smaller number gives a prefix
            of a larger one, so that tokens shared by attributes of unlike weight
            still agree.
        n_bits: length of the filter.

    Returns:
        Positions below `n_bits`, shape (n_positions,). Taken modulo from 32 bits:
        for n_bits <= 8,192 no position is likelier than another by more than 2^-19.
    """
    seed = hmac.digest(key, token.encode(), "sha256")
    stream = hashlib.shake_256(seed).digest(4 * n_positions)
    return np.frombuffer(stream, dtype="<u4") % np.uint32(n_bits)


def ragged(rows: Sequence[NDArray[np.uint32]]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return rows of unlike length as one array, and where each row starts and ends."""
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return (np.concatenate(rows) if rows else np.zeros(0, np.uint32)), offsets


@njit(cache=True, nogil=True)
def set_positions(
    filters: NDArray[np.uint64],
    word_ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    positions: NDArray[np.uint32],
    position_offsets: NDArray[np.int64],
) -> None:
    """Set the positions of every record's words in its filter, in place.

    Args:
        filters: packed filters, shape (n_records, n_bits / 64); bit i of a filter
            is bit i % 64 of word i / 64.
        word_ids: words of all records in a row.
        offsets: where each record's words start, shape (n_records + 1,).
        positions: positions of all words in a row.
        position_offsets: where each word's positions start.
    """
    for record in range(len(offsets) - 1):
        for at in range(offsets[record], offsets[record + 1]):
            word = word_ids[at]
            for p in range(position_offsets[word], position_offsets[word + 1]):
                position = positions[p]
                filters[record, position >> np.uint32(6)] |= np.uint64(1) << np.uint64(
                    position & np.uint32(63)
                )
