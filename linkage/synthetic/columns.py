"""Columns of text and numbers: the few array operations the generator is built from.

Everything here works on whole columns: Arrow holds text, NumPy holds numbers.
Missing text is null; a negative index means "none".
"""

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

pc: Any = pyarrow.compute  # the published stubs refuse arguments that Arrow documents

Ints: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Text: TypeAlias = pa.StringArray
"""An Arrow array of type string."""


def text(values: Sequence[str | None] | NDArray[np.str_]) -> Text:
    """Return `values` as a text column."""
    return pa.array(values, type=pa.string())


def plain(column: Any) -> Text:
    """Return a table's column (or a result of Arrow) as one contiguous text column."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # older Arrow hands an empty column back chunked
            column = pa.concat_arrays(column.chunks) if column.num_chunks else text([])
    return cast("Text", column)


def pick(words: Text, ids: NDArray[np.integer[Any]]) -> Text:
    """Return `words[ids]`, null where the id is negative."""
    return plain(words.take(pa.array(ids, mask=ids < 0)))


def join(parts: Sequence[Text | str], separator: str = "") -> Text:
    """Join columns (or fixed texts) row by row, leaving nulls out; nothing left is null."""
    columns = [part for part in parts if not isinstance(part, str)]
    empty = ~np.logical_or.reduce([present(column) for column in columns])
    if len(columns) == len(parts) and empty.any():
        # Arrow (26.0) leaves a row out of the result when all of its parts are skipped.
        parts = [choose(empty, "", columns[0]), *parts[1:]]
    joined = pc.binary_join_element_wise(*parts, separator, null_handling="skip")
    return blank_to_null(plain(joined))


def blank_to_null(column: Text) -> Text:
    """Return `column` with empty texts made null."""
    return plain(pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column))


def digits(numbers: Ints, width: int) -> Text:
    """Return non-negative numbers as text, padded with zeros on the left."""
    return plain(pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0"))


def present(column: Text) -> Mask:
    """Return where `column` has a value."""
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)


def differs(left: Text, right: Text) -> Mask:
    """Return where two columns of one length differ; two nulls are equal."""
    unequal = pc.fill_null(pc.not_equal(left, right), fill_value=False)
    either = np.asarray(unequal.to_numpy(zero_copy_only=False), dtype=np.bool_)
    return cast("Mask", either | (present(left) != present(right)))


def put(column: Text, mask: Mask, values: Text) -> Text:
    """Return `column` with `values`, one for each true of `mask`, in place."""
    return plain(pc.replace_with_mask(column, pa.array(mask), values))


def choose(mask: Mask, chosen: Text | str | None, other: Text | str | None) -> Text:
    """Return `chosen` where `mask`, `other` elsewhere."""
    ends = [
        pa.scalar(v, pa.string()) if v is None or isinstance(v, str) else v for v in (chosen, other)
    ]
    return plain(pc.if_else(pa.array(mask), ends[0], ends[1]))


def lengths(column: Text) -> Ints:
    """Return the number of characters of each text; 0 for null."""
    counts = pc.fill_null(pc.utf8_length(column), 0)
    return np.asarray(counts.to_numpy(zero_copy_only=False), dtype=np.int64)


def days(iso: str) -> int:
    """Return a date as the number of days since 1970."""
    return int(np.datetime64(iso, "D").astype(np.int64))


def dates(day_numbers: NDArray[np.integer[Any]]) -> pa.Date32Array:
    """Return day numbers as an Arrow date column."""
    column = pa.array(day_numbers.astype(np.int32), type=pa.int32()).cast(pa.date32())
    return cast("pa.Date32Array", column)


def calendar(day_numbers: NDArray[np.integer[Any]]) -> tuple[Ints, Ints, Ints]:
    """Split day numbers into years, months and days of the month."""
    date = day_numbers.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    months = month.astype(np.int64)
    day = (date - month).astype(np.int64) + 1
    return months // 12 + 1970, months % 12 + 1, day


def day_number(year: Ints, month: Ints, day: Ints) -> Ints:
    """Return day numbers of valid calendar dates: the inverse of `calendar`."""
    start = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]")
    return cast("Ints", start.astype(np.int64) + day - 1)


def rank_within(groups: NDArray[Any], order: Ints) -> Ints:
    """Return the rank (from 0) of every row among the rows of its group.

    Args:
        groups: one code per row.
        order: all rows, sorted so that equal groups are neighbours.
    """
    ranked = groups[order]
    starts = np.ones(len(order), dtype=np.bool_)
    starts[1:] = ranked[1:] != ranked[:-1]
    position = np.arange(len(order), dtype=np.int64)
    first = np.maximum.accumulate(np.where(starts, position, 0))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = position - first
    return rank
