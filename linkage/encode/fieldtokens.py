"""The tokens of whole values for field filters, and in which order they draw. No keys here.

A filter takes a fixed number of positions, so a value's tokens share them out: they take
turns, heavier ones more often, by the rule of highest averages (Sainte-Lague) in whole
numbers. Both owners of one value so get one order, on every machine.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from linkage.encode.public import word_shares
from linkage.encode.tokenids import n_tokens, token_ids, token_text
from linkage.encode.weights import token_positions
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.compiled import compiled
from linkage.normalise.flags import WordClass
from linkage.schema import Attribute

# Turns that are planned. 40 of 256 positions are drawn after 44 turns in the mean; more
# than 64 are needed once in 1e12 values.
N_TURNS = 64
# More tokens than turns never draw; the least numbers stay.
MAX_TOKENS = 128

_UNIT = 100
# Turns of the tokens of a date. The year, with its digits, has 16 of 40, the month 9 and
# the day 15, counting half of their pair for each: about as the three tell, in bits.
_DATE_TURNS = (
    (re.compile(r"y\d{4}"), 8),
    (re.compile(r"y(\d\.|\.\d)"), 4),
    (re.compile(r"m\d\d|d\d\d|\d\d/\d\d"), 6),
    (re.compile(r"d(\d\.|\.\d)"), 3),
)

# Bits of information of a word that no public table has, and from which a name is rare.
_UNKNOWN_BITS = 17.0
_RARE_FROM = 13.0
_OWN_NAMES = frozenset({"name", "given_name", "surname", "alias"})
_CLASS_SHARE = {
    WordClass.FULL: 1.0,
    WordClass.LIGHT: 0.5,
    WordClass.FAINT: 0.1,
    WordClass.INITIAL: 0.3,
}


@dataclass(frozen=True)
class ValueTokens:
    """The tokens of some records' values of one attribute.

    Attributes:
        ids: distinct token numbers of each value in a row, ascending in a value.
        offsets: where each record's tokens start, shape (n + 1,); none where missing.
        turns: whose turn it is, as index into the value's tokens, shape (n, N_TURNS).
        digest: 64 bits that tell one value's set of tokens from another's, shape (n,).
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    turns: NDArray[np.uint8]
    digest: NDArray[np.uint64]


class TokenColumn:
    """A column of one attribute with the tokens of its vocabulary.

    Args:
        column: normalised words of all records.
        attribute: the attribute.
    """

    def __init__(self, column: FlaggedColumn, attribute: Attribute) -> None:
        kind = attribute.of_type.kind
        tokens = token_ids(column.vocabulary, kind)
        weights = token_positions(column, tokens, attribute, _UNIT).astype(np.int64)
        if kind == "date":
            weights *= _date_turns()[tokens.ids]
        self._column = column
        self._ids, self._offsets, self._weights = tokens.ids, tokens.offsets, weights
        self.classes = _rarity_classes(column, attribute)

    def __repr__(self) -> str:
        return "TokenColumn(...)"

    def of(self, records: NDArray[np.int64]) -> ValueTokens:
        """Return the tokens of the values of some records."""
        return ValueTokens(
            *_value_tokens(
                records, self._column.word_ids, self._column.offsets,
                self._ids, self._offsets, self._weights, MAX_TOKENS, N_TURNS,
            )
        )  # fmt: skip


@lru_cache(maxsize=1)
def _date_turns() -> NDArray[np.int64]:
    turns = np.zeros(n_tokens("date"), dtype=np.int64)
    for number in range(len(turns)):
        text = token_text(number, "date")
        turns[number] = next((n for form, n in _DATE_TURNS if form.fullmatch(text)), 1)
    return turns


@lru_cache(maxsize=4)
def _information(language: str) -> dict[str, float]:
    return {word: float(-np.log2(share)) for word, share in word_shares(language).share.items()}


