"""A tiny run beside anonlink works, and its records are what they claim to be."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import peer_env
from benchmarks.compare_command import compare
from benchmarks.febrl_like import febrl_like
from benchmarks.toolkit import load_febrl

COLUMNS = [
    "given_name",
    "surname",
    "street_number",
    "address_1",
    "address_2",
    "suburb",
    "postcode",
    "state",
    "date_of_birth",
]


def test_both_sides_find_the_same_in_a_tiny_run(tmp_path: Path) -> None:
    try:
        peer_env.peer_python(install=False)
    except peer_env.MissingPeerError as error:
        pytest.skip(f"anonlink: {error}")
    done = CliRunner().invoke(
        compare,
        ["--small", "--no-install", "--json", "--results", str(tmp_path)],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    strict, half, ordered, solved = result["races"]
    assert 0 < strict["pairs"] < strict["work"] / 1_000
    assert 0.4 < half["pairs"] / half["work"] < 0.6
    assert ordered["pairs"] == half["pairs"]
    assert 0 < solved["pairs"] <= 500
    assert result["engine"]["comparisons"] == 2_000**2
    assert result["engine"]["pairs"] > 100
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]


def test_without_the_peer_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_env, "FOLDER", tmp_path / "absent")
    done = CliRunner().invoke(compare, ["--small", "--no-install"])
    assert done.exit_code == 1
    assert "anonlink" in done.output


def test_records_have_the_values_of_febrl_and_half_of_them_a_partner() -> None:
    left, right = febrl_like(COLUMNS, 400, seed=1)
    originals = load_febrl(4)["a"]
    for at, name in enumerate(COLUMNS):
        known = {value or "" for value in originals[name].to_pylist()}
        assert {row[at] for row in left} <= known
    assert len(left) == len(right) == 400
    # A record and its partner agree in most values, and strangers hardly in two.
    alike = [row for row in right if any(sum(map(str.__eq__, row, one)) >= 5 for one in left)]
    assert 150 < len(alike) < 250


def test_records_are_the_same_for_a_seed() -> None:
    assert febrl_like(COLUMNS, 50, seed=2) == febrl_like(COLUMNS, 50, seed=2)
    assert febrl_like(COLUMNS, 50, seed=2) != febrl_like(COLUMNS, 50, seed=3)
