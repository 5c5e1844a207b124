"""SAUL over the filter: t keyed majorities of the set positions, XORed.

Every filter position i has t keyed vectors R of +1 and -1, L long. The code is the
XOR over the t of the signs of sum(R_i over set positions) - sum(mean_i R_i over all
positions) + tie / 2 (Armknecht and Schaefer, PoPETs 2026(2):6-19, applied to filter
positions instead of tokens). Agreement of two codes falls with the t-th power of
1 - 2 theta / pi, theta the angle between the centred filters, and is 1/2 for
strangers; the number of ones says nothing.

Sums are counted bit-sliced: a word holds one bit of the counters of 64 code bits,
and sixteen set positions at a time pass through a tree of full adders (Harley-Seal).
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
from linkage.encode.wide import ROW_BYTES, WORDS, add_eight, add_two, ripple


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
        self._rows = np.ascontiguousarray(words.transpose(2, 1, 0, 3))
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
        n_planes = max(5, (longest + 2 * self._offset + 2).bit_length())
        start = _start_planes(self._gap, self._offset, n_planes)
        codes = np.zeros((len(lengths), self._n_bits // 64), dtype=np.uint64)
        _majorities(positions, offsets, self._rows, start, self._offset, codes)
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


@njit(inline="always")
def _row_at(
    matrix_at: int, positions: NDArray[np.uint16], at: int, last: int, zero_row: int
) -> int:
    """Return the address of a position's keyed row; behind the last, that of zeros."""
    row: int = positions[at] if at < last else zero_row
    return matrix_at + row * ROW_BYTES


@njit(cache=True, nogil=True)
def _majorities(
    positions: NDArray[np.uint16],
    offsets: NDArray[np.int64],
    rows: NDArray[np.uint64],
    start: NDArray[np.uint64],
    offset: int,
    codes: NDArray[np.uint64],
) -> None:
    n_chunks, order, n_rows, _ = rows.shape
    n_planes, zero_row = start.shape[3], n_rows - 1
    planes = np.empty((n_planes, WORDS), dtype=np.uint64)
    carries = np.empty((2, WORDS), dtype=np.uint64)
    carry = carries[0]
    planes_at, carry_at = planes.ctypes.data, carries.ctypes.data
    for chunk in range(n_chunks):
        for j in range(order):
            matrix_at = rows[chunk, j].ctypes.data
            for record in range(len(offsets) - 1):
                first, last = offsets[record], offsets[record + 1]
                n = last - first
                planes[:] = start[chunk, j, n & 1]
                for at in range(first, last, 16):
                    for half in range(2):
                        begin = at + 8 * half
                        eight = (
                            _row_at(matrix_at, positions, begin, last, zero_row),
                            _row_at(matrix_at, positions, begin + 1, last, zero_row),
                            _row_at(matrix_at, positions, begin + 2, last, zero_row),
                            _row_at(matrix_at, positions, begin + 3, last, zero_row),
                            _row_at(matrix_at, positions, begin + 4, last, zero_row),
                            _row_at(matrix_at, positions, begin + 5, last, zero_row),
                            _row_at(matrix_at, positions, begin + 6, last, zero_row),
                            _row_at(matrix_at, positions, begin + 7, last, zero_row),
                        )
                        add_eight(planes_at, carry_at + half * ROW_BYTES, eight)
                    add_two(planes_at + 3 * ROW_BYTES, carry_at, carry_at + ROW_BYTES)
                    for plane in range(4, n_planes):
                        ripple(planes_at + plane * ROW_BYTES, carry_at)
                # The counters are compared with a number, bit by bit from the lowest:
                # so far equal counts as reached.
                least = (n >> 1) + offset + 1
                carry[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
                for plane in range(n_planes):
                    if (least >> plane) & 1:
                        for w in range(WORDS):
                            carry[w] &= planes[plane, w]
                    else:
                        for w in range(WORDS):
                            carry[w] |= planes[plane, w]
                for w in range(WORDS):
                    codes[record, chunk * WORDS + w] ^= carry[w]
