"""Bounds that tell from the leading words of two codes that they cannot be alike.

Of two codes with a and b set bits at least slope * (a + b) - offset bits must be common
to reach a threshold: slope t/2 and offset 0 for a Dice coefficient of t, slope 1/2 and
offset L (1 - t) / 2 for an agreement of t over L bits. If c bits of the leading words are
common, at most c + min(rest of a, rest of b) are in the whole, and that is at most the
mean of the two. So a pair is out if c is below the sum of a number of each code:

    slope * a - offset - rest of a / 2  +  slope * b - rest of b / 2

The mean in place of the lesser number costs next to nothing, for codes have nearly equal
numbers of bits, and it leaves one sum to compare. For the same reason no pair is told
apart by the numbers of its bits alone: among filters of FEBRL's records at a threshold
of 0.8 that would be one pair in 4,000. Numbers are in halves of a bit and rounded down: no
pair at the threshold is ever out.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.compare.bits import LANES
from linkage.compare.wide import popcount

# Similarities are rounded to float32 before they meet the threshold.
_ROUNDING = 1e-6
# Of a code without bits, which is like no other.
_NEVER = 1 << 40
# Lengths that are tried on a sample, in parts of the code.
_STEPS = 16
_SAMPLE_ROWS = 32
_SAMPLE_COLUMNS = 128
# What pairs cost, in units of a word counted in 128 pairs at once: a word counted for
# a pair alone, the way to a pair alone, a word counted in 64 pairs at once.
_ALONE = 10.0
_WAY_TO_ALONE = 200.0
_TOGETHER = 1.5


@njit(cache=True, nogil=True)
def line_of(agreement_bits: int, threshold: float) -> tuple[float, float]:
    """Return slope and offset of the fewest common bits that reach a threshold."""
    lowest = max(np.float64(np.float32(threshold)) - _ROUNDING, 0.0)
    if agreement_bits:
        return 0.5, agreement_bits * (1.0 - lowest) / 2
    return lowest / 2, 0.0


@njit(cache=True, nogil=True)
def leading_bits(codes: NDArray[np.uint64], words: int) -> NDArray[np.int64]:
    """Return the set bits in the leading words of each row, shape (n,)."""
    counts = np.zeros(len(codes), dtype=np.int64)
    for row in range(len(codes)):
        for w in range(words):
            counts[row] += np.int64(popcount(codes[row, w]))
    return counts


@njit(cache=True, nogil=True)
def leading_bits_in_lanes(lanes: NDArray[np.uint64], words: int) -> NDArray[np.int64]:
    """Return the set bits in the leading words of each column, shape (64 groups,)."""
    counts = np.zeros(lanes.shape[0] * LANES, dtype=np.int64)
    for group in range(lanes.shape[0]):
        for w in range(words):
            for lane in range(LANES):
                counts[group * LANES + lane] += np.int64(popcount(lanes[group, w, lane]))
    return counts


@njit(cache=True, nogil=True)
def bounds_of(
    bits: NDArray[np.int32],
    leading: NDArray[np.int64],
    slope: float,
    offset: float,
    leading_alone: bool,
) -> NDArray[np.int64]:
    """Return the number of each code, in halves of a bit, shape (len(leading),).

    Args:
        bits: set bits of the codes: one without any is never alike.
        leading: set bits of the leading words; may be longer than `bits`, for codes that
            only fill up a group and are never alike.
        slope: of the line.
        offset: of the line; of one of the two sides only.
        leading_alone: the line is one of the leading bits alone: the others do not count.
    """
    bounds = np.full(len(leading), _NEVER, dtype=np.int64)
    for i in range(len(bits)):
        if bits[i]:
            counted = leading[i] if leading_alone else np.int64(bits[i])
            rest = counted - leading[i]
            bounds[i] = np.int64(np.floor(2 * (slope * counted - offset) - rest))
    return bounds


@njit(cache=True, nogil=True)
def screen_length(
    left: NDArray[np.uint64],
    left_bits: NDArray[np.int32],
    lanes: NDArray[np.uint64],
    right_bits: NDArray[np.int32],
    slope: float,
    offset: float,
) -> int:
    """Return over how many words the bounds are best looked at, 0 for none.

    Counts on a sample of pairs how many are left after more and more words, and weighs
    the words against the pairs left. Only speed depends on it.
    """
    n, n_words = left.shape
    m = len(right_bits)
    step = -(-n_words // _STEPS)
    steps = -(-n_words // step)
    alive = np.zeros(steps + 1, dtype=np.int64)
    sampled = 0
    for i in range(min(n, _SAMPLE_ROWS)):
        row = i * n // min(n, _SAMPLE_ROWS)
        for j in range(min(m, _SAMPLE_COLUMNS)):
            column = j * m // min(m, _SAMPLE_COLUMNS)
            group, lane = column // LANES, column % LANES
            a, b = np.int64(left_bits[row]), np.int64(right_bits[column])
            needed = slope * (a + b) - offset
            common = np.int64(0)
            sampled += 1
            for at in range(steps + 1):
                if common + (a + b) / 2 < needed:
                    break
                alive[at] += 1
                for w in range(at * step, min(at * step + step, n_words)):
                    one, other = left[row, w], lanes[group, w, lane]
                    common += np.int64(popcount(one & other))
                    a -= np.int64(popcount(one))
                    b -= np.int64(popcount(other))
    best, least = 0, np.inf
    for at in range(steps + 1):
        words = min(at * step, n_words)
        share = alive[at] / max(sampled, 1)
        alone = share * (_WAY_TO_ALONE + _ALONE * n_words)
        cost = words + min(alone, _TOGETHER * n_words)
        if cost < least:
            best, least = words, cost
    return best
