"""An agency's source: read whole, or refused with what to mend and no value of a record."""

import codecs
import datetime
import gzip
import traceback
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from linkage.agent import tablefile
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.source import Source
from linkage.errors import RecordError
from linkage.schema import parse_schema

SCHEMA = parse_schema(
    """
    name = "a"
    [[attributes]]
    name = "nama"
    type = "name"
    [[attributes]]
    name = "tgl_lahir"
    type = "date"
    """
)
HEADER = "record_id,nama,tgl_lahir\n"
TWO = HEADER + "1,BUDI,1990-02-13\n2,SITI,\n"
READ = [
    {"record_id": "1", "nama": "BUDI", "tgl_lahir": "1990-02-13"},
    {"record_id": "2", "nama": "SITI", "tgl_lahir": ""},
]
# Stands for personal data: no error text may hold it.
SENTINEL = "RAHASIA"


def write(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, also: tuple[str, ...] = (), **settings: Any) -> list[dict[str, str | None]]:
    config = SourceConfig(path=path, **settings)
    return [row for table in Source(config, SCHEMA, also).chunks() for row in table.to_pylist()]


def refused(path: Path, **settings: Any) -> str:
    """The text of the refusal, and of all that is printed with it."""
    with pytest.raises(RecordError) as caught:
        read(path, **settings)
    printed = "".join(traceback.format_exception(caught.value))
    assert SENTINEL not in printed
    return str(caught.value)


# What can be read


def test_a_plain_file_is_read_in_its_order(tmp_path: Path) -> None:
    assert read(write(tmp_path, TWO)) == READ


def test_columns_come_as_text_named_by_attribute(tmp_path: Path) -> None:
    content = "no,full name,x,dob\n007,BUDI,1,0012\n"
    settings: dict[str, Any] = {
        "record_id": "no",
        "columns": {"nama": "full name", "tgl_lahir": "dob"},
    }
    path = write(tmp_path, content)
    (row,) = read(path, ("x",), **settings)
    assert list(row)[:3] == ["record_id", "nama", "tgl_lahir"]
    assert [row[name] for name in (*READ[0], "x")] == ["007", "BUDI", "0012", "1"]


def test_one_column_may_serve_two_attributes(tmp_path: Path) -> None:
    path = write(tmp_path, "record_id,a\n1,BUDI\n")
    (row,) = read(path, columns={"nama": "a", "tgl_lahir": "a"})
    assert (row["nama"], row["tgl_lahir"]) == ("BUDI", "BUDI")


def test_columns_that_are_not_wanted_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, "agama,record_id,nama,tgl_lahir\nx,1,BUDI,\n")
    assert list(read(path)[0]) == ["record_id", "nama", "tgl_lahir"]


def test_words_that_mean_nothing_to_a_csv_library_stay_as_they_are(tmp_path: Path) -> None:
    for word in ("NULL", "NA", "nan", "None", "true", "1e5", " x "):
        assert read(write(tmp_path, f"{HEADER}1,{word},\n"))[0]["nama"] == word


def test_quoted_values_hold_delimiters_quotes_and_newlines(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + '1,"BUDI, ""SH""\nSANTOSO",x\n2,B,y\n')
    assert [row["nama"] for row in read(path)] == ['BUDI, "SH"\nSANTOSO', "B"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_delimiter_is_taken(delimiter: str, tmp_path: Path) -> None:
    path = write(tmp_path, TWO.replace(",", delimiter))
    assert read(path, delimiter=delimiter) == READ


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_of_either_kind_are_taken(end: str, last: bool, tmp_path: Path) -> None:
    content = TWO if last else TWO.rstrip("\n")
    assert read(write(tmp_path, content.replace("\n", end))) == READ


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path, codecs.BOM_UTF8 + TWO.encode())
    assert read(path, encoding=encoding) == READ


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "utf-8", "utf-16"])
def test_letters_come_back_from_any_encoding(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER}1,JOSÉ ÑANDÚ,\n".encode(encoding))
    assert read(path, encoding=encoding)[0]["nama"] == "JOSÉ ÑANDÚ"


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    assert read(write(tmp_path, gzip.compress(TWO.encode()), "a.csv.gz")) == READ


def test_parquet_is_read_as_text(tmp_path: Path) -> None:
    table = pa.table(
        {
            "record_id": [1, 2],
            "nama": pa.array(["BUDI", "SITI"]).dictionary_encode(),
            "tgl_lahir": [datetime.date(1990, 2, 13), None],
            "agama": ["x", "y"],
        }
    )
    pa_parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [READ[0], {**READ[1], "tgl_lahir": None}]


