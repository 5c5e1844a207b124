"""Regencies and districts of Indonesia, and who lives where.

A regency weighs as much as it has districts, a city twice that: a stand-in for
its population that keeps large places large.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from linkage.synthetic.columns import Ints, Text, text
from linkage.synthetic.pools import GroupedPool, Pool
from linkage.synthetic.tables import rows

_CITY_WEIGHT = 2.0


@dataclass(frozen=True)
class Places:
    """The map, as parallel columns.

    Attributes:
        groups: names of the ethnic groups, in the order of their codes.
        regencies: names without KAB. or KOTA.
        regency_kinds: KAB or KOTA.
        regency_province: province of each regency.
        districts: names.
        district_codes: the last four digits of each district's code, as in a NIK.
        district_regency: regency of each district.
        postcodes: of each district.
        by_province: provinces, weighed by population.
        group_in_province: ethnic groups within a province.
        regency_in_province: regencies within a province.
        district_in_regency: districts within a regency.
    """

    groups: tuple[str, ...]
    regencies: Text
    regency_kinds: Text
    regency_province: Ints
    districts: Text
    district_codes: Ints
    district_regency: Ints
    postcodes: Text
    by_province: Pool
    group_in_province: GroupedPool
    regency_in_province: GroupedPool
    district_in_regency: GroupedPool

    def someone_elses_regency(self, rng: np.random.Generator, regency: Ints) -> Ints:
        """Return where people of `regency` move: mostly within the province."""
        moved = self.regency_in_province.draw(rng, self.regency_province[regency])
        far = rng.random(len(regency)) < 0.4
        provinces = self.by_province.draw(rng, len(regency))
        anywhere = self.regency_in_province.draw(rng, provinces)
        return np.where(far, anywhere, moved)


@cache
def places() -> Places:
    """Return the map of the country."""
    groups = tuple(row["group"] for row in rows("synthetic_groups.csv"))
    provinces = rows("synthetic_provinces.csv")
    province_of = {row["code"]: i for i, row in enumerate(provinces)}
    mix = [
        (i, groups.index(name), float(share))
        for i, row in enumerate(provinces)
        for name, share in (part.split(":") for part in row["groups"].split())
    ]
    regions = rows("synthetic_regions.csv.gz")
    regencies = [row for row in regions if row["kind"] != "KEC"]
    districts = [row for row in regions if row["kind"] == "KEC"]
    regency_of = {row["code"]: i for i, row in enumerate(regencies)}
    regency_province = np.array([province_of[row["code"][:2]] for row in regencies])
    district_regency = np.array([regency_of[row["code"][:4]] for row in districts])
    size = np.bincount(district_regency, minlength=len(regencies)).astype(np.float64)
    city = np.array([row["kind"] == "KOTA" for row in regencies])
    return Places(
        groups=groups,
        regencies=text([row["name"] for row in regencies]),
        regency_kinds=text([row["kind"] for row in regencies]),
        regency_province=regency_province,
        districts=text([row["name"] for row in districts]),
        district_codes=np.array([int(row["code"][2:]) for row in districts]),
        district_regency=district_regency,
        postcodes=text(
            [row["postcode"] if row["postcode"].isdigit() else None for row in districts]
        ),
        by_province=Pool(
            range(len(provinces)), [float(row["population_thousands"]) for row in provinces]
        ),
        group_in_province=GroupedPool(
            np.array([m[0] for m in mix]),
            np.array([m[1] for m in mix]),
            np.array([m[2] for m in mix]),
            len(provinces),
        ),
        regency_in_province=GroupedPool(
            regency_province,
            np.arange(len(regencies)),
            np.where(city, _CITY_WEIGHT, 1.0) * size,
            len(provinces),
        ),
        district_in_regency=GroupedPool(
            district_regency,
            np.arange(len(districts)),
            np.ones(len(districts)),
            len(regencies),
        ),
    )
