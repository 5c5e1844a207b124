"""Indonesian people who do not exist: persons, families and documents.

Decides who there is and what is true of them. What an agency's register says of
them, and gets wrong, is left to `registers` and `corrupt`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from linkage.synthetic import identifiers
from linkage.synthetic.aliases import other_names
from linkage.synthetic.births import is_placeholder
from linkage.synthetic.columns import (
    Ints,
    Mask,
    Text,
    choose,
    dates,
    days,
    pick,
    text,
)
from linkage.synthetic.families import Kin, raise_families
from linkage.synthetic.mix import Mix
from linkage.synthetic.naming import Names, give_names, render
from linkage.synthetic.places import Places, places
from linkage.synthetic.practices import foreign_countries
from linkage.synthetic.residence import Residence, settle
from linkage.synthetic.streams import stream
from linkage.synthetic.tables import rows
from linkage.synthetic.vocabulary import Vocabulary, vocabulary

REFERENCE_DATE = "2026-01-01"
MAX_PERSONS = 5_000_000


@dataclass(frozen=True)
class Population:
    """People and what is true of them.

    Attributes:
        persons: one row per person; `entity_id` counts from 1. Names and places are in
            upper case, `sex` is L or P. `father_id` and the like are null for persons
            outside the population, `father_name` and `mother_name` never are. The
            columns `birth_district` and `home_district` are rows of `places()`.
        families: one row per pair of parents of at least one person: `family_id`,
            `father_id`, `mother_id`, `father_name`, `mother_name`, `n_children`.
        passports: one row per Indonesian passport: `entity_id`, `number`, `issued`,
            `expires`, `age` (0 for the latest).
        reference_date: the day on which all of this holds.
    """

    persons: pa.Table
    families: pa.Table
    passports: pa.Table
    reference_date: str


def generate_population(
    n_persons: int,
    seed: int,
    reference_date: str = REFERENCE_DATE,
    mix: Mix | None = None,
) -> Population:
    """Return a population of `n_persons`; equal arguments give equal tables.

    Args:
        n_persons: 1 to `MAX_PERSONS`.
        seed: 0 or more.
        reference_date: the day, as YYYY-MM-DD, that ages are counted to.
        mix: shares of people abroad, foreigners, twins and so on.

    Raises:
        ValueError: a number out of range, or a date that does not parse.
    """
    if not 1 <= n_persons <= MAX_PERSONS:
        raise ValueError(f"n_persons is 1 to {MAX_PERSONS}")
    mix = mix or Mix()
    today, country, words = days(reference_date), places(), vocabulary()
    kin = raise_families(stream(seed, "families"), n_persons, today, mix, country)
    country_of = _foreign_country(stream(seed, "foreign"), kin)
    names = give_names(stream(seed, "names"), kin, country_of, words)
    namesakes = _make_namesakes(stream(seed, "namesakes"), kin, names, mix)
    rng = stream(seed, "aliases")
    citizen = kin.foreign[:n_persons] & (rng.random(n_persons) < mix.naturalised)
    alias, alias_kind = other_names(
        rng, kin, names, np.flatnonzero(citizen), country.groups.index("chinese"), mix, words
    )
    home = settle(stream(seed, "residence"), kin, country_of, today, mix, country)
    persons = _persons(seed, kin, names, home, country_of, citizen, today, mix, country, words)
    persons |= {"alias": alias, "alias_kind": alias_kind, "namesake": pa.array(namesakes)}
    table = pa.table(persons)
    return Population(
        persons=table,
        families=_families(kin, table),
        passports=_passports(stream(seed, "passports"), kin, home, country_of, citizen, today, mix),
        reference_date=reference_date,
    )


def _foreign_country(rng: np.random.Generator, kin: Kin) -> Ints:
    """Return the foreign country of each person, -1 for those born Indonesian."""
    drawn = rng.integers(0, len(foreign_countries()), len(kin.birth))
    child = np.flatnonzero(kin.foreign[: kin.n_living])
    for parent in (kin.father[child], kin.mother[child]):
        drawn[parent] = drawn[child]
    return np.where(kin.foreign, drawn, -1)


def _make_namesakes(rng: np.random.Generator, kin: Kin, names: Names, mix: Mix) -> Mask:
    """Give some persons the name of another one of their sex and province."""
    n = kin.n_living
    order = np.lexsort((rng.random(n), kin.province[:n], kin.female[:n]))
    one, other = order[:-1], order[1:]
    suits = (kin.female[one] == kin.female[other]) & ~kin.foreign[one] & ~kin.foreign[other]
    chosen = suits & (rng.random(len(one)) < mix.namesakes)
    names.slots[other[chosen]] = names.slots[one[chosen]]
    names.n_given[other[chosen]] = names.n_given[one[chosen]]
    marked = np.zeros(n, dtype=np.bool_)
    marked[other[chosen]] = True
    return marked


def _persons(
    seed: int,
    kin: Kin,
    names: Names,
    home: Residence,
    country_of: Ints,
    citizen: Mask,
    today: int,
    mix: Mix,
    country: Places,
    words: Vocabulary,
) -> dict[str, Any]:
    """Return the columns of the persons table but the aliases."""
    n = kin.n_living
    rng = stream(seed, "documents")
    full_names = render(names.slots, words)
    codes = text(foreign_countries())
    foreigner = kin.foreign[:n] & ~citizen
    nationality = choose(foreigner, pick(codes, country_of[:n]), "IDN")
    foreign_parent = np.maximum(country_of[kin.father[:n]], country_of[kin.mother[:n]])
    second = pick(codes, np.where(kin.dual[:n], foreign_parent, -1))
    born = kin.birth[:n]
    stale = rng.random(n) < mix.stale_nik
    recorded = np.where(stale, born - rng.integers(1, 400, n), born)
    nik = identifiers.niks(
        rng, country.district_codes[home.birth_district], recorded, kin.female[:n]
    )
    # Foreigners with a permit can hold a NIK; Indonesians born abroad may have none yet.
    without = (foreigner & (rng.random(n) < 0.4)) | (home.abroad & (rng.random(n) < 0.12))
    _, first, member = np.unique(home.household, return_index=True, return_inverse=True)
    issued = today - rng.integers(30, 12 * 365, len(first))
    cards = identifiers.family_cards(rng, country.district_codes[home.home_district[first]], issued)
    documents = {
        "foreign_passport": (foreigner | kin.dual[:n], identifiers.foreign_passports),
        "permit": (foreigner, identifiers.stay_permits),
        "certificate": (kin.dual[:n], identifiers.certificates),
    }
    missions = text([row["mission"] for row in rows("synthetic_missions.csv")])
    slots = names.slots[:n]
    old = words.old[np.maximum(slots, 0)] & (slots >= 0)
    return {
        "entity_id": pa.array(np.arange(1, n + 1)),
        "name": full_names.slice(0, n),
        "sex": choose(kin.female[:n], "P", "L"),
        "birth_date": dates(born),
        "birth_place": home.birth_place,
        "ethnic_group": pick(text(country.groups), np.where(kin.foreign[:n], -1, kin.group[:n])),
        "nationality": nationality,
        "second_nationality": second,
        "nik": choose(without, None, nik),
        "stale_nik": pa.array(stale),
        "kk": choose(home.abroad & without, None, pick(cards, member)),
        "household": pa.array(member.astype(np.int64) + 1),
        "father_id": _person_ids(kin.father[:n], n),
        "mother_id": _person_ids(kin.mother[:n], n),
        "spouse_id": _person_ids(kin.spouse[:n], n),
        "father_name": pick(full_names, kin.father[:n]),
        "mother_name": pick(full_names, kin.mother[:n]),
        "birth_district": pa.array(home.birth_district),
        "home_district": pa.array(home.home_district),
        "address": home.address,
        "postcode": pick(country.postcodes, home.home_district),
        "residence": home.country,
        "mission": pick(missions, home.mission),
        "address_abroad": home.address_abroad,
        **{
            column: _for_some(rng, holders, numbers)
            for column, (holders, numbers) in documents.items()
        },
        "twin": pa.array(kin.twin[:n]),
        "has_sibling": pa.array(_has_sibling(kin)),
        "old_spelling": pa.array(np.logical_or.reduce(old, axis=1)),
        "placeholder_date": pa.array(is_placeholder(born)),
    }


def _for_some(rng: np.random.Generator, holders: Mask, numbers: "identifiers.Numbering") -> Text:
    """Return numbers for `holders`, null for the others."""
    row = np.where(holders, np.cumsum(holders) - 1, -1)
    return pick(numbers(rng, int(holders.sum())), row)


def _person_ids(persons: Ints, n: int) -> "pa.Array[Any]":
    """Return entity ids, null for persons outside the population."""
    return pa.array(persons + 1, pa.int64(), mask=(persons < 0) | (persons >= n))


def _has_sibling(kin: Kin) -> Mask:
    mothers = kin.mother[: kin.n_living]
    counts = np.bincount(mothers, minlength=1)
    shared: Mask = counts[mothers] > 1
    return shared


def _families(kin: Kin, persons: pa.Table) -> pa.Table:
    n = kin.n_living
    mothers, first, count = np.unique(kin.mother[:n], return_index=True, return_counts=True)
    parents = persons.select(["father_id", "mother_id", "father_name", "mother_name"])
    couples: pa.Table = parents.take(pa.array(first))  # type: ignore[arg-type]  # stubs: no ints
    couples = couples.append_column("n_children", pa.array(count))
    return couples.add_column(0, "family_id", pa.array(np.arange(1, len(mothers) + 1)))


def _passports(
    rng: np.random.Generator,
    kin: Kin,
    home: Residence,
    country_of: Ints,
    citizen: Mask,
    today: int,
    mix: Mix,
) -> pa.Table:
    n = kin.n_living
    indonesian = (country_of[:n] < 0) | citizen
    chance = np.where(home.abroad, 0.97, np.where(kin.dual[:n], 0.8, mix.passports))
    chance = np.where(mix.passports == 1.0, 1.0, chance)
    holders = np.flatnonzero(indonesian & (rng.random(n) < chance))
    held = identifiers.passports(rng, holders, kin.birth[holders], today)
    return pa.table(
        {
            "entity_id": pa.array(held.person + 1),
            "number": held.number,
            "issued": dates(held.issued),
            "expires": dates(held.expires),
            "age": pa.array(held.age),
        }
    )
