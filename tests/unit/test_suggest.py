"""`padan schema suggest` and `diff`: drafts that parse, reasons, and no value of a record."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from click.testing import CliRunner, Result

from linkage.agent.columnnames import hint_of
from linkage.agent.columnvalues import value_shares
from linkage.agent.config import SourceConfig
from linkage.agent.difference import differences
from linkage.agent.draft import format_suggestion
from linkage.agent.suggest import suggest
from linkage.cli import padan
from linkage.encode.encoder import resolve_schema
from linkage.errors import RecordError
from linkage.schema import LinkageSchema, parse_schema
from linkage.types import ATTRIBUTE_TYPES

FIRST = ("SUKMA", "WAHYU", "TERATAI", "KENANGA", "BAYU", "GURITA")


def rows(n: int = 60) -> list[dict[str, str]]:
    return [
        {
            "No Berkas": f"{i}",
            "entity_id": f"e{i // 2}",
            "NAMA LENGKAP": f"{FIRST[i % 6]} {FIRST[i % 5]}",
            "tglLahir": f"{1 + i % 28:02}/{1 + i % 12:02}/{1950 + i % 50}",
            "JK": "LP"[i % 2],
            "KOTA": ("BOGOR", "MEDAN")[i % 2],
            "nik": f"00010{i % 6}{1 + i % 28:02}{1 + i % 12:02}{50 + i % 50}{1 + i:04}",
            "agama": "x",
            "golongan_darah": "O",
            "kosong": "",
            "sama": "INDONESIA",
            "surat": f"{FIRST[i % 6].lower()}{i}@contoh.example",
            "umur": f"{20 + i % 50}",
            "x1": f"{FIRST[i % 6]} {FIRST[(i + 1) % 6]} {FIRST[i % 5]} {i % 7 * 'A'}",
        }
        for i in range(n)
    ]


def write(folder: Path, records: list[dict[str, str]], name: str = "penduduk.csv") -> Path:
    path = folder / name
    table = pa.Table.from_pylist(records)
    if path.suffix == ".parquet":
        pa_parquet.write_table(table, path)
    else:
        lines = [",".join(row.values()) for row in records]
        path.write_text("\n".join([",".join(records[0]), *lines]) + "\n", "utf-8")
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(padan, ["schema", *map(str, arguments)])


@pytest.fixture
def drafted(tmp_path: Path) -> str:
    done = run("suggest", write(tmp_path, rows()))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_draft_is_a_schema_with_types_by_name_and_by_value(drafted: str) -> None:
    schema = parse_schema(drafted)
    assert schema.name == "penduduk"
    types = {attribute.name: attribute.type for attribute in schema.attributes}
    expected = {
        "nama_lengkap": "name", "tgl_lahir": "date", "jk": "sex", "kota": "place",
        "surat": "email", "x1": "name",
    }  # fmt: skip
    assert {name: types.get(name) for name in expected} == expected
    assert set(types) - set(expected) <= {"nik"}


def test_identifiers_are_exact_names_or_hints(drafted: str) -> None:
    if "exact" in LinkageSchema.model_fields:
        assert '"nik"' in drafted
    else:
        assert '"nik": an identifier of type nik' in drafted
        assert "[exact]" in drafted


@pytest.mark.parametrize(
    ("column", "word"),
    [
        ("entity_id", "truth"),
        ("No Berkas", "record number"),
        ("agama", "no linkage may use"),
        ("golongan_darah", "no linkage may use"),
        ("kosong", "no record read has a value"),
        ("sama", "the same value"),
        ("umur", "changes every year"),
    ],
)
def test_what_is_left_out_is_named_with_the_reason(drafted: str, column: str, word: str) -> None:
    line = next(line for line in drafted.splitlines() if line.startswith(f'#   "{column}":'))
    assert word in line


def test_the_draft_says_what_belongs_in_the_source_file(drafted: str) -> None:
    tail = drafted[drafted.index("source.toml") :]
    assert 'record_id = "No Berkas"' in tail
    assert 'date_order = "DMY"' in tail
    assert 'tgl_lahir = "tglLahir"' in tail


def test_no_value_of_a_record_is_in_the_draft(drafted: str) -> None:
    for record in rows():
        for column, value in record.items():
            if len(value) > 3:
                assert value not in drafted, column


def test_equal_files_give_equal_drafts_also_from_parquet(drafted: str, tmp_path: Path) -> None:
    done = run("suggest", write(tmp_path, rows(), "penduduk.parquet"))
    assert done.stdout == drafted.replace("penduduk.csv", "penduduk.parquet")


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("nama", "name"), ("nama_lengkap", "name"), ("given_name", "given_name"),
        ("First Name", "given_name"), ("surname", "surname"), ("lastName", "surname"),
        ("tgl_lahir", "date"), ("dob", "date"), ("birth_date", "date"), ("date_of_birth", "date"),
        ("tempat_lahir", "place"), ("place_of_birth", "place"), ("city", "place"),
        ("city_name", "place"), ("sex", "sex"), ("jenis_kelamin", "sex"), ("jk", "sex"),
        ("L/P", "sex"), ("alamat", "address"), ("address_1", "address"),
        ("street_number", "number"), ("kode_pos", "postcode"), ("postcode", "postcode"),
        ("telp", "phone"), ("phone", "phone"), ("no_hp", "phone"), ("email", "email"),
        ("nik", "nik"), ("no_ktp", "nik"), ("no_kk", "kk"), ("no_paspor", "passport"),
        ("nama_ibu", "mother_name"), ("nama_ibu_kandung", "mother_name"),
        ("nama_ayah", "father_name"), ("nama_lain", "alias"), ("birth_surname", "alias"),
        ("kewarganegaraan", "nationality"), ("tahun_lahir", "year"), ("umur", "age"),
    ],
)  # fmt: skip
def test_usual_names_of_columns_are_known(column: str, kind: str) -> None:
    hint = hint_of(column)
    assert hint is not None
    assert hint.type == kind


@pytest.mark.parametrize(
    ("column", "role"),
    [
        ("sidik_jari", "refused"), ("Agama", "refused"), ("entity_id", "truth"),
        ("rec_id", "record_id"), ("id", "record_id"), ("nama_kk", "unfit"),
        ("tgl_lahir_ibu", "unfit"), ("tgl_terbit_paspor", "unfit"), ("soc_sec_id", "unfit"),
    ],
)  # fmt: skip
def test_columns_that_are_no_attributes_are_known(column: str, role: str) -> None:
    hint = hint_of(column)
    assert hint is not None
    assert hint.role == role


def test_every_type_that_a_name_can_give_exists() -> None:
    from linkage.agent import columnnames

    kinds = {hint.type for hint, _ in columnnames._TABLE if hint.type}
    assert kinds <= set(ATTRIBUTE_TYPES)


@pytest.mark.parametrize(
    ("values", "looks"),
    [
        (["a@b.example", "c@d.example"], "email"),
        (["0001010101900001", "0001014101900002"], "nik"),
        (["L", "P", "L"], "sex"),
        (["1990", "2001", "1990"], "year"),
        (["17-08-1945", "1 Januari 1990"], "date"),
        (["0812 3456 789", "+62 21 555 1234"], "phone"),
        (["17", "18", "19"], "record_id"),
        (["16111", "16112", "16111"], "postcode"),
        (["1,5", "2", "2"], "number"),
        (["SITI AMINAH", "BUDI RAHARJO"], "name"),
        (["A1", "B2", "A1"], "code"),
        (["BARU", "LAMA", "BARU"], "text"),
    ],
)
def test_values_tell_where_the_name_says_nothing(values: list[str], looks: str) -> None:
    assert value_shares(pa.chunked_array([values])).looks() == looks


def test_doubtful_values_are_pointed_out(tmp_path: Path) -> None:
    records = [{"id": f"{i}", "nama": f"A{i}", "tgl_lahir": f"kode {i}"} for i in range(30)]
    assert ": CHECK" in run("suggest", write(tmp_path, records)).stdout


def test_a_year_under_a_birth_date_is_a_year(tmp_path: Path) -> None:
    records = [{"nama": f"A{i}", "tgl_lahir": f"{1950 + i}"} for i in range(30)]
    schema = parse_schema(run("suggest", write(tmp_path, records)).stdout)
    assert {a.name: a.type for a in schema.attributes}["tgl_lahir"] == "year"


def test_the_first_records_decide_and_many_columns_are_cut(tmp_path: Path) -> None:
    records = [{f"nama_{n}": f"{i}X" for n in range(40)} for i in range(30)]
    suggestion = suggest(SourceConfig(path=write(tmp_path, records)), n_records=10)
    assert suggestion.n_records == 10
    schema = parse_schema(format_suggestion(suggestion, "a.csv", "a"))
    assert len(schema.attributes) == 32


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("nama,tgl_lahir\n", "no records"),
        ("SITI,17-08-1990\nBUDI,01-02-1980\n", "must name the columns"),
        ("nama,nama\na,b\n", "the same name"),
        ("id,agama\n1,x\n2,y\n", "none of its columns"),
    ],
)
def test_files_that_tell_nothing_are_refused(tmp_path: Path, content: str, word: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(RecordError, match=word) as caught:
        suggest(SourceConfig(path=path))
    assert "SITI" not in str(caught.value)


BASE = 'name = "a"\n[[attributes]]\nname = "nama"\ntype = "name"\n'


def diff(folder: Path, left: str, right: str, *options: str) -> Result:
    paths = [folder / "left.toml", folder / "right.toml"]
    for path, text in zip(paths, (left, right), strict=True):
        path.write_text(text)
    return run("diff", *paths, *options)


def test_schemas_with_one_id_do_not_differ(tmp_path: Path) -> None:
    done = diff(tmp_path, BASE, 'version = 1\nmatch.cardinality = "many-to-many"\n' + BASE)
    assert (done.exit_code, done.stdout) == (0, "")


def test_what_differs_is_told_and_the_exit_code_is_1(tmp_path: Path) -> None:
    done = diff(tmp_path, BASE, BASE + "weight = 0.25\n")
    assert done.exit_code == 1
    assert "attributes.nama.weight: 1.0 -> 0.25" in done.stdout
    as_json = diff(tmp_path, BASE, BASE + "weight = 0.25\n", "--json")
    assert {"where": "attributes.nama.weight", "left": 1.0, "right": 0.25} in json.loads(
        as_json.stdout
    )


def test_the_order_of_attributes_and_absent_ones_differ() -> None:
    place = '[[attributes]]\nname = "kota"\ntype = "place"\n'
    name = '[[attributes]]\nname = "nama"\ntype = "name"\n'
    head = 'name = "a"\n'
    resolved = [resolve_schema(parse_schema(head + body)) for body in (place + name, name + place)]
    assert "attributes in order" in {d.where for d in differences(*resolved)}
    alone = resolve_schema(parse_schema(head + name))
    assert "attributes.kota.type" in {d.where for d in differences(alone, resolved[0])}
    assert differences(alone, alone) == []
