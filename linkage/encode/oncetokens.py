"""One-time block tokens: they find candidates, and nothing repeats in them.

A keyed token that is the same for all records of one value is a pseudonym of the value:
its frequency tells which value it is, and one known person tells of all who share it.
So no token is used twice. The records of a party that share a composite (the values of
all parts of an entry) are numbered in a secret order, 0, 1, 2, ..; record number i of the left
party and number j of the right one meet in the token

    AES-256(K, composite || i || j)        i, j < copies

which the left party sends for its i and every j, the right party for its j and every i,
K being the key of this job, these two parties and this entry. Each token stands once at
either side; equal ones are a pair of candidates. Records numbered `copies` or above, and
those that lack a value, send random tokens: how many beyond `copies` share a composite
does not show, and of composites that many share, which tell nobody apart, the first few
records meet and no more. The order is that of an epoch and counterpart, so in every job
the same ones come first.

What the matcher learns is which pairs share a composite of which entry, and nothing of
pairs inside a party but through a common counterpart. The composite is the first 8 bytes
of AES-256(K', h(part 1) || h(part 2)), h the first 8 bytes of HMAC-SHA-256; K' and the
keys of h are those of the epoch and never leave the agent. See docs/adr/0003.
"""

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from numba import njit
from numpy.typing import NDArray

from linkage.blockentry import Part
from linkage.encode.weights import rarities
from linkage.normalise.columns import FlaggedColumn, WordColumn
from linkage.normalise.dates import Precision
from linkage.normalise.flags import WordClass
from linkage.normalise.phonetic import phonetic_key
from linkage.schema import Attribute, LinkageSchema

Side = Literal["left", "right"]
_BEYOND = np.int64(2**62)
# Spreads the bits of a number over the upper half of its product.
_ODD = np.uint64(0x9E3779B97F4A7C15)
_FAINT_RANK = np.array(
    [{WordClass.FAINT: 0.1, WordClass.INITIAL: 0.05}.get(c, 1.0) for c in WordClass]
)


def parts_of(schema: LinkageSchema) -> list[Part]:
    """Return the distinct parts of a schema's block entries, in their order."""
    return list(dict.fromkeys(part for entry in schema.entries for part in entry.parts))


class BlockValues:
    """Hashes the parts of a schema's block entries, chunk by chunk.

    Args:
        schema: the linkage schema.
        block_key: returns the 32-byte key of a label.
    """

    def __init__(self, schema: LinkageSchema, block_key: Callable[[str], bytes]) -> None:
        self._attributes = {a.name: a for a in schema.attributes}
        self._parts = parts_of(schema)
        self._key = block_key("values")

    def __repr__(self) -> str:
        return "BlockValues(...)"

    def of(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint64]:
        """Return the hash of each part in each record, 0 where absent, shape (n, n_parts)."""
        n_records = len(next(iter(columns.values())))
        hashes = [self._of_part(part, columns) for part in self._parts]
        return np.stack([np.zeros(n_records, np.uint64), *hashes], axis=1)[:, 1:]

    def _of_part(self, part: Part, columns: Mapping[str, WordColumn]) -> NDArray[np.uint64]:
        own = [(columns[name], self._attributes[name]) for name in part.attributes]
        match part.function:
            case "year":
                return self._single(*own[0], _years, part)
            case "monthday":
                return self._single(*own[0], _month_days, part)
            case "word":
                return _most_telling(*self._words(own, part))
            case "phonetic":
                return self._set_of_words(own, part)
            case _ if own[0][1].of_type.kind == "date":
                return self._single(*own[0], _whole_days, part)
            case _:
                return self._set_of_words(own, part)

    def _set_of_words(
        self, own: Sequence[tuple[WordColumn, Attribute]], part: Part
    ) -> NDArray[np.uint64]:
        values, _, offsets = self._words(own, part)
        return _all_words(values, offsets)

    def _words(
        self, own: Sequence[tuple[WordColumn, Attribute]], part: Part
    ) -> tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.int64]]:
        """Return the hashed words of all records in a row, what each tells, and offsets."""
        values, ranks = [], []
        sound = part.function in ("phonetic", "word")
        for column, attribute in own:
            words = column.vocabulary
            keys = (
                self._hashed("sound", [phonetic_key(word) for word in words])
                if sound
                else self._hashed("word", words)
            )
            values.append(keys[column.word_ids])
            ranks.append(_ranks(column, attribute)[column.word_ids])
        lengths = np.stack([np.diff(column.offsets) for column, _ in own], axis=1)
        offsets = np.concatenate(([0], np.cumsum(lengths.sum(axis=1))))
        # The words of each record in a row, column after column.
        starts = offsets[:-1, None] + np.cumsum(lengths, axis=1) - lengths
        merged_values = np.empty(offsets[-1], dtype=np.uint64)
        merged_ranks = np.empty(offsets[-1])
        for at, (column, _) in enumerate(own):
            place = np.repeat(starts[:, at] - column.offsets[:-1], lengths[:, at])
            place += np.arange(len(column.word_ids))
            merged_values[place], merged_ranks[place] = values[at], ranks[at]
        return merged_values, merged_ranks, offsets

    def _single(
        self,
        column: WordColumn,
        _attribute: Attribute,
        read: Callable[[WordColumn], list[str]],
        part: Part,
    ) -> NDArray[np.uint64]:
        """Return the value of records that have one word; "" says nothing."""
        texts = read(column)
        keys = self._hashed(part.function, texts)
        keys[np.array([not text for text in texts], dtype=np.bool_)] = 0
        values = np.zeros(len(column), dtype=np.uint64)
        one = np.diff(column.offsets) == 1
        values[one] = keys[column.word_ids[column.offsets[:-1][one]]]
        return values

    def _hashed(self, function: str, values: Sequence[str]) -> NDArray[np.uint64]:
        return np.array([self._one(f"{function}\0{value}") for value in values], dtype=np.uint64)

    def _one(self, text: str) -> int:
        digest = hmac.digest(self._key, text.encode(), "sha256")
        return int.from_bytes(digest[:8], "little") or 1


