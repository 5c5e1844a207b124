import hashlib
from collections import Counter
from datetime import date
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from linkage.synthetic import Mix, Population, generate_population
from linkage.synthetic.tables import rows

MUHAMMADS = {row["form"] for row in rows("synthetic_muhammad_forms.csv")}


def digest(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue().to_pybytes()).hexdigest()


def test_same_seed_gives_identical_bytes_and_another_seed_does_not() -> None:
    first, again, other = (generate_population(500, seed) for seed in (3, 3, 4))
    for name in ("persons", "families", "passports"):
        assert digest(getattr(first, name)) == digest(getattr(again, name))
        assert digest(getattr(first, name)) != digest(getattr(other, name))


@pytest.mark.parametrize("n", [1, 2, 10, 57])
def test_small_populations_have_every_column_filled_as_the_large_have(n: int) -> None:
    small = generate_population(n, seed=n)
    assert small.persons.num_rows == n
    for column in ("name", "sex", "birth_date", "birth_place", "mother_name", "father_name"):
        assert small.persons[column].null_count == 0


@pytest.mark.parametrize("n", [0, -1, 5_000_001])
def test_sizes_out_of_range_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="n_persons"):
        generate_population(n, seed=1)


def test_negative_seeds_and_shares_above_one_are_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        generate_population(1, seed=-1)
    with pytest.raises(ValueError, match="abroad, twins"):
        Mix(abroad=1.5, twins=-0.1)


def test_every_number_of_a_person_is_of_province_00(people: Population) -> None:
    for column in ("nik", "kk"):
        numbers = people.persons[column].drop_null()
        assert pc.all(pc.match_substring_regex(numbers, r"^00\d{14}$")).as_py()


def test_niks_are_distinct_and_carry_birth_date_with_forty_added_for_women(
    people: Population,
) -> None:
    numbers = people.persons["nik"].drop_null()
    assert len(numbers.unique()) == len(numbers)
    for row in people.persons.slice(0, 4000).to_pylist():
        if row["nik"] is None or row["stale_nik"]:
            continue
        born: date = row["birth_date"]
        day = born.day + (40 if row["sex"] == "P" else 0)
        assert row["nik"][6:12] == f"{day:02}{born.month:02}{born.year % 100:02}"
        assert row["nik"][12:] != "0000"


def test_a_few_niks_disagree_with_a_corrected_birth_date(people: Population) -> None:
    assert 0.002 < pc.mean(people.persons["stale_nik"]).as_py() < 0.009


def test_passport_numbers_are_distinct_and_of_series_not_in_use(people: Population) -> None:
    numbers = people.passports["number"]
    assert len(numbers.unique()) == len(numbers)
    assert pc.all(pc.match_substring_regex(numbers, r"^[QUVZ]\d{7}$")).as_py()
    assert pc.all(pc.less(people.passports["issued"], people.passports["expires"])).as_py()


def test_every_renewal_has_an_earlier_date(people: Population) -> None:
    by_person: dict[int, list[tuple[int, date]]] = {}
    for row in people.passports.to_pylist():
        by_person.setdefault(row["entity_id"], []).append((row["age"], row["issued"]))
    assert any(len(held) > 1 for held in by_person.values())
    for held in by_person.values():
        issued = [when for _, when in sorted(held)]
        assert issued == sorted(issued, reverse=True)


def test_names_fit_the_documents_and_the_register_s_shares(people: Population) -> None:
    table = people.persons
    assert pc.max(pc.utf8_length(table["name"])).as_py() <= 60
    men = table.filter(pc.equal(table["sex"], "L"))["name"].to_pylist()
    women = table.filter(pc.equal(table["sex"], "P"))["name"].to_pylist()
    assert sum(" " not in n for n in men) / len(men) == pytest.approx(0.285, abs=0.03)
    assert sum(" " not in n for n in women) / len(women) == pytest.approx(0.327, abs=0.03)
    called = sum(bool(MUHAMMADS & set(n.split()[:2])) for n in men) / len(men)
    assert called == pytest.approx(0.174, abs=0.03)
    assert sum(bool(MUHAMMADS & set(n.split()[:1])) for n in women) / len(women) < 0.005


def test_names_hold_no_digits_and_no_abbreviations(people: Population) -> None:
    assert not pc.any(pc.match_substring_regex(people.persons["name"], r"[0-9.,]")).as_py()


def test_age_structure_follows_the_census(people: Population) -> None:
    births = people.persons["birth_date"].to_pylist()
    ages = [(date(2026, 1, 1) - born).days / 365.25 for born in births]
    assert min(ages) >= 0
    assert sum(a < 15 for a in ages) / len(ages) == pytest.approx(0.233, abs=0.02)
    assert sum(a >= 65 for a in ages) / len(ages) == pytest.approx(0.0595, abs=0.015)


