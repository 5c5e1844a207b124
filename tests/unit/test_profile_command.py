"""`padan agent profile`: what an agency learns of its own records before it encodes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from linkage.agent import tablefile
from linkage.agent.config import SourceConfig
from linkage.agent.fieldlength import FieldLength
from linkage.agent.profile import SourceProfile, profile_source
from linkage.cli import padan
from linkage.cli.profile_table import MEANING
from linkage.errors import RecordError
from linkage.normalise.flags import DateFlag, IdFlag, NameFlag, PlaceFlag
from linkage.schema import LinkageSchema, parse_schema

SCHEMA = """
name = "a"
language = "indonesian"
[[attributes]]
name = "nama"
type = "name"
[[attributes]]
name = "lahir"
type = "date"
[[attributes]]
name = "kelamin"
type = "sex"
"""
SOURCE = """
path = "records.csv"
record_id = "nomor"
[columns]
nama = "NAMA"
lahir = "TGL_LAHIR"
[values.kelamin]
X = "P"
"""
HEADER = "nomor,NAMA,TGL_LAHIR,kelamin,nik,no_paspor,entity_id"
# Every value is unlike all others, so that a search for it in the output is fair.
RECORDS = (
    "a1,SUKMAWATI WAHYUNI,17-08-1961,P,0001015708610001,Z1234567,e1",
    "a2,GURITA,01-07-1962,L,0001010107620002,,e2",  # one word, placeholder
    "a3,,45-45-45-45,X,0001014205630003,Q,e3",  # no name, no date; passport too short
    "a4,TERATAI KENANGA,12-05-1964,L,0001011205640004,Z7654321,e4",
    "a5,BAYU KENCANA,13-06-1965,P,0001011306650005,Z1111112,e5",  # NIK of a man
    "a6,CEMARA LANGIT,14-06-1966,L,0001011407660006,Z1111113,e6",  # NIK of July
    "a7,DAHLIA SENJA,16-06-1967,?,12345,Z1111114,e7",  # unknown sex, NIK too short
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "schema.toml").write_text(SCHEMA)
    (tmp_path / "source.toml").write_text(SOURCE)
    (tmp_path / "records.csv").write_text("\n".join((HEADER, *RECORDS)) + "\n")
    (tmp_path / "agent.toml").write_text(
        'party = "dukcapil"\nmatcher = "127.0.0.1:1"\nwork = "work"\nschema = "schema.toml"\n'
        'source = "source.toml"\ntrust = "none"\n[agreement]\nid = "A"\npurpose = "p"\n'
        'parties = ["dukcapil", "imigrasi"]\n'
        '[keys]\nprovider = "file:none"\nlinkage = "none"\nsign = "none"\nwitness = "none"\n'
        '[tls]\ncertificate = "none"\nprivate_key = "none"\nauthority = "none"\n'
    )
    return tmp_path


def run(folder: Path, *options: str) -> Result:
    config = str(folder / "agent.toml")
    return CliRunner().invoke(padan, ["agent", "profile", "--config", config, *options])


def profiled(folder: Path) -> dict[str, Any]:
    done = run(folder, "--json")
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def columns_of(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {column["attribute"]: column for column in result["columns"]}


def test_every_column_is_counted(folder: Path) -> None:
    columns = columns_of(profiled(folder))
    assert {name: column["missing"] for name, column in columns.items()} == {
        "nama": 1, "lahir": 1, "kelamin": 1, "nik": 1, "no_paspor": 2,
    }  # fmt: skip
    assert {column["records"] for column in columns.values()} == {7}


def test_findings_have_counts_and_the_numbers_of_records(folder: Path) -> None:
    columns = columns_of(profiled(folder))

    def found(column: str, name: str) -> dict[str, Any]:
        finding: dict[str, Any] = columns[column]["findings"][name]
        return finding

    assert found("nama", "mononym") == {"rule": "N14", "count": 1, "rows": [2]}
    assert found("lahir", "placeholder") == {"rule": "D02", "count": 1, "rows": [2]}
    assert found("lahir", "rejected") == {"rule": "D01", "count": 1, "rows": [3]}
    assert found("kelamin", "rejected") == {"rule": "S01", "count": 1, "rows": [7]}
    assert found("nik", "bad_length") == {"rule": "I01", "count": 1, "rows": [7]}
    assert found("no_paspor", "rejected") == {"rule": "I04", "count": 1, "rows": [3]}


def test_what_the_schema_refuses_is_counted_as_refused(folder: Path) -> None:
    schema = SCHEMA.replace('type = "date"', 'type = "date"\ninvalid = "refuse"')
    (folder / "schema.toml").write_text(schema)
    columns = columns_of(profiled(folder))
    assert columns["lahir"]["findings"]["refused"]["rows"] == [3]
    assert columns["nama"]["records"] == 7
    assert "the record is left out" in run(folder).stdout


def test_a_nik_is_held_against_its_record(folder: Path) -> None:
    checks = profiled(folder)["nik_checks"]
    assert checks["nik_dob_mismatch"]["rows"] == [6]
    assert checks["nik_sex_mismatch"]["rows"] == [5]


def test_identifiers_outside_the_schema_are_named(folder: Path) -> None:
    assert profiled(folder)["beside_the_schema"] == ["nik", "no_paspor"]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_value_is_printed(folder: Path, options: tuple[str, ...]) -> None:
    done = run(folder, *options)
    for record in RECORDS:
        for value in record.split(","):
            for part in value.split():
                assert len(part) < 4 or part not in done.output


def test_the_table_explains_what_was_noticed(folder: Path) -> None:
    text = run(folder).stdout
    assert "7 records" in text
    assert "mononym" in text
    assert MEANING["mononym"] in text
    assert "nik (nik, not in the schema)" in text
    assert MEANING["nik_dob_mismatch"] in text


def test_every_flag_has_a_meaning() -> None:
    flags = (*NameFlag, *DateFlag, *PlaceFlag, *IdFlag)
    of_checks = {"dob_mismatch", "sex_mismatch", "kk_in_nik"}
    assert {str(flag.name).lower() for flag in flags} - of_checks <= set(MEANING)


def large(folder: Path, n: int) -> tuple[SourceConfig, LinkageSchema]:
    path = folder / "large.csv"
    names = ("GURITA", "SUKMA WAHYU", "", "TERATAI 2 KENANGA")
    rows = [f"{i},{names[i % 4]},0{1 + i % 9}-07-19{10 + i % 90}" for i in range(n)]
    path.write_text("\n".join(("record_id,nama,lahir", *rows)) + "\n")
    return SourceConfig(path=path), parse_schema(SCHEMA[: SCHEMA.rindex("[[")])


def profile_of(config: SourceConfig, schema: LinkageSchema, **options: int) -> SourceProfile:
    return profile_source(config, schema, lambda _: None, **options)


def test_chunks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, schema = large(tmp_path, 400)
    whole = profile_of(config, schema)
    monkeypatch.setattr(tablefile, "CSV_BLOCK_BYTES", 600)
    seen: list[int] = []
    parted = profile_source(config, schema, seen.append)
    assert len(seen) > 5
    assert seen[-1] == 400
    assert parted == whole


def test_rows_are_bounded_and_counts_are_not(tmp_path: Path) -> None:
    found = profile_of(*large(tmp_path, 400), max_rows=5).quality.columns[0].findings["mononym"]
    assert found.count == 100
    assert found.rows == (1, 5, 9, 13, 17)


def test_an_age_without_its_year_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("record_id,umur\n1,20\n")
    schema = parse_schema('name = "a"\n[[attributes]]\nname = "umur"\ntype = "age"\n')
    profile = str(profile_of(SourceConfig(path=path), schema).to_dict())
    assert "umur" in profile


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("record_id,umur\n1,20\n")
    with pytest.raises(RecordError, match="no column nama"):
        profile_of(SourceConfig(path=path), parse_schema(SCHEMA))


def lengths_of(*parts: list[int]) -> FieldLength:
    field, first = FieldLength(max_rows=4), 0
    for part in parts:
        field.add(np.array(part, dtype=np.int64), first)
        first += len(part)
    return field


def test_values_that_pile_up_at_the_greatest_length_are_suspects() -> None:
    usual = [5, 10, 15, 18, 19, 19] * 10
    found = lengths_of(usual, [20] * 60, [20] * 3).suspects()
    assert found is not None
    assert (found.count, found.rows) == (63, (61, 62, 63, 64))


@pytest.mark.parametrize(
    "lengths",
    [
        [],
        [0, 0, 0],
        [7] * 50,  # codes of one length
        [5, 6, 7, 8, 9, 10, 11] * 20,  # an even spread
        [10, 11, 12, 20],  # one long name
    ],
)
def test_other_lengths_are_no_suspects(lengths: list[int]) -> None:
    assert lengths_of(lengths).suspects() is None
