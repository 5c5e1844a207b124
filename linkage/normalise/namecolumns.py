"""Whole columns of names, with the same outcome as `names`, value by value.

A compiled loop parts the values and numbers their words. Rules that look at one
word run once per distinct word, and only on words that show a reason; records in
which the place of a word matters go through `names.read_name`.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.normalise import filling, splitting
from linkage.normalise.arrow import Values, buffers, text_array
from linkage.normalise.columns import NameColumn, SparseWords
from linkage.normalise.flags import NameFlag
from linkage.normalise.nameparts import FIELD_LENGTHS, KnownParts
from linkage.normalise.namereading import Sex
from linkage.normalise.names import NAME_KINDS, PARENT_KINDS, read_name, read_words
from linkage.normalise.nametables import name_tables
from linkage.normalise.namevocabulary import NameVocabulary
from linkage.normalise.options import NormaliseOptions

SEX_CODES: tuple[Sex, ...] = ("U", "L", "P")
"""Sex as numbers: the index of the letter."""

_UNDOUBLED_BIT = 31
_INITIAL = NameFlag.INITIAL.value


def name_column(
    values: Values,
    options: NormaliseOptions,
    kind: str = "name",
    sexes: NDArray[np.uint8] | None = None,
) -> NameColumn:
    """Return the normalised names of a column.

    Args:
        values: the names as a source has them; None and "" are missing.
        options: the switches of the rules.
        kind: one of `names.NAME_KINDS`.
        sexes: for each record the index of its sex in `SEX_CODES`; None where no
            column tells, or where the names are not those of the records' persons.

    Raises:
        ValueError: `kind` is no kind of name, or `sexes` has another length.
    """
    if kind not in NAME_KINDS:
        raise ValueError(f"{kind!r} is none of {', '.join(sorted(NAME_KINDS))}")
    tables = name_tables(options, parent=kind in PARENT_KINDS)
    array = text_array(values)
    if sexes is not None and len(sexes) != len(array):
        raise ValueError(f"{len(sexes)} sexes for {len(array)} names")
    lengths = sorted(FIELD_LENGTHS) if "N19" in tables.on else []
    ids, offsets, marks, arena, starts, features = splitting.split(
        *buffers(array), _NAME_BYTES, np.array(lengths, dtype=np.int64)
    )
    words = NameVocabulary(arena, starts, features, tables)
    slow, reread = filling.mark_slow(ids, offsets, marks, words.triggers, words.becomes_offsets)
    read = _read_slow(_Split(array, ids, offsets, marks), slow, reread, sexes, words)
    word_ids, out_offsets, flags, order = filling.fill(
        ids, offsets, words.becomes, words.becomes_offsets, words.flags,
        slow, read.ids, read.offsets, len(words.canonical), "N14" in tables.on,
    )  # fmt: skip
    flags = _record_flags(flags, out_offsets, marks)
    flags[slow] = read.flags
    return _column(word_ids, out_offsets, flags, order, words, read)


def _name_bytes() -> NDArray[np.uint8]:
    kinds = np.full(256, splitting.SEPARATOR, dtype=np.uint8)
    for byte in range(256):
        if chr(byte).isalpha() or byte >= 128:
            kinds[byte] = splitting.LETTER
        elif chr(byte).isdigit():
            kinds[byte] = splitting.DIGIT
    kinds[list(b"'`")] = splitting.DELETED
    kinds[ord(".")] = splitting.STOP
    kinds[list(b",/<")] = splitting.SLOW
    return kinds


_NAME_BYTES = _name_bytes()


@dataclass(frozen=True)
class _Split:
    """The values and their written words."""

    array: pa.LargeStringArray
    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    marks: NDArray[np.uint8]


@dataclass(frozen=True)
class _SlowRecords:
    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    flags: NDArray[np.uint32]
    patronyms: SparseWords
    variants: SparseWords


def _read_slow(
    split: "_Split",
    slow: NDArray[np.int64],
    reread: NDArray[np.bool_],
    sexes: NDArray[np.uint8] | None,
    words: NameVocabulary,
) -> _SlowRecords:
    tables = words.tables
    written = iter(split.array.take(pa.array(slow[reread], pa.int64())).to_pylist())
    known_parts = KnownParts()
    seen = words.flags.tolist()
    cut_flag = NameFlag.CUT.value
    letters = sexes[slow].tolist() if sexes is not None else [0] * len(slow)
    number = words.number
    flat: list[int] = []
    ends = [0]
    flags: list[int] = []
    patronyms: tuple[list[int], list[list[int]]] = ([], [])
    variants: tuple[list[int], list[list[int]]] = ([], [])
    is_cut = (split.marks[slow] & splitting.CUT).tolist()
    counts = np.where(reread, 0, split.offsets[slow + 1] - split.offsets[slow])
    written_words = iter(split.ids[_ranges(split.offsets[slow], counts)].tolist())
    n_words = counts.tolist()
    must_reread = reread.tolist()
    for i, record in enumerate(slow.tolist()):
        sex = SEX_CODES[letters[i]]
        if must_reread[i]:
            read = read_name(next(written) or "", tables, sex, known_parts)
        else:
            noticed = cut_flag if is_cut[i] else 0
            known: list[str] = []
            for word in itertools.islice(written_words, n_words[i]):
                known += words.respelt(word)
                noticed |= seen[word]
            read = read_words(known, noticed & ~_INITIAL, tables, sex)
        name, patronym, readings, noticed = read
        flat += map(number, name)
        ends.append(len(flat))
        flags.append(noticed)
        if patronym:
            patronyms[0].append(record)
            patronyms[1].append([number(w) for w in patronym])
        for reading in readings:
            variants[0].append(record)
            variants[1].append([number(w) for w in reading])
    return _SlowRecords(
        np.array(flat, dtype=np.int32),
        np.array(ends, dtype=np.int64),
        np.array(flags, dtype=np.uint32),
        SparseWords.of(*patronyms),
        SparseWords.of(*variants),
    )


def _ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers `starts[i]` up to `starts[i] + counts[i]`, all in a row."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)


def _record_flags(
    found: NDArray[np.uint32], offsets: NDArray[np.int64], marks: NDArray[np.uint8]
) -> NDArray[np.uint32]:
    """Return the flags of the records that took the fast path."""
    undoubled = found >> _UNDOUBLED_BIT
    flags = found & np.uint32((1 << _UNDOUBLED_BIT) - 1)
    flags |= undoubled * np.uint32(NameFlag.UNDOUBLED)
    flags |= np.where(np.diff(offsets) == 1, np.uint32(NameFlag.MONONYM), np.uint32(0))
    flags |= np.where(marks & splitting.CUT, np.uint32(NameFlag.CUT), np.uint32(0))
    return flags


def _column(
    word_ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    flags: NDArray[np.uint32],
    order: NDArray[np.int32],
    words: NameVocabulary,
    read: _SlowRecords,
) -> NameColumn:
    """Number the words of patronyms and variants after those of the names."""
    place = np.full(len(words.canonical), -1, dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    more = np.concatenate([read.patronyms.word_ids, read.variants.word_ids])
    _, first = np.unique(more, return_index=True)
    new = more[np.sort(first)]
    new = new[place[new] < 0]
    place[new] = np.arange(len(order), len(order) + len(new), dtype=np.int32)
    canonical = words.canonical
    used = np.concatenate([order, new])
    vocabulary = [canonical[i] for i in used.tolist()]

    def renumbered(sparse: SparseWords) -> SparseWords:
        return SparseWords(sparse.records, place[sparse.word_ids], sparse.offsets)

    return NameColumn(
        vocabulary, word_ids, offsets, flags, words.classes()[used],
        renumbered(read.patronyms), renumbered(read.variants),
    )  # fmt: skip
