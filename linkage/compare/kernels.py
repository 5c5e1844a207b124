"""Compiled loops over all pairs of two sets of codes.

Two codes of L bits with a and b set bits, c of them common, have the Dice
coefficient 2c / (a + b) and the agreement 1 - (a + b - 2c) / L. Both are computed in
float64 from the integer counts and rounded to float32, as which they are kept and
compared, so that a pair is in or out by the same arithmetic everywhere. Plain
filters are compared by Dice, hardened codes by agreement.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from linkage.compare.bits import LANES

# A diagonal so low that no column is left out.
EVERY_COLUMN = -(2**40)


def _typed_popcount(_typing: Any, _word: Any) -> Any:
    """Count the set bits of a 64-bit word by the processor's own instruction."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


_popcount: Any = intrinsic(_typed_popcount)


@njit(inline="always")
def _similarity(common: int, left_bits: int, right_bits: int, agreement_bits: int) -> float:
    """Return the similarity of two codes from their counts of set bits."""
    total = left_bits + right_bits
    if agreement_bits:
        # The codes differ in total - 2 common bits. An empty code agrees with none.
        differing = total - 2.0 * common
        return 1.0 - differing / agreement_bits if left_bits and right_bits else 0.0
    return 2.0 * common / total if total else 0.0


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
) -> tuple[int, int]:
    """Collect the pairs whose similarity reaches a threshold.

    Stops early when the output could overflow: call again with the returned row.

    Args:
        left: codes of one side, shape (n, n_words).
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

    Returns:
        Number of pairs written, and the next row of `left` to compare (n: done).
        Pairs are ordered by left, then right.
    """
    n, n_words = left.shape
    m = len(right_bits)
    room = len(out_left)
    common = np.zeros(LANES, dtype=np.uint64)
    written = 0
    for row in range(start, n):
        if room - written < m:
            return written, row
        bits = left_bits[row]
        if bits == 0:
            continue
        first = max(row + diagonal + 1, 0)
        for group in range(first // LANES, lanes.shape[0]):
            common[:] = 0
            for w in range(n_words):
                word = left[row, w]
                for lane in range(LANES):
                    common[lane] += _popcount(word & lanes[group, w, lane])
            base = group * LANES
            for lane in range(max(0, first - base), min(LANES, m - base)):
                similarity = _similarity(
                    common[lane], bits, right_bits[base + lane], agreement_bits
                )
                if np.float32(similarity) >= np.float32(threshold):
                    out_left[written] = row
                    out_right[written] = base + lane
                    out_similarity[written] = similarity
                    written += 1
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
    """
    n, n_words = left.shape
    m = len(right_bits)
    bins = len(counts) - 1
    common = np.zeros(LANES, dtype=np.uint64)
    for row in range(n):
        bits = left_bits[row]
        first = max(row + diagonal + 1, 0)
        for group in range(first // LANES, lanes.shape[0]):
            common[:] = 0
            for w in range(n_words):
                word = left[row, w]
                for lane in range(LANES):
                    common[lane] += _popcount(word & lanes[group, w, lane])
            base = group * LANES
            for lane in range(max(0, first - base), min(LANES, m - base)):
                similarity = _similarity(
                    common[lane], bits, right_bits[base + lane], agreement_bits
                )
                counts[int(similarity * bins)] += 1
