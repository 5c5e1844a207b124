"""Dates to ISO 8601, with unknown parts left out.

Rules D01, D02 and D06 of the normalisation table. A normalised date is a word of
the form `YYYY-MM-DD` in which each unknown part is written `----` or `--`. Nothing
is guessed: text that is no date says nothing, a part that cannot be is left out.
What compares or varies dates is in `datevariants`, ages are in `ages`.
"""

from dataclasses import dataclass
from enum import IntEnum

from linkage.normalise.dateparts import FIRST_YEAR, LAST_YEAR, WORD, DateOrder, exists, parts_of
from linkage.normalise.flags import DateFlag

_NO_FLAGS = DateFlag(0)

_DAYS_OF_YEAR = frozenset({(12, 31), (7, 1), (1, 1)})
_DAY_OF_MONTH = 15


class Placeholders(IntEnum):
    """Which days may stand for an unknown one (rule D02).

    1 January, 1 July and 31 December are written in many countries, and together they are the
    birthdays of one in a hundred. The 15th, for a month without a day, is a habit of Indonesian
    civil registration: elsewhere it is one birthday in thirty, and doubt would only cost.
    """

    NONE = 0
    OF_YEAR = 1
    OF_YEAR_AND_MONTH = 2


class Precision(IntEnum):
    """How far a date word can be trusted, from the best to nothing.

    DAY is a full date. In MONTH_DOUBTFUL and DAY_DOUBTFUL all parts are there, but
    registers put such a day (15) or such a day and month (1 January, 1 July, 31
    December) where they knew none: give those parts less weight, real birthdays
    exist. MONTH and YEAR have no day, and no day and month. PARTS is any other mix.
    """

    DAY = 0
    DAY_DOUBTFUL = 1
    MONTH_DOUBTFUL = 2
    MONTH = 3
    YEAR = 4
    PARTS = 5


@dataclass(frozen=True, slots=True)
class Date:
    """A date as far as it is known.

    Attributes:
        word: `YYYY-MM-DD` with dashes for unknown parts, "" where nothing is known.
        flags: what was noticed on the way.
    """

    word: str
    flags: DateFlag = _NO_FLAGS


def parse_date(value: str, order: DateOrder = "DMY", pivot: int | None = None) -> str | None:
    """Return the date as a word, or None where the text is no date.

    Args:
        value: a date as a source has it. A year of four digits first is read as
            year, month, day whatever `order` says.
        order: how to read a date that ends in its year.
        pivot: the latest year that a year of two digits can mean; None leaves a
            year of two digits unknown.

    A day or month that does not exist is left out and the rest kept: digits that
    are right still tell something.
    """
    return read_date(value, order, pivot).word or None


def date_words(value: str, order: DateOrder = "DMY") -> list[str]:
    """Return the date as a list of one word, or of none."""
    word = parse_date(value, order)
    return [word] if word else []


def read_date(
    value: str,
    order: DateOrder = "DMY",
    pivot: int | None = None,
    *,
    placeholders: Placeholders = Placeholders.OF_YEAR,
) -> Date:
    """Return the date with what was noticed; the arguments are those of `parse_date`.

    Args:
        value: a date as a source has it.
        order: how to read a date that ends in its year.
        pivot: the latest year that a year of two digits can mean.
        placeholders: which dates are flagged (rule D02).
    """
    parts = parts_of(value, order, pivot)
    if parts is None:
        return Date("", DateFlag.UNREADABLE if value.strip("-/. 0<") else _NO_FLAGS)
    flags = DateFlag.TURNED if parts.turned else _NO_FLAGS
    year = _within(parts.year, 1, 9998, 4)
    month, day = _within(parts.month, 1, 12, 2), _within(parts.day, 1, 31, 2)
    if parts.year and int(parts.year) == 9999:
        year, month, day = "", "", ""
    if any(part and int(part) and not kept for part, kept in zip(
        (parts.year, parts.month, parts.day), (year, month, day), strict=True
    )) or (year and month and day and not exists(int(year), int(month), int(day))) or (
        year and not FIRST_YEAR <= int(year) <= LAST_YEAR
    ):  # fmt: skip
        flags |= DateFlag.IMPOSSIBLE
    if not (year or month or day):
        return Date("", flags)
    if not (year and month and day):
        flags |= DateFlag.INCOMPLETE
    elif is_placeholder(int(month), int(day), placeholders):
        flags |= DateFlag.PLACEHOLDER
    return Date(f"{year or '----'}-{month or '--'}-{day or '--'}", flags)


_INCOMPLETE = {
    (False, True, True): Precision.YEAR,
    (False, False, True): Precision.MONTH,
}


def precision_of(word: str, placeholders: Placeholders = Placeholders.OF_YEAR) -> Precision:
    """Return how far a normalised date can be trusted.

    Args:
        word: a date word.
        placeholders: which dates are doubtful (rule D02).

    Raises:
        ValueError: `word` is no date word.
    """
    match = WORD.fullmatch(word)
    if not match:
        raise ValueError("no date word")
    year, month, day = match.groups()
    unknown = year[0] == "-", month[0] == "-", day[0] == "-"
    if any(unknown):
        return _INCOMPLETE.get(unknown, Precision.PARTS)
    if not is_placeholder(int(month), int(day), placeholders):
        return Precision.DAY
    of_year = (int(month), int(day)) in _DAYS_OF_YEAR
    return Precision.MONTH_DOUBTFUL if of_year else Precision.DAY_DOUBTFUL


def parts_of_word(word: str) -> tuple[int | None, int | None, int | None]:
    """Return year, month and day of a date word, None for the unknown ones.

    Raises:
        ValueError: `word` is no date word.
    """
    match = WORD.fullmatch(word)
    if not match:
        raise ValueError("no date word")
    year, month, day = (int(part) if part.isdigit() else None for part in match.groups())
    return year, month, day


def _within(digits: str, lowest: int, highest: int, width: int) -> str:
    return f"{int(digits):0{width}}" if digits and lowest <= int(digits) <= highest else ""


def is_placeholder(month: int, day: int, placeholders: Placeholders) -> bool:
    """Return whether this day may stand for an unknown one (rule D02)."""
    of_month = placeholders == Placeholders.OF_YEAR_AND_MONTH and day == _DAY_OF_MONTH
    return of_month or (placeholders != Placeholders.NONE and (month, day) in _DAYS_OF_YEAR)