def test_a_file_of_many_blocks_is_read_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tablefile, "CSV_BLOCK_BYTES", 200)
    rows = "".join(f'{i},"BUDI\n{i}",1990-02-13\n' for i in range(100))
    config = SourceConfig(path=write(tmp_path, HEADER + rows))
    tables = list(Source(config, SCHEMA).chunks())
    assert len(tables) > 3
    got = [row for table in tables for row in table.to_pylist()]
    assert [row["record_id"] for row in got] == [str(i) for i in range(100)]
    assert got[99]["nama"] == "BUDI\n99"


def test_a_source_can_be_read_twice(tmp_path: Path) -> None:
    source = Source(SourceConfig(path=write(tmp_path, TWO)), SCHEMA)
    first = [table.to_pylist() for table in source.chunks()]
    assert first == [table.to_pylist() for table in source.chunks()]


# What is refused, and what the refusal says


def test_missing_columns_are_all_named_with_those_that_are_there(tmp_path: Path) -> None:
    text = refused(write(tmp_path, f"id,nama,extra\n1,{SENTINEL},\n"))
    assert "no column record_id, tgl_lahir" in text
    assert "it has id, nama, extra" in text
    assert "[columns]" in text


def test_a_column_read_also_must_be_there(tmp_path: Path) -> None:
    config = SourceConfig(path=write(tmp_path, TWO))
    with pytest.raises(RecordError, match="no column entity_id"):
        Source(config, SCHEMA, ("entity_id",))


def test_a_mapping_of_an_unknown_attribute_is_named(tmp_path: Path) -> None:
    text = refused(write(tmp_path, TWO), columns={"nome": "nama", "alamat": "x"})
    assert "alamat, nome" in text
    assert "the schema does not have" in text


@pytest.mark.parametrize("content", ["", "\n", "\n\n  \n"])
def test_an_empty_file_is_said_to_be_empty(content: str, tmp_path: Path) -> None:
    assert refused(write(tmp_path, content)) == "a.csv: the file is empty"


def test_a_header_alone_is_said_to_have_no_records(tmp_path: Path) -> None:
    assert refused(write(tmp_path, HEADER)) == "a.csv: it has a header and no records"


def test_an_empty_parquet_file_is_said_to_have_no_records(tmp_path: Path) -> None:
    empty = pa.table({name: pa.array([], pa.string()) for name in READ[0]})
    pa_parquet.write_table(empty, tmp_path / "a.parquet")
    assert "no records" in refused(tmp_path / "a.parquet")


def test_the_wrong_encoding_is_named_with_what_to_try(tmp_path: Path) -> None:
    content = f"{HEADER}1,{SENTINEL} JOSÉ,\n".encode("windows-1252")
    text = refused(write(tmp_path, content))
    assert text == (
        "a.csv: not written in utf-8: name the right encoding in the source file, "
        "for example windows-1252"
    )


def test_the_wrong_encoding_far_into_the_file_is_found_too(tmp_path: Path) -> None:
    rows = "".join(f"{i},{SENTINEL},\n" for i in range(20_000))
    content = (HEADER + rows).encode() + f"x,{SENTINEL} JOSÉ,\n".encode("windows-1252")
    assert "not written in utf-8" in refused(write(tmp_path, content))


def test_an_unknown_encoding_is_named(tmp_path: Path) -> None:
    assert "'klingon' is unknown" in refused(write(tmp_path, TWO), encoding="klingon")


def test_a_record_number_twice_is_told_by_the_two_records(tmp_path: Path) -> None:
    rows = f"{SENTINEL}1,A,\nx,B,\ny,C,\n{SENTINEL}1,D,\n"
    assert "records 1 and 4 have the same record number" in refused(write(tmp_path, HEADER + rows))


def test_a_record_number_twice_is_found_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tablefile, "CSV_BLOCK_BYTES", 200)
    rows = "".join(f"{i},{SENTINEL},\n" for i in range(100)) + f"7,{SENTINEL},\n"
    assert "records 8 and 101" in refused(write(tmp_path, HEADER + rows))


def test_a_missing_record_number_is_told_by_its_record(tmp_path: Path) -> None:
    text = refused(write(tmp_path, f"{HEADER}1,A,\n,{SENTINEL},\n"))
    assert text == "a.csv: record 2 has no record number"


