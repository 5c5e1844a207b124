import csv
import io
import re
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from linkage.synthetic import (
    AGENCIES,
    FAULTS,
    GRADES,
    GROUPS,
    Grade,
    Mix,
    Population,
    Registers,
    generate_population,
    make_registers,
    register_csv_chunks,
)

Cell = tuple[str, int, str]


def changed_cells(before: Registers, after: Registers) -> set[Cell]:
    """Compare two makings of the same registers cell by cell, in the plainest way."""
    cells = set()
    for name, old in before.tables.items():
        new = after.tables[name]
        assert new["entity_id"].equals(old["entity_id"])
        for column in old.column_names[2:]:
            pairs = zip(old[column].to_pylist(), new[column].to_pylist(), strict=True)
            cells |= {(name, i + 1, column) for i, (a, b) in enumerate(pairs) if a != b}
    return cells


def ledger_cells(registers: Registers) -> set[Cell]:
    return {(r["register"], r["record_id"], r["column"]) for r in registers.ledger.to_pylist()}


def csv_bytes(registers: Registers) -> bytes:
    return b"".join(
        chunk for table in registers.tables.values() for chunk in register_csv_chunks(table)
    )


def test_same_seed_gives_identical_files(few: Population) -> None:
    first, again, other = (
        make_registers(few, ["dukcapil", "imigrasi"], "dirty", seed) for seed in (1, 1, 2)
    )
    assert csv_bytes(first) == csv_bytes(again) != csv_bytes(other)
    assert first.ledger.equals(again.ledger)


@pytest.mark.parametrize("n", [1, 10])
def test_the_smallest_populations_have_registers(n: int) -> None:
    made = make_registers(generate_population(n, seed=2), list(AGENCIES), "dirty", seed=1)
    assert set(made.tables) == set(AGENCIES)
    assert made.groups.num_rows == n
    assert csv_bytes(made)


def test_registers_have_the_columns_and_forms_of_their_agencies(ordinary: Registers) -> None:
    for name, table in ordinary.tables.items():
        assert tuple(table.column_names) == ("record_id", "entity_id", *AGENCIES[name].columns)
    forms = {
        "dukcapil": (r"^\d\d-\d\d-\d{4}$", {"L", "P"}),
        "imigrasi": (r"^\d{4}-\d\d-\d\d$", {"M", "F"}),
        "kemenlu": (r"^\d\d/\d\d/\d{4}$", {"L", "P"}),
        "ahu": (r"^\d\d-\d\d-\d{4}$", {"L", "P"}),
    }
    for name, (pattern, sexes) in forms.items():
        table = ordinary.tables[name]
        assert all(re.match(pattern, d) for d in table["tgl_lahir"].drop_null().to_pylist())
        assert set(table["jenis_kelamin"].drop_null().to_pylist()) == sexes


def test_passport_names_are_at_most_50_without_apostrophe_or_title(people: Population) -> None:
    table = make_registers(people, ["imigrasi"], "dirty", seed=1).tables["imigrasi"]
    names = table["nama"].to_pylist()
    assert max(map(len, names)) <= 50
    assert not any("'" in name or name.startswith(("H. ", "DRS. ", "HJ. ")) for name in names)


@pytest.mark.parametrize("grade", ["clean", "ordinary", "dirty"])
def test_no_number_names_a_real_province(people: Population, grade: str) -> None:
    for table in make_registers(people, list(AGENCIES), grade, seed=9).tables.values():
        for column in {"nik", "no_kk"} & set(table.column_names):
            numbers = table[column].drop_null().to_pylist()
            assert all(re.fullmatch(r"00\d{14}", number) for number in numbers)


def test_record_numbers_count_up_and_the_order_tells_nothing(ordinary: Registers) -> None:
    for table in ordinary.tables.values():
        assert table["record_id"].to_pylist() == list(range(1, table.num_rows + 1))
    order = ordinary.tables["dukcapil"]["entity_id"].to_pylist()
    rising = sum(a < b for a, b in pairwise(order)) / len(order)
    assert 0.45 < rising < 0.55


def test_switched_off_nothing_changes_and_the_ledger_is_empty(
    few: Population, untouched: Registers
) -> None:
    assert untouched.ledger.num_rows == 0
    truth = dict(zip(*(few.persons[c].to_pylist() for c in ("entity_id", "name")), strict=True))
    table = untouched.tables["dukcapil"]
    for entity, name in zip(*(table[c].to_pylist() for c in ("entity_id", "nama")), strict=True):
        assert name == truth[entity]


@pytest.mark.parametrize("mutator", list(FAULTS))
def test_each_mutator_changes_the_cells_of_the_ledger_and_no_others(
    mutator: str, few: Population, untouched: Registers
) -> None:
    alone = Grade("alone", {mutator: 0.45}, duplicates=0.0)
    made = make_registers(few, list(AGENCIES), alone, seed=5)
    cells = ledger_cells(made)
    assert cells
    assert cells == changed_cells(untouched, made)
    assert {column for _, _, column in cells} <= set(FAULTS[mutator].columns)
    assert set(made.ledger["mutator"].to_pylist()) == {mutator}


def test_every_changed_cell_is_in_the_ledger_when_errors_pile_up(
    few: Population, untouched: Registers
) -> None:
    grade = Grade("pile", GRADES["dirty"].rates, duplicates=0.0)
    made = make_registers(few, list(AGENCIES), grade, seed=5)
    assert changed_cells(untouched, made) <= ledger_cells(made)
    entities = {(n, r["record_id"]): r["entity_id"] for n, t in made.tables.items()
                for r in t.select(["record_id", "entity_id"]).to_pylist()}  # fmt: skip
    for row in made.ledger.to_pylist():
        assert entities[row["register"], row["record_id"]] == row["entity_id"]


