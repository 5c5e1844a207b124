"""SAUL over the filter: t keyed majorities of the set positions, XORed.

Every filter position i has t keyed vectors R of +1 and -1, L long. The code is the
XOR over the t of the signs of sum(R_i over set positions) - sum(mean_i R_i over all
positions) + tie / 2 (Armknecht and Schaefer, PoPETs 2026(2):6-19, applied to filter
positions instead of tokens). Agreement of two codes falls with the t-th power of
1 - 2 theta / pi, theta the angle between the centred filters, and is 1/2 for
strangers; the number of ones says nothing.

Sums are counted bit-sliced: a row holds one bit of the counters of 512 code bits,
and sixteen set positions at a time pass through a tree of full adders (Harley-Seal).
That is two instructions for each set position and row, and one cache line of the keyed
matrix. The limit is how fast lines come from the second-level cache, which one column
of the matrix fills; while all filters of a batch pass, the counters never leave the
registers.
The mean, and the half of the number of set positions that a majority needs, are put
into the counters before the count begins, so that the end is one comparison with a
number that is the same for all bits.
"""

import hashlib
import hmac

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.encode.occupancy import UNIT
from linkage.encode.wide import WORDS, add_sixteen, aligned_words, load_counters, xor_carry

# Positions that are added at a time.
_GROUP = 16
# Planes of the counters, one choice compiled each: sums of usual filters, of all filters.
_PLANES = (10, 18)


