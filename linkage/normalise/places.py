"""Rules L01 to L03: places of birth and residence.

A place is written as people say it: a regency's, city's, district's or village's
name, perhaps an old one, or a city abroad. Words are the present name's; beside them
stand the codes that it can mean and the regions it was split off from.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from linkage.normalise.arrow import Values, flagged_by_value, text_array
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.flags import PlaceFlag
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.regions import Region, ancestors_of, find_region, gazetteer
from linkage.normalise.spelling import modern_spelling
from linkage.normalise.text import fold, fold_words

PlaceKind = Literal["", "city", "regency", "province"]
PlaceLikeness = Literal["equal", "related", "different"]

INDONESIA = "IDN"
_NO_FLAGS = PlaceFlag(0)
_PROVINCE_CODE = 2
_DEFAULT = NormaliseOptions()
_PART_END = re.compile(r"[,;()/]| - ")


@dataclass(frozen=True, slots=True)
class Place:
    """A normalised place.

    Attributes:
        words: the present name's words, or the text's where the place is in no list.
        codes: codes of regions that the name can mean; none abroad or where unknown.
        ancestors: names of the regions it was split off from, nearest first.
        country: ISO 3166-1 alpha-3, "" where not known.
        kind: the kind of region that the text states, "" where it states none.
        flags: what was noticed on the way.
    """

    words: tuple[str, ...]
    codes: tuple[str, ...] = ()
    ancestors: tuple[str, ...] = ()
    country: str = ""
    kind: PlaceKind = ""
    flags: PlaceFlag = _NO_FLAGS


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
    parts = [words for part in _PART_END.split(value) if (words := fold_words(part))]
    if not parts:
        return Place((), flags=PlaceFlag.UNREADABLE if value.strip(" -.") else PlaceFlag(0))
    place = _find(parts[0], options)
    if place is not None:
        return place
    country = ""
    for part in parts[1:]:
        beside = _find(part, options)
        country = beside.country if beside else country
    words, kind = _without_kind(parts[0], options)
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
    places: list[Place] = []

    def read(value: str) -> tuple[tuple[str, ...], int]:
        place = normalise_place(value, options)
        places.append(place)
        return place.words, int(place.flags)

    array = text_array(values)
    column = flagged_by_value(array, read)
    # `read` saw the distinct values that are not empty, in their order.
    coded = array.dictionary_encode()
    number = np.full(len(coded.dictionary) + 1, -1, dtype=np.int32)
    filled = [i for i, value in enumerate(coded.dictionary.to_pylist()) if value]
    number[filled] = np.arange(len(filled), dtype=np.int32)
    index = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
    return PlaceColumn(
        column.vocabulary, column.word_ids, column.offsets, column.flags, column.classes,
        places, number[index],
    )  # fmt: skip


def _find(words: list[str], options: NormaliseOptions) -> Place | None:
    """Look the text up as it is, then without the words for a kind of region."""
    without, kind = _without_kind(words, options)
    attempts: tuple[tuple[list[str], PlaceKind], ...] = ((words, ""), (without, kind))
    for attempt, stated in attempts:
        place = _look_up(" ".join(attempt), stated, options)
        if place is None:
            modern = " ".join(modern_spelling(word) for word in attempt)
            place = _look_up(modern, stated, options)
        if place is not None:
            return place
    return None


def _look_up(name: str, kind: PlaceKind, options: NormaliseOptions) -> Place | None:
    key = name.replace(" ", "")
    tables = gazetteer()
    if options.applies("L03") and key in tables.countries:
        return Place(
            tuple(name.split()), country=tables.countries[key], kind=kind, flags=PlaceFlag.ABROAD
        )
    flags = PlaceFlag(0)
    if options.applies("L02") and key in tables.renamed:
        name, flags = tables.renamed[key], PlaceFlag.RENAMED
    region = find_region(name, province_first=kind == "province")
    if region is None:
        return (
            Place(tuple(name.split()), country=INDONESIA, kind=kind, flags=flags) if flags else None
        )
    return _place_of(region, kind, flags, options)


def _place_of(
    region: Region, kind: PlaceKind, flags: PlaceFlag, options: NormaliseOptions
) -> Place:
    listed = options.applies("L01")
    if listed and len(region.codes) > 1:
        flags |= PlaceFlag.AMBIGUOUS
    return Place(
        tuple(fold(region.name).split()),
        region.codes if listed else (),
        ancestors_of(region.name) if options.applies("L02") else (),
        INDONESIA,
        kind,
        flags,
    )


def _without_kind(words: list[str], options: NormaliseOptions) -> tuple[list[str], PlaceKind]:
    """Rule L01: drop words for the kind of region in front; keep at least one word."""
    if not options.applies("L01"):
        return words, ""
    kinds = gazetteer().kinds
    kind: PlaceKind = ""
    start = 0
    while start < len(words) - 1 and words[start] in kinds:
        stated = kinds[words[start]]
        if not kind and stated:
            kind = _KINDS[stated]
        start += 1
    return words[start:], kind


_KINDS: dict[str, PlaceKind] = {"city": "city", "regency": "regency", "province": "province"}
