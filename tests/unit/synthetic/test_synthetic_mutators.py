import re

import numpy as np
import pytest

from linkage.synthetic import letters, name_errors, value_errors
from linkage.synthetic.cells import Cells, Mutator
from linkage.synthetic.columns import days, text
from linkage.synthetic.spellings import old_forms, short_forms, sound_forms, split_forms
from linkage.synthetic.vocabulary import modern_spelling


def after(mutate: Mutator, value: str, n: int = 60, column: str = "nama", **facts: str) -> set[str]:
    """Apply a mutator to n copies of a value; return all that came of it."""
    known = {name: text([fact] * n) for name, fact in facts.items()}
    cells = Cells(text([value] * n), known, np.arange(n), days("2026-01-01"), column)
    return set(mutate(np.random.default_rng(1), cells).to_pylist())


@pytest.mark.parametrize(
    ("mutate", "value", "expected"),
    [
        (name_errors.join_words, "SRI WAHYUNI", {"SRIWAHYUNI"}),
        (name_errors.join_words, "SUHARTO", {"SUHARTO"}),
        (name_errors.split_word, "NURHAYATI", {"NUR HAYATI"}),
        (name_errors.drop_word, "ABDUL RAHMAN SALEH", {"ABDUL RAHMAN", "ABDUL SALEH"}),
        (name_errors.drop_word, "SUHARTO", {"SUHARTO"}),
        (name_errors.drop_word, "DEDEH, S.PD.", {"DEDEH"}),
        (name_errors.write_initial, "BUDI SANTOSO", {"BUDI S."}),
        (name_errors.reorder_words, "RUTH HUTABARAT", {"HUTABARAT RUTH", "HUTABARAT, RUTH"}),
        (name_errors.fill_single_name, "SUHARTO", {"SUHARTO SUHARTO", "FNU SUHARTO"}),
        (name_errors.fill_single_name, "SRI WAHYUNI", {"SRI WAHYUNI"}),
        (name_errors.honour_mother, "SUMIATI", {"NY. SUMIATI", "IBU SUMIATI", "ALMH. SUMIATI"}),
        (name_errors.respell_muhammad, "AHMAD ALI", {"AHMAD ALI"}),
        (value_errors.swap_day_month, "1990-04-05", {"1990-05-04"}),
        (value_errors.swap_day_month, "1990-04-25", {"1990-04-25"}),
        (value_errors.miss_year, "1990-04-25", {"1989-04-25", "1991-04-25"}),
        (value_errors.miss_year, "2000-02-29", {"2000-02-29"}),
        (value_errors.miscode_sex, "L", {"P"}),
        (value_errors.miscode_sex, "P", {"L"}),
        (value_errors.use_former_place, "BOGOR", {"BUITENZORG"}),
        (value_errors.use_former_place, "SLEMAN", {"SLEMAN"}),
        (value_errors.leave_out, "X", {None}),
        (
            value_errors.write_placeholder,
            "1951-03-09",
            {"1951-07-01", "1951-12-31", "1951-01-01", "1951-08-17"},
        ),
        (
            value_errors.blank_number,
            "0017034705900001",
            {"0000000000000000", "0017034705900000"},
        ),
    ],
)
def test_mutator_gives_exactly_these(mutate: Mutator, value: str, expected: set[str]) -> None:
    assert after(mutate, value) == expected


def test_muhammad_is_abbreviated_and_respelt_as_in_the_register() -> None:
    short = after(name_errors.abbreviate, "MUHAMMAD RIZKY", n=400)
    assert {"M. RIZKY", "M RIZKY", "MUH. RIZKY", "MOH. RIZKY"} <= short
    forms = after(name_errors.respell_muhammad, "MUHAMMAD RIZKY", n=400)
    assert {"MUHAMAD RIZKY", "MOHAMMAD RIZKY"} <= forms
    assert "MUHAMMAD RIZKY" not in forms


def test_sound_variants_come_from_one_group() -> None:
    assert {form for form, _ in sound_forms("RIZKY")} >= {"RIZKI", "RISKI", "RISKY"}
    assert "RIZKY" not in dict(sound_forms("RIZKY"))
    assert sound_forms("QXJW") == []
    assert ("ST.", 95.0) in short_forms("SITI")
    assert split_forms("NURUL") == []


@pytest.mark.parametrize(
    ("word", "old"),
    [
        ("SUKARNO", "SOEKARNO"),
        ("JOKO", "DJOKO"),
        ("CIPTO", "TJIPTO"),
        ("WIJAYA", "WIDJAJA"),
        ("SYAHRIR", "SJAHRIR"),
        ("NYOTO", "NJOTO"),
        ("SUSILO", "SOESILO"),
    ],
)
def test_old_spelling_is_the_one_of_its_time(word: str, old: str) -> None:
    assert old in {form for form, _ in old_forms(word)}
    assert modern_spelling(old) in (word, word.replace("NY", "NJ"))


