"""Compiled loops over all pairs of two sets of codes.

Two codes of L bits with a and b set bits, c of them common, have the Dice
coefficient 2c / (a + b) and the agreement 1 - (a + b - 2c) / L. Both are computed in
float64 from the integer counts and rounded to float32, as which they are kept and
compared, so that a pair is in or out by the same arithmetic everywhere. Plain
filters are compared by Dice, hardened codes by agreement.

Pairs are screened first on the leading words of the codes. The exact screen (`bounds`)
leaves out only what cannot reach the threshold, so it changes speed and no result; it
tells most pairs of filters apart early. Of long codes whose threshold is near chance
it tells nothing: for them a screen with a stated loss (`screen`) can take its place.
"""

from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.compare.bits import LANES
from linkage.compare.bounds import (
    bounds_of,
    leading_bits,
    leading_bits_in_lanes,
    line_of,
    screen_length,
)
from linkage.compare.wide import count_group, popcount, reach, trailing_zeros

Count: TypeAlias = int | np.signedinteger[Any]

# A diagonal so low that no column is left out.
EVERY_COLUMN = -(2**40)

# Rows that are screened against a group while it is in the first cache.
_BATCH = 64
# Pairs of 64 left by the screen from which on all are counted at once.
_MANY = 12


@njit(inline="always")
def similarity_of(common: Count, left_bits: Count, right_bits: Count, agreement_bits: int) -> float:
    """Return the similarity of two codes from their counts of set bits."""
    # Without a branch, so that loops over it become vector code.
    total = left_bits + right_bits
    if agreement_bits:
        # The codes differ in total - 2 common bits. An empty code agrees with none.
        either_empty = (left_bits == 0) | (right_bits == 0)
        return 0.0 if either_empty else 1.0 - (total - 2 * common) / agreement_bits
    return 2.0 * common / max(total, 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _similarities(
    common: NDArray[np.uint64],
    left_bits: Count,
    right_bits: NDArray[np.int32],
    agreement_bits: int,
    out: NDArray[np.float64],
) -> None:
    """Set the similarities of a row and the columns of a group."""
    for lane in range(len(right_bits)):
        out[lane] = similarity_of(
            np.int64(common[lane]), left_bits, right_bits[lane], agreement_bits
        )


@njit(inline="always")
def _address(array: NDArray[Any], element: int) -> np.int64:
    return np.int64(array.ctypes.data) + 8 * np.int64(element)


@njit(inline="always")
def _require_rows(left: NDArray[np.uint64], lanes: NDArray[np.uint64]) -> None:
    if not (left.flags.c_contiguous and lanes.flags.c_contiguous):
        raise ValueError("codes must be C-ordered: the kernels read them by address")


@njit(cache=True, nogil=True, error_model="numpy")
def _screen(
    left: NDArray[np.uint64],
    lanes: NDArray[np.uint64],
    words: int,
    of_rows: NDArray[np.int64],
    of_columns: NDArray[np.int64],
    batch: int,
    first_group: int,
    alive: NDArray[np.uint64],
) -> None:
    """Set a bit for each pair of a batch of rows that reaches its bound.

    Args:
        left: codes of one side.
        lanes: codes of the other side.
        words: how many words are looked at.
        of_rows: bounds of the rows.
        of_columns: bounds of the columns.
        batch: first row.
        first_group: first group of columns.
        alive: a word for each row of the batch and group.
    """
    n, n_words = left.shape
    for group in range(first_group, lanes.shape[0]):
        for i in range(0, min(_BATCH, n - batch), 2):
            row = batch + i
            other = min(row + 1, n - 1)
            alive[i, group], alive[i + 1, group] = reach(
                _address(left, row * n_words),
                _address(left, other * n_words),
                _address(lanes, group * n_words * LANES),
                np.int64(words),
                _address(of_columns, group * LANES),
                of_rows[row],
                of_rows[other],
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _write_row(
    left: NDArray[np.uint64],
    left_bits: NDArray[np.int32],
    lanes: NDArray[np.uint64],
    right_bits: NDArray[np.int32],
    row: int,
    first: int,
    alive: NDArray[np.uint64],
    agreement_bits: int,
    threshold: float,
    counts: NDArray[np.uint64],
    similarities: NDArray[np.float64],
    out_left: NDArray[np.int32],
    out_right: NDArray[np.int32],
    out_similarity: NDArray[np.float32],
    written: int,
) -> int:
    """Write the pairs of a row that pass, of those alive from column `first` on.

    Returns:
        The new number of pairs written.
    """
    n_words, bits = left.shape[1], left_bits[row]
    for group in range(first // LANES, lanes.shape[0]):
        asked = alive[group]
        base = group * LANES
        if base < first:
            asked &= ~np.uint64(0) << np.uint64(first - base)
        if popcount(asked) < _MANY:
            while asked:
                column = base + np.int64(trailing_zeros(asked))
                asked &= asked - np.uint64(1)
                common = np.uint64(0)
                for w in range(n_words):
                    common += popcount(left[row, w] & lanes[group, w, column - base])
                similarity = np.float32(
                    similarity_of(np.int64(common), bits, right_bits[column], agreement_bits)
                )
                if similarity >= np.float32(threshold):
                    out_left[written] = row
                    out_right[written] = column
                    out_similarity[written] = similarity
                    written += 1
            continue
        count_group(
            _address(left, row * n_words),
            _address(lanes, group * n_words * LANES),
            np.int64(n_words),
            _address(counts, 0),
        )
        of_columns = right_bits[base : base + LANES]
        _similarities(counts, bits, of_columns, agreement_bits, similarities)
        for lane in range(len(of_columns)):
            # Written always and kept if it passes: there is no jump to be foreseen.
            similarity = np.float32(similarities[lane])
            out_left[written] = row
            out_right[written] = base + lane
            out_similarity[written] = similarity
            wanted = (asked >> np.uint64(lane)) & np.uint64(1) != 0
            written += 1 if wanted & (similarity >= np.float32(threshold)) else 0
    return written


@njit(cache=True, nogil=True, error_model="numpy")
def similar_pairs(
    left: NDArray[np.uint64],
    left_bits: NDArray[np.int32],
    lanes: NDArray[np.uint64],
    right_bits: NDArray[np.int32],
    diagonal: int,
    agreement_bits: int,
    threshold: float,
    start: int,
    out_left: NDArray[np.int32],
    out_right: NDArray[np.int32],
    out_similarity: NDArray[np.float32],
    screen_words: int = 0,
    screen_differing: int = 0,
) -> tuple[int, int]:
    """Collect the pairs whose similarity reaches a threshold.

    Stops early when the output could overflow: call again with the returned row.

    Args:
        left: codes of one side, C-ordered, shape (n, n_words).
        left_bits: their numbers of set bits, shape (n,).
        lanes: codes of the other side from `in_lanes`.
        right_bits: their numbers of set bits, shape (m,).
        diagonal: only columns above row + diagonal are compared: the distance of the
            two sides' first records within one set, or `EVERY_COLUMN`.
        agreement_bits: 0 for Dice; for agreement the length of a code.
        threshold: lowest similarity of a pair, above 0.
        start: first row of `left` to compare.
        out_left: room for row numbers of `left`; at least m long.
        out_right: room for row numbers of the other side, as long.
        out_similarity: room for similarities, as long.
        screen_words: `words` of a `screen.Screen`; 0 for the exact screen, over as many
            words as a sample makes worth it.
        screen_differing: `differing` of that screen.

    Returns:
        Number of pairs written, and the next row of `left` to compare (n: done).
        Pairs are ordered by left, then right.

    Raises:
        ValueError: codes are not C-ordered.
    """
    _require_rows(left, lanes)
    n = len(left)
    m = len(right_bits)
    slope, offset = line_of(agreement_bits, threshold)
    words = screen_words
    if words:
        slope, offset = 0.5, screen_differing / 2
    else:
        words = screen_length(left, left_bits, lanes, right_bits, slope, offset)
    given = screen_words > 0
    of_rows = bounds_of(left_bits, leading_bits(left, words), slope, offset, given)
    columns = leading_bits_in_lanes(lanes, words)
    of_columns = bounds_of(right_bits, columns, slope, 0.0, given)
    alive = np.zeros((_BATCH, lanes.shape[0]), dtype=np.uint64)
    counts = np.zeros(LANES, dtype=np.uint64)
    similarities = np.zeros(LANES, dtype=np.float64)
    written = 0
    for batch in range(start, n, _BATCH):
        first_group = max(batch + diagonal + 1, 0) // LANES
        _screen(left, lanes, words, of_rows, of_columns, batch, first_group, alive)
        for row in range(batch, min(batch + _BATCH, n)):
            if len(out_left) - written < m:
                return written, row
            written = _write_row(
                left,
                left_bits,
                lanes,
                right_bits,
                row,
                max(row + diagonal + 1, 0),
                alive[row - batch],
                agreement_bits,
                threshold,
                counts,
                similarities,
                out_left,
                out_right,
                out_similarity,
                written,
            )
    return written, n


@njit(cache=True, nogil=True, error_model="numpy")
def similarity_histogram(
    left: NDArray[np.uint64],
    left_bits: NDArray[np.int32],
    lanes: NDArray[np.uint64],
    right_bits: NDArray[np.int32],
    diagonal: int,
    agreement_bits: int,
    counts: NDArray[np.int64],
) -> None:
    """Add the similarities of all pairs to a histogram over [0, 1], in place.

    Args:
        left: as in `similar_pairs`, like the next three.
        left_bits: as in `similar_pairs`.
        lanes: as in `similar_pairs`.
        right_bits: as in `similar_pairs`.
        diagonal: as in `similar_pairs`.
        agreement_bits: as in `similar_pairs`.
        counts: one more than the number of equal bins; the last counts the ones.

    Raises:
        ValueError: codes are not C-ordered.
    """
    _require_rows(left, lanes)
    n, n_words = left.shape
    bins = len(counts) - 1
    common = np.zeros(LANES, dtype=np.uint64)
    similarities = np.zeros(LANES, dtype=np.float64)
    for group in range(lanes.shape[0]):
        base = group * LANES
        bits = right_bits[base : base + LANES]
        # Rows whose first column is in this group or before it.
        for row in range(min(n, base + len(bits) - 1 - diagonal)):
            count_group(
                _address(left, row * n_words),
                _address(lanes, group * n_words * LANES),
                np.int64(n_words),
                _address(common, 0),
            )
            _similarities(common, left_bits[row], bits, agreement_bits, similarities)
            for lane in range(max(row + diagonal + 1 - base, 0), len(bits)):
                counts[np.int64(similarities[lane] * bins)] += 1
