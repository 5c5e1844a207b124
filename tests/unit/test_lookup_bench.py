"""A tiny register through real processes is measured, with what it finds."""

import json

from click.testing import CliRunner

from benchmarks.lookup import measure_lookup
from benchmarks.lookup_command import lookup
from benchmarks.lookup_table import lookup_table
from benchmarks.schemes import parse_scheme


def test_a_tiny_register_is_asked_and_finds_what_was_planted() -> None:
    options = ["--records", "3000", "--seconds", "1", "--json"]
    done = CliRunner().invoke(lookup, options, catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert result["asked"] == 50
    assert result["strangers"] == [25, 0]
    assert 0 < result["overlooked"] <= 0.02
    assert sum(result["planted"].values()) > 15
    assert result["recall"] > 0.8
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["p99"]
    assert result["peak_mib"] > 50


def test_an_exhaustive_scan_finds_everything() -> None:
    result = measure_lookup(parse_scheme("saul:4096/4"), 500, 40, 0.5, exhaustive=True)
    assert result.overlooked == 0.0
    assert result.found == result.planted
    assert any("exhaustive" in str(part) for part in (lookup_table(result).title,))


def test_plain_filters_are_not_random_bits() -> None:
    done = CliRunner().invoke(lookup, ["--scheme", "clk", "--small"])
    assert done.exit_code == 2
