"""Block tokens: keyed, coarse tokens by which the matcher finds candidates.

Each entry of the schema gives every record the same number of tokens. A token is

    AES-256(K_tokens, h(value of part 1) || h(value of part 2)), cut to `bits` bits,

with h the first 8 bytes of HMAC-SHA-256(K_values, function || 0 || value); a third part
is folded in by the same step. AES on single blocks is a keyed permutation of pairs of
values, so two tokens have nothing in common but their equality; there is no linear
relation between the tokens of (A, x), (A, y), (B, x) and (B, y). It runs over a whole
column in one call, where an HMAC for each pair of values would not.

Where a part is missing, or a name has fewer words than there is room for, the token
is random: neither what is missing nor how many words a name has can be counted.
Tokens are cut so short that strangers share them (blueprint section 4); a match of two
tokens makes a candidate, never a link.
"""

import hmac
from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from numba import njit
from numpy.typing import NDArray

from linkage.blockentry import BlockEntry, Part
from linkage.encode.weights import rarities
from linkage.normalise.columns import FlaggedColumn, WordColumn
from linkage.normalise.dates import Precision
from linkage.normalise.flags import WordClass
from linkage.normalise.phonetic import phonetic_key
from linkage.schema import Attribute, LinkageSchema

_FAINT_RANK = np.array(
    [{WordClass.FAINT: 0.1, WordClass.INITIAL: 0.05}.get(c, 1.0) for c in WordClass]
)


