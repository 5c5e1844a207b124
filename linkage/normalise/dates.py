"""Dates to ISO 8601, with unknown parts left out.

Rule D01 of the normalisation table. A normalised date is a word of the form
`YYYY-MM-DD` in which each unknown part is written `----` or `--`. Nothing is
guessed: text that is no date says nothing.
"""

import re
from typing import Literal

DateOrder = Literal["YMD", "DMY", "MDY"]

_ISO = re.compile(r"(\d{4})[-/. ]?(\d{2})[-/. ]?(\d{2})(?:[T ].*)?")
_PARTS = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4})(?:[T ].*)?")
_YEAR_MONTH = re.compile(r"(\d{4})[-/.](\d{1,2})")
_YEAR = re.compile(r"(\d{4})")


def parse_date(value: str, order: DateOrder = "DMY") -> str | None:
    """Return the date as a word, or None where the text is no date.

    Args:
        value: a date as a source has it. A year of four digits first is read as
            year, month, day whatever `order` says.
        order: how to read a date that ends in its year.

    A day or month that does not exist is left out and the rest kept: digits that
    are right still tell something.
    """
    text = value.strip()
    if match := _ISO.fullmatch(text):
        year, month, day = match.groups()
    elif match := _PARTS.fullmatch(text):
        first, second, year = match.groups()
        day, month = (second, first) if order == "MDY" else (first, second)
    elif match := _YEAR_MONTH.fullmatch(text):
        year, month, day = *match.groups(), ""
    elif match := _YEAR.fullmatch(text):
        year, month, day = match.group(1), "", ""
    else:
        return None
    return "-".join((year, _within(month, 12), _within(day, 31)))


def _within(digits: str, highest: int) -> str:
    return f"{int(digits):02}" if digits and 1 <= int(digits) <= highest else "--"


def date_words(value: str, order: DateOrder = "DMY") -> list[str]:
    """Return the date as a list of one word, or of none."""
    word = parse_date(value, order)
    return [word] if word else []
