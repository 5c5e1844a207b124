import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest
from click.testing import CliRunner

from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.madeup import made_up_columns
from linkage.cli import padan
from linkage.gate import accepts, parse_result
from linkage.privacy.level import LEVELS, Level
from linkage.schema import parse_schema

_SOURCE = 'path = "{path}"\ndate_order = "DMY"\n'
_SCHEMA = """\
name = "people"
language = "indonesian"
[encoding]
scheme = "{scheme}"
[[attributes]]
name = "nama"
type = "name"
[[attributes]]
name = "tgl_lahir"
type = "date"
[[attributes]]
name = "nama_ibu"
type = "mother_name"
"""


@pytest.fixture(autouse=True)
def _small_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """All there is and some made-up people, not five thousand."""
    small = replace(LEVELS["quick"], most_records=800)
    monkeypatch.setitem(cast("dict[str, Level]", LEVELS), "quick", small)


@pytest.fixture
def files(tmp_path: Path, register_path: Path) -> tuple[Path, Path]:
    source, schema = tmp_path / "source.toml", tmp_path / "schema.toml"
    source.write_text(_SOURCE.format(path=register_path))
    schema.write_text(_SCHEMA.format(scheme="clk"))
    return schema, source


def test_plain_filters_are_refused_and_the_report_says_why(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    schema, source = files
    report = tmp_path / "report.html"
    options = ["--schema", str(schema), "--source", str(source), "--report", str(report)]
    shown = CliRunner().invoke(padan, ["attack", *options, "--json"])
    assert shown.exit_code == 1, shown.output
    result = json.loads(shown.stdout)
    assert result["failed"]
    found = {f["attack"] for f in result["figures"] if f["verdict"] == "exceeded"}
    assert {"A3 ridge", "A5 lint"} <= found
    page = report.read_text("utf-8")
    assert "<svg" in page
    assert "Not passed" in page
    assert "Tidak lolos" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_table_names_what_is_exceeded(files: tuple[Path, Path]) -> None:
    schema, source = files
    shown = CliRunner().invoke(padan, ["attack", "--schema", str(schema), "--source", str(source)])
    assert shown.exit_code == 1
    assert "exceeded: A3 matched kernel" in shown.stdout
    assert "control" in shown.stdout


def test_either_a_file_or_a_source_is_named(files: tuple[Path, Path]) -> None:
    shown = CliRunner().invoke(padan, ["attack", "--schema", str(files[0])])
    assert shown.exit_code == 2
    assert "--data or by --source" in shown.stderr


def test_the_result_is_written_as_data(files: tuple[Path, Path], tmp_path: Path) -> None:
    schema, source = files
    out = tmp_path / "gate.json"
    until = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")
    options = ["--schema", str(schema), "--source", str(source), "--out", str(out)]
    shown = CliRunner().invoke(padan, ["attack", *options, "--epoch", "3", "--valid-until", until])
    assert shown.exit_code == 1, shown.output
    assert "of them made up" in shown.stdout
    result = parse_result(out.read_bytes())
    assert 0 < result.n_made_up < result.n_records
    assert result.failed
    now = datetime.now(UTC)
    assert accepts(result, result.schema_id, 3, 0.005, now) == "GATE_STRUCTURE"
    assert accepts(result, result.schema_id, 3, 1.0, now) is None


@pytest.mark.parametrize(
    "options",
    [
        ["--out", "gate.json"],
        ["--epoch", "1"],
        ["--out", "gate.json", "--epoch", "1", "--valid-until", "2020-01-01"],
        ["--plant", "nonsense"],
        ["--plant", "unkeyed", "--out", "g.json", "--epoch", "1", "--valid-until", "2099-01-01"],
    ],
)
def test_what_does_not_go_together_is_said(files: tuple[Path, Path], options: list[str]) -> None:
    schema, source = files
    command = ["attack", "--schema", str(schema), "--source", str(source), *options]
    shown = CliRunner().invoke(padan, command)
    assert shown.exit_code == 2
    assert shown.stderr


def test_a_planted_fault_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    _, source = files
    schema = tmp_path / "default.toml"
    schema.write_text(_SCHEMA.format(scheme="saul"))
    options = ["--schema", str(schema), "--source", str(source), "--plant", "reused-key"]
    shown = CliRunner().invoke(padan, ["attack", *options])
    assert shown.exit_code == 1
    assert "planted: reused-key: caught by A10 field filters" in shown.stdout
    assert "exceeded: A10 field filters" in shown.stdout


def test_made_up_people_follow_from_types_and_seed(tmp_path: Path) -> None:
    types = {
        "nama": "given_name", "marga": "surname", "lahir": "year", "umur": "age",
        "kota": "place", "rumah": "place", "telepon": "phone", "akta": "deed",
    }  # fmt: skip
    schema = parse_schema(
        'name = "wide"\nexact.names = ["akta"]\n'
        + "".join(f'[[attributes]]\nname = "{n}"\ntype = "{t}"\n' for n, t in types.items())
    )
    source = SourceConfig(path=tmp_path, date_order="DMY")
    rows = pa.table({name: [f"08123456789{i}" for i in range(4)] for name in types})
    own = dict(RecordNormaliser(schema, source).columns(rows))
    made, again, other = (made_up_columns(schema, own, 50, seed) for seed in (5, 5, 6))
    words = {name: [made[name].words_of(record) for record in range(50)] for name in types}
    for name in set(types) - {"telepon", "akta"}:
        assert sum(map(bool, words[name])) > 40, name
        assert words[name] == [again[name].words_of(record) for record in range(50)]
        assert words[name] != [other[name].words_of(record) for record in range(50)]
    # A second place is another one, and what made-up people lack is the file's own.
    assert words["kota"] != words["rumah"]
    assert set(words["telepon"]) == {own["telepon"].words_of(record) for record in range(4)}
