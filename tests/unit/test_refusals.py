"""Values that cannot be read: the record is encoded without them, or left out, by the schema."""

from pathlib import Path

import pytest

from linkage.agent import tablefile
from linkage.agent.config import SourceConfig
from linkage.agent.refusals import RefusedFile
from linkage.agent.source import Source
from linkage.encode.encoder import resolve_schema, schema_id
from linkage.errors import ConfigError, RecordError
from linkage.schema import Attribute, LinkageSchema, parse_schema

ROWS = (
    "a1,SUKMAWATI,17-08-1961,P",
    "a2,GURITA,45-45-45-45,L",
    "a3,TERATAI,,L",  # missing is not unreadable
    "a4,CEMARA,99-99-9999,?",
    "a5,DAHLIA,16-06-1967,?",
)


def schema_with(**refused: str) -> LinkageSchema:
    types = {"nama": "name", "lahir": "date", "kelamin": "sex"}
    text = 'name = "a"\n' + "".join(
        f'[[attributes]]\nname = "{name}"\ntype = "{kind}"\n'
        + (f'invalid = "{refused[name]}"\n' if name in refused else "")
        for name, kind in types.items()
    )
    return parse_schema(text)


def written(folder: Path, rows: tuple[str, ...] = ROWS) -> SourceConfig:
    path = folder / "records.csv"
    path.write_text("\n".join(("record_id,nama,lahir,kelamin", *rows)) + "\n")
    return SourceConfig(path=path)


def kept(source: Source) -> list[str]:
    return [str(number) for table in source.chunks() for number in table["record_id"].to_pylist()]


def test_what_cannot_be_read_counts_as_missing_by_default(tmp_path: Path) -> None:
    assert kept(Source(written(tmp_path), schema_with())) == ["a1", "a2", "a3", "a4", "a5"]


@pytest.mark.parametrize("block_bytes", [6 << 20, 40])
def test_records_are_left_out_and_told_by_row_attribute_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(tablefile, "CSV_BLOCK_BYTES", block_bytes)
    told: list[tuple[int, str, str]] = []

    def tell(row: int, number: str, attribute: Attribute) -> None:
        told.append((row, number, attribute.name))

    schema = schema_with(lahir="refuse", kelamin="refuse")
    source = Source(written(tmp_path), schema, on_refused=tell)
    for _ in range(2):  # a second reading leaves out the same records
        told.clear()
        assert kept(source) == ["a1", "a3"]
        assert sorted(told) == [
            (2, "a2", "lahir"), (4, "a4", "kelamin"), (4, "a4", "lahir"), (5, "a5", "kelamin"),
        ]  # fmt: skip


def test_they_can_be_looked_at_all_the_same(tmp_path: Path) -> None:
    source = Source(written(tmp_path), schema_with(lahir="refuse"), refuse=False)
    assert len(kept(source)) == 5


def test_a_file_of_nothing_else_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    source = Source(written(tmp_path, ROWS[1:2]), schema_with(lahir="refuse"))
    with pytest.raises(RecordError, match="refuses every record") as caught:
        kept(source)
    assert "45" not in str(caught.value)


def test_the_list_of_refused_records_holds_no_value(tmp_path: Path) -> None:
    path = tmp_path / "refused" / "job.csv"
    with RefusedFile(path) as refused:
        schema = schema_with(lahir="refuse")
        kept(Source(written(tmp_path), schema, on_refused=refused.add))
    assert path.read_text().splitlines() == [
        "row,record_id,attribute,rule", "2,a2,lahir,D01", "4,a4,lahir,D01",
    ]  # fmt: skip
    with RefusedFile(path):
        pass
    assert not path.exists()


def test_parties_that_do_not_refuse_alike_have_other_schemas() -> None:
    ours, theirs = schema_with(lahir="refuse"), schema_with()
    assert resolve_schema(ours)["attributes"][1]["invalid"] == "refuse"
    assert schema_id(ours) != schema_id(theirs)
    with pytest.raises(ConfigError, match="invalid"):
        schema_with(lahir="stop")
