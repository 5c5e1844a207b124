"""Similarities of listed pairs, and the best few of each record.

For pairs that blocking found: codes lie in rows and are met in the order of the list,
so most of the time goes to memory. Lists by left, then right number read the left
codes from the cache; what comes a few pairs later is asked for ahead. With a `Screen`
the leading words, kept side by side in arrays of their own, are all that most pairs
need.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.compare.kernels import similarity_of
from linkage.compare.screen import Screen
from linkage.compare.wide import common, differing, prefetch

# Pairs between asking for a code and reading it, and words in a line of the cache.
_AHEAD = 6
_LINE = 8
# Pairs that are screened before those left are counted.
_BATCH = 4_096


@dataclass(frozen=True)
class Best:
    """The best candidates of each row.

    Attributes:
        offsets: first place of each row, and the end, shape (n_rows + 1,).
        columns: best first within a row, ties by smaller number.
        scores: as many.
        cut: how many pairs passed the threshold and were left out.
    """

    offsets: NDArray[np.int64]
    columns: NDArray[np.int32]
    scores: NDArray[np.float32]
    cut: int


def score_pairs(
    left_words: NDArray[np.uint64],
    left_bits: NDArray[np.int32],
    right_words: NDArray[np.uint64],
    right_bits: NDArray[np.int32],
    pair_left: NDArray[np.int32],
    pair_right: NDArray[np.int32],
    agreement_bits: int,
    screen: Screen | None = None,
    leading: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None,
) -> NDArray[np.float32]:
    """Return the similarity of each listed pair, shape (n_pairs,).

    Args:
        left_words: codes of one side, shape (n, n_words).
        left_bits: their numbers of set bits, shape (n,).
        right_words: codes of the other side, shape (m, n_words).
        right_bits: their numbers of set bits, shape (m,).
        pair_left: row of each pair, best in rising order.
        pair_right: column of each pair, best in rising order within a row.
        agreement_bits: 0 for Dice; for agreement the length of a code.
        screen: pairs it leaves out have similarity 0; agreement only.
        leading: `leading_words` of both sides, to make them once for many calls.

    Raises:
        ValueError: a pair names a record that is not there.
    """
    for numbers, words in ((pair_left, left_words), (pair_right, right_words)):
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(words):
            raise ValueError("a pair names a record that is not there")
    left_words, right_words = np.ascontiguousarray(left_words), np.ascontiguousarray(right_words)
    out = np.zeros(len(pair_left), dtype=np.float32)
    codes = (left_words, left_bits, right_words, right_bits, pair_left, pair_right, agreement_bits)
    if screen is None:
        _score(*codes, np.arange(len(out)), out)
        return out
    if leading is None:
        leading = leading_words(left_words, screen), leading_words(right_words, screen)
    for start in range(0, len(out), _BATCH):
        end = min(start + _BATCH, len(out))
        chosen = np.empty(end - start, dtype=np.int64)
        n = _screened(*leading, pair_left, pair_right, start, end, screen.differing, chosen)
        _score(*codes, chosen[:n], out)
    return out


def leading_words(words: NDArray[np.uint64], screen: Screen) -> NDArray[np.uint64]:
    """Return the words that a screen looks at, side by side, shape (n, screen.words)."""
    return np.ascontiguousarray(words[:, : screen.words])


def keep_best(
    offsets: NDArray[np.int64],
    columns: NDArray[np.int32],
    scores: NDArray[np.float32],
    k: int,
    threshold: float,
) -> Best:
    """Return the k best candidates of each row that reach a threshold.

    Args:
        offsets: first pair of each row, and the end, shape (n_rows + 1,).
        columns: column of each pair, in any order within a row.
        scores: similarity of each pair.
        k: most that a row keeps, at least 1.
        threshold: lowest similarity.

    Raises:
        ValueError: `k` is below 1.
    """
    if k < 1:
        raise ValueError("at least one candidate is kept")
    ends = np.zeros(len(offsets), dtype=np.int64)
    np.cumsum(np.minimum(np.diff(offsets), k), out=ends[1:])
    kept_columns = np.empty(ends[-1], dtype=np.int32)
    kept_scores = np.empty(ends[-1], dtype=np.float32)
    cut = _keep_best(offsets, columns, scores, k, threshold, ends, kept_columns, kept_scores)
    end = ends[-1]
    return Best(ends, kept_columns[:end].copy(), kept_scores[:end].copy(), cut)


@njit(inline="always")
def _ask_for(codes: NDArray[np.uint64], row: int | np.int32) -> None:
    n_words = codes.shape[1]
    for word in range(0, n_words, _LINE):
        prefetch(np.int64(codes.ctypes.data) + 8 * (np.int64(row) * n_words + word))


@njit(inline="always")
def _address(codes: NDArray[np.uint64], row: int | np.int32) -> np.int64:
    address: np.int64 = np.int64(codes.ctypes.data) + 8 * np.int64(row) * codes.shape[1]
    return address


@njit(cache=True, nogil=True, error_model="numpy")
def _screened(
    left: NDArray[np.uint64],
    right: NDArray[np.uint64],
    pair_left: NDArray[np.int32],
    pair_right: NDArray[np.int32],
    start: int,
    end: int,
    most: int,
    chosen: NDArray[np.int64],
) -> int:
    """List the pairs of a range that differ in at most so many leading bits; count them."""
    n = 0
    n_words = np.int64(left.shape[1])
    for pair in range(start, end):
        _ask_for(right, pair_right[min(pair + _AHEAD, end - 1)])
        row, column = pair_left[pair], pair_right[pair]
        chosen[n] = pair
        there = differing(_address(left, row), _address(right, column), n_words)
        n += 1 if there <= most else 0
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _score(
    left: NDArray[np.uint64],
    left_bits: NDArray[np.int32],
    right: NDArray[np.uint64],
    right_bits: NDArray[np.int32],
    pair_left: NDArray[np.int32],
    pair_right: NDArray[np.int32],
    agreement_bits: int,
    chosen: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Set the similarity of the chosen pairs."""
    n = len(chosen)
    n_words = np.int64(left.shape[1])
    for i in range(n):
        _ask_for(right, pair_right[chosen[min(i + _AHEAD, n - 1)]])
        row, column = pair_left[chosen[i]], pair_right[chosen[i]]
        both = common(_address(left, row), _address(right, column), n_words)
        out[chosen[i]] = similarity_of(both, left_bits[row], right_bits[column], agreement_bits)


