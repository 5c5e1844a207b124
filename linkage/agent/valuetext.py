"""Typed values, as a database or a Parquet file has them, as the text that a CSV file would have.

The same value gives the same text whatever its type: a day is a day as DATE or as TIMESTAMP, a
whole number as INTEGER, NUMERIC or DOUBLE. Where a type has lost what the text would have
said, that is an error which says what to do, and never a guess. No error holds a value.
"""

import datetime
import math
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

import pyarrow as pa

from linkage.errors import RecordError

_EXACT_FLOATS = 2.0**53
_PLAIN = (pa.types.is_string, pa.types.is_large_string, pa.types.is_date, pa.types.is_null)


class ValueTexts:
    """Writes the values of one column as text.

    Args:
        source: what errors call the source.
        column: its name.
        digits: how many digits a number in it has, if its type says so: an integer with
            fewer has lost its leading zeros. 0: any number may have lost some.
    """

    def __init__(self, source: str, column: str, digits: int | None = None) -> None:
        self._where, self._digits = f"{source}: the column {column}", digits

    def of_arrow(self, values: "pa.ChunkedArray[Any]", before: int) -> "pa.Array[pa.StringScalar]":
        """Return the texts of a column of a Parquet file; raises as `of`."""
        kind = values.type
        if pa.types.is_dictionary(kind):
            values, kind = values.cast(kind.value_type), kind.value_type
        if any(is_plain(kind) for is_plain in _PLAIN) or (
            self._digits is None and (pa.types.is_integer(kind) or pa.types.is_boolean(kind))
        ):
            return cast("pa.Array[pa.StringScalar]", values.cast(pa.string()).combine_chunks())
        if pa.types.is_timestamp(kind) and kind.tz is None:
            # Python's own have no nanoseconds; nobody is born at one.
            values = values.cast(pa.timestamp("us"), safe=False)
        return self.of(values.to_pylist(), before)

    def of(self, values: Sequence[object], before: int) -> "pa.Array[pa.StringScalar]":
        """Return the texts of some values.

        Args:
            values: of the column, None where there is none.
            before: number of records before the first.

        Raises:
            RecordError: a value has no text, or lost a part of it to its type.
        """
        texts = [
            value if value is None or type(value) is str else self._text(value, before + row)
            for row, value in enumerate(values, 1)
        ]
        try:
            return pa.array(texts, pa.string())
        except UnicodeError:
            raise RecordError(f"{self._where} has characters that are none") from None

    def _text(self, value: object, row: int) -> str | None:
        if isinstance(value, str):
            return str(value)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            return self._number(value, row)
        if isinstance(value, float):
            if math.isnan(value):
                return None
            if abs(value) >= _EXACT_FLOATS:
                raise RecordError(
                    f"{self._where} is of floating point, which does not keep all digits of "
                    f"record {row}: give it as text, or as an integer"
                )
            return self._number(int(value), row) if value.is_integer() else repr(value)
        if isinstance(value, Decimal):
            if not value.is_finite():
                return None
            whole = value.to_integral_value()
            return self._number(int(whole), row) if whole == value else f"{value.normalize():f}"
        if isinstance(value, datetime.datetime):
            if value.tzinfo is not None:
                raise RecordError(
                    f"{self._where} is of moments in a time zone, and no one can tell whose day "
                    "is meant: give the day, for example (lahir at time zone 'Asia/Jakarta')::date"
                )
            day = value.date().isoformat()
            return f"{day} {value.time().isoformat()}" if value.time() != datetime.time() else day
        if isinstance(value, datetime.date):
            return value.isoformat()
        if isinstance(value, uuid.UUID):
            return str(value)
        raise RecordError(
            f"{self._where} holds {type(value).__name__}, which is no text, number or date: "
            "give it as text, or take another column"
        )

    def _number(self, number: int, row: int) -> str:
        text = str(number)
        # Zero stands for nothing there, and has nothing to lose.
        if self._digits is None or not number or 0 < self._digits <= len(text):
            return text
        how = "give it as text with its zeros"
        if self._digits:
            how = (
                f"record {row} has {len(text)} digits of {self._digits}: {how}, for example "
                f"lpad(x::text, {self._digits}, '0')"
            )
        raise RecordError(f"{self._where} is of numbers, in which leading zeros are lost: {how}")
