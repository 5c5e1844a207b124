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
