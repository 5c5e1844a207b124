"""Typed values as text: what a type has lost is an error that says what to do."""

import datetime
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from linkage.agent.config import SourceConfig
from linkage.agent.source import Source
from linkage.agent.valuetext import ValueTexts
from linkage.errors import RecordError
from linkage.schema import parse_schema

NOON = datetime.datetime(1990, 2, 13, 12, 30)  # noqa: DTZ001 -- as registers hold them


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        (" NULL ", " NULL "),
        (7, "7"),
        (-7, "-7"),
        (7.0, "7"),
        (7.25, "7.25"),
        (float("nan"), None),
        (Decimal("7.00"), "7"),
        (Decimal("7.50"), "7.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("NaN"), None),
        (True, "true"),
        (datetime.date(1990, 2, 13), "1990-02-13"),
        (datetime.datetime(1990, 2, 13), "1990-02-13"),  # noqa: DTZ001 -- as registers hold them
        (NOON, "1990-02-13 12:30:00"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ],
)
def test_a_value_is_written_as_a_careful_person_would(value: object, text: str | None) -> None:
    assert ValueTexts("t", "c").of([value], 0).to_pylist() == [text]


@pytest.mark.parametrize(
    ("value", "digits", "words"),
    [
        (3_201_010_101_900_001 * 10, None, None),
        (320101010190000.0 * 100, None, "floating point"),
        (float("inf"), None, "floating point"),
        (201_010_101_900_001, 16, "record 12 has 15 digits of 16"),
        (Decimal(12_345), 16, "leading zeros"),
        (8_123_456_789, 0, "leading zeros"),
        (NOON.replace(tzinfo=datetime.UTC), None, "time zone"),
        (b"RAHASIA", None, "bytes"),
        ({"a": "RAHASIA"}, None, "dict"),
        (["RAHASIA"], None, "list"),
        (datetime.timedelta(1), None, "timedelta"),
        ("\ud800", None, "characters"),
        (0, 16, None),
    ],
)
def test_what_a_type_has_lost_is_refused_without_the_value(
    value: object, digits: int | None, words: str | None
) -> None:
    texts = ValueTexts("penduduk", "x", digits)
    if words is None:
        assert texts.of([value], 11).to_pylist() == [str(value)]
        return
    with pytest.raises(RecordError, match="penduduk: the column x") as caught:
        texts.of([value], 11)
    assert words in str(caught.value)
    assert "RAHASIA" not in str(caught.value)
    assert str(value) not in str(caught.value)


def parquet(folder: Path, nik: "pa.Array[Any]") -> Source:
    table = pa.table({"record_id": [str(i) for i in range(len(nik))], "nik": nik})
    pa_parquet.write_table(table, folder / "a.parquet")
    schema = parse_schema(
        'name = "a"\n[[attributes]]\nname = "nama"\ntype = "name"\n'
        '[[attributes]]\nname = "nik"\ntype = "nik"\n[exact]\nnames = ["nik"]\n'
    )
    config = SourceConfig(path=folder / "a.parquet", columns={"nama": "record_id"})
    return Source(config, schema)


def test_integers_of_full_length_are_a_nik(tmp_path: Path) -> None:
    source = parquet(tmp_path, pa.array([3_201_010_101_900_001, None], pa.int64()))
    (table,) = source.chunks()
    assert table["nik"].to_pylist() == ["3201010101900001", None]
    assert source.n_records() == 2


def test_integers_that_are_too_short_for_a_nik_are_refused(tmp_path: Path) -> None:
    source = parquet(tmp_path, pa.array([3_201_010_101_900_001, 1_010_101_900_001], pa.int64()))
    with pytest.raises(RecordError, match=r"the column nik .* record 2 has 13 digits") as caught:
        list(source.chunks())
    assert "1010101900001" not in str(caught.value)


def test_texts_that_are_too_short_are_left_to_the_rules_of_a_nik(tmp_path: Path) -> None:
    (table,) = parquet(tmp_path, pa.array(["1010101900001"]).dictionary_encode()).chunks()
    assert table["nik"].to_pylist() == ["1010101900001"]
