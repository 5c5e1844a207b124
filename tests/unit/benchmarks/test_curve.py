"""Points on the cosine axis, the sample of a set, and the picture."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.curve import LENGTHS, PLAIN, SCHEMES, CurveResult, Point, saul
from benchmarks.curve_table import curve_picture, curve_table
from benchmarks.experiment import load_experiments
from benchmarks.picture import Axis
from benchmarks.records import load_records, sample
from benchmarks.schemes import true_pairs

_SVG = "{http://www.w3.org/2000/svg}"


def _point(name: str, step: bool, cosine: float) -> Point:
    return Point(name, step, 100, 400, cosine, dict.fromkeys(SCHEMES, cosine**2))


RESULT = CurveResult([_point("errors x 0", True, 1.0), _point("a & b", False, 0.8)], {"x": "gone"})


def test_all_orders_and_lengths_are_linked() -> None:
    assert len(SCHEMES) == 13
    assert saul(32_768, 5) in SCHEMES
    assert PLAIN in SCHEMES


def test_the_table_says_what_is_a_sample() -> None:
    table = curve_table(RESULT)
    assert [row[0] for row in table.rows] == ["errors x 0", "a & b"]
    assert all(len(row) == len(table.header) for row in table.rows)
    assert any("errors x 0 (400), a & b (400)" in note for note in table.notes)
    assert "Skipped: x: gone." in table.notes


def test_the_picture_is_svg_with_every_point() -> None:
    root = ET.fromstring(curve_picture(RESULT))  # noqa: S314 # made here
    marks = [mark for mark in root.iter(f"{_SVG}circle") if mark.find(f"{_SVG}title") is not None]
    assert len(marks) == len(LENGTHS) * 4 * len(RESULT.points)
    texts = [text.text for text in root.iter(f"{_SVG}text")]
    assert [text for text in texts if text and text.startswith("L = ")] == [
        "L = 4,096",
        "L = 8,192",
        "L = 16,384",
        "L = 32,768",
    ]
    assert texts.count("other sets") == 1
    assert "a & b: 0.640" in {mark.findtext(f"{_SVG}title") for mark in marks}


def test_an_empty_result_still_has_axes() -> None:
    assert ET.fromstring(curve_picture(CurveResult())).tag == f"{_SVG}svg"  # noqa: S314


def test_an_axis_keeps_values_inside() -> None:
    axis = Axis("x", 0.7, 1.0, 0.1)
    assert axis.ticks() == pytest.approx([0.7, 0.8, 0.9, 1.0])
    assert [axis.share(value) for value in (0.5, 0.85, 2.0)] == pytest.approx([0.0, 0.5, 1.0])


def test_a_sample_has_whole_persons(tmp_path: Path) -> None:
    (experiment,) = [e for e in load_experiments() if e.name == "synthetic-dirty-1"]
    records = load_records(experiment, tmp_path, small=True)
    part = sample(records, len(records) // 2)
    assert len(records) // 2 <= len(part) <= len(records) // 2 + 5
    assert part.files == records.files
    whole = {truth for table in part.tables for truth in table["entity_id"].to_pylist()}
    there = [t for table in records.tables for t in table["entity_id"].to_pylist() if t in whole]
    assert len(there) == len(part)
    assert 0 < len(true_pairs(part)) < len(true_pairs(records))
    assert sample(records, len(records)) is records
    assert np.array_equal(sample(records, 100).person, sample(records, 100).person)


def test_a_small_run_writes_table_figures_and_picture(tmp_path: Path) -> None:
    options = ["--small", "--json", "--threads", "1", "--sets", "febrl1,rldata-500"]
    places = ["--data", str(tmp_path), "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(main, ["curve", *options, *places], catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert {point["set"] for point in result["points"]} == {"febrl1", "errors x 0", "errors x 1.5"}
    cosines = [point["median_cosine"] for point in result["points"]]
    assert cosines == sorted(cosines, reverse=True)
    assert set(result["skipped"]) == {"rldata-500"}
    written = {path.suffix: path for path in (tmp_path / "results").iterdir()}
    assert set(written) == {".json", ".md", ".svg"}
    assert f"]({written['.svg'].name})" in written[".md"].read_text()