def test_a_missing_record_number_in_parquet_is_found(tmp_path: Path) -> None:
    table = pa.table({"record_id": ["1", None], "nama": ["A", SENTINEL], "tgl_lahir": ["", ""]})
    pa_parquet.write_table(table, tmp_path / "a.parquet")
    assert "record 2 has no record number" in refused(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("row", "n"), [(f"2,{SENTINEL},x,y", 4), (f"2,{SENTINEL}", 2), (SENTINEL, 1)]
)
def test_a_row_with_another_number_of_columns_is_told_by_its_number(
    row: str, n: int, tmp_path: Path
) -> None:
    text = refused(write(tmp_path, f"{HEADER}1,A,x\n{row}\n3,B,y\n"))
    assert f"row 3 has {n} columns, not 3" in text
    assert "quote the values" in text


def test_a_quote_that_is_never_closed_is_refused(tmp_path: Path) -> None:
    refused(write(tmp_path, f'{HEADER}1,"{SENTINEL},x\n2,B,y\n'))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "none.csv" in refused(tmp_path / "none.csv")
    assert "cannot be read" in refused(tmp_path)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet"])
def test_a_file_of_another_kind_than_its_name_says_is_refused(name: str, tmp_path: Path) -> None:
    assert name in refused(write(tmp_path, f"{HEADER}1,{SENTINEL},\n" * 10, name))


def test_a_compressed_file_cut_short_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{i},{SENTINEL}{i * 7919 % 5000},x\n" for i in range(20_000))
    whole = gzip.compress((HEADER + rows).encode())
    assert "cannot be read" in refused(write(tmp_path, whole[: len(whole) // 2], "a.csv.gz"))


# Known bugs: each of these passes when its bug is gone, and then only loses its mark.
def test_a_file_without_a_header_tells_nothing_of_its_first_record(tmp_path: Path) -> None:
    refused(write(tmp_path, f"1,{SENTINEL},1990-02-13\n2,B,\n"))


def test_a_header_alone_without_a_newline_is_said_to_have_no_records(tmp_path: Path) -> None:
    assert "no records" in refused(write(tmp_path, HEADER.strip()))


def test_a_column_read_also_may_not_take_a_name_that_is_in_use(tmp_path: Path) -> None:
    path = write(tmp_path, "id,nama,tgl_lahir,record_id\n1,A,,P\n")
    with pytest.raises(RecordError, match="the column record_id is in use"):
        read(path, ("record_id",), record_id="id")


def test_a_mapped_column_comes_under_the_attributes_name_only(tmp_path: Path) -> None:
    path = write(tmp_path, "no,full name,tgl_lahir\n1,A,\n")
    (row,) = read(path, record_id="no", columns={"nama": "full name"})
    assert list(row) == ["record_id", "nama", "tgl_lahir"]


@pytest.mark.parametrize("value", [{"a": SENTINEL}, SENTINEL.encode() + b"\xff"])
def test_parquet_values_that_are_no_text_are_refused(value: Any, tmp_path: Path) -> None:
    table = pa.table({"record_id": ["1"], "nama": [value], "tgl_lahir": ["x"]})
    pa_parquet.write_table(table, tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pa_parquet.write_table(pa.table({name: [SENTINEL] for name in READ[0]}), path)
    content = bytearray(path.read_bytes())
    content[4:40] = b"x" * 36
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("name", ["record_id", "nama"])
def test_a_wanted_column_that_is_there_twice_is_named(tmp_path: Path, name: str) -> None:
    content = f"record_id,nama,tgl_lahir,{name}\n1,{SENTINEL},,{SENTINEL}\n"
    assert f"more than one column {name}" in refused(write(tmp_path, content))


def test_a_column_that_nobody_wants_may_be_there_twice(tmp_path: Path) -> None:
    content = "record_id,x,nama,x,tgl_lahir\n1,,BUDI,,1990-02-13\n2,,SITI,,\n"
    assert read(write(tmp_path, content)) == READ


def test_what_p_means_is_told_once_for_a_whole_source(tmp_path: Path) -> None:
    """Pria and wanita: the last chunk has men alone, and says nothing of it."""
    schema = parse_schema('name = "a"\n[[attributes]]\nname = "jk"\ntype = "sex"\n')
    normaliser = RecordNormaliser(schema, SourceConfig(path=tmp_path))
    chunks = (["P", "W", None], [None], ["P"])
    columns = [normaliser.columns(pa.table({"jk": pa.array(c, pa.string())})) for c in chunks]
    said = [[c["jk"].words_of(r) for r in range(len(c["jk"]))] for c in columns]
    assert said == [[("L",), ("P",), ()], [()], [("L",)]]
