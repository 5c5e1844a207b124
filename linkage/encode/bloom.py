"""Keyed Bloom filters: the positions of a token, and filters of many records.

A token sets k positions that follow from HMAC-SHA-256 under the key of its token
space, expanded by SHAKE-256. All positions are independent: with double hashing
(h1 + i h2) a filter is a mixture of only m^2 patterns, which is how the first
published attacks took CLKs apart (Niedermeyer et al. 2014; Kroll and Steinmetzer,
arXiv 1410.6739).
"""

import hashlib
import hmac

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.encode.tokenids import n_tokens, token_text
from linkage.encode.wide import trailing_zeros
from linkage.types import Kind


def token_positions(key: bytes, token: str, n_positions: int, n_bits: int) -> NDArray[np.uint16]:
    """Return the filter positions of one token; some may coincide.

    Args:
        key: key of the token space, 32 bytes.
        token: a token.
        n_positions: how many positions to draw. A smaller number gives a prefix
            of a larger one, so that tokens of unlike weight still agree.
        n_bits: length of the filter, at most 65,536.

    Returns:
        Positions below `n_bits`, shape (n_positions,). Taken modulo from 32 bits:
        for n_bits <= 8,192 no position is likelier than another by more than 2^-19.
    """
    seed = hmac.digest(key, token.encode(), "sha256")
    stream = hashlib.shake_256(seed).digest(4 * n_positions)
    return (np.frombuffer(stream, dtype="<u4") % np.uint32(n_bits)).astype(np.uint16)


class PositionTable:
    """The positions of the tokens of one space, each drawn when it is first met.

    Holds plain tokens beside their positions, as good as the key itself: it must
    live no longer than the job.

    Args:
        key: key of the token space, 32 bytes.
        kind: kind of its attributes.
        n_positions: positions drawn for each token.
        n_bits: length of the filter.
    """

    def __init__(self, key: bytes, kind: Kind, n_positions: int, n_bits: int) -> None:
        self._key, self._kind, self._n_bits = key, kind, n_bits
        self._known = np.zeros(n_tokens(kind), dtype=np.bool_)
        self.positions = np.zeros((n_tokens(kind), n_positions), dtype=np.uint16)

    def __repr__(self) -> str:
        return "PositionTable(...)"

    def draw(self, ids: NDArray[np.int32]) -> None:
        """Draw the positions of these tokens, unless they are known."""
        met = np.zeros(len(self._known), dtype=np.bool_)
        met[ids] = True
        n_positions = self.positions.shape[1]
        for number in np.flatnonzero(met & ~self._known):
            token = token_text(int(number), self._kind)
            self.positions[number] = token_positions(self._key, token, n_positions, self._n_bits)
            self._known[number] = True


@njit(cache=True, nogil=True)
def word_filters(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    n_positions: NDArray[np.uint16],
    positions: NDArray[np.uint16],
    filters: NDArray[np.uint64],
) -> None:
    """Set the positions of every word's tokens in the word's filter, in place.

    Args:
        ids: tokens of all words in a row.
        offsets: where each word's tokens start.
        n_positions: how many positions each of the tokens sets.
        positions: positions of every token number.
        filters: empty filters, shape (n_words, n_bits / 64); bit i of a filter is
            bit i % 64 of element i / 64.
    """
    for word in range(len(offsets) - 1):
        own = filters[word]
        for at in range(offsets[word], offsets[word + 1]):
            drawn = positions[ids[at]]
            for j in range(n_positions[at]):
                # Unsigned, or every index would first be looked at for being negative.
                position = np.uint64(drawn[j])
                own[position >> np.uint64(6)] |= np.uint64(1) << (position & np.uint64(63))


@njit(cache=True, nogil=True)
def unite(
    filters: NDArray[np.uint64],
    word_ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    of_words: NDArray[np.uint64],
) -> None:
    """Unite the filters of every record's words with the record's filter, in place.

    Args:
        filters: filters of records, shape (n_records, n_bits / 64).
        word_ids: words of all records in a row.
        offsets: where each record's words start.
        of_words: filters of the words.
    """
    for record in range(len(offsets) - 1):
        own = filters[record]
        for at in range(offsets[record], offsets[record + 1]):
            word = of_words[word_ids[at]]
            for w in range(len(own)):
                own[w] |= word[w]


@njit(cache=True, nogil=True)
def set_bits(filters: NDArray[np.uint64], offsets: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Return the numbers of the set bits of every filter, filter after filter.

    Args:
        filters: shape (n, n_bits / 64).
        offsets: where each filter's numbers go: the running sum of set bits.
    """
    out = np.empty(offsets[-1], dtype=np.uint16)
    for record in range(filters.shape[0]):
        at = offsets[record]
        for w in range(filters.shape[1]):
            word = filters[record, w]
            while word:
                out[at] = w * 64 + trailing_zeros(word)
                at += 1
                word &= word - np.uint64(1)
    return out
