"""Dates written in the usual ways, read by looking them up.

A register has some ten thousand distinct dates, nearly all of them full, real and
written alike. Every such date of the usual years is read once and kept: a calendar,
not anybody's data. Whatever is not found is read by `dates.read_date`, and what is
found reads the same there.
"""

import datetime
from functools import lru_cache

from linkage.normalise.dateparts import DateOrder
from linkage.normalise.dates import Date, is_placeholder
from linkage.normalise.flags import DateFlag

_FIRST, _LAST = datetime.date(1920, 1, 1), datetime.date(2029, 12, 31)
_LENGTH = 10


def read_usual_date(value: str, order: DateOrder, *, placeholders: bool) -> Date | None:
    """Return the date of a text such as `1990-05-17` or `17/05/1990`, None for any other.

    Args:
        value: a date as a source has it.
        order: how to read a date that ends in its year.
        placeholders: whether placeholder dates are flagged (rule D02).
    """
    if len(value) != _LENGTH:
        return None
    if value[4] in "-/.":
        return _calendar("YMD", value[4], placeholders).get(value)
    if value[2] in "-/." and order != "YMD":
        return _calendar(order, value[2], placeholders).get(value)
    return None


@lru_cache(maxsize=24)
def _calendar(form: DateOrder, separator: str, placeholders: bool) -> dict[str, Date]:
    calendar = {}
    for day in range(_FIRST.toordinal(), _LAST.toordinal() + 1):
        date = datetime.date.fromordinal(day)
        word = date.isoformat()
        part = {"Y": word[:4], "M": word[5:7], "D": word[8:]}
        doubtful = placeholders and is_placeholder(date.month, date.day)
        flags = DateFlag.PLACEHOLDER if doubtful else DateFlag(0)
        calendar[separator.join(part[letter] for letter in form)] = Date(word, flags)
    return calendar
