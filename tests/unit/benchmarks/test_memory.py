"""A small run of the memory benchmark, in processes of their own."""

import json

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.memory import MemoryResult, MemoryRun, memory_table


def test_what_each_record_adds_is_told() -> None:
    runs = [
        MemoryRun(work, records, peak, 300, seconds, 1)
        for work in ("tickets", "saul:8192/5")
        for records, peak, seconds in ((1_000, 500, 2.0), (4_000, 503, 8.0))
    ]
    result = MemoryResult(runs)
    assert result.work == ["tickets", "saul:8192/5"]
    assert result.bytes_per_record("tickets") == pytest.approx(1_048.576)
    assert runs[1].rate == 500
    table = memory_table(result)
    shown = [["tickets", "1,000", "500"], ["tickets", "4,000", "503"]]
    assert [row[:3] for row in table.rows[:2]] == shown
    assert any("1,049 bytes a record" in note for note in table.notes)


@pytest.mark.parametrize(
    "work", [["clk"], pytest.param(["tickets", "answers", "clk"], marks=pytest.mark.soak)]
)
def test_a_small_run_of_each_kind_of_work(work: list[str]) -> None:
    chosen = [word for one in work for word in ("--work", one)]
    done = CliRunner().invoke(main, ["memory", "--small", "--json", *chosen])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    ran = [(run["work"], run["records"]) for run in result["runs"]]
    assert ran == [(one, n) for one in work for n in (2_000, 4_000, 8_000)]
    # At least a mark of 8 bytes; or a code of 2,048 bits with a reference of 16 bytes.
    least = {"tickets": 8, "answers": 8, "clk": 272}
    for run in result["runs"]:
        assert run["peak_mib"] > run["start_mib"] > 0
        assert run["records_per_s"] > 0
        assert run["sent_mib"] * (1 << 20) >= run["records"] * least[run["work"]]


def test_answers_are_given_to_tickets() -> None:
    assert CliRunner().invoke(main, ["memory", "--small", "--work", "answers"]).exit_code == 2
