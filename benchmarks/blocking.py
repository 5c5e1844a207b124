"""Prepared values and blocking keys of the plain-text peer, and the peers' common clean-up.

Values are brought to one spelling before any peer sees them, as whoever uses these tools
does first: codes translated, lower case, single blanks, dates as YYYYMMDD.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

from benchmarks.experiment import Column
from benchmarks.records import RecordSet

_SOUNDEX = {
    letter: digit
    for digit, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), 1)
    for letter in letters
}


def prepared(records: RecordSet, column: Column) -> list[str | None]:
    """Return the values of one attribute of all files in a row; None where missing."""
    experiment = records.experiment
    rows: list[str | None] = []
    for name, table in zip(records.files, records.tables, strict=True):
        meaning = experiment.values.get(name, {}).get(column.name, {})
        clean = _clean_date if column.comparison == "date" else _clean
        known = {
            value: clean(meaning.get(value, value)) or None
            for value in set(table[column.name].to_pylist())
        }
        rows += [known[value] for value in table[column.name].to_pylist()]
    return rows


def _clean(value: str) -> str:
    plain = unicodedata.normalize("NFKD", value)
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(letters.casefold().split())


def _clean_date(value: str) -> str:
    parts = re.split(r"[-/. ]", value.strip())
    if len(parts) == 3 and len(parts[2]) == 4:
        parts.reverse()
    return _clean("".join(part.zfill(2) for part in parts))


def keys_of(
    keys: Sequence[str], values: dict[str, list[str | None]]
) -> dict[str, list[str | None]]:
    """Return the values of blocking keys such as `soundex(surname)`, by key."""
    return {key: _key(key, values) for key in keys}


def _key(key: str, values: dict[str, list[str | None]]) -> list[str | None]:
    if key in values:
        return values[key]
    matched = re.fullmatch(r"(\w+)\((.*)\)", key)
    if matched is None or matched[1] not in _DERIVED:
        raise ValueError(f"no such blocking key: {key}")
    derive = _DERIVED[matched[1]]
    return [
        derive(value) or None if value is not None else None for value in _key(matched[2], values)
    ]


def soundex(text: str) -> str:
    """Return the American Soundex code of a text without blanks; "" if it has no letter."""
    letters = [letter for letter in text if "a" <= letter <= "z"]
    if not letters:
        return ""
    code, last = letters[0], _SOUNDEX.get(letters[0], 0)
    for letter in letters[1:]:
        digit = _SOUNDEX.get(letter, 0)
        if digit and digit != last:
            code += str(digit)
        if letter not in "hw":
            last = digit
    return code[:4].ljust(4, "0")


_DERIVED: dict[str, Callable[[str], str]] = {
    "soundex": soundex,
    "first4": lambda text: text[:4],
    "first": lambda text: text.split()[0],
    "last": lambda text: text.split()[-1],
    "year": lambda date: date[:4],
    "mmdd": lambda date: date[4:],
}
