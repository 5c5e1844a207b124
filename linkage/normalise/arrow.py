"""Arrow columns of text: their buffers, and normalising by distinct value."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.normalise.columns import FlaggedColumn

Values: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any] | Iterable[str | None]"


def text_array(values: Values) -> pa.LargeStringArray:
    """Return the values as one Arrow array of strings with 64-bit offsets.

    Args:
        values: an Arrow array or chunked array of any type that Arrow can write as
            text, or Python strings with None for missing.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if not isinstance(values, pa.Array):
        return pa.array(values, type=pa.large_string())
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    if not pa.types.is_large_string(values.type):
        values = values.cast(pa.large_string())
    return cast("pa.LargeStringArray", values)


def buffers(
    array: pa.LargeStringArray,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the bytes, the bounds (n + 1) and the validity (n) of the values.

    Bytes and bounds are views where the array has no offset of its own to take away.
    """
    _, bounds_buffer, data_buffer = array.buffers()
    n = len(array)
    # Read-only throughout, as Arrow's own are: another kind would be compiled again.
    empty_bounds = memoryview(bytes(8 * (n + 1)))
    bounds = np.frombuffer(memoryview(bounds_buffer or empty_bounds), dtype=np.int64)
    bounds = bounds[array.offset : array.offset + n + 1] if bounds_buffer else bounds
    data = np.frombuffer(memoryview(data_buffer or b""), dtype=np.uint8)
    if array.null_count:
        valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    else:
        valid = np.ones(n, dtype=np.bool_)
    return data, bounds, valid


def texts(arena: NDArray[np.uint8], starts: NDArray[np.int64]) -> list[str]:
    """Return the words whose UTF-8 bytes stand in a row, `starts` their offsets."""
    packed = pa.LargeStringArray.from_buffers(
        len(starts) - 1, pa.py_buffer(starts.tobytes()), pa.py_buffer(arena.tobytes())
    )
    words: list[str] = packed.to_numpy(zero_copy_only=False).tolist()
    return words


class DistinctValues:
    """The distinct values of a column, and which of them each record has.

    Args:
        values: the raw values; None and "" are missing.

    Attributes:
        values: the distinct values in order of first appearance.
        index: for each record the number of its value, one past the last where missing.
    """

    def __init__(self, values: Values) -> None:
        coded = text_array(values).dictionary_encode()
        self.values = cast("list[str]", coded.dictionary.to_pylist())
        self.index = coded.indices.fill_null(len(self.values)).to_numpy(zero_copy_only=False)

    def column(self, words: Sequence[Sequence[str]], flags: Sequence[int]) -> FlaggedColumn:
        """Return the column of all records, by the words and flags of each distinct value."""
        counts = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        # The last entry stands for the missing values.
        counts = np.append(counts, 0)
        number: dict[str, int] = {}
        flat = [number.setdefault(word, len(number)) for some in words for word in some]
        starts = np.zeros(len(counts), dtype=np.int64)
        np.cumsum(counts[:-1], out=starts[1:])
        per_record = counts[self.index]
        offsets = np.zeros(len(self.index) + 1, dtype=np.int64)
        np.cumsum(per_record, out=offsets[1:])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], per_record)
        at = np.repeat(starts[self.index], per_record) + within
        return FlaggedColumn(
            list(number), np.array(flat, dtype=np.int32)[at], offsets,
            np.array([*flags, 0], dtype=np.uint32)[self.index],
            np.zeros(len(number), dtype=np.uint8),
        )  # fmt: skip


_MISSING: tuple[Sequence[str], int] = ((), 0)


def flagged_by_value(
    values: Values, read: Callable[[str], tuple[Sequence[str], int]]
) -> FlaggedColumn:
    """Normalise a column, calling `read` once for each distinct value.

    Args:
        values: the raw values; None and "" are missing.
        read: gives the words and the flags of one value that is not empty.
    """
    distinct = DistinctValues(values)
    read_values = [read(value) if value else _MISSING for value in distinct.values]
    return distinct.column([words for words, _ in read_values], [flags for _, flags in read_values])
