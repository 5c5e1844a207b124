"""The parts of a written date: which digits are its year, month and day.

Whether they can be a date is decided in `dates`.
"""

import re
from dataclasses import dataclass
from typing import Literal

from linkage.normalise.text import fold

DateOrder = Literal["YMD", "DMY", "MDY"]

FIRST_YEAR, LAST_YEAR = 1800, 2099
"""Years that a date of birth or of a document can have; others count as written wrong."""

_CENTURY = 100
_TIME = re.compile(r"[T ][0-9]{1,2}:.*$|T$")
_THREE_PARTS = re.compile(r"([0-9A-Z]+)[-/.,_ ]+([0-9A-Z]+)[-/.,_ ]+([0-9A-Z]+)")
_TWO_PARTS = re.compile(r"([0-9A-Z]+)[-/.,_ ]+([0-9A-Z]+)")
_MRZ = re.compile(r"([0-9]{2}|<<)([0-9]{2}|<<)([0-9]{2}|<<)")
WORD = re.compile(r"([0-9]{4}|----)-([0-9]{2}|--)-([0-9]{2}|--)")
# A typed or scanned digit that became a letter: 1o18, 2OO5, l965.
_DIGITS = str.maketrans("OQDILZSB", "00011258")

_MONTH_NAMES = (
    "JANUARI JANUARY DJANUARI JAN DJAN JANVIER",
    "FEBRUARI FEBRUARY PEBRUARI FEBUARI PEBUARI FEB PEB FEBR",
    "MARET MARCH MRT MAR MARCHT",
    "APRIL APRIEL APR",
    "MEI MAY MAI",
    "JUNI JUNE DJUNI JUN DJUN",
    "JULI JULY DJULI JUL DJUL",
    "AGUSTUS AUGUST AGOESTOES AUGUSTUS AGUST AGT AGS AGU AUG AGST",
    "SEPTEMBER SEP SEPT SEPTEMBRE",
    "OKTOBER OCTOBER OKT OCT",
    "NOVEMBER NOPEMBER NOV NOP NOPBER",
    "DESEMBER DECEMBER DES DEC DESEMBRE",
)
_MONTHS = {name: n for n, names in enumerate(_MONTH_NAMES, 1) for name in names.split()}


@dataclass(frozen=True, slots=True)
class Parts:
    """Digits of the parts; "" for an unknown one.

    `turned` tells that day and month could only be read against the stated order.
    """

    year: str
    month: str
    day: str
    turned: bool = False


def parts_of(value: str, order: DateOrder, pivot: int | None) -> Parts | None:
    """Return the parts of a written date, None where it is no date.

    Args:
        value: a date as a source has it.
        order: how to read a date that ends in its year.
        pivot: the latest year that a year of two digits can mean.
    """
    raw = value.strip().upper()
    if match := WORD.fullmatch(raw):
        return Parts(match[1].strip("-"), match[2].strip("-"), match[3].strip("-"))
    if match := _MRZ.fullmatch(raw.ljust(6, "<") if "<" in raw else raw):
        return _of_mrz(match, order, pivot)
    text = _TIME.sub("", raw if raw.isascii() else fold(raw)).strip(" .,")
    if match := _THREE_PARTS.fullmatch(text):
        return _three(match.groups(), order, pivot)
    if match := _TWO_PARTS.fullmatch(text):
        first, second = match.groups()
        for year, month in ((first, second), (second, first)):
            number = _month(month)
            if (digits := _number(year, 4)) and number:
                return Parts(digits, number, "")
        return None
    digits = _number(text, 8)
    if digits:
        return _eight(digits, order)
    digits = _number(text, 4)
    return Parts(digits, "", "") if digits else None


def _three(parts: tuple[str, ...], order: DateOrder, pivot: int | None) -> Parts | None:
    """Read three parts; a month's name tells where the month is."""
    first, second, third = parts
    if _name(second):
        day, month, year = (third, second, first) if len(first) > 2 else parts
    elif _name(first):
        month, day, year = parts
    elif len(first) > 2 or (order == "YMD" and len(third) <= 2):
        year, month, day = parts
    else:
        month, day = (first, second) if order == "MDY" else (second, first)
        year = third
    digits = _year(year, pivot)
    month, day = _month(month), _number(day, 1, 2)
    if not (digits or month or day):
        return None
    if len(first) <= 2 and _reads_only_turned(digits, month, day):
        return Parts(digits, day, month, turned=True)
    return Parts(digits, month, day)


def _reads_only_turned(year: str, month: str, day: str) -> bool:
    """Return whether day and month make a date the other way round only.

    A column of days first with a month of 25 holds an entry of months first.
    """
    return bool(
        month and day and year
        and int(month) > 12 and exists(int(year), int(day), int(month))
    )  # fmt: skip


def _eight(digits: str, order: DateOrder) -> Parts:
    """Read eight digits: year first where that is a date or the other order is none."""
    year_first = Parts(digits[:4], digits[4:6], digits[6:])
    first, second, year = digits[:2], digits[2:4], digits[4:]
    month, day = (first, second) if order == "MDY" else (second, first)
    year_last = Parts(year, month, day)
    return year_last if _plausible(year_last) and not _plausible(year_first) else year_first


def _plausible(parts: Parts) -> bool:
    year = int(parts.year)
    return FIRST_YEAR <= year <= LAST_YEAR and exists(year, int(parts.month), int(parts.day))


def _of_mrz(match: re.Match[str], order: DateOrder, pivot: int | None) -> Parts:
    """Rule D06: YYMMDD with `<<` for unknown parts; without fillers `order` counts."""
    year, month, day = match.groups()
    if "<" not in match[0] and order != "YMD":
        day, month, year = (year, month, day) if order == "DMY" else (month, year, day)
    month, day = (part.replace("<", "") for part in (month, day))
    return Parts(_year(year, pivot), month, day)


def _year(text: str, pivot: int | None) -> str:
    digits = _number(text, 2, 4)
    if len(digits) == 2:
        return "" if pivot is None else str(full_year(int(digits), pivot))
    return digits if len(digits) == 4 else ""


def _name(text: str) -> int:
    return _MONTHS.get(text, 0)


def _month(text: str) -> str:
    return str(_name(text)) if text in _MONTHS else _number(text, 1, 2)


def _number(text: str, shortest: int, longest: int | None = None) -> str:
    """Return the digits of a part, letters that look like digits read as such; or ""."""
    if not shortest <= len(text) <= (longest or shortest):
        return ""
    if not text.isdigit() and any(c.isdigit() for c in text):
        text = text.translate(_DIGITS)
    return text if text.isdigit() else ""


def full_year(two_digits: int, pivot: int) -> int:
    """Return the latest year up to `pivot` that ends in `two_digits`."""
    return pivot - (pivot - two_digits) % _CENTURY


def exists(year: int, month: int, day: int) -> bool:
    """Return whether the calendar has this day."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return False
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return day <= (29 if leap else 28)
    return day <= (30 if month in {4, 6, 9, 11} else 31)
