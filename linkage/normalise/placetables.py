"""What the place rules look names up in, worked out once for one set of options.

Public tables only; nothing here depends on a value.
"""

import functools
from dataclasses import dataclass
from typing import Literal

from linkage.normalise.flags import PlaceFlag
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.regions import Region, ancestors_of, find_region, gazetteer
from linkage.normalise.text import fold

PlaceKind = Literal["", "city", "regency", "province"]

INDONESIA = "IDN"
_NO_FLAGS = PlaceFlag(0)
_PROVINCE = 2
_KINDS: dict[str, PlaceKind] = {
    "city": "city", "regency": "regency", "province": "province", "": "",
}  # fmt: skip


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
class PlaceTables:
    """Places under their letters without spaces; tables of rules that are off are empty.

    Attributes:
        regions: the place that a present name means.
        provinces: the same for provinces, which come first where the text says so.
        renamed: present names of places that had another (rule L02).
        countries: country of a place abroad (rule L03).
        kinds: words for a kind of region, and the kind (rule L01).
    """

    regions: dict[str, Place]
    provinces: dict[str, Place]
    renamed: dict[str, str]
    countries: dict[str, str]
    kinds: dict[str, PlaceKind]


@functools.lru_cache(maxsize=16)
def place_tables(options: NormaliseOptions) -> PlaceTables:
    """Return the tables for `options`; only the switches of L01 to L03 matter."""
    known = gazetteer()
    names = frozenset[str]().union(*known.regions.values())
    found = {name: find_region(name) for name in names}
    first = {name: find_region(name, province_first=True) for name in known.regions[_PROVINCE]}
    return PlaceTables(
        {name: _place_of(region, options) for name, region in found.items() if region},
        {name: _place_of(region, options) for name, region in first.items() if region},
        known.renamed if options.applies("L02") else {},
        known.countries if options.applies("L03") else {},
        {word: _KINDS[kind] for word, kind in known.kinds.items()}
        if options.applies("L01")
        else {},
    )


def _place_of(region: Region, options: NormaliseOptions) -> Place:
    listed = options.applies("L01")
    return Place(
        tuple(fold(region.name).split()),
        region.codes if listed else (),
        ancestors_of(region.name) if options.applies("L02") else (),
        INDONESIA,
        "",
        PlaceFlag.AMBIGUOUS if listed and len(region.codes) > 1 else _NO_FLAGS,
    )