def _rarity_classes(column: FlaggedColumn, attribute: Attribute) -> NDArray[np.uint8]:
    """Return whether each record's name is rare, 1 or 0; 0 for what is no own name.

    The bits of information of a name are those of its words in the public table. One class is
    enough to tell Muhammad from a name that few bear. More of them, or those of parents'
    names, hardly link better, and each halves the number of people that a comparison can be
    of (docs/adr/0004).
    """
    n = len(column)
    if not (attribute.weighs_rarity and attribute.type in _OWN_NAMES) or not n:
        return np.zeros(n, dtype=np.uint8)
    known = _information(attribute.language)
    bits = np.array([known.get(word, _UNKNOWN_BITS) for word in column.vocabulary], np.float64)
    bits *= np.array([_CLASS_SHARE[c] for c in WordClass])[column.classes]
    total = np.concatenate([[0.0], np.cumsum(bits[column.word_ids])])
    # Rounded, so that the order of the additions never decides.
    of_record = np.round(total[column.offsets[1:]] - total[column.offsets[:-1]], 6)
    classes: NDArray[np.uint8] = (of_record >= _RARE_FROM).astype(np.uint8)
    return classes


@compiled
def _value_tokens(
    records: NDArray[np.int64],
    word_ids: NDArray[np.int32],
    word_offsets: NDArray[np.int64],
    token_numbers: NDArray[np.int32],
    token_offsets: NDArray[np.int64],
    token_weights: NDArray[np.int64],
    max_tokens: int,
    n_turns: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint64]]:
    """Unite the tokens of each record's words, and plan the turns of its filter.

    A token of several words counts once, with its greatest weight.
    """
    n = len(records)
    longest, total = 0, 0
    for i in range(n):
        length = 0
        for at in range(word_offsets[records[i]], word_offsets[records[i] + 1]):
            word = word_ids[at]
            length += token_offsets[word + 1] - token_offsets[word]
        longest = max(longest, length)
        total += min(length, max_tokens)
    ids = np.empty(total, dtype=np.int32)
    offsets = np.zeros(n + 1, dtype=np.int64)
    turns = np.zeros((n, n_turns), dtype=np.uint8)
    digest = np.zeros(n, dtype=np.uint64)
    own = np.empty(longest, dtype=np.int32)
    weight = np.empty(longest, dtype=np.int64)
    taken = np.empty(longest, dtype=np.int64)
    for i in range(n):
        size = 0
        for at in range(word_offsets[records[i]], word_offsets[records[i] + 1]):
            word = word_ids[at]
            for t in range(token_offsets[word], token_offsets[word + 1]):
                # Insertion into the sorted tokens met so far: values are short.
                number, heavy = token_numbers[t], token_weights[t]
                place = size
                while place > 0 and own[place - 1] > number:
                    place -= 1
                if place > 0 and own[place - 1] == number:
                    weight[place - 1] = max(weight[place - 1], heavy)
                    continue
                for move in range(size, place, -1):
                    own[move], weight[move] = own[move - 1], weight[move - 1]
                own[place], weight[place] = number, heavy
                size += 1
        size = min(size, max_tokens)
        first = offsets[i]
        offsets[i + 1] = first + size
        # FNV-1a over the numbers: honest owners make it, so it only has to be even.
        mixed = np.uint64(0xCBF29CE484222325)
        for t in range(size):
            ids[first + t] = own[t]
            taken[t] = 0
            mixed = (mixed ^ np.uint64(own[t])) * np.uint64(0x100000001B3)
        digest[i] = mixed
        if size == 0:
            continue
        for turn in range(n_turns):
            best = 0
            for t in range(1, size):
                # (2 taken + 1) / weight is least: the highest average has the turn.
                if (2 * taken[t] + 1) * weight[best] < (2 * taken[best] + 1) * weight[t]:
                    best = t
            taken[best] += 1
            turns[i, turn] = best
    return ids[: offsets[n]], offsets, turns, digest
