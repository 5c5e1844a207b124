"""The regions of Indonesia by code and name, with their history.

Codes are those of a NIK: two digits a province, four a regency or city, six a
district. The code list is older than the provinces of 2022; those are added by hand
and keep the regencies' old codes, as the numbers of their residents do.
"""

import csv
import functools
import io
from dataclasses import dataclass

from linkage.resources import read_resource

_PROVINCE, _REGENCY, _DISTRICT = 2, 4, 6
_KINDS = ("KAB ADM ", "KOTA ADM ", "KAB ", "KOTA ")


@dataclass(frozen=True, slots=True)
class Region:
    """One name in the code list.

    Attributes:
        name: the present name, without the kind of region.
        codes: every code that this name can mean, ascending.
        level: digits of the codes: 2, 4 or 6.
    """

    name: str
    codes: tuple[str, ...]
    level: int


@dataclass(frozen=True)
class Gazetteer:
    """Names of places, each under its letters without spaces.

    Attributes:
        codes: all codes of provinces, regencies and districts.
        young_provinces: codes of provinces whose regencies are not in the list.
        regions: for each level the regions by name.
        renamed: present names of places that had another.
        parents: the region that a newer one was split off from.
        countries: country of a place abroad, ISO 3166-1 alpha-3.
        kinds: words for a kind of region, and the kind ("" where of no use).
    """

    codes: frozenset[str]
    young_provinces: frozenset[str]
    regions: dict[int, dict[str, Region]]
    renamed: dict[str, str]
    parents: dict[str, str]
    countries: dict[str, str]
    kinds: dict[str, str]


@functools.cache
def gazetteer() -> Gazetteer:
    """Return the tables; they are read once."""
    places = list(csv.DictReader(io.StringIO(read_resource("normalise_places.csv").decode())))

    def of(use: str) -> dict[str, str]:
        return {row["name"].replace(" ", ""): row["value"] for row in places if row["use"] == use}

    renamed = of("rename")
    codes: list[tuple[str, str]] = [
        (row["code"], _without_kind(row["name"]))
        for row in csv.DictReader(io.StringIO(read_resource("normalise_regions.csv").decode()))
    ]
    codes += [(row["value"], row["name"]) for row in places if row["use"] == "province"]
    moved = of("moved")
    found: dict[int, dict[str, tuple[str, set[str]]]] = {_PROVINCE: {}, _REGENCY: {}, _DISTRICT: {}}
    for code, name in codes:
        # A district may be called like a place that was renamed; it was not.
        present = name if len(code) == _DISTRICT else renamed.get(name.replace(" ", ""), name)
        entry = found[len(code)].setdefault(present.replace(" ", ""), (present, set()))
        entry[1].add(code)
        if len(code) == _REGENCY and present.replace(" ", "") in moved:
            entry[1].add(moved[present.replace(" ", "")])
    return Gazetteer(
        frozenset(code for code, _ in codes),
        frozenset(of("province").values()),
        {
            level: {
                key: Region(name, tuple(sorted(numbers)), level)
                for key, (name, numbers) in names.items()
            }
            for level, names in found.items()
        },
        renamed,
        of("split"),
        of("abroad"),
        of("kind"),
    )


def find_region(name: str, *, province_first: bool = False) -> Region | None:
    """Return the region of a present name, or None where there is none.

    Args:
        name: upper-case words; spaces do not matter.
        province_first: whether the name is known to be a province's; otherwise
            regencies and cities come first, then provinces, then districts.
    """
    key = name.replace(" ", "")
    levels = (_PROVINCE, _REGENCY) if province_first else (_REGENCY, _PROVINCE)
    regions = gazetteer().regions
    for level in (*levels, _DISTRICT):
        if region := regions[level].get(key):
            return region
    return None


def ancestors_of(name: str) -> tuple[str, ...]:
    """Return the regions that a region was split off from, nearest first."""
    parents = gazetteer().parents
    found: list[str] = []
    parent = parents.get(name.replace(" ", ""))
    while parent and parent not in found and parent != name:
        found.append(parent)
        parent = parents.get(parent.replace(" ", ""))
    return tuple(found)


def known_region(code: str) -> bool:
    """Return whether the regency of a six-digit code is, or was, one.

    Districts come and go; that a district is not listed says nothing. Nor are the
    regencies of a province that is younger than the list looked up.
    """
    known = gazetteer()
    return code[:_REGENCY] in known.codes or code[:_PROVINCE] in known.young_provinces


def _without_kind(name: str) -> str:
    for kind in _KINDS:
        if name.startswith(kind):
            return name.removeprefix(kind)
    return name
