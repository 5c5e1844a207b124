"""Diffusion: every bit of the code is the XOR of t keyed bits of the filter.

The construction of BFD (Armknecht, Heng and Schnell, PoPETs 2023(2)): index sets
are drawn from a pool without replacement, refilled when it is empty, so that every
filter bit is used equally often. It is linear; a published attack breaks the family
(PoPETs 2026(2)), so it is kept for comparison. Code and filter are equally long: a
longer code would give its keyed matrix away by linear algebra.
"""

import hashlib
import hmac

import numpy as np
from numba import njit
from numpy.typing import NDArray


def index_sets(key: bytes, n_bits: int, order: int) -> NDArray[np.uint16]:
    """Return the filter positions of which each code bit is the XOR, shape (n_bits, order).

    Args:
        key: the hardening key, 32 bytes.
        n_bits: length of filter and code. A set that reaches from one filling of the
            pool into the next may hold a position twice, which then cancels.
        order: t, how many positions each bit takes.
    """
    pools = []
    for filling in range(order):
        seed = hmac.digest(key, b"diffusion" + filling.to_bytes(4, "big"), "sha256")
        stream = np.frombuffer(hashlib.shake_256(seed).digest(8 * n_bits), dtype="<u8")
        pools.append(np.argsort(stream, kind="stable").astype(np.uint16))
    return np.concatenate(pools).reshape(n_bits, order)


@njit(cache=True, nogil=True)
def _transpose(block: NDArray[np.uint64]) -> None:
    """Transpose 64 x 64 bits in place (Warren, Hacker's Delight, section 7-3)."""
    step, mask = 32, np.uint64(0x00000000FFFFFFFF)
    while step:
        shift = np.uint64(step)
        row = 0
        while row < 64:
            moved = ((block[row] >> shift) ^ block[row + step]) & mask
            block[row + step] ^= moved
            block[row] ^= moved << shift
            row = (row + step + 1) & ~step
        step >>= 1
        mask ^= mask << np.uint64(step)


@njit(cache=True, nogil=True)
def diffuse(
    filters: NDArray[np.uint64], sets: NDArray[np.uint16], codes: NDArray[np.uint64]
) -> None:
    """Write the diffused code of every filter.

    Works on 64 records at a time, as columns: one XOR serves all of them.

    Args:
        filters: shape (n, n_words).
        sets: from `index_sets`.
        codes: room for the codes, shape (n, n_words).
    """
    n, n_words = filters.shape
    columns = np.empty(n_words * 64, dtype=np.uint64)
    block = np.empty(64, dtype=np.uint64)
    for first in range(0, n, 64):
        rows = min(64, n - first)
        for w in range(n_words):
            block[:] = 0
            for row in range(rows):
                block[row] = filters[first + row, w]
            _transpose(block)
            columns[w * 64 : w * 64 + 64] = block
        for w in range(n_words):
            for bit in range(64):
                value = np.uint64(0)
                for j in range(sets.shape[1]):
                    value ^= columns[sets[w * 64 + bit, j]]
                block[bit] = value
            _transpose(block)
            for row in range(rows):
                codes[first + row, w] = block[row]
