"""Rules L01 to L03: places of birth and residence.

A place is written as people say it: a regency's, city's, district's or village's
name, perhaps an old one, or a city abroad. Words are the present name's; beside them
stand the codes that it can mean and the regions it was split off from.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from linkage.normalise.arrow import DistinctValues, Values
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.flags import PlaceFlag
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.placetables import INDONESIA, Place, PlaceKind, PlaceTables, place_tables
from linkage.normalise.spelling import modern_spelling
from linkage.normalise.text import fold_words

PlaceLikeness = Literal["equal", "related", "different"]

_PROVINCE_CODE = 2
_DEFAULT = NormaliseOptions()
_PART_END = re.compile(r"[,;()/]| - ")


@dataclass(frozen=True)
class PlaceColumn(FlaggedColumn):
    """The places of a chunk; `classes` are zero.

    Attributes:
        places: the distinct places.
        place_ids: index into `places` for each record, -1 where missing.
    """

    places: list[Place]
    place_ids: NDArray[np.int32]


def normalise_place(value: str, options: NormaliseOptions = _DEFAULT) -> Place:
    """Return one place.

    Args:
        value: the place as a source has it; text behind a comma, slash or bracket
            is only looked at for a country.
        options: the switches of L01, L02 and L03.
    """
    return _read(value, place_tables(options))


def _read(value: str, tables: PlaceTables) -> Place:
    parts = [words for part in _PART_END.split(value) if (words := fold_words(part))]
    if not parts:
        return Place((), flags=PlaceFlag.UNREADABLE if value.strip(" -.") else PlaceFlag(0))
    place = _find(parts[0], tables)
    if place is not None:
        return place
    country = ""
    for part in parts[1:]:
        beside = _find(part, tables)
        country = beside.country if beside else country
    words, kind = _without_kind(parts[0], tables)
    flags = PlaceFlag.UNKNOWN
    if country not in {"", INDONESIA}:
        flags |= PlaceFlag.ABROAD
    return Place(tuple(words), country=country, kind=kind, flags=flags)


def compare_places(left: Place, right: Place) -> PlaceLikeness:
    """Return how two places agree (rule L02: through ancestors).

    Related are a region and the one it was split off from, two that were split off
    from the same one, and a region and one inside it.
    """
    if not left.words or not right.words:
        return "different"
    common = set(left.codes) & set(right.codes)
    if left.words == right.words or any(len(code) > _PROVINCE_CODE for code in common):
        return "equal"
    line_left = {" ".join(left.words), *left.ancestors}
    line_right = {" ".join(right.words), *right.ancestors}
    if line_left & line_right:
        return "related"
    inside = any(a.startswith(b) or b.startswith(a) for a in left.codes for b in right.codes)
    return "related" if inside else "different"


def place_column(values: Values, options: NormaliseOptions = _DEFAULT) -> PlaceColumn:
    """Return the normalised places of a column."""
    distinct = DistinctValues(values)
    tables = place_tables(options)
    places = [_read(value, tables) if value else None for value in distinct.values]
    column = distinct.column(
        [place.words if place else () for place in places],
        [place.flags.value if place else 0 for place in places],
    )
    filled = np.array([place is not None for place in [*places, None]], dtype=np.bool_)
    number = np.where(filled, np.cumsum(filled) - 1, -1).astype(np.int32)
    return PlaceColumn(
        column.vocabulary, column.word_ids, column.offsets, column.flags, column.classes,
        [place for place in places if place], number[distinct.index],
    )  # fmt: skip


def _find(words: list[str], tables: PlaceTables) -> Place | None:
    """Look the text up as it is, then without the words for a kind of region."""
    place = _look_up_spelt(words, "", tables)
    if place is None:
        without, kind = _without_kind(words, tables)
        if len(without) < len(words):
            place = _look_up_spelt(without, kind, tables)
    return place


def _look_up_spelt(words: list[str], kind: PlaceKind, tables: PlaceTables) -> Place | None:
    """Look the text up as it is, then in modern spelling."""
    place = _look_up(words, kind, tables)
    if place is None:
        modern = [modern_spelling(word) for word in words]
        if modern != words:
            place = _look_up(modern, kind, tables)
    return place


def _look_up(words: list[str], kind: PlaceKind, tables: PlaceTables) -> Place | None:
    key = "".join(words)
    if key in tables.countries:
        return Place(tuple(words), country=tables.countries[key], kind=kind, flags=PlaceFlag.ABROAD)
    flags = PlaceFlag(0)
    if key in tables.renamed:
        words = tables.renamed[key].split()
        key, flags = "".join(words), PlaceFlag.RENAMED
    place = tables.provinces.get(key) if kind == "province" else None
    place = place or tables.regions.get(key)
    if place is None:
        return Place(tuple(words), country=INDONESIA, kind=kind, flags=flags) if flags else None
    if kind or flags:
        return replace(place, kind=kind, flags=place.flags | flags)
    return place


def _without_kind(words: list[str], tables: PlaceTables) -> tuple[list[str], PlaceKind]:
    """Rule L01: drop words for the kind of region in front; keep at least one word."""
    kind: PlaceKind = ""
    start = 0
    while start < len(words) - 1 and words[start] in tables.kinds:
        kind = kind or tables.kinds[words[start]]
        start += 1
    return words[start:], kind
