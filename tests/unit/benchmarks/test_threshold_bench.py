"""The threshold benchmark on a tiny set: every figure is there, and the table says what misses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.threshold import Chosen, ThresholdResult, threshold_table
from linkage.classify.intervals import Interval
from linkage.classify.quality import Quality
from linkage.classify.threshold import Threshold


def test_it_prints_what_was_chosen_and_what_is_best(tmp_path: Path) -> None:
    command = ["threshold", "--small", "--json", "--scheme", "clk", "--threads", "1"]
    command += ["--sets", "synthetic-ordinary-1", "--results", str(tmp_path)]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert done.exit_code == 0
    (written,) = tmp_path.glob("threshold-*.json")
    (one,) = json.loads(written.read_text("utf-8"))["sets"]
    assert (one["set"], one["scheme"]) == ("synthetic-ordinary-1", "clk")
    (key,) = one["keys"]
    assert 0 <= key["f1"] <= key["best_f1"] + 0.01
    assert key["chosen"]["floor"] <= key["chosen"]["value"]


def test_the_table_marks_what_misses_its_bar_and_what_its_interval() -> None:
    estimated = Threshold(
        value=0.7,
        sure=0.8,
        floor=0.6,
        precision=Interval(0.9, 0.85, 0.95),
        recall=Interval(0.9, 0.85, 0.95),
        matches=100.0,
        notes=("a note",),
    )
    chosen = Chosen(estimated, Quality(100, 100, 90), Quality(100, 100, 95), 0.75)
    table = threshold_table(ThresholdResult({("a-set", "clk"): [chosen]}, {"other": "not here"}))
    (row,) = table.rows
    assert row[:5] == ["a-set", "clk", "0.950", "0.900", "0.0500 !"]
    assert row[6:8] == ["0.900", "0.900 [0.850, 0.950]"]
    assert any("a note" in note for note in table.notes)
    assert any("not here" in note for note in table.notes)
    missed = Chosen(estimated, Quality(200, 100, 90), Quality(200, 100, 90), 0.7)
    (row,) = threshold_table(ThresholdResult({("a-set", "clk"): [missed]})).rows
    assert row[4] == "0.0000"
    assert row[-1].endswith(" *")
    assert missed.short == pytest.approx(0.0)
