"""The plain-text peer is told clean values, and blocks and compares as it says."""

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import toolkit
from benchmarks.blocking import keys_of, prepared, soundex
from benchmarks.experiment import Column, Experiment
from benchmarks.plain_text import link_plain_text
from benchmarks.records import RecordSet

NAME = Column(name="nama", type="name", feature="bigram", bits=200)
BORN = Column(name="lahir", type="date", feature="digits", bits=200)
SEX = Column(name="sex", type="sex", feature="exact", bits=50)


def records_of(rows: list[tuple[str, str, str]], person: list[int]) -> RecordSet:
    experiment = Experiment.model_validate(
        {
            "set": {"name": "x"},
            "truth": "t",
            "columns": (NAME, BORN, SEX),
            "values": {"a": {"sex": {"M": "L"}}},
            "blocking": (("lahir",), ("soundex(nama)",)),
        }
    )
    names, born, sexes = (list(column) for column in zip(*rows, strict=True))
    table = pa.table({"nama": names, "lahir": born, "sex": sexes})
    file = np.zeros(len(rows), dtype=np.uint8)
    return RecordSet(experiment, ("a",), (table,), np.array(person, dtype=np.int64), file)


@pytest.mark.parametrize(
    ("name", "code"),
    [("robert", "r163"), ("rupert", "r163"), ("ashcraft", "a261"), ("tymczak", "t522"), ("", "")],
)
def test_soundex_is_the_american_one(name: str, code: str) -> None:
    assert soundex(name) == code


def test_values_are_cleaned_and_codes_translated() -> None:
    records = records_of([("  José   ALI ", "5-2-1990", "M"), ("", "1990-02-05", "")], [0, 1])
    assert prepared(records, NAME) == ["jose ali", None]
    assert prepared(records, BORN) == ["19900205", "19900205"]
    assert prepared(records, SEX) == ["l", None]


def test_keys_are_derived_and_missing_ones_stay_missing() -> None:
    values: dict[str, list[str | None]] = {
        "nama": ["siti aminah", None],
        "lahir": ["19900205", "1990"],
    }
    keys = ["year(lahir)", "mmdd(lahir)", "soundex(last(nama))", "first4(nama)"]
    assert list(keys_of(keys, values).values()) == [
        ["1990", "1990"],
        ["0205", None],
        ["a550", None],
        ["siti", None],
    ]
    with pytest.raises(ValueError, match="no such blocking key: reversed"):
        keys_of(["reversed(nama)"], values)


def test_a_missing_key_blocks_nothing_and_files_are_kept_apart() -> None:
    passes = [{"k": ["x", "x", None, None]}, {"k": ["y", None, "y", "z"]}]
    one, two = np.zeros(4, np.uint8), np.array([0, 0, 1, 1], np.uint8)
    assert toolkit.candidate_pairs(passes, [], one).tolist() == [(0, 1), (0, 2)]
    assert toolkit.candidate_pairs(passes, [], two).tolist() == [(0, 2)]


def test_swapped_dates_and_missing_values_are_seen() -> None:
    values: dict[str, list[str | None]] = {
        "nama": ["ali", "ali", None],
        "lahir": ["19900205", "19900502", "19900205"],
        "sex": ["l", "p", "l"],
    }
    pairs = toolkit.candidate_pairs([{"k": ["x", "x", "x"]}], [], np.zeros(3, np.uint8))
    vectors = toolkit.comparison_vectors(pairs, (NAME, BORN, SEX), values)
    assert vectors.loc[(0, 1)].to_dict() == {
        "nama =": 1.0,
        "lahir =": 0.0,
        "lahir ~": 1.0,
        "sex =": 0.0,
        "nama ?": 0.0,
        "lahir ?": 0.0,
        "sex ?": 0.0,
    }
    assert vectors.loc[(0, 2)].to_dict() == {
        "nama =": 0.0,
        "lahir =": 1.0,
        "lahir ~": 0.0,
        "sex =": 1.0,
        "nama ?": 1.0,
        "lahir ?": 0.0,
        "sex ?": 0.0,
    }


def test_plain_text_finds_clear_duplicates() -> None:
    names = ["ali akbar", "siti aminah", "budi santoso", "dewi lestari", "joko susilo", "ratna"]
    rows = [(name, f"19{80 + at}-0{1 + at}-11", "L") for at, name in enumerate(names)]
    twice = records_of(rows * 2, [*range(6), *range(6)])
    result = link_plain_text(twice)
    assert result.completeness == 1.0
    assert result.best_f1 == 1.0