class BlockTokens:
    """Makes the block tokens of a schema's records.

    Keeps a keyed hash of every value met, so it must live no longer than its job.

    Args:
        schema: the linkage schema.
        block_key: returns the 32-byte key of a label.
        random_bytes: returns so many random bytes, for tokens of absent values.
    """

    def __init__(
        self,
        schema: LinkageSchema,
        block_key: Callable[[str], bytes],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._entries = schema.block_entries
        self._attributes = {a.name: a for a in schema.fuzzy}
        self._bits = schema.match.block_bits
        self._random = random_bytes
        self._hashes = [_Hashes(block_key(f"{entry}/values")) for entry in self._entries]
        self._ciphers = [AES256(block_key(f"{entry}/tokens")) for entry in self._entries]

    def __repr__(self) -> str:
        return "BlockTokens(...)"

    def tokens(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint32]:
        """Return the tokens of a chunk of records, shape (n_records, block_slots).

        A token's high bits are the number of its entry, so that tokens of unlike
        entries never agree.
        """
        n_records = len(next(iter(columns.values())))
        of_entries = [
            self._of_entry(number, entry, columns) for number, entry in enumerate(self._entries)
        ]
        return np.concatenate([np.zeros((n_records, 0), np.uint32), *of_entries], axis=1)

    def _of_entry(
        self, number: int, entry: BlockEntry, columns: Mapping[str, WordColumn]
    ) -> NDArray[np.uint32]:
        hashes = self._hashes[number]
        parts = [self._values(part, columns, hashes) for part in entry.parts]
        chosen = [list(range(part.values)) for part in entry.parts]
        slots = [
            self._token(number, [part[:, i] for part, i in zip(parts, at, strict=True)])
            for at in product(*chosen)
        ]
        return np.stack(slots, axis=1)

    def _token(self, number: int, values: list[NDArray[np.uint64]]) -> NDArray[np.uint32]:
        there = np.logical_and.reduce([value != 0 for value in values])
        mixed = values[0]
        for value in values[1:]:
            blocks = np.stack([mixed, value], axis=1).astype("<u8").tobytes()
            # Every block is one value of a keyed function of its own: that is what ECB is.
            encryptor = Cipher(self._ciphers[number], ECB()).encryptor()  # noqa: S305
            mixed = np.frombuffer(encryptor.update(blocks), dtype="<u8")[::2]
        absent = np.frombuffer(self._random(4 * len(there)), dtype="<u4")
        low = np.where(there, mixed & np.uint64(0xFFFFFFFF), absent).astype(np.uint32)
        mask = np.uint32((1 << self._bits) - 1)
        return (low & mask) | np.uint32(number << self._bits)

    def _values(
        self, part: Part, columns: Mapping[str, WordColumn], hashes: "_Hashes"
    ) -> NDArray[np.uint64]:
        """Return the hashed values of a part, shape (n_records, part.values); 0 is absent."""
        found = [
            _VALUES_OF[part.function](columns[name], self._attributes[name], hashes)
            for name in part.attributes
        ]
        values = np.concatenate([value for value, _ in found], axis=1)
        ranks = np.concatenate([rank for _, rank in found], axis=1)
        return _most_telling(values, ranks, part.values)


class _Hashes:
    """Keyed hashes of strings, each computed once; never 0."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, int] = {}

    def of(self, function: str, values: list[str]) -> NDArray[np.uint64]:
        return np.array([self._one(f"{function}\0{value}") for value in values], dtype=np.uint64)

    def _one(self, text: str) -> int:
        known = self._known.get(text)
        if known is None:
            digest = hmac.digest(self._key, text.encode(), "sha256")
            known = self._known[text] = int.from_bytes(digest[:8], "little") or 1
        return known


_Found = tuple[NDArray[np.uint64], NDArray[np.float64]]


def _phonetic(column: WordColumn, attribute: Attribute, hashes: _Hashes) -> _Found:
    """Return the two most telling words of each record, as they sound."""
    rank = rarities(column.vocabulary, attribute)
    if isinstance(column, FlaggedColumn) and attribute.of_type.kind == "name":
        rank = rank * _FAINT_RANK[column.classes]
    elif attribute.of_type.kind != "name":
        rank = np.array([float(len(word)) for word in column.vocabulary])
    keys = hashes.of("phonetic", [phonetic_key(word) for word in column.vocabulary])
    return _two_words(column.word_ids, column.offsets, keys, rank)


def _initial(column: WordColumn, attribute: Attribute, hashes: _Hashes) -> _Found:
    keys = hashes.of("initial", [word[0] for word in column.vocabulary])
    rank = rarities(column.vocabulary, attribute)
    return _two_words(column.word_ids, column.offsets, keys, rank)


def _year(column: WordColumn, _attribute: Attribute, hashes: _Hashes) -> _Found:
    years = [word[:4] if word[:4].isdecimal() else "" for word in column.vocabulary]
    return _single(column, years, "year", hashes)


def _monthday(column: WordColumn, _attribute: Attribute, hashes: _Hashes) -> _Found:
    """Return month and day in no order, so that a swap of the two agrees."""
    known = _sure_days(column)
    pairs = [
        "/".join(sorted((word[5:7], word[8:10]))) if sure else ""
        for word, sure in zip(column.vocabulary, known, strict=True)
    ]
    return _single(column, pairs, "monthday", hashes)


def _value(column: WordColumn, attribute: Attribute, hashes: _Hashes) -> _Found:
    """Return the whole value; a date only where its day is more than a placeholder."""
    if attribute.of_type.kind == "date":
        known = _sure_days(column)
        words = [word if sure else "" for word, sure in zip(column.vocabulary, known, strict=True)]
        return _single(column, words, "value", hashes)
    if np.diff(column.offsets).max(initial=0) <= 1:
        return _single(column, column.vocabulary, "value", hashes)
    texts = [" ".join(sorted(set(column.words_of(r)))) for r in range(len(column))]
    values = np.array(hashes.of("value", texts))
    values[np.array([not text for text in texts], dtype=np.bool_)] = 0
    return values[:, None], np.ones((len(column), 1))


_VALUES_OF: dict[str, Callable[[WordColumn, Attribute, _Hashes], _Found]] = {
    "phonetic": _phonetic,
    "initial": _initial,
    "year": _year,
    "monthday": _monthday,
    "value": _value,
}


def _sure_days(column: WordColumn) -> list[bool]:
    classes = column.classes if isinstance(column, FlaggedColumn) else None
    return [
        word[5:7].isdecimal()
        and word[8:10].isdecimal()
        and (classes is None or classes[i] == Precision.DAY)
        for i, word in enumerate(column.vocabulary)
    ]


def _single(column: WordColumn, texts: list[str], function: str, hashes: _Hashes) -> _Found:
    """Return the value of records that have one word; "" says nothing."""
    keys = hashes.of(function, texts)
    keys[np.array([not text for text in texts], dtype=np.bool_)] = 0
    values = np.zeros(len(column), dtype=np.uint64)
    one = np.diff(column.offsets) == 1
    values[one] = keys[column.word_ids[column.offsets[:-1][one]]]
    return values[:, None], np.ones((len(column), 1))


def _most_telling(
    values: NDArray[np.uint64], ranks: NDArray[np.float64], wanted: int
) -> NDArray[np.uint64]:
    """Return the `wanted` values of highest rank in each row, each value once."""
    if values.shape[1] == wanted:
        return values
    order = np.argsort(np.where(values != 0, -ranks, np.inf), axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    for i in range(1, ordered.shape[1]):
        for j in range(i):
            ordered[ordered[:, i] == ordered[:, j], i] = 0
    # Values that stood twice left gaps: close them.
    gaps = np.argsort(ordered == 0, axis=1, kind="stable")
    return np.take_along_axis(ordered, gaps, axis=1)[:, :wanted]


@njit(cache=True, nogil=True)
def _two_words(
    word_ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    keys: NDArray[np.uint64],
    rank: NDArray[np.float64],
) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """Return the keys of the two words of highest rank in each record, and the ranks.

    Of words with one key the first counts; of words of one rank the smaller key, which
    no party's order of words or chunks changes.
    """
    n = len(offsets) - 1
    best = np.zeros((n, 2), dtype=np.uint64)
    ranks = np.zeros((n, 2))
    for record in range(n):
        for at in range(offsets[record], offsets[record + 1]):
            key, own = keys[word_ids[at]], rank[word_ids[at]]
            if key == best[record, 0] or key == best[record, 1]:
                continue
            for place in range(2):
                held = best[record, place]
                if (
                    held == 0
                    or own > ranks[record, place]
                    or (own == ranks[record, place] and key < held)
                ):
                    if place == 0:
                        best[record, 1], ranks[record, 1] = held, ranks[record, 0]
                    best[record, place], ranks[record, place] = key, own
                    break
    return best, ranks
