"""Where persons were born and live, in the country or with a mission abroad."""

from dataclasses import dataclass

import numpy as np

from linkage.synthetic.addresses import addresses, addresses_abroad, said_birth_places
from linkage.synthetic.columns import Ints, Mask, Text, calendar, choose, pick, text
from linkage.synthetic.families import Kin
from linkage.synthetic.mix import Mix
from linkage.synthetic.places import Places
from linkage.synthetic.pools import GroupedPool, Pool
from linkage.synthetic.practices import foreign_countries
from linkage.synthetic.tables import rows


@dataclass(frozen=True)
class Residence:
    """Columns over the population.

    Attributes:
        household: the person whose household it is; people of one share card and address.
        birth_district: where the birth was registered.
        home_district: home in the country; for people abroad, the home they left.
        birth_place: as the person says it.
        address: at home.
        mission: post abroad, -1 at home; a row of the missions table.
        country: ISO code of the country of residence.
        address_abroad: null at home.
    """

    household: Ints
    birth_district: Ints
    home_district: Ints
    birth_place: Text
    address: Text
    mission: Ints
    country: Text
    address_abroad: Text

    @property
    def abroad(self) -> Mask:
        """Return who lives abroad."""
        return self.mission >= 0


def settle(
    rng: np.random.Generator, kin: Kin, country_of: Ints, today: int, mix: Mix, country: Places
) -> Residence:
    """Return where the population was born and lives.

    Args:
        rng: source of randomness.
        kin: all persons.
        country_of: foreign country of birth, -1 for those born Indonesian.
        today: reference date.
        mix: share of people abroad.
        country: the map.
    """
    n = kin.n_living
    everyone = len(kin.birth)
    origin = country.regency_in_province.draw(rng, kin.province)
    moves = rng.random(everyone) < 0.3
    home = np.where(moves, country.someone_elses_regency(rng, origin), origin)
    home_district = country.district_in_regency.draw(rng, home)
    with_father = rng.random(n) < 0.75
    born_in = np.where(with_father, home[kin.father[:n]], origin[:n])
    birth_district = country.district_in_regency.draw(rng, born_in)
    age = (today - kin.birth[:n]) / 365.25
    household = np.arange(n, dtype=np.int64)
    wife = kin.female[:n] & (kin.spouse[:n] >= 0)
    household[wife] = kin.spouse[:n][wife]
    at_home = (kin.spouse[:n] < 0) & (age < rng.uniform(18, 28, n))
    household[at_home] = kin.father[:n][at_home]
    missions = rows("synthetic_missions.csv")
    native = country_of[:n] < 0
    left = rng.random(everyone) < mix.abroad
    post = Pool(range(len(missions)), [float(m["weight"]) for m in missions]).draw(rng, everyone)
    mission = np.where(left[household] & native, post[household], -1)
    cities = text([m["city"] for m in missions])
    codes = text([m["country"] for m in missions])
    born_abroad = (mission >= 0) & at_home & (age < 18) & (rng.random(n) < 0.45)
    born_abroad |= kin.dual[:n] & (rng.random(n) < 0.3)
    birth_post = np.where(born_abroad, post[household], -1)
    birth_post[~native] = _home_cities(rng, country_of[:n][~native])
    born_year = calendar(kin.birth[:n])[0]
    said = said_birth_places(rng, birth_district, born_year, country)
    home_district = home_district[household]
    return Residence(
        household=household,
        birth_district=birth_district,
        home_district=home_district,
        birth_place=choose(birth_post >= 0, pick(cities, birth_post), said),
        address=_by_household(household, addresses(rng, home_district, country)),
        mission=mission,
        country=choose(mission >= 0, pick(codes, mission), "IDN"),
        address_abroad=addresses_abroad(rng, pick(cities, mission)),
    )


def _by_household(household: Ints, drawn: Text) -> Text:
    """Return the address that the first member of each household drew."""
    _, first, member = np.unique(household, return_index=True, return_inverse=True)
    return pick(drawn, first[member])


def _home_cities(rng: np.random.Generator, country_of: Ints) -> Ints:
    """Return a city of each person's foreign country, as a row of the missions table."""
    codes = foreign_countries()
    known = [
        (codes.index(m["country"]), i)
        for i, m in enumerate(rows("synthetic_missions.csv"))
        if m["country"] in codes
    ]
    pairs = np.array(known)
    pool = GroupedPool(pairs[:, 0], pairs[:, 1], np.ones(len(pairs)), len(codes))
    return pool.draw(rng, country_of)
