"""Proposes a linkage schema from a sample of an agency's own file.

Goes by the name of each column first and by its values where the name says nothing;
where the two disagree it says so. Only names of columns and shares leave it, never a
value. What it writes is a draft: officials decide which attributes an agreement has.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from linkage.agent.columnnames import NameHint, Role, hint_of
from linkage.agent.columnvalues import ValueShares, value_shares
from linkage.agent.config import SourceConfig
from linkage.agent.source import column_names, read_columns
from linkage.errors import RecordError
from linkage.schema import MAX_ATTRIBUTES
from linkage.types import ATTRIBUTE_TYPES

SAMPLE_RECORDS = 20_000
_DOUBTFUL = 0.5
_CONSTANT_FROM = 20  # records from which one value in all of them tells nothing
# What the values of a type must look like, where that can be told.
_FORM_OF = {
    "date": "date", "year": "year", "sex": "sex", "email": "email", "nik": "nik", "nit": "nik",
    "kk": "kk", "passport": "passport",
}  # fmt: skip


@dataclass(frozen=True)
class Guess:
    """What one column is taken for.

    Attributes:
        column: its name in the file.
        name: the attribute's name in the schema.
        role: see `NameHint`.
        type: type of the attribute or identifier, "" for other roles.
        element: row of the data-needs matrix where it is not the type's own.
        reason: why.
    """

    column: str
    name: str
    role: Role
    type: str
    element: str | None
    reason: str


@dataclass(frozen=True)
class Suggestion:
    """What a file's columns are taken for.

    Attributes:
        n_records: records looked at.
        guesses: one for each column, in the order of the file.
        date_order: how dates that end in their year are written, "" where no value tells.
    """

    n_records: int
    guesses: tuple[Guess, ...]
    date_order: str

    def of_role(self, role: Role) -> list[Guess]:
        """Return the columns that have a role."""
        return [guess for guess in self.guesses if guess.role == role]


def suggest(config: SourceConfig, n_records: int = SAMPLE_RECORDS) -> Suggestion:
    """Look at the first records of a file, and say what each column is taken for.

    Args:
        config: the file; its record number, columns and values are not looked at.
        n_records: records to look at.

    Raises:
        RecordError: the file cannot be read, has no records, no names of columns, or
            no column that a linkage could use.
    """
    columns = column_names(config)
    _check_header(config, columns)
    parts: list[pa.Table] = []
    n_read = 0
    for table in read_columns(config, columns):
        parts.append(table.slice(0, n_records - n_read))
        n_read += parts[-1].num_rows
        if n_read >= n_records:
            break
    if not n_read:
        raise RecordError(f"{config.name}: it has a header and no records")
    sample = pa.concat_tables(parts)
    names = _attribute_names(columns)
    shares = [value_shares(sample[column]) for column in columns]
    guesses = [
        _guess(column, name, hint_of(column), values)
        for column, name, values in zip(columns, names, shares, strict=True)
    ]
    guesses = _without_excess(_without_age(guesses))
    if not any(guess.role == "attribute" for guess in guesses):
        raise RecordError(f"{config.name}: none of its columns is one that can be linked on")
    dates = [v for g, v in zip(guesses, shares, strict=True) if g.type == "date"]
    day_first = sum(values.day_first * values.n_filled for values in dates)
    month_first = sum(values.month_first * values.n_filled for values in dates)
    order = "" if day_first == month_first else "DMY" if day_first > month_first else "MDY"
    return Suggestion(n_read, tuple(guesses), order)


def _check_header(config: SourceConfig, columns: Sequence[str]) -> None:
    if len(set(columns)) < len(columns):
        raise RecordError(f"{config.name}: two of its columns have the same name")
    looks = [value_shares(pa.chunked_array([[column]])) for column in columns]
    if any(values.share(form) for values in looks for form in ("date", "nik", "email", "phone")):
        # The names themselves are not told: they would be values of a person.
        raise RecordError(
            f"{config.name}: its first row looks like a record: it must name the columns"
        )


def _attribute_names(columns: Sequence[str]) -> list[str]:
    """Return a name for each column that a schema can have, each once."""
    names: list[str] = []
    for column in columns:
        plain = re.sub(r"([a-z])([A-Z])", r"\1_\2", column).lower()
        plain = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:36] or "column"
        plain = plain if plain[0].isalpha() else f"c_{plain}"
        name, n = plain, 1
        while name in names:
            n += 1
            name = f"{plain}_{n}"
        names.append(name)
    return names


def _guess(column: str, name: str, hint: NameHint | None, values: ValueShares) -> Guess:
    def guess(role: Role, kind: str, reason: str, element: str | None = None) -> Guess:
        return Guess(column, name, role, kind, element, reason)

    if hint is not None and hint.role not in {"attribute", "identifier"}:
        return guess(hint.role, "", hint.reason)
    if not values.n_filled:
        return guess("unfit", "", "no record read has a value")
    if values.n_distinct == 1 and values.n_records >= _CONSTANT_FROM:
        return guess("unfit", "", "all records read have the same value")
    if hint is None:
        looks = values.looks()
        reason = f"its values look like it ({values.n_distinct:,} distinct)"
        if looks == "record_id":
            return guess("record_id", "", "no value occurs twice: a record number?")
        role: Role = "identifier" if ATTRIBUTE_TYPES[looks].kind == "identifier" else "attribute"
        return guess(role, looks, reason)
    kind, reason = hint.type, "its name says so"
    if form := _FORM_OF.get(kind):
        share = values.share(form)
        reason = f"its name says so; {share:.0%} of its values can be read as such"
        if kind == "date" and values.share("year") > _DOUBTFUL:
            kind, reason = "year", "its name says birth, and its values are years"
        elif share < _DOUBTFUL:
            reason += ": CHECK"
    return guess(hint.role, kind, reason, hint.element)


def _without_age(guesses: list[Guess]) -> list[Guess]:
    """Leave ages out where the date or year of birth is there too."""
    if not any(guess.type in {"date", "year"} for guess in guesses):
        return guesses
    why = "changes every year, and the date of birth says it better"
    return [_unfit(guess, why) if guess.type == "age" else guess for guess in guesses]


def _without_excess(guesses: list[Guess]) -> list[Guess]:
    """Leave out the attributes beyond the greatest number of a schema."""
    kept = [guess for guess in guesses if guess.role == "attribute"][:MAX_ATTRIBUTES]
    why = f"a schema has at most {MAX_ATTRIBUTES} attributes"
    return [
        _unfit(guess, why) if guess.role == "attribute" and guess not in kept else guess
        for guess in guesses
    ]


def _unfit(guess: Guess, why: str) -> Guess:
    return Guess(guess.column, guess.name, "unfit", "", None, why)


def quoted(column: str) -> str:
    """Return a column's name for a comment or a TOML text, on one line."""
    return json.dumps(column, ensure_ascii=False)