def test_a_mutator_switched_off_leaves_the_choices_of_the_others(few: Population) -> None:
    dirty = GRADES["dirty"]
    full = make_registers(few, ["dukcapil"], dirty, seed=5).ledger
    less = make_registers(few, ["dukcapil"], dirty.without("moved", "date_slip"), seed=5).ledger
    kept = pc.invert(pc.is_in(full["mutator"].cast("string"), pa.array(["moved", "date_slip"])))
    for mutator in ("sex_miscoded", "muhammad_respelt", "missing"):
        one = full.filter(pc.and_(kept, pc.equal(full["mutator"].cast("string"), mutator)))
        other = less.filter(pc.equal(less["mutator"].cast("string"), mutator))
        assert one["record_id"].to_pylist() == other["record_id"].to_pylist()


def test_grades_are_ordered_by_the_share_of_changed_cells(
    few: Population, untouched: Registers
) -> None:
    cells = sum(t.num_rows * (t.num_columns - 2) for t in untouched.tables.values())
    shares = []
    for name in ("clean", "ordinary", "dirty"):
        grade = Grade(name, GRADES[name].rates, duplicates=0.0)
        changed = changed_cells(untouched, make_registers(few, list(AGENCIES), grade, seed=5))
        shares.append(len(changed) / cells)
    assert 0 < shares[0] < 0.02 < shares[1] < 0.15 < shares[2] < 0.4
    for fault in FAULTS.values():
        assert 0 <= fault.clean <= fault.ordinary <= fault.dirty <= 1
        assert fault.reason


def test_second_records_are_counted_in_the_ledger(few: Population) -> None:
    grade = Grade("double", {}, duplicates=0.2)
    made = make_registers(few, ["dukcapil"], grade, seed=1)
    entities = made.tables["dukcapil"]["entity_id"]
    assert len(entities) - len(entities.unique()) == made.ledger.num_rows > 400
    assert set(made.ledger["column"].to_pylist()) == {"record_id"}


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 1.0])
def test_overlap_is_as_asked(people: Population, overlap: float) -> None:
    names = ["dukcapil", "imigrasi", "kemenlu"]
    natural = make_registers(people, names, "off", seed=4)
    thinned = make_registers(people, names, "off", seed=4, overlap=overlap)
    before, after = (
        {name: set(t["entity_id"].to_pylist()) for name, t in made.tables.items()}
        for made in (natural, thinned)
    )

    def shared(held: dict[str, set[int]]) -> set[int]:
        return {e for s in held.values() for e in s if sum(e in o for o in held.values()) > 1}

    candidates = shared(before)
    assert len(shared(after)) == round(overlap * len(candidates))
    assert set().union(*after.values()) == set().union(*before.values())


def test_natural_holdings_are_those_of_the_agencies(people: Population) -> None:
    made = make_registers(people, list(AGENCIES), "off", seed=4)
    held = {name: set(t["entity_id"].to_pylist()) for name, t in made.tables.items()}
    n = people.persons.num_rows
    assert len(held["dukcapil"]) > 0.95 * n
    assert 0.18 * n < len(held["imigrasi"]) < 0.32 * n
    assert len(held["kemenlu"] & held["imigrasi"]) > 0.9 * len(held["kemenlu"])


def test_groups_flag_everyone_once_and_no_group_is_empty(
    ordinary: Registers, people: Population
) -> None:
    groups = ordinary.groups
    assert groups.column_names == ["entity_id", *GROUPS]
    assert groups["entity_id"].equals(people.persons["entity_id"])
    for name in GROUPS:
        assert 0 < pc.sum(groups[name]).as_py() < groups.num_rows


def test_csv_reads_back_as_the_table(ordinary: Registers) -> None:
    table = ordinary.tables["kemenlu"]
    raw = b"".join(register_csv_chunks(table, rows_per_chunk=7))
    read = list(csv.DictReader(io.StringIO(raw.decode())))
    assert [row["record_id"] for row in read] == [str(i) for i in table["record_id"].to_pylist()]
    for column in table.column_names[2:]:
        assert [row[column] for row in read] == [v or "" for v in table[column].to_pylist()]
    assert b"".join(register_csv_chunks(ordinary.ledger.slice(0, 3))).count(b"\n") == 4


def test_unknown_registers_grades_mutators_and_shares_are_refused(few: Population) -> None:
    for names in (["polri"], ["dukcapil", "dukcapil"], []):
        with pytest.raises(ValueError, match="register"):
            make_registers(few, names, "clean", seed=1)
    with pytest.raises(ValueError, match="no such grade"):
        make_registers(few, ["dukcapil"], "filthy", seed=1)
    with pytest.raises(ValueError, match="overlap"):
        make_registers(few, ["dukcapil"], "clean", seed=1, overlap=1.1)
    with pytest.raises(ValueError, match="no such mutators: typo"):
        Grade("mine", {"typo": 0.1}, 0.0)
    with pytest.raises(ValueError, match="rates"):
        Grade("mine", {"missing": 1.1}, 0.0)


def test_everyone_can_be_given_a_passport_for_a_large_second_register() -> None:
    people = generate_population(500, 1, mix=Mix(passports=1.0))
    made = make_registers(people, ["dukcapil", "imigrasi"], "clean", seed=1)
    assert made.tables["imigrasi"].num_rows >= 495