def test_birth_dates_of_the_old_heap_on_placeholders(people: Population) -> None:
    old, young = Counter(), Counter()
    for born in people.persons["birth_date"].to_pylist():
        (old if born.year < 1960 else young)[born.month, born.day] += 1
    heaped = [(7, 1), (12, 31), (1, 1), (8, 17)]
    assert sum(old[day] for day in heaped) / old.total() > 0.15
    assert sum(young[day] for day in heaped) / young.total() < 0.06


def test_parents_names_are_those_of_the_parents_and_their_ages_fit(people: Population) -> None:
    persons = {row["entity_id"]: row for row in people.persons.to_pylist()}
    checked = 0
    for child in persons.values():
        for role in ("father", "mother"):
            if child[f"{role}_id"] is None:
                continue
            parent = persons[child[f"{role}_id"]]
            assert child[f"{role}_name"] == parent["name"]
            assert parent["sex"] == ("L" if role == "father" else "P")
            years = (child["birth_date"] - parent["birth_date"]).days / 365.25
            assert 15 < years < 75
            checked += 1
    assert checked > 5_000


def test_siblings_are_ten_months_apart_unless_they_are_twins_or_undated(
    people: Population,
) -> None:
    children: dict[int, list[dict[str, object]]] = {}
    for row in people.persons.to_pylist():
        if row["mother_id"] is not None:
            children.setdefault(row["mother_id"], []).append(row)
    twins = 0
    for family in children.values():
        family.sort(key=lambda row: row["birth_date"])
        for one, other in pairwise(family):
            gap = (other["birth_date"] - one["birth_date"]).days
            if one["twin"] and other["twin"] and gap == 0:
                twins += 1
            else:
                assert gap >= 300
    assert twins > 20


def test_one_household_has_one_card_and_one_address(people: Population) -> None:
    seen: dict[int, tuple[object, object]] = {}
    for row in people.persons.to_pylist():
        if row["kk"] is None:
            continue
        known = seen.setdefault(row["household"], (row["kk"], row["address"]))
        assert known == (row["kk"], row["address"])
    assert len(seen) < people.persons.num_rows


def test_families_count_the_children_that_are_there(people: Population) -> None:
    assert pc.sum(people.families["n_children"]).as_py() == people.persons.num_rows


def test_groups_name_their_children_as_they_do(people: Population) -> None:
    table = people.persons
    balinese = table.filter(
        pc.and_(
            pc.equal(table["ethnic_group"], "balinese"), pc.is_null(table["second_nationality"])
        )
    )["name"].to_pylist()
    order = {"WAYAN", "PUTU", "GEDE", "LUH", "MADE", "KADEK", "NENGAH", "NYOMAN", "KOMANG", "KETUT"}
    assert sum(bool(order & set(name.split())) for name in balinese) / len(balinese) > 0.75
    batak = table.filter(pc.equal(table["ethnic_group"], "batak")).to_pylist()
    same = [r["name"].split()[-1] == r["father_name"].split()[-1] for r in batak]
    assert sum(same) / len(same) > 0.9
    assert {"papuan", "minahasan", "moluccan", "chinese", "arab", "bugis"} <= set(
        table["ethnic_group"].to_pylist()
    )


def test_people_abroad_foreigners_and_dual_children_have_their_papers(people: Population) -> None:
    for row in people.persons.to_pylist():
        assert (row["mission"] is None) == (row["residence"] == "IDN")
        foreign = row["nationality"] != "IDN"
        assert (row["permit"] is not None) == foreign
        assert (row["certificate"] is not None) == (row["second_nationality"] is not None)
        if foreign:
            assert row["foreign_passport"].startswith("QZ")
        if row["second_nationality"]:
            assert row["foreign_passport"].startswith("QZ")
            assert len(row["second_nationality"]) == 3


def test_other_names_differ_and_have_a_known_reason(people: Population) -> None:
    other = people.persons.filter(pc.is_valid(people.persons["alias"]))
    assert pc.all(pc.not_equal(other["alias"], other["name"])).as_py()
    kinds = set(other["alias_kind"].to_pylist())
    assert {"married", "changed", "former", "dual"} <= kinds
    assert people.persons["alias"].null_count == people.persons["alias_kind"].null_count


def test_mix_sets_the_shares() -> None:
    everyone = generate_population(
        400, 1, mix=Mix(passports=1.0, abroad=1.0, foreign=0.0, dual=0.0)
    )
    assert len(everyone.passports["entity_id"].unique()) == 400
    assert everyone.persons["mission"].null_count == 0
    nobody = generate_population(400, 1, mix=Mix(passports=0.0, abroad=0.0, foreign=0.0, dual=0.0))
    assert nobody.passports.num_rows == 0
    assert nobody.persons["mission"].null_count == 400


def test_no_birth_is_after_the_reference_date() -> None:
    early = generate_population(2_000, 1, reference_date="1999-06-30")
    assert pc.max(early.persons["birth_date"]).as_py() <= date(1999, 6, 30)
