"""Dates written in the usual ways, read by a compiled loop and looked up in a calendar.

A register has some ten thousand distinct dates, nearly all of them full, real and
written alike. What is known of every day of the usual years is worked out once: a
calendar, not anybody's data. Whatever is not found is read by `dates.read_date`, and
what is found reads the same there.
"""

import datetime
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.normalise.arrow import buffers
from linkage.normalise.compiled import compiled
from linkage.normalise.dateparts import DateOrder
from linkage.normalise.dates import Placeholders, is_placeholder, precision_of
from linkage.normalise.flags import DateFlag

_FIRST_YEAR, _LAST_YEAR = 1920, 2029
_YEAR_FIRST = np.array([0, 5, 8])
# Where year, month and day begin in a date that ends in its year.
_YEAR_LAST = {"DMY": np.array([6, 3, 0]), "MDY": np.array([6, 0, 3])}


@dataclass(frozen=True)
class Calendar:
    """The days of the usual years, in their order.

    Attributes:
        words: date words.
        number: of each word.
        flags: bits of `flags.DateFlag`.
        classes: `dates.Precision`.
    """

    words: list[str]
    number: dict[str, int]
    flags: NDArray[np.uint32]
    classes: NDArray[np.uint8]


@lru_cache(maxsize=len(Placeholders))
def calendar(placeholders: Placeholders) -> Calendar:
    """Return the calendar.

    Args:
        placeholders: which dates are flagged (rule D02).
    """
    first = datetime.date(_FIRST_YEAR, 1, 1).toordinal()
    last = datetime.date(_LAST_YEAR, 12, 31).toordinal()
    days = [datetime.date.fromordinal(day) for day in range(first, last + 1)]
    words = [day.isoformat() for day in days]
    doubtful = [is_placeholder(day.month, day.day, placeholders) for day in days]
    return Calendar(
        words,
        {word: number for number, word in enumerate(words)},
        np.where(doubtful, np.uint32(DateFlag.PLACEHOLDER), np.uint32(0)),
        np.array([precision_of(word, placeholders) for word in words], dtype=np.uint8),
    )


def usual_days(array: pa.LargeStringArray, order: DateOrder) -> NDArray[np.int32]:
    """Return the calendar's number of each value such as `1990-05-17`, -1 for any other.

    Args:
        array: dates as a source has them.
        order: how to read a date that ends in its year; `YMD` finds none of those.
    """
    data, bounds, valid = buffers(array)
    return _read(data, bounds, valid, _YEAR_FIRST, _YEAR_LAST.get(order, _YEAR_FIRST), _starts())


@lru_cache(maxsize=1)
def _starts() -> NDArray[np.int32]:
    """Return the number of the first day of every month of the usual years, and the end."""
    first = datetime.date(_FIRST_YEAR, 1, 1).toordinal()
    months = [
        datetime.date(year, month, 1).toordinal() - first
        for year in range(_FIRST_YEAR, _LAST_YEAR + 2)
        for month in range(1, 13)
    ]
    return np.array(months, dtype=np.int32)


@compiled
def _read(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    valid: NDArray[np.bool_],
    year_first: NDArray[np.int64],
    year_last: NDArray[np.int64],
    starts: NDArray[np.int32],
) -> NDArray[np.int32]:
    days = np.full(len(valid), -1, dtype=np.int32)
    for r in range(len(valid)):
        at = bounds[r]
        if not valid[r] or bounds[r + 1] - at != 10:
            continue
        parts = year_first if _separates(data[at + 4]) else year_last
        separator = data[at + (4 if parts[0] == 0 else 2)]
        if not _separates(separator):
            continue
        year = month = day = 0
        is_date = True
        for i in range(10):
            byte = data[at + i]
            if i == parts[0] + 4 or i == parts[1] + 2 or i == parts[2] + 2:
                is_date = is_date and byte == separator
        for i in range(4):
            byte = data[at + parts[0] + i]
            is_date = is_date and 48 <= byte <= 57
            year = 10 * year + byte - 48
        for i in range(2):
            byte, other = data[at + parts[1] + i], data[at + parts[2] + i]
            is_date = is_date and 48 <= byte <= 57 and 48 <= other <= 57
            month, day = 10 * month + byte - 48, 10 * day + other - 48
        number = 12 * (year - _FIRST_YEAR) + month - 1
        if (
            is_date
            and _FIRST_YEAR <= year <= _LAST_YEAR
            and 1 <= month <= 12
            and 1 <= day <= starts[number + 1] - starts[number]
        ):
            days[r] = starts[number] + day - 1
    return days


@compiled
def _separates(byte: int) -> bool:
    return byte == 45 or byte == 46 or byte == 47