@njit(cache=True, nogil=True)
def _keep_best(
    offsets: NDArray[np.int64],
    columns: NDArray[np.int32],
    scores: NDArray[np.float32],
    k: int,
    threshold: float,
    ends: NDArray[np.int64],
    kept_columns: NDArray[np.int32],
    kept_scores: NDArray[np.float32],
) -> int:
    """Keep the best of each row in place of the first; set the ends; return what was cut."""
    cut = 0
    begin = 0
    for row in range(len(offsets) - 1):
        end = begin
        for pair in range(offsets[row], offsets[row + 1]):
            score, column = scores[pair], columns[pair]
            if score < np.float32(threshold):
                continue
            if end - begin == k:
                cut += 1
                last = end - 1
                if score < kept_scores[last] or (
                    score == kept_scores[last] and column > kept_columns[last]
                ):
                    continue
            else:
                end += 1
            place = end - 1
            while place > begin and (
                score > kept_scores[place - 1]
                or (score == kept_scores[place - 1] and column < kept_columns[place - 1])
            ):
                kept_scores[place] = kept_scores[place - 1]
                kept_columns[place] = kept_columns[place - 1]
                place -= 1
            kept_scores[place], kept_columns[place] = score, column
        begin = end
        ends[row + 1] = end
    return cut
