"""A tiny run of each benchmark works, and what is absent is skipped by name."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import peer_env
from benchmarks.__main__ import main
from benchmarks.environment import Environment
from benchmarks.outcome import QualityResult
from benchmarks.report import Table, as_markdown, figure, print_table
from benchmarks.speed import one_core

SOME = "febrl1,synthetic-clean-1,rldata-500"


@pytest.fixture
def no_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_env, "FOLDER", tmp_path / "absent")


@pytest.mark.usefixtures("no_peers")
def test_a_small_quality_run_skips_what_is_absent_by_name(tmp_path: Path) -> None:
    options = [
        "--small",
        "--no-install",
        "--json",
        "--keys",
        "1",
        "--scheme",
        "clk",
        "--sets",
        SOME,
    ]
    places = ["--data", str(tmp_path), "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(main, ["quality", *options, *places], catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert [one["set"] for one in result["sets"]] == ["febrl1", "synthetic-clean-1"]
    assert set(result["skipped"]) == {"clkhash + anonlink", "rldata-500"}
    for one in result["sets"]:
        assert one["schemes"]["clk"]["best_f1"] > 0.9
        assert one["plain_text"]["best_f1"] > 0.9
        assert one["clkhash_anonlink"] is None
        assert one["short_of_bar"] is None
        assert 0.8 < one["true_pairs_median"]["cosine"] <= 1
    written = sorted(path.suffix for path in (tmp_path / "results").iterdir())
    assert written == [".json", ".md"]
    assert str(tmp_path) not in done.stdout


def test_a_small_quality_run_with_the_peer(tmp_path: Path) -> None:
    try:
        peer_env.peer_python(install=False)
    except peer_env.MissingPeerError as error:
        pytest.skip(f"clkhash + anonlink: {error}")
    options = [
        "--small",
        "--no-install",
        "--json",
        "--keys",
        "2",
        "--scheme",
        "clk",
        "--sets",
        "febrl4",
    ]
    done = CliRunner().invoke(
        main, ["quality", *options, "--data", str(tmp_path)], catch_exceptions=False
    )
    (one,) = json.loads(done.stdout)["sets"]
    assert one["clkhash_anonlink"]["best_f1"] > 0.9
    assert len(one["clkhash_anonlink"]["best_f1_by_key"]) == 2
    assert one["short_of_bar"] is not None


@pytest.mark.usefixtures("no_peers")
def test_a_small_speed_run_counts_records_per_second() -> None:
    options = ["--small", "--no-install", "--json", "--scheme", "clk"]
    done = CliRunner().invoke(main, ["speed", *options], catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert result["records"] == 2_000
    assert result["distinct_names"] > 0.6
    assert result["contestants"]["clk"]["records_per_s"] > 0
    assert result["skipped"] == {"clkhash": "its environment is not installed"}


def test_an_unknown_set_or_scheme_is_a_usage_error() -> None:
    for options in (["--sets", "nope"], ["--scheme", "nope"]):
        done = CliRunner().invoke(main, ["quality", *options])
        assert done.exit_code == 2
        assert "nope" in done.stderr


def test_binding_to_one_core_is_undone() -> None:
    import os

    before = os.sched_getaffinity(0)
    with one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_an_empty_result_is_still_json() -> None:
    result = QualityResult(skipped={"x": "why"})
    assert json.loads(json.dumps(result.to_dict()))["skipped"] == {"x": "why"}


def test_a_table_is_printed_and_written_alike(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(
        "Speed", ["who", "rate"], [["a|b", figure(1234.5, 1)], ["c", figure(None)]], ["so"]
    )
    environment = Environment("2026-01-01", "abc", "cpu", 2, "3.11", {"numpy": "2"}, "python -m x")
    assert as_markdown(table, environment) == (
        "# Speed\n\n"
        "| who | rate |\n| --- | ---: |\n| a\\|b | 1,234.5 |\n| c | - |\n\n"
        "- so\n\n"
        "2026-01-01, commit abc, cpu, 2 cores, Python 3.11, numpy 2.\n\n"
        "    python -m x\n"
    )
    print_table(table)
    shown = capsys.readouterr().out
    assert "1,234.5" in shown
    assert "- so" in shown
