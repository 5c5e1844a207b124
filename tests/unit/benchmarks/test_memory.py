"""A small run of the memory benchmark, in processes of their own."""

import json

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.memory import MemoryResult, MemoryRun, memory_table


def test_what_each_record_adds_is_told() -> None:
    runs = [MemoryRun(1_000, 500, 300, 2.0, 1), MemoryRun(4_000, 503, 300, 8.0, 4)]
    result = MemoryResult("saul:8192/5", runs)
    assert result.bytes_per_record == pytest.approx(1_048.576)
    assert runs[1].rate == 500
    table = memory_table(result)
    assert [row[:2] for row in table.rows] == [["1,000", "500"], ["4,000", "503"]]
    assert any("1,049 bytes a record" in note for note in table.notes)


def test_a_small_run_encodes_into_a_spool() -> None:
    done = CliRunner().invoke(
        main, ["memory", "--small", "--json", "--scheme", "clk"], catch_exceptions=False
    )
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert [run["records"] for run in result["runs"]] == [2_000, 4_000, 8_000]
    for run in result["runs"]:
        assert run["peak_mib"] > run["start_mib"] > 0
        assert run["records_per_s"] > 0
        # A code of 2,048 bits and a reference of 16 bytes, at least.
        assert run["spool_mib"] * (1 << 20) >= run["records"] * 272
