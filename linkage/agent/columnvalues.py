"""What the values of a column look like: shares only, never a value."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from linkage.normalise.dates import read_date
from linkage.normalise.flags import DateFlag
from linkage.normalise.identifiers import read_identifier
from linkage.normalise.sexes import parse_sex

Looks = Literal[
    "email", "nik", "sex", "date", "year", "phone", "record_id", "postcode", "number", "name",
    "code", "text",
]  # fmt: skip

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"[+0][\d ()./-]{7,18}")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*")
_YEAR = re.compile(r"(19|20)\d\d")
_SEX_CODES = 6  # distinct values that a column of sex has at the most
_MOST = 0.9


@dataclass(frozen=True)
class ValueShares:
    """Shares of the values of one column that have some form.

    Attributes:
        n_records: records looked at.
        n_filled: of those, records with a value.
        n_distinct: distinct values.
        shares: for each form of `_FORMS`, the share of filled records.
        day_first: share of filled records with a date that can only be read with
            the day before the month.
        month_first: likewise the other way round.
    """

    n_records: int
    n_filled: int
    n_distinct: int
    shares: dict[str, float]
    day_first: float
    month_first: float

    def share(self, form: str) -> float:
        """Return the share of filled records whose value has a form."""
        return self.shares.get(form, 0.0)

    def looks(self) -> Looks:
        """Return what the values look like, whatever the column is called."""
        if self.share("email") >= _MOST:
            return "email"
        if self.share("nik") >= _MOST:
            return "nik"
        if self.share("sex") >= _MOST and self.n_distinct <= _SEX_CODES:
            return "sex"
        if self.share("year") >= _MOST:
            return "year"
        if self.share("date") >= _MOST:
            return "date"
        if self.share("phone") >= _MOST:
            return "phone"
        if self.n_distinct == self.n_filled and self.share("words") < 1 - _MOST:
            return "record_id"
        if self.share("five_digits") >= _MOST:
            return "postcode"
        if self.share("number") >= _MOST:
            return "number"
        if self.share("two_words") >= 1 / 2 and self.n_distinct > self.n_filled / 2:
            return "name"
        return "code" if self.share("words") < 1 - _MOST else "text"


def value_shares(column: "pa.ChunkedArray[pa.StringScalar]") -> ValueShares:
    """Return what the values of a column look like."""
    counts = Counter((value or "").strip() for value in column.to_pylist())
    del counts[""]
    values = list(counts.items())
    n_filled = sum(n for _, n in values)

    def share(has_form: Callable[[str], bool]) -> float:
        return sum(n for value, n in values if has_form(value)) / n_filled if n_filled else 0.0

    return ValueShares(
        len(column),
        n_filled,
        len(values),
        {name: share(has_form) for name, has_form in _FORMS.items()},
        share(lambda value: _is_turned(value, "MDY")),
        share(lambda value: _is_turned(value, "DMY")),
    )


def _is_date(value: str) -> bool:
    if not 5 <= len(re.sub(r"\D", "", value)) <= 8:
        return False
    date = read_date(value)
    return bool(date.word) and not date.flags & (DateFlag.IMPOSSIBLE | DateFlag.INCOMPLETE)


def _is_turned(value: str, order: Literal["DMY", "MDY"]) -> bool:
    date = read_date(value, order)
    return bool(date.word and date.flags & DateFlag.TURNED)


_FORMS: dict[str, Callable[[str], bool]] = {
    "email": lambda value: bool(_EMAIL.fullmatch(value)),
    "nik": lambda value: bool(read_identifier(value, "nik")[0]),
    "kk": lambda value: bool(read_identifier(value, "kk")[0]),
    "passport": lambda value: bool(read_identifier(value, "passport")[0]),
    "sex": lambda value: not value.isdecimal() and parse_sex(value) != "U",
    "year": lambda value: bool(_YEAR.fullmatch(value)),
    "date": _is_date,
    "phone": lambda value: bool(_PHONE.fullmatch(value)),
    "number": lambda value: bool(_NUMBER.fullmatch(value)),
    "five_digits": lambda value: len(value) == 5 and value.isdecimal(),
    "words": lambda value: all(c.isalpha() or c in " .,'-" for c in value),
    "two_words": lambda value: " " in value and not any(c.isdigit() for c in value),
}
