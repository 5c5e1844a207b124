"""What `docs/schema.md` says of schemas and source files is what the program does."""

import re
import tomllib
from pathlib import Path

from linkage.agent.config import Database, SourceConfig
from linkage.schema import Attribute, Encoding, LinkageSchema, Match, parse_schema
from linkage.types import ATTRIBUTE_TYPES

TEXT = (Path(__file__).parents[2] / "docs" / "schema.md").read_text("utf-8")
SCHEMA, SOURCE, DATABASE = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def test_the_table_of_types_is_that_of_the_code() -> None:
    row = re.compile(
        r"^\| (\w+) \| (\w+) \| (umum|spesifik) \| (\w+) \| ([\w.]+) \|$", re.MULTILINE
    )
    rows = row.findall(TEXT)
    assert rows == [
        (
            t.name, t.element, t.data_class, t.space,
            "exact" if t.kind == "identifier" else f"{t.weight:g}",
        )
        for t in ATTRIBUTE_TYPES.values()
    ]  # fmt: skip


def test_the_schema_shown_can_be_read_and_shows_the_defaults() -> None:
    schema = parse_schema(SCHEMA)
    assert (
        schema.encoding.model_dump()
        == Encoding(
            bits=schema.encoding.code_bits,
            order=schema.encoding.code_order,
            filter_bits=schema.encoding.filter_length,
        ).model_dump()
    )
    assert Encoding().code_bits == schema.encoding.bits
    assert schema.match == Match()
    assert [a.type for a in schema.attributes] == ["name", "date", "nik"]


def test_every_setting_is_shown() -> None:
    shown = tomllib.loads(SCHEMA)
    assert set(shown) == set(LinkageSchema.model_fields)
    assert set(shown["encoding"]) == set(Encoding.model_fields)
    assert set(shown["match"]) | {"threshold"} == set(Match.model_fields)
    assert set(shown["attributes"][0]) == set(Attribute.model_fields)


def test_the_source_file_shown_can_be_read_and_shows_every_setting() -> None:
    shown = tomllib.loads(SOURCE)
    assert {*shown, "database"} == set(SourceConfig.model_fields)
    source = SourceConfig.model_validate({**shown, "path": Path(shown["path"])})
    assert source.values == {"jenis_kelamin": {"1": "L", "2": "P"}}


def test_the_database_shown_can_be_read_and_shows_every_setting() -> None:
    shown = tomllib.loads(DATABASE)
    assert {*shown["database"], "query"} == set(Database.model_fields)
    assert SourceConfig.model_validate(shown).name == "sipil.penduduk"
