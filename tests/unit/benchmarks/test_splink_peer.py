"""What Splink is told: blocking rules that few enough pairs agree on. And that it links."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import peer_env
from benchmarks.blocking import prepared
from benchmarks.experiment import load_experiments
from benchmarks.peers import PeerError
from benchmarks.plain_splink import blocking_rules, link_with_splink, pairs_agreeing
from benchmarks.records import TRUTH, RecordSet, load_records, record_set

SETS = {experiment.name: experiment for experiment in load_experiments()}


def small(name: str, folder: Path) -> RecordSet:
    return load_records(SETS[name], folder, small=True)


def test_pairs_agree_where_no_value_is_missing_and_files_are_unlike() -> None:
    one = np.array([1, 1, 1, -1, -1])
    other = np.array([2, 2, 3, 2, 2])
    inside = np.zeros(5, dtype=np.uint8)
    between = np.array([0, 0, 1, 1, 1], dtype=np.uint8)
    assert pairs_agreeing([one], inside) == 3
    assert pairs_agreeing([one, other], inside) == 1
    assert pairs_agreeing([one], between) == 2


def test_rules_are_those_of_the_experiment_and_agreements_that_few_share(tmp_path: Path) -> None:
    records = small("febrl1", tmp_path)
    values = {c.name: prepared(records, c) for c in records.experiment.columns}
    rules, made = blocking_rules(records, values)
    assert len(rules) > len(records.experiment.blocking)
    assert ["given_name", "surname"] in rules
    assert rules[1] == ["key_soundex_surname", "key_year_date_of_birth"]
    assert all(len(column) == len(records) for column in made.values())
    assert {name for rule in rules for name in rule} <= {*values, *made}
    assert len({frozenset(rule) for rule in rules}) == len(rules)


def test_an_attribute_that_all_share_is_no_rule() -> None:
    # Two hundred persons, all of one state.
    experiment = SETS["febrl1"]
    columns = {c.name: pa.array([str(n) for n in range(200)]) for c in experiment.columns}
    columns |= {"state": pa.array(["nsw"] * 200), TRUTH: columns["given_name"]}
    records = record_set(experiment.model_copy(update={"blocking": ()}), {"a": pa.table(columns)})
    values = {c.name: prepared(records, c) for c in experiment.columns}
    rules, _ = blocking_rules(records, values)
    assert ["state"] not in rules
    assert ["surname"] in rules
    assert ["surname", "state"] in rules


def test_splink_links_a_small_set(tmp_path: Path) -> None:
    try:
        python = peer_env.peer_python(install=False, peer="splink")
    except peer_env.MissingPeerError as error:
        pytest.skip(f"Splink: {error}")
    for name in ("febrl1", "febrl4"):
        result = link_with_splink(small(name, tmp_path), python, tmp_path)
        assert result.best.f1 > 0.9
        assert result.completeness > 0.9
        assert result.versions["splink"].startswith("5.")


def test_a_failure_of_the_program_is_told_in_its_words(tmp_path: Path) -> None:
    records = small("febrl1", tmp_path)
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho it broke >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(PeerError, match="Splink failed: it broke"):
        link_with_splink(records, program, tmp_path)