class KeyedMajority:
    """The keyed matrix of one linkage key, ready to encode filters.

    Args:
        key: the hardening key, 32 bytes.
        mean: the mean filter in units of 1 / UNIT, shape (n_positions,).
        n_bits: L, length of a code, a multiple of 1,024.
        order: t, how many majorities are XORed.
    """

    def __init__(self, key: bytes, mean: NDArray[np.int64], n_bits: int, order: int) -> None:
        self._n_bits, self._order = n_bits, order
        row_bytes = order * n_bits // 8
        rows = np.zeros((len(mean) + 1, row_bytes), dtype=np.uint8)
        for i in range(len(mean)):
            rows[i] = np.frombuffer(keyed_row(key, i, row_bytes), dtype=np.uint8)
        tie = np.frombuffer(keyed_row(key, len(mean), row_bytes), dtype=np.uint8)
        half_gap = _half_gap(rows[:-1], mean, tie)
        self._offset = int(np.abs(half_gap).max(initial=0)) // 2 + 2
        n_chunks = n_bits // 64 // WORDS
        # One row of zeros at the end fills up the last group of positions.
        words = rows.view("<u8").astype(np.uint64).reshape(-1, order, n_chunks, WORDS)
        self._rows = aligned_words((n_chunks, order, len(rows), WORDS))
        self._rows[:] = words.transpose(2, 1, 0, 3)
        self._gap = half_gap.reshape(order, n_chunks, WORDS * 64).transpose(1, 0, 2)

    def __repr__(self) -> str:
        return "KeyedMajority(...)"

    def encode(
        self, positions: NDArray[np.uint16], offsets: NDArray[np.int64]
    ) -> NDArray[np.uint64]:
        """Return the codes of filters, shape (n, L / 64); that of an empty filter is 0.

        Args:
            positions: numbers of the set bits of all filters in a row.
            offsets: where each filter's numbers start, shape (n + 1,).
        """
        lengths = np.diff(offsets)
        longest = int(lengths.max(initial=0))
        highest = longest + 2 * self._offset + 2
        n_planes = next(n for n in _PLANES if highest < 1 << n)
        start = _start_planes(self._gap, self._offset, n_planes)
        codes = np.zeros((len(lengths), self._n_bits // 64), dtype=np.uint64)
        grouped, starts = _in_groups(positions, offsets, self._rows.shape[2] - 1)
        width = (0,) * n_planes
        _majorities(lengths, grouped, starts, self._rows, start, self._offset, width, codes)
        codes[lengths == 0] = 0
        return codes


def keyed_row(key: bytes, position: int, n_bytes: int) -> bytes:
    """Return the +1 and -1 of one filter position (or of the tie) as bits 1 and 0."""
    seed = hmac.digest(key, b"saul" + position.to_bytes(4, "big"), "sha256")
    return hashlib.shake_256(seed).digest(n_bytes)


def _half_gap(
    rows: NDArray[np.uint8], mean: NDArray[np.int64], tie: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Return d = floor(sum(mean_i R_i) - tie / 2): a majority is 2 ones - n > d."""
    sums = np.empty(8 * rows.shape[1], dtype=np.int64)
    step = 512
    for first in range(0, rows.shape[1], step):
        bits = np.unpackbits(rows[:, first : first + step], axis=1, bitorder="little")
        # Sums of means of up to 8,192 positions stay far below 2^53: exact in float64.
        part = mean.astype(np.float64) @ bits.astype(np.float64)
        sums[8 * first : 8 * first + len(part)] = part
    ties = 2 * np.unpackbits(tie, bitorder="little").astype(np.int64) - 1
    in_units: NDArray[np.int64] = 2 * (2 * sums - mean.sum()) - ties * UNIT
    return in_units // (2 * UNIT)


def _start_planes(gap: NDArray[np.int64], offset: int, n_planes: int) -> NDArray[np.uint64]:
    """Return the counters' first values in bit planes.

    A majority of n set positions is ones >= floor((n + d) / 2) + 1. With the
    counters starting at offset - floor(d / 2), less one more where n and d are both
    odd, that is counter >= floor(n / 2) + offset + 1 for every bit alike.

    Returns:
        Shape (n_chunks, order, 2, n_planes, WORDS), the third by the parity of n.
    """
    n_chunks, order, _ = gap.shape
    planes = np.empty((n_chunks, order, 2, n_planes, WORDS), dtype=np.uint64)
    for parity in (0, 1):
        value = offset - gap // 2 - (parity & gap & 1)
        for plane in range(n_planes):
            bits = (value >> plane & 1).astype(np.uint8)
            packed = np.packbits(bits, axis=2, bitorder="little")
            planes[:, :, parity, plane] = packed.view("<u8")
    return planes


@njit(cache=True, nogil=True)
def _in_groups(
    positions: NDArray[np.uint16], offsets: NDArray[np.int64], zero_row: int
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Return the positions in whole groups for each filter, filled up with a row of zeros."""
    starts = np.zeros(len(offsets), dtype=np.int64)
    for record in range(len(offsets) - 1):
        n_groups = (offsets[record + 1] - offsets[record] + _GROUP - 1) // _GROUP
        starts[record + 1] = starts[record] + n_groups * _GROUP
    grouped = np.full(starts[-1], np.uint16(zero_row), dtype=np.uint16)
    for record in range(len(offsets) - 1):
        at = starts[record]
        for i in range(offsets[record], offsets[record + 1]):
            grouped[at] = positions[i]
            at += 1
    return grouped, starts


@njit(cache=True, nogil=True)
def _majorities(
    lengths: NDArray[np.int64],
    grouped: NDArray[np.uint16],
    starts: NDArray[np.int64],
    rows: NDArray[np.uint64],
    start: NDArray[np.uint64],
    offset: int,
    width: tuple[int, ...],
    codes: NDArray[np.uint64],
) -> None:
    """XOR the signs of every record's sums into its code.

    Args:
        lengths: number of set positions of each filter.
        grouped: from `_in_groups`.
        starts: where each filter's groups start.
        rows: the keyed matrix, shape (n_chunks, order, n_positions + 1, WORDS).
        start: from `_start_planes`.
        offset: what every counter begins with, without its mean.
        width: a tuple as long as the counters have planes.
        codes: zeros, shape (n, n_chunks * WORDS).
    """
    numbers = grouped.ctypes.data
    for chunk in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            # This part of the matrix stays in the cache while all records pass.
            matrix = rows[chunk, j].ctypes.data
            for record in range(len(lengths)):
                n = lengths[record]
                counters = load_counters(start[chunk, j, n & 1].ctypes.data, width)
                for at in range(starts[record], starts[record + 1], _GROUP):
                    counters = add_sixteen(counters, matrix, numbers + 2 * at)
                least = (n >> 1) + offset + 1
                code = codes[record, chunk * WORDS :].ctypes.data
                xor_carry(code, counters, (1 << len(width)) - least)