def once_tokens(
    schema: LinkageSchema,
    values: NDArray[np.uint64],
    block_key: Callable[[str], bytes],
    meeting: str,
    side: Side,
    order: NDArray[np.uint64],
    random_bytes: Callable[[int], bytes],
    first: int = 0,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the tokens of all records for one job and counterpart, entry by entry.

    Args:
        schema: the linkage schema.
        values: hashed parts of all records, shape (n, n_parts), from `BlockValues.of`.
        block_key: returns the 32-byte key of a label.
        meeting: names the job and the two parties; equal at both, never used again.
        side: `left` for the party that the job names first.
        order: a number for each record by which those that share a composite are
            numbered, shape (n,), from `keyed_order`. Equal in all jobs of an epoch with
            this counterpart: drawn anew, other records would meet in every job, and after
            many jobs all that share a composite would show.
        random_bytes: returns so many random bytes, for noise.
        first: the entry to begin with.

    Yields:
        For each entry the tokens of every record, shape (n, copies, token_bytes).
    """
    copies, width = schema.match.block_copies, schema.match.block_bytes
    entries = within_entries(schema, values, block_key, order, first)
    for entry, (composites, numbers) in zip(schema.entries[first:], entries, strict=True):
        noise = np.frombuffer(random_bytes(len(values) * copies * width), dtype=np.uint8)
        tokens = noise.reshape(len(values), copies, width).copy()
        used = np.flatnonzero(numbers < copies)
        blocks = np.zeros((len(used), copies, 2), dtype="<u8")
        blocks[:, :, 0] = composites[used, None]
        own, other = numbers[used, None], np.arange(copies)[None]
        left, right = (own, other) if side == "left" else (other, own)
        blocks[:, :, 1] = (left << 8 | right).astype(np.uint64)
        made = encrypted(blocks, block_key(f"{meeting}\0{entry}"))
        tokens[used] = made.view(np.uint8).reshape(len(used), copies, 16)[:, :, :width]
        yield tokens


def within_entries(
    schema: LinkageSchema,
    values: NDArray[np.uint64],
    block_key: Callable[[str], bytes],
    order: NDArray[np.uint64],
    first: int = 0,
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Yield each record's composite, and its number among those that share it.

    Args:
        schema: the linkage schema.
        values: hashed parts of all records, shape (n, n_parts).
        block_key: returns the 32-byte key of a label.
        order: as of `once_tokens`.
        first: the entry to begin with.

    Yields:
        For each entry composites and numbers, shape (n,) each. A record that lacks a
        part has a number beyond all.
    """
    column_of = {part: number for number, part in enumerate(parts_of(schema))}
    composite_key = block_key("composites")
    for entry in schema.entries[first:]:
        of_parts = [values[:, column_of[part]] for part in entry.parts]
        composites = _composites(of_parts, composite_key)
        there = np.logical_and.reduce([part != 0 for part in of_parts])
        yield composites, np.where(there, _occurrences(composites, order), _BEYOND)


def _composites(parts: Sequence[NDArray[np.uint64]], key: bytes) -> NDArray[np.uint64]:
    mixed = parts[0]
    for part in parts[1:]:
        mixed = encrypted(np.stack([mixed, part], axis=1), key)[:, 0]
    return np.ascontiguousarray(mixed)


def encrypted(blocks: NDArray[np.uint64], key: bytes) -> NDArray[np.uint64]:
    """Return AES-256 of blocks of two words, same shape (..., 2)."""
    # Every block is one value of a keyed function of its own: that is what ECB is.
    encryptor = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305
    made = encryptor.update(blocks.astype("<u8", copy=False).tobytes())
    return np.frombuffer(made, dtype="<u8").reshape(blocks.shape)


def keyed_order(references: bytes, key: bytes) -> NDArray[np.uint64]:
    """Return a pseudo-random number for each record that stays with its reference.

    Args:
        references: 16 bytes for each record, in a row.
        key: 32 bytes, of the epoch and the two parties.
    """
    blocks = np.frombuffer(references, dtype="<u8").reshape(-1, 2)
    return np.ascontiguousarray(encrypted(blocks, key)[:, 0])


def _occurrences(composites: NDArray[np.uint64], order_of: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number the records that share a composite, by their order, from 0."""
    n = len(composites)
    order = np.lexsort((order_of, composites))
    ordered = composites[order]
    fresh = np.concatenate(([True], ordered[1:] != ordered[:-1]))[:n]
    begins = np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
    numbers = np.empty(n, dtype=np.int64)
    numbers[order] = np.arange(n) - begins
    return numbers


def rotated(
    composites: NDArray[np.uint64],
    ranks: NDArray[np.int64],
    secrets: NDArray[np.uint64],
    copies: int,
) -> NDArray[np.int64]:
    """Return ranks below `copies` moved round by a number that each composite has at its owner.

    Most composites have one bearer. If that were always number 0, the other party could
    tell from the place of a token how likely it is to meet.

    Args:
        composites: of each record, shape (n,).
        ranks: from `within_entries`, shape (n,).
        secrets: of each record, secret to the other party and new in every job, shape (n,).
        copies: how many of a composite meet.
    """
    first = np.flatnonzero(ranks == 0)
    first = first[np.argsort(composites[first])]
    at = np.searchsorted(composites[first], composites).clip(max=max(len(first) - 1, 0))
    if not len(first):
        return ranks
    # Mixed with the composite: else a record would have one place in all its entries.
    mixed = (secrets[first] ^ composites[first]) * _ODD
    turns = ((mixed >> np.uint64(32)) % np.uint64(copies)).astype(np.int64)[at]
    return np.where(ranks < copies, (ranks + turns) % copies, ranks)


def _ranks(column: WordColumn, attribute: Attribute) -> NDArray[np.float64]:
    """Return how much each word of a vocabulary tells: rare names, long words of text."""
    if attribute.of_type.kind != "name":
        return np.array([float(len(word)) for word in column.vocabulary])
    rank = rarities(column.vocabulary, attribute)
    if isinstance(column, FlaggedColumn):
        rank = rank * _FAINT_RANK[column.classes]
    return rank


def _years(column: WordColumn) -> list[str]:
    return [word[:4] if word[:4].isdecimal() else "" for word in column.vocabulary]


def _month_days(column: WordColumn) -> list[str]:
    """Return month and day in no order, so that a swap of the two agrees."""
    return [
        "/".join(sorted((word[5:7], word[8:10]))) if sure else ""
        for word, sure in zip(column.vocabulary, _sure_days(column), strict=True)
    ]


def _whole_days(column: WordColumn) -> list[str]:
    """Return dates, but those whose day is a placeholder."""
    pairs = zip(column.vocabulary, _sure_days(column), strict=True)
    return [word if sure and word[:4].isdecimal() else "" for word, sure in pairs]


def _sure_days(column: WordColumn) -> list[bool]:
    classes = column.classes if isinstance(column, FlaggedColumn) else None
    return [
        word[5:7].isdecimal()
        and word[8:10].isdecimal()
        and (classes is None or classes[i] == Precision.DAY)
        for i, word in enumerate(column.vocabulary)
    ]


@njit(cache=True, nogil=True)
def _all_words(values: NDArray[np.uint64], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return one value for each record's set of words, in whatever order; 0 for none.

    The sum of the hashes, each word once. It goes into a keyed function next, so that a
    sum is as good as any mixture.
    """
    n = len(offsets) - 1
    out = np.zeros(n, dtype=np.uint64)
    for record in range(n):
        for at in range(offsets[record], offsets[record + 1]):
            again = False
            for before in range(offsets[record], at):
                if values[before] == values[at]:
                    again = True
            if not again:
                out[record] += values[at]
    return out


@njit(cache=True, nogil=True)
def _most_telling(
    values: NDArray[np.uint64], ranks: NDArray[np.float64], offsets: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return the most telling word of records that have several; 0 for the others.

    Of words of one rank the smaller hash counts, which no order of words changes.
    """
    n = len(offsets) - 1
    out = np.zeros(n, dtype=np.uint64)
    for record in range(n):
        if offsets[record + 1] - offsets[record] < 2:
            continue
        best = -1.0
        for at in range(offsets[record], offsets[record + 1]):
            if ranks[at] > best or (ranks[at] == best and values[at] < out[record]):
                best, out[record] = ranks[at], values[at]
    return out
