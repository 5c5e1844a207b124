"""Tokens of whole vocabularies as numbers, by compiled loops and array arithmetic.

The definition of a token is `tokens.tokens_of_word`; here every token has a number,
`token_text` gives its text back, and the numbers of a vocabulary come without a
Python step per word. A token's number is not secret and not keyed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.encode.tokens import START, tokens_of_word
from linkage.types import Kind

# Bigrams: first and second character as digits of base 37 over this alphabet.
_ALPHABET = START + "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_BASE = len(_ALPHABET)
N_BIGRAMS = _BASE * _BASE
_NUMBER_OF = np.full(256, -1, dtype=np.int16)
_NUMBER_OF[np.frombuffer(_ALPHABET.encode(), np.uint8)] = np.arange(_BASE)

# Dates: one number for each token of each part.
_MONTH, _DAY, _TENS, _UNITS, _DECADE, _DIGIT, _PAIR = (
    10_000, 10_100, 10_200, 10_210, 10_220, 10_230, 10_300,
)  # fmt: skip
N_DATE_TOKENS = _PAIR + 100 * 100


@dataclass(frozen=True)
class TokenIds:
    """The tokens of a vocabulary.

    Attributes:
        ids: token numbers of all words in a row; a token may come twice in a word.
        offsets: where each word's tokens start, shape (n_words + 1,).
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


def token_ids(vocabulary: Sequence[str], kind: Kind) -> TokenIds:
    """Return the tokens of every word of a vocabulary.

    Args:
        vocabulary: normalised words.
        kind: of the attribute that they are words of; no identifier.
    """
    if kind == "date":
        return _date_tokens(vocabulary)
    if kind == "year":
        return _date_tokens([word[:4] for word in vocabulary])
    if kind == "sex":
        return _whole_words(vocabulary)
    return _bigrams(vocabulary)


def token_text(number: int, kind: Kind) -> str:
    """Return the text of a token, as `tokens.tokens_of_word` writes it."""
    if kind == "sex":
        return _ALPHABET[number]
    if kind not in ("date", "year"):
        return _ALPHABET[number // _BASE] + _ALPHABET[number % _BASE]
    if number >= _PAIR:
        return f"{(number - _PAIR) // 100:02}/{(number - _PAIR) % 100:02}"
    for first, form in (
        (_DIGIT, "y.{}"),
        (_DECADE, "y{}."),
        (_UNITS, "d.{}"),
        (_TENS, "d{}."),
        (_DAY, "d{:02}"),
        (_MONTH, "m{:02}"),
    ):
        if number >= first:
            return form.format(number - first)
    return f"y{number:04}"


def n_tokens(kind: Kind) -> int:
    """Return how many token numbers attributes of a kind have."""
    if kind in ("date", "year"):
        return N_DATE_TOKENS
    return _BASE if kind == "sex" else N_BIGRAMS


def speaks_of_day(numbers: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which tokens of dates speak of the day, alone or with the month."""
    return ((numbers >= _DAY) & (numbers < _DECADE)) | (numbers >= _PAIR)


def speaks_of_month(numbers: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which tokens of dates speak of the month, alone or with the day."""
    return ((numbers >= _MONTH) & (numbers < _DAY)) | (numbers >= _PAIR)


def _bigrams(vocabulary: Sequence[str]) -> TokenIds:
    lengths = np.fromiter(map(len, vocabulary), dtype=np.int64, count=len(vocabulary))
    offsets = np.zeros(len(vocabulary) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    # A character that is not ASCII becomes one question mark, which is no letter either.
    text = "".join(vocabulary).encode("ascii", "replace")
    letters = _NUMBER_OF[np.frombuffer(text, dtype=np.uint8)]
    if letters.size and letters.min() < 0:
        raise ValueError("a word with a character that normalising never leaves")
    return TokenIds(_pairs(letters, offsets), offsets)


@njit(cache=True, nogil=True)
def _pairs(letters: NDArray[np.int16], offsets: NDArray[np.int64]) -> NDArray[np.int32]:
    """Number every letter of every word with the one before it; the start comes first."""
    ids = np.empty(len(letters), dtype=np.int32)
    for word in range(len(offsets) - 1):
        before = 0
        for at in range(offsets[word], offsets[word + 1]):
            ids[at] = before * 37 + letters[at]
            before = letters[at]
    return ids


def _date_tokens(vocabulary: Sequence[str]) -> TokenIds:
    text = "".join([word.ljust(10, "-") for word in vocabulary]).encode("ascii")
    digits = np.frombuffer(text, dtype=np.uint8).reshape(-1, 10).astype(np.int32) - ord("0")
    known = (digits >= 0) & (digits <= 9)
    year = np.where(known[:, :4].all(axis=1), digits[:, :4] @ [1000, 100, 10, 1], -1)
    month = np.where(known[:, 5:7].all(axis=1), digits[:, 5:7] @ [10, 1], -1)
    day = np.where(known[:, 8:10].all(axis=1), digits[:, 8:10] @ [10, 1], -1)
    low, high = np.minimum(month, day), np.maximum(month, day)
    columns = [
        (year, year),
        (year, _DECADE + year // 10 % 10),
        (year, _DIGIT + year % 10),
        (month, _MONTH + month),
        (day, _DAY + day),
        (day, _TENS + day // 10),
        (day, _UNITS + day % 10),
        (low, _PAIR + 100 * low + high),
    ]
    numbers = np.stack([number for _, number in columns], axis=1)
    there = np.stack([part >= 0 for part, _ in columns], axis=1)
    offsets = np.zeros(len(vocabulary) + 1, dtype=np.int64)
    np.cumsum(there.sum(axis=1), out=offsets[1:])
    return TokenIds(numbers[there].astype(np.int32), offsets)


def _whole_words(vocabulary: Sequence[str]) -> TokenIds:
    ids = [_NUMBER_OF[ord(tokens_of_word(word, "sex")[0])] for word in vocabulary]
    return TokenIds(np.array(ids, dtype=np.int32), np.arange(len(ids) + 1, dtype=np.int64))
