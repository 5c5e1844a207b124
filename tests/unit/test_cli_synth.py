"""`padan synth`: files that are what they say, and refusals that say what to mend."""

import json
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import pytest
from click.testing import CliRunner, Result

from linkage.cli import padan
from linkage.errors import ConfigError
from linkage.synthetic import AGENCIES, GRADES, generate_population, make_registers

NAMES = ("dukcapil", "imigrasi", "kemenlu")


def synth(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(padan, ["synth", "--out", str(out), *arguments])


def made(out: Path, *arguments: str) -> dict[str, Any]:
    done = synth(out, "--json", *arguments)
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return made(tmp_path_factory.mktemp("synth") / "new", "--persons", "400", "--seed", "7")


def test_a_file_for_each_register_and_for_ledger_and_groups(written: dict[str, Any]) -> None:
    assert set(written["files"]) == {*NAMES, "ledger", "groups"}
    found = {path.name for path in Path(written["out"]).iterdir()}
    assert found == {f"{name}.csv" for name in written["files"]} | {"README.txt"}


def test_the_files_hold_what_the_generator_made(written: dict[str, Any]) -> None:
    registers = make_registers(generate_population(400, 7), NAMES, "ordinary", 7)
    for name in NAMES:
        table = pa_csv.read_csv(written["files"][name])
        assert table.num_rows == registers.tables[name].num_rows == written["records"][name]
        assert table.column_names == registers.tables[name].column_names
        assert table["entity_id"].to_pylist() == registers.tables[name]["entity_id"].to_pylist()
    assert written["changes"] == registers.ledger.num_rows


def test_the_readme_says_that_nobody_exists(written: dict[str, Any]) -> None:
    text = (Path(written["out"]) / "README.txt").read_text("utf-8")
    assert text.startswith("Nobody in these files exists.")
    assert "padan synth --persons 400 --seed 7 --grade ordinary" in text


def test_equal_seeds_give_equal_files(written: dict[str, Any], tmp_path: Path) -> None:
    again = made(tmp_path / "again", "--persons", "400", "--seed", "7")
    for name, path in written["files"].items():
        assert Path(path).read_bytes() == Path(again["files"][name]).read_bytes()


def test_parquet_holds_the_same_records(written: dict[str, Any], tmp_path: Path) -> None:
    other = made(tmp_path / "new", "--persons", "400", "--seed", "7", "--parquet")
    for name in NAMES:
        table = pa_parquet.read_table(other["files"][name])
        assert table.num_rows == written["records"][name]
        assert table["nama"].null_count == 0


def test_overlap_thins_the_registers(tmp_path: Path) -> None:
    arguments = ("--persons", "400", "--register", "dukcapil", "--register", "imigrasi")
    none = made(tmp_path / "none", *arguments, "--overlap", "0", "--grade", "off")
    persons = [
        set(pa_csv.read_csv(none["files"][name])["entity_id"].to_pylist())
        for name in ("dukcapil", "imigrasi")
    ]
    assert persons[0].isdisjoint(persons[1])
    assert set(none["records"]) == {"dukcapil", "imigrasi"}


def test_the_table_names_every_file(tmp_path: Path) -> None:
    done = synth(tmp_path / "new", "--persons", "50")
    assert done.exit_code == 0
    for name in (*NAMES, "ledger", "groups"):
        assert f"{name}.csv" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--persons", "0"),
        ("--persons", "10", "--seed", "-1"),
        ("--persons", "10", "--grade", "filthy"),
        ("--persons", "10", "--register", "bank"),
        ("--persons", "10", "--register", "ahu", "--register", "ahu"),
        ("--persons", "10", "--overlap", "1.5"),
    ],
)
def test_what_the_generator_refuses_is_a_matter_of_usage(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = synth(tmp_path / "new", *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("Usage:")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    done = synth(tmp_path, "--persons", "10")
    assert isinstance(done.exception, ConfigError)
    assert "is not empty" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = synth(tmp_path / "file", "--persons", "10")
    assert isinstance(done.exception, ConfigError)


def test_the_help_names_every_grade_and_register() -> None:
    text = CliRunner().invoke(padan, ["synth", "--help"]).stdout
    for name in (*GRADES, *AGENCIES):
        assert name in text
