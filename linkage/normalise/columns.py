"""Columns of normalised words, the form in which the encoder takes attributes.

A column keeps each distinct word once. Most values of a register repeat, so the
costly steps (rules, tokens, keyed hashing) run over the vocabulary, and only a
compiled loop runs over the records.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WordColumn:
    """The normalised words of one attribute over all records of a chunk.

    Attributes:
        vocabulary: distinct normalised words, in order of first appearance.
        word_ids: indexes into `vocabulary`, all records' words in a row.
        offsets: the words of record r are `word_ids[offsets[r]:offsets[r + 1]]`,
            shape (n_records + 1,). A record without words has a missing value.
    """

    vocabulary: list[str]
    word_ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.offsets) - 1

    def words_of(self, record: int) -> tuple[str, ...]:
        """Return the words of one record."""
        ids = self.word_ids[self.offsets[record] : self.offsets[record + 1]]
        return tuple(self.vocabulary[i] for i in ids)


@dataclass(frozen=True)
class SparseWords:
    """Words of the few records that have any, numbered in another column's vocabulary.

    Attributes:
        records: record numbers, ascending; a record may be there more than once.
        word_ids: indexes into the vocabulary of the column that this belongs to.
        offsets: the words of entry i are `word_ids[offsets[i]:offsets[i + 1]]`.
    """

    records: NDArray[np.int64]
    word_ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.records)

    @classmethod
    def of(cls, records: Sequence[int], word_ids: Sequence[Sequence[int]]) -> "SparseWords":
        """Return the entries `word_ids[i]` of the records `records[i]`."""
        offsets = np.zeros(len(word_ids) + 1, dtype=np.int64)
        np.cumsum([len(ids) for ids in word_ids], out=offsets[1:])
        flat = [number for ids in word_ids for number in ids]
        return cls(np.array(records, dtype=np.int64), np.array(flat, dtype=np.int32), offsets)


@dataclass(frozen=True)
class FlaggedColumn(WordColumn):
    """Words with what normalising noticed.

    Attributes:
        flags: bits of `flags.NameFlag`, `DateFlag`, `PlaceFlag` or `IdFlag` by the
            kind of the column, shape (n_records,).
        classes: for each word of the vocabulary its `flags.WordClass` (names) or
            `dates.Precision` (dates); zeros for other kinds.
    """

    flags: NDArray[np.uint32]
    classes: NDArray[np.uint8]


@dataclass(frozen=True)
class NameColumn(FlaggedColumn):
    """The names of a chunk.

    Attributes:
        patronyms: the words after BIN and its like; absent means missing, not empty.
        variants: other readings of the whole name; some records have several. The
            vocabulary holds their words too, after those of the names.
    """

    patronyms: SparseWords
    variants: SparseWords

    def patronym_of(self, record: int) -> tuple[str, ...]:
        """Return the patronym of one record, () where it has none."""
        found = self._entries(self.patronyms, record)
        return found[0] if found else ()

    def variants_of(self, record: int) -> tuple[tuple[str, ...], ...]:
        """Return the other readings of one record's name."""
        return self._entries(self.variants, record)

    def _entries(self, sparse: SparseWords, record: int) -> tuple[tuple[str, ...], ...]:
        first, last = np.searchsorted(sparse.records, [record, record + 1])
        return tuple(
            tuple(
                self.vocabulary[word]
                for word in sparse.word_ids[sparse.offsets[i] : sparse.offsets[i + 1]]
            )
            for i in range(first, last)
        )


def words_by_value(
    values: Iterable[str | None], words_of: Callable[[str], Sequence[str]]
) -> WordColumn:
    """Normalise a column, calling `words_of` once for each distinct value.

    Args:
        values: the raw values; None and "" are missing.
        words_of: the words of one value; no words means that the value says nothing.
    """
    number: dict[str, int] = {}
    ids_of: dict[str | None, list[int]] = {None: [], "": []}
    word_ids: list[int] = []
    offsets = [0]
    for value in values:
        ids = ids_of.get(value)
        if ids is None and value is not None:
            ids = [number.setdefault(word, len(number)) for word in words_of(value)]
            ids_of[value] = ids
        word_ids.extend(ids or ())
        offsets.append(len(word_ids))
    return WordColumn(
        list(number), np.array(word_ids, dtype=np.int32), np.array(offsets, dtype=np.int64)
    )
