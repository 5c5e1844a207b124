import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from linkage.cli import padan

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
    assert {"A3 ridge", "A5 lint"} <= {o["attack"] for o in result["outcomes"] if o["exceeded"]}
    page = report.read_text("utf-8")
    assert "<svg" in page
    assert "a limit is exceeded" in page


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
