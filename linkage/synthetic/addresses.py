"""Addresses and birth places, as people write them."""

import numpy as np
import pyarrow as pa

from linkage.synthetic.columns import Ints, Mask, Text, choose, digits, join, pc, pick, plain, text
from linkage.synthetic.places import Places
from linkage.synthetic.tables import rows


def addresses(rng: np.random.Generator, districts: Ints, country: Places) -> Text:
    """Return an address in each of `districts`: street or hamlet, RT/RW, district, regency."""
    n = len(districts)
    streets = text(
        [row["word"] for row in rows("synthetic_streets.csv") if row["kind"] == "street"]
    )
    hamlets = text(
        [row["word"] for row in rows("synthetic_streets.csv") if row["kind"] == "hamlet"]
    )
    regency = country.district_regency[districts]
    rural = rng.random(n) < 0.35
    number = pc.cast(pa.array(rng.integers(1, 180, n)), pa.string())
    street = join(["JL. ", pick(streets, rng.integers(0, len(streets), n)), " NO. ", number])
    hamlet = join(["DUSUN ", pick(hamlets, rng.integers(0, len(hamlets), n))])
    return join(
        [
            choose(rural, hamlet, street),
            " RT ",
            digits(rng.integers(1, 16, n), 3),
            "/RW ",
            digits(rng.integers(1, 13, n), 3),
            ", ",
            pick(country.districts, districts),
            ", ",
            pick(country.regencies, regency),
        ]
    )


def addresses_abroad(rng: np.random.Generator, cities: Text) -> Text:
    """Return a block and number in each of `cities`, null where the city is."""
    n = len(cities)
    number = pc.cast(pa.array(rng.integers(1, 400, n)), pa.string())
    block = pick(text([chr(65 + i) for i in range(26)]), rng.integers(0, 26, n))
    full = join(["BLOCK ", block, "-", number, ", ", cities])
    return choose(np.asarray(cities.is_valid()), full, None)


def said_birth_places(
    rng: np.random.Generator, districts: Ints, birth_year: Ints, country: Places
) -> Text:
    """Return birth places in the words of the person.

    Mostly the bare name of the regency, at times with KAB. or KOTA, or the district;
    all of Jakarta is Jakarta. A name that has since changed is the name of that time.
    """
    n = len(districts)
    regency = country.district_regency[districts]
    name = pick(country.regencies, regency)
    in_jakarta = np.asarray(
        pc.starts_with(country.regencies, "JAKARTA").to_numpy(zero_copy_only=False)
    )[regency]
    drawn = rng.random(n)
    named = choose(in_jakarta & (drawn < 0.85), "JAKARTA", name)
    named = former_names(named, birth_year, rng.random(n) < 0.6)
    kinds = choose(
        np.asarray(pc.equal(country.regency_kinds, "KOTA").to_numpy(zero_copy_only=False)),
        "KOTA ",
        "KAB. ",
    )
    named = choose(~in_jakarta & (drawn < 0.03), join([pick(kinds, regency), named]), named)
    return choose(drawn > 0.90, pick(country.districts, districts), named)


def former_names(names: Text, year: Ints, among: Mask | None = None) -> Text:
    """Return the names that places had in `year`, where they have since been renamed."""
    changed = names
    for row in rows("synthetic_renames.csv"):
        hit = np.asarray(
            pc.fill_null(pc.equal(names, row["name"]), fill_value=False).to_numpy(
                zero_copy_only=False
            )
        ) & (year < int(row["until"]))
        if among is not None:
            hit &= among
        if hit.any():
            changed = choose(hit, row["former"], changed)
    return plain(changed)
