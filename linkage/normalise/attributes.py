"""The way in: a column of any kind of attribute to normalised words."""

import numpy as np
from numpy.typing import NDArray

from linkage.errors import ConfigError
from linkage.normalise.ages import parse_age
from linkage.normalise.arrow import Values, flagged_by_value, text_array
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.datecolumns import date_column
from linkage.normalise.flags import DateFlag
from linkage.normalise.identifiers import DOCUMENT_KINDS, NUMBER_KINDS
from linkage.normalise.namecolumns import name_column
from linkage.normalise.names import NAME_KINDS
from linkage.normalise.nationalities import nationality_words
from linkage.normalise.options import NormaliseOptions, SexSystem
from linkage.normalise.places import place_column
from linkage.normalise.sexes import parse_sex, sex_system
from linkage.normalise.textcolumns import code_column, identifier_column, text_column

TEXT_KINDS = frozenset({"text", "address"})
CODE_KINDS = frozenset({"code", "number", "postcode", "phone", "email"})
DATE_KINDS = frozenset({"date", "year"})
KINDS = (
    NAME_KINDS | TEXT_KINDS | CODE_KINDS | DATE_KINDS | NUMBER_KINDS | DOCUMENT_KINDS
    | frozenset({"age", "sex", "place", "nationality"})
)  # fmt: skip
_DEFAULT = NormaliseOptions()


def normalise_column(
    values: Values,
    kind: str,
    options: NormaliseOptions = _DEFAULT,
    sexes: NDArray[np.uint8] | None = None,
) -> FlaggedColumn:
    """Return the normalised words of a column.

    Args:
        values: an Arrow array or chunked array, or Python strings with None for
            missing. Arrow's own dates and numbers are taken as Arrow writes them.
        kind: what the attribute is, one of `KINDS`.
        options: the switches of the rules.
        sexes: for names of the records' own persons, the index of each one's sex
            in `namecolumns.SEX_CODES`; ignored for other kinds.

    Returns:
        A `NameColumn` for names, a `PlaceColumn` for places, else a
        `FlaggedColumn`; of dates the classes are `dates.Precision`.

    Raises:
        ConfigError: the kind is an age and the options have no reference year.
        ValueError: `kind` is none of `KINDS`.
    """
    if kind in NAME_KINDS:
        return name_column(values, options, kind, sexes)
    if kind in TEXT_KINDS:
        return text_column(values)
    if kind in CODE_KINDS:
        return code_column(values)
    if kind in NUMBER_KINDS or kind in DOCUMENT_KINDS:
        return identifier_column(values, kind)
    if kind in DATE_KINDS:
        return date_column(values, options)
    if kind == "place":
        return place_column(values, options)
    if kind == "sex":
        return sex_column(values, options.sex_system)
    if kind == "age":
        return _age_column(values, options)
    if kind == "nationality":
        return flagged_by_value(values, lambda value: (nationality_words(value), 0))
    raise ValueError(f"{kind!r} is none of {', '.join(sorted(KINDS))}")


def sex_system_of(values: Values) -> SexSystem | None:
    """Return what P means in a column by the codes that occur, None where there are none."""
    codes = {value for value in text_array(values).unique().to_pylist() if value}
    return sex_system(codes) if codes else None


def sex_column(values: Values, system: SexSystem | None = None) -> FlaggedColumn:
    """Return a column of sex.

    Args:
        values: codes as a source has them.
        system: what a bare P means; told from the codes that occur where absent.
    """
    array = text_array(values)
    system = system or sex_system_of(array) or "LP"

    def read(value: str) -> tuple[list[str], int]:
        sex = parse_sex(value, system)
        return ([] if sex == "U" else [sex]), 0

    return flagged_by_value(array, read)


def _age_column(values: Values, options: NormaliseOptions) -> FlaggedColumn:
    year = options.reference_year
    if year is None:
        raise ConfigError("normalisation options", ["an age needs its reference_year"])

    def read(value: str) -> tuple[list[str], int]:
        band = parse_age(value, year, options.age_tolerance)
        return (band.words(), 0) if band else ([], int(DateFlag.UNREADABLE))

    return flagged_by_value(values, read)