def test_words_without_an_older_form_stay() -> None:
    assert old_forms("ALI") == []
    assert old_forms("BAMBANG") == []
    assert all("TJH" not in form for form, _ in old_forms("RACHMAN"))


def test_titles_fit_sex_and_age() -> None:
    old = after(name_errors.add_title, "AMINAH", n=400, sex="P", birth_year="1950")
    assert {"HJ. AMINAH", "DRA. AMINAH", "AMINAH, S.PD."} <= old
    assert not any(name.startswith(("H. ", "DRS. ")) for name in old)
    assert after(name_errors.add_title, "AMINAH", n=400, sex="P", birth_year="2015") == {"AMINAH"}


def test_titles_of_parents_fit_the_parent_and_not_the_child() -> None:
    facts = {"sex": "L", "birth_year": "2000"}
    mother = after(name_errors.add_title, "AMINAH", n=400, column="nama_ibu", **facts)
    assert "HJ. AMINAH" in mother
    assert "H. AMINAH" not in mother
    father = after(name_errors.add_title, "HASAN", n=400, column="nama_ayah", **facts)
    assert "H. HASAN" in father


def test_facts_are_used_where_known() -> None:
    assert after(name_errors.add_father, "SULASTRI", father_name="KARTO WIRYO") == {
        "SULASTRI KARTO"
    }
    assert after(name_errors.add_father, "SULASTRI") == {"SULASTRI"}
    assert after(name_errors.use_other_name, "SIOE LIONG", alias="SUDONO SALIM") == {"SUDONO SALIM"}
    assert after(name_errors.use_other_name, "SUDONO") == {"SUDONO"}
    assert after(value_errors.borrow_number, "1", relative_nik="2") == {"2"}
    assert after(value_errors.give_card_number, "1", kk="2") == {"2"}
    assert after(value_errors.give_old_passport, "Z1", former_passport="V1") == {"V1"}
    known = {"birth_regency_name": "BOGOR", "birth_district_name": "CIAWI"}
    assert after(value_errors.name_district, "BOGOR", **known) == {"CIAWI"}
    assert after(value_errors.name_district, "CIAWI", **known) == {"BOGOR"}
    kind = {**known, "birth_regency_kind": "KAB"}
    assert after(value_errors.add_regency_kind, "BOGOR", **kind) == {"KAB. BOGOR"}
    assert after(value_errors.add_regency_kind, "DEN HAAG", **kind) == {"DEN HAAG"}


def test_addresses_are_written_by_other_habits_and_moves_lead_elsewhere() -> None:
    home = "JL. MELATI NO. 9 RT 001/RW 002, CIAWI, BOGOR"
    assert after(value_errors.shorten_address, home) == {
        "JALAN MELATI NO. 9 RT 001/RW 002, CIAWI, BOGOR",
        "JL. MELATI NO. 9 RT.001/002, CIAWI, BOGOR",
        "JL. MELATI NO. 9 RT 001/RW 002, CIAWI",
    }
    moved = after(value_errors.move_house, home, home_district="5")
    assert home not in moved
    assert all(re.search(r" RT \d{3}/RW \d{3}, ", address) for address in moved)


def test_names_are_cut_between_15_and_30_characters() -> None:
    name = "ANAK AGUNG NGURAH MADE WIRAWAN SUPARTA"
    cut = after(name_errors.cut_short, name, n=300)
    assert all(name.startswith(part) and 14 <= len(part) <= 30 for part in cut)
    assert after(name_errors.cut_short, "BUDI") == {"BUDI"}


def test_slips_of_the_finger_do_what_they_say() -> None:
    assert after(letters.swap_letters, "SITI") == {"ISTI", "STII", "SIIT"}
    assert after(letters.omit_letter, "SITI") == {"ITI", "STI", "SII", "SIT"}
    assert after(letters.omit_letter, "LI") == {"LI"}
    assert after(letters.double_letter, "ALI") == {"AALI", "ALLI", "ALII"}
    assert after(letters.strike_neighbour, "A") == {"Q", "S", "Z"}
    assert after(letters.misread_letter, "O") == {"Q", "0"}
    assert after(letters.misread_letter, "AK") == {"AK"}


def test_digits_slip_behind_the_province_only() -> None:
    for mutate in (value_errors.slip_number, value_errors.swap_digits):
        slipped = after(mutate, "0017034705900001", n=300)
        assert len(slipped) > 3
        assert all(re.fullmatch(r"00\d{14}", number) for number in slipped)
        assert {number[:2] for number in after(mutate, "Z1234567")} == {"Z1"}
