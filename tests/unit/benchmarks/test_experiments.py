"""Experiments parse, name what exists, and are told apart."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.experiment import Experiment, Set, load_experiments
from benchmarks.schemes import parse_scheme, schema_of, supported_schemes
from linkage.types import ATTRIBUTE_TYPES

EXPERIMENTS = load_experiments()


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_experiment_is_a_schema_of_names_and_types_only(experiment: Experiment) -> None:
    schema = schema_of(experiment, parse_scheme("clk"))
    assert [a.name for a in schema.attributes] == [c.name for c in experiment.columns]
    assert {a.type for a in schema.attributes} <= set(ATTRIBUTE_TYPES)
    assert all(a.weight is None and a.element is None for a in schema.attributes)
    assert schema.encoding.scheme == "clk"


def test_the_sets_of_the_bars_are_all_there() -> None:
    names = {experiment.name for experiment in EXPERIMENTS}
    grades = ("clean", "ordinary", "dirty")
    assert {f"febrl{number}" for number in (1, 2, 3, 4)} <= names
    assert {f"synthetic-{grade}-{seed}" for grade in grades for seed in (1, 2, 3)} <= names
    assert len(names) == 21


def test_no_identity_number_is_an_attribute() -> None:
    columns = {column.name for experiment in EXPERIMENTS for column in experiment.columns}
    assert not columns & {"soc_sec_id", "national_id", "nik", "no_kk", "no_paspor"}


@pytest.mark.parametrize("kind", ["nik", "shoe_size"])
def test_a_type_that_no_code_may_hold_is_refused(kind: str) -> None:
    column = {"name": "x", "type": kind, "feature": "exact", "bits": 100}
    with pytest.raises(ValidationError, match="no type of attribute"):
        Experiment.model_validate(
            {"set": {"name": "x"}, "truth": "t", "columns": (column,), "blocking": ()}
        )


def test_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    text = 'truth = "t"\ncolumns = []\nblocking = []\nsets = [{ name = "x" }, { name = "x" }]\n'
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ValueError, match="sets named twice: x"):
        load_experiments(tmp_path)


def test_a_scheme_says_its_bits_and_order() -> None:
    assert parse_scheme("clk:1024").settings == {"scheme": "clk", "bits": 1024}
    with pytest.raises(ValueError, match="no scheme rot13"):
        parse_scheme("rot13")
    assert "clk" in supported_schemes()


def test_blocking_is_said_in_words() -> None:
    experiment = Experiment.model_validate(
        {
            "set": Set(name="x"),
            "truth": "t",
            "columns": (),
            "blocking": (("dob",), ("soundex(surname)", "year(dob)")),
            "neighbourhoods": ({"on": ("surname",), "window": 9},),
        }
    )
    said = "dob; soundex(surname) + year(dob); surname in a window of 9"
    assert experiment.blocking_text == said
