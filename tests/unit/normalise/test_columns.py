"""Columns: shapes, missing values, sex, patronyms and readings by record."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from linkage.errors import ConfigError
from linkage.normalise.attributes import date_column, normalise_column, sex_column
from linkage.normalise.columns import NameColumn, SparseWords, words_by_value
from linkage.normalise.dates import Precision
from linkage.normalise.flags import DateFlag, IdFlag, WordClass
from linkage.normalise.namecolumns import name_column
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.places import PlaceColumn
from linkage.normalise.sexes import sex_codes
from linkage.normalise.text import fold_words

INDONESIAN = NormaliseOptions(language="indonesian")


def test_a_name_column_keeps_each_word_once_in_order_of_appearance() -> None:
    column = name_column(["Siti Aminah", None, "", "AMINAH, Siti", "Budi"], INDONESIAN)
    assert column.vocabulary == ["SITI", "AMINAH", "BUDI"]
    assert column.offsets.tolist() == [0, 2, 2, 2, 4, 5]
    assert column.word_ids.dtype == np.int32
    assert column.offsets.dtype == np.int64
    assert column.flags.dtype == np.uint32
    assert column.classes.tolist() == [WordClass.LIGHT, WordClass.FULL, WordClass.FULL]
    assert len(column) == 5


def test_an_empty_column_has_no_records() -> None:
    for values in ([], pa.chunked_array([], type=pa.string()), pa.nulls(0)):
        column = name_column(values, INDONESIAN)
        assert len(column) == 0
        assert column.vocabulary == []


def test_a_column_of_nothing_but_missing_values() -> None:
    column = name_column(pa.nulls(3), INDONESIAN)
    assert column.offsets.tolist() == [0, 0, 0, 0]


def test_patronyms_and_readings_belong_to_their_records() -> None:
    column = name_column(["Budi", "M. Ali bin Hasan", "R. Sujono", "Ali"], INDONESIAN)
    assert isinstance(column, NameColumn)
    assert [column.patronym_of(r) for r in range(4)] == [(), ("HASAN",), (), ()]
    assert [column.variants_of(r) for r in range(4)] == [
        (), (("MUHAMMAD", "ALI"),), (("SUJONO",),), (),
    ]  # fmt: skip
    assert column.vocabulary[:5] == ["BUDI", "M", "ALI", "RADEN", "SUJONO"]


def test_the_sex_of_a_record_decides_its_short_forms() -> None:
    sexes = sex_codes(sex_column(["P", "L", None]))
    assert sexes.tolist() == [2, 1, 0]
    column = normalise_column(["St. Aminah"] * 3, "name", INDONESIAN, sexes)
    assert [column.words_of(r)[0] for r in range(3)] == ["SITI", "SUTAN", "SITI"]


def test_p_is_a_man_where_w_is_a_woman() -> None:
    column = sex_column(["P", "W", "P", "?"])
    assert [column.words_of(r) for r in range(4)] == [("L",), ("P",), ("L",), ()]
    column = sex_column(["P", "L"])
    assert [column.words_of(r) for r in range(2)] == [("P",), ("L",)]


def test_dates_of_arrow_are_dates() -> None:
    column = date_column(pa.array([datetime.date(1965, 8, 17), None], pa.date32()))
    assert column.words_of(0) == ("1965-08-17",)
    assert column.words_of(1) == ()
    assert column.classes.tolist() == [Precision.DAY]


def test_a_placeholder_date_is_doubtful_and_flagged() -> None:
    column = date_column(["1951-07-01", "01-07-1951", "x"])
    assert column.classes.tolist() == [Precision.MONTH_DOUBTFUL]
    assert column.flags.tolist() == [
        DateFlag.PLACEHOLDER, DateFlag.PLACEHOLDER, DateFlag.UNREADABLE,
    ]  # fmt: skip


def test_numbers_of_arrow_are_identifiers() -> None:
    column = normalise_column(pa.array([9936011708650001, 7]), "nik")
    assert column.words_of(0) == ("9936011708650001",)
    assert column.flags.tolist() == [IdFlag.IS_NIT, IdFlag.BAD_LENGTH]


def test_a_place_column_tells_the_places() -> None:
    column = normalise_column(["Kab. Bogor", None, "Lahad Datu", "Kab. Bogor"], "place")
    assert isinstance(column, PlaceColumn)
    assert column.place_ids.tolist() == [0, -1, 1, 0]
    assert column.places[1].country == "MYS"
    assert column.words_of(3) == ("BOGOR",)


def test_an_age_is_a_band_of_years() -> None:
    options = NormaliseOptions(reference_year=2026)
    column = normalise_column(["35", "?"], "age", options)
    assert column.words_of(0) == tuple(f"{year}------" for year in range(1989, 1994))
    assert column.words_of(1) == ()


def test_an_age_needs_a_reference_year() -> None:
    with pytest.raises(ConfigError, match="reference_year"):
        normalise_column(["35"], "age")


def test_nationalities_are_codes_where_known() -> None:
    column = normalise_column(["WNI", "Malaysia", "WNA", "Ruritania"], "nationality")
    assert [column.words_of(r) for r in range(4)] == [("IDN",), ("MYS",), (), ("RURITANIA",)]


def test_unknown_kinds_and_uneven_sexes_are_a_callers_bug() -> None:
    with pytest.raises(ValueError, match="none of"):
        normalise_column(["x"], "religion")
    with pytest.raises(ValueError, match="none of"):
        name_column(["x"], INDONESIAN, "place")
    with pytest.raises(ValueError, match="2 sexes for 1 names"):
        name_column(["x"], INDONESIAN, "name", np.zeros(2, dtype=np.uint8))


def test_words_by_value_calls_once_for_each_distinct_value() -> None:
    calls: list[str] = []

    def words_of(value: str) -> list[str]:
        calls.append(value)
        return fold_words(value)

    column = words_by_value(["a b", None, "a b", ""], words_of)
    assert calls == ["a b"]
    assert column.words_of(2) == ("A", "B")


def test_sparse_words_of_nothing() -> None:
    assert len(SparseWords.of([], [])) == 0
