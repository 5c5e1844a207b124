"""A5: what a look at the codes alone finds, without any plain record.

Limits hold for 10,000 codes; with fewer, chance moves the same figures further and the
limits rise with it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.compare.bits import popcounts
from linkage.privacy.pairwise import common_bits

_MOST_CODES = 10_000
_SPARE_ROWS = 64
# Deviations of the common lean. Mean filters come from public tables: on synthetic people,
# FEBRL 4 and dates with names alone these leave up to 3.3 at 8192/5, and none of it 10 to 17.
_MOST_LEAN = 6.0


@dataclass(frozen=True)
class Finding:
    """One figure with its limit.

    Attributes:
        name: what was looked at.
        value: the figure.
        limit: the highest value allowed.
    """

    name: str
    value: float
    limit: float

    @property
    def exceeded(self) -> bool:
        """Whether the figure is above its limit."""
        return self.value > self.limit


def lint(codes: NDArray[np.uint64], n_tokens: NDArray[np.int64]) -> list[Finding]:
    """Return what is to be seen in the codes of distinct persons.

    Args:
        codes: packed codes, shape (n, n_words); no two of one plain record.
        n_tokens: how many tokens each record has, shape (n,).
    """
    codes, n_tokens = codes[:_MOST_CODES], n_tokens[:_MOST_CODES]
    n, n_bits = len(codes), 64 * codes.shape[1]
    columns = transposed(codes)
    ones = popcounts(columns).astype(np.float32)
    repeated = n - len(np.unique(codes, axis=0))
    rank, n_rows = _rank_of(codes)
    return [
        Finding(
            "set bits tell the number of tokens (correlation)",
            _correlation(popcounts(codes).astype(np.float64), n_tokens.astype(np.float64)),
            max(0.1, 4 / math.sqrt(n)),
        ),
        Finding(
            "a column's mean off 1/2",
            float(np.abs(ones / n - 0.5).max()),
            max(0.05, 3 / math.sqrt(n)),
        ),
        Finding("codes lean together (deviations)", _lean(ones, n), _MOST_LEAN),
        Finding("two columns alike (phi)", _most_alike(columns, ones, n), max(0.08, 8 / n**0.5)),
        Finding("codes that stand more than once", float(repeated), 0.0),
        Finding(
            "linear relations among codes (missing rank)",
            float(min(n_rows, n_bits) - rank),
            2.0 if n_rows >= n_bits else 0.0,
        ),
    ]


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    if x.std() == 0 or y.std() == 0:
        return 0.0
    return float(abs(np.corrcoef(x, y)[0, 1]))


def _lean(ones: NDArray[np.float32], n: int) -> float:
    """Return by how many deviations two codes agree more than strangers' do, in the mean.

    What all records share tells of nobody; but where it has not been taken away, neither
    has what many share, and a learner has a stronger signal.

    Args:
        ones: codes with each bit set, shape (n_bits,).
        n: number of codes.
    """
    # Over a column of n signs of chance the square of the sum has mean n, variance 2 n (n - 1).
    sums = 2 * ones.astype(np.float64) - n
    deviation = math.sqrt(2 * len(ones) * n * max(n - 1, 1))
    return float((sums**2 - n).sum() / deviation)


def transposed(codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the columns of bits, each packed over the records, shape (n_bits, words)."""
    bits = np.unpackbits(codes.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    packed = np.packbits(bits.T, axis=1, bitorder="little")
    padded = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view("<u8").astype(np.uint64)


def _most_alike(columns: NDArray[np.uint64], ones: NDArray[np.float32], n: int) -> float:
    """Return the greatest |phi| of any two columns."""
    share = ones / np.float32(n)
    deviation = np.sqrt(np.maximum(share * (1 - share), 1e-9))
    most = 0.0
    for first in range(0, len(columns), 2048):
        part = slice(first, first + 2048)
        phi = common_bits(columns[part], columns[first:]) / np.float32(n)
        phi -= share[part, None] * share[None, first:]
        phi /= deviation[part, None] * deviation[None, first:]
        at = np.arange(len(phi))
        phi[at, at] = 0
        most = max(most, float(np.abs(phi).max()))
    return most


def _rank_of(codes: NDArray[np.uint64]) -> tuple[int, int]:
    """Return the rank over GF(2) of a few more codes than bits, and how many codes these are."""
    n_rows = min(len(codes), 64 * codes.shape[1] + _SPARE_ROWS)
    return _rank(codes[:n_rows].copy()), n_rows


@njit(cache=True, nogil=True)
def _rank(rows: NDArray[np.uint64]) -> int:
    """Return the rank of packed rows over GF(2); the rows are used up."""
    n, n_words = rows.shape
    rank = 0
    for word in range(n_words):
        for bit in range(64):
            mask = np.uint64(1) << np.uint64(bit)
            pivot = -1
            for row in range(rank, n):
                if rows[row, word] & mask:
                    pivot = row
                    break
            if pivot < 0:
                continue
            if pivot != rank:
                for w in range(word, n_words):
                    rows[pivot, w], rows[rank, w] = rows[rank, w], rows[pivot, w]
            for row in range(rank + 1, n):
                if rows[row, word] & mask:
                    for w in range(word, n_words):
                        rows[row, w] ^= rows[rank, w]
            rank += 1
            if rank == n:
                return rank
    return rank
