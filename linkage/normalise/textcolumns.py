"""Whole columns of plain text, codes and numbers, word by word as in `text`."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from linkage.normalise import filling, numbering, splitting
from linkage.normalise.arrow import Values, buffers, flagged_by_value, text_array, texts
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.flags import ID_DROPPED, IdFlag
from linkage.normalise.identifiers import DOCUMENT_KINDS, NUMBER_KINDS, read_identifier
from linkage.normalise.regions import known_region
from linkage.normalise.text import fold_code, fold_words

_NUMBER_FLAGS = (
    IdFlag.BAD_CHARACTER, IdFlag.BAD_LENGTH, IdFlag.PLACEHOLDER, IdFlag.BAD_DATE,
    IdFlag.IS_NIT, IdFlag.UNKNOWN_REGION,
)  # fmt: skip
_NO_LENGTHS = np.empty(0, dtype=np.int64)


def text_column(values: Values) -> FlaggedColumn:
    """Return a column of text: for each value the words of `text.fold_words`."""
    return _Split(values, _TEXT_BYTES).column(fold_words)


def code_column(values: Values) -> FlaggedColumn:
    """Return a column of codes: for each value the one word of `text.fold_code`."""
    return _Split(values, _CODE_BYTES).column(fold_code)


def identifier_column(values: Values, kind: str) -> FlaggedColumn:
    """Return a column of identifiers; values that cannot be such have no word.

    Args:
        values: the numbers as a source has them.
        kind: one of `identifiers.NUMBER_KINDS` and `DOCUMENT_KINDS`.

    Raises:
        ValueError: `kind` is none of them.
    """
    if kind in DOCUMENT_KINDS:
        return flagged_by_value(values, lambda value: read_identifier(value, kind))
    if kind not in NUMBER_KINDS:
        raise ValueError(f"{kind!r} is no kind of identifier")
    parted = _Split(values, _CODE_BYTES)
    flags = numbering.check_numbers(
        parted.arena, parted.starts, _known_regencies(), kind == "kk",
        np.array([int(flag) for flag in _NUMBER_FLAGS], dtype=np.uint32),
    )  # fmt: skip
    if kind == "nit":
        is_other = (flags & (ID_DROPPED | IdFlag.IS_NIT)) == 0
        flags[is_other] |= np.uint32(IdFlag.UNUSUAL_FORM)
    other_script = np.flatnonzero(parted.features & splitting.OTHER_SCRIPT)
    for word in other_script.tolist():
        _, flags[word] = read_identifier(parted.words[word], kind)
    dropped = np.flatnonzero(flags & ID_DROPPED)
    becomes: dict[int, list[str]] = {word: [] for word in dropped.tolist()}
    for word in other_script.tolist():
        becomes[word] = read_identifier(parted.words[word], kind)[0]
    return parted.column_of(becomes, flags)


def _bytes_by(separator: int, stop: int) -> NDArray[np.uint8]:
    kinds = np.full(256, separator, dtype=np.uint8)
    for byte in range(256):
        if byte >= 128 or chr(byte).isalpha():
            kinds[byte] = splitting.LETTER
        elif chr(byte).isdigit():
            kinds[byte] = splitting.DIGIT
    kinds[list(b"'`.")] = stop
    return kinds


_TEXT_BYTES = _bytes_by(splitting.SEPARATOR, splitting.DELETED)
_CODE_BYTES = _bytes_by(splitting.DELETED, splitting.DELETED)


def _known_regencies() -> NDArray[np.bool_]:
    return np.array([known_region(f"{code:04}00") for code in range(10_000)], dtype=np.bool_)


class _Split:
    """The distinct written words of a column, and where they are."""

    def __init__(self, values: Values, byte_classes: NDArray[np.uint8]) -> None:
        data, bounds, valid = buffers(text_array(values))
        self._ids, self._offsets, _, self.arena, self.starts, self.features = splitting.split(
            data, bounds, valid, byte_classes, _NO_LENGTHS
        )
        self.words = texts(self.arena, self.starts)

    def column(self, fold_one: Callable[[str], list[str]]) -> FlaggedColumn:
        """Return the column, folding words that are not plain ASCII."""
        rows = np.flatnonzero(self.features & splitting.OTHER_SCRIPT).tolist()
        becomes = {row: fold_one(self.words[row]) for row in rows}
        return self.column_of(becomes, np.zeros(len(self.words), dtype=np.uint32))

    def column_of(self, changed: dict[int, list[str]], flags: NDArray[np.uint32]) -> FlaggedColumn:
        """Return the column in which the words `changed` become others, or none.

        Args:
            changed: what becomes of written words, by their number.
            flags: of each written word; a record has those of all its words.
        """
        n = len(self.words)
        canonical = list(self.words)
        number = dict(zip(canonical, range(n), strict=True)) if any(changed.values()) else {}
        counts = np.ones(n, dtype=np.int64)
        flat: list[int] = []
        rows = sorted(changed)
        for row in rows:
            counts[row] = len(changed[row])
            for word in changed[row]:
                if word not in number:
                    number[word] = len(canonical)
                    canonical.append(word)
                flat.append(number[word])
        offsets = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        is_changed = np.zeros(n, dtype=np.bool_)
        is_changed[rows] = True
        becomes = np.empty(offsets[-1], dtype=np.int32)
        slots_changed = np.repeat(is_changed, counts)
        becomes[slots_changed] = flat
        becomes[~slots_changed] = np.flatnonzero(~is_changed)
        word_ids, record_offsets, record_flags, order = filling.fill(
            self._ids, self._offsets, becomes, offsets, flags,
            np.empty(0, np.int64), np.empty(0, np.int32), np.zeros(1, np.int64),
            len(canonical), False,
        )  # fmt: skip
        return FlaggedColumn(
            [canonical[i] for i in order.tolist()], word_ids, record_offsets, record_flags,
            np.zeros(len(order), dtype=np.uint8),
        )  # fmt: skip
