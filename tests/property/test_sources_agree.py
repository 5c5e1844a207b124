"""One table of typed columns gives one batch, whichever of the five sources it is read from."""

import csv
import datetime
import gzip
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres import PostgresServer

from keys.derive import KeyContext, LinkageKey
from linkage.agent.config import Database, SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.source import Source
from linkage.encode.encoder import Encoder, schema_id
from linkage.schema import parse_schema

SCHEMA = parse_schema(
    """
    name = "five"
    [encoding]
    scheme = "clk"
    bits = 1024
    [match]
    rounds = 1
    threshold = 0.8
    [[attributes]]
    name = "nama"
    type = "name"
    [[attributes]]
    name = "lahir"
    type = "date"
    [[attributes]]
    name = "dicatat"
    type = "date"
    [[attributes]]
    name = "kode"
    type = "code"
    [[attributes]]
    name = "berat"
    type = "number"
    [[attributes]]
    name = "nik"
    type = "nik"
    [[attributes]]
    name = "kk"
    type = "kk"
    [exact]
    names = ["nik", "kk"]
    """
)
COLUMNS = {
    "record_id": ("bigint", pa.int64()),
    "nama": ("text", pa.string()),
    "lahir": ("date", pa.date32()),
    "dicatat": ("timestamp", pa.timestamp("us")),
    "kode": ("integer", pa.int32()),
    "berat": ("numeric(12, 2)", pa.decimal128(12, 2)),
    "nik": ("text", pa.string()),
    "kk": ("bigint", pa.int64()),
}
DAYS = st.dates(datetime.date(1900, 1, 1), datetime.date(2026, 1, 1))
LETTERS = st.characters(codec="utf-8", categories=("L", "P", "Zs", "Sc"), exclude_characters="\r")
MOMENTS = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2026, 1, 1))  # noqa: DTZ001 -- as registers hold them
PERSONS = st.tuples(
    st.none() | st.text(LETTERS | st.sampled_from("\",;\n'%:\\"), max_size=20),
    st.none() | DAYS,
    st.none() | MOMENTS | DAYS.map(lambda day: datetime.datetime.combine(day, datetime.time())),
    st.none() | st.integers(-9, 99_999),
    st.none() | st.decimals(-9_999, 9_999, places=2),
    st.none() | st.from_regex(r"00[0-9]{14}|[0-9]{1,4}", fullmatch=True),
    st.none() | st.integers(10**15, 10**16 - 1),
)


@pytest.fixture(scope="module")
def engine(postgres_server: PostgresServer) -> Iterator[sa.Engine]:
    made = sa.create_engine(postgres_server.url(postgres_server.new_database()))
    yield made
    made.dispose()


def as_text(value: object) -> str:
    """What a careful person writes into a CSV file for a typed value."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ") if value.time() != datetime.time() else str(value.date())
    if isinstance(value, Decimal):
        return str(int(value)) if value == int(value) else f"{value:f}".rstrip("0")
    return "" if value is None else str(value)


def as_sqlite(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, datetime.date) else value


def sources(
    rows: list[tuple[Any, ...]], folder: Path, engine: sa.Engine
) -> dict[str, SourceConfig]:
    plain = folder / "five.csv"
    with plain.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([as_text(value) for value in row] for row in rows)
    packed = folder / "five.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    parquet = folder / "five.parquet"
    by_column = zip(COLUMNS.items(), zip(*rows, strict=True), strict=True)
    arrays = {name: pa.array(values, kind) for (name, (_, kind)), values in by_column}
    pa_parquet.write_table(pa.table(arrays), parquet)
    database = folder / "five.db"
    database.unlink(missing_ok=True)
    names = ", ".join(COLUMNS)
    with sqlite3.connect(database) as connection:
        connection.execute(f"create table five ({names})")
        marks = ", ".join("?" * len(COLUMNS))
        values = [[as_sqlite(value) for value in row] for row in reversed(rows)]
        connection.executemany(f"insert into five values ({marks})", values)
    connection.close()
    with engine.begin() as server:
        server.execute(sa.text("drop table if exists five"))
        kinds = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
        server.execute(sa.text(f"create table five ({kinds})"))
        marks = ", ".join(f":{name}" for name in COLUMNS)
        server.execute(
            sa.text(f"insert into five values ({marks})"),
            [dict(zip(COLUMNS, row, strict=True)) for row in reversed(rows)],
        )
    url = engine.url.render_as_string()
    query = "select *, 'A%' as x from five where nama is null or nama::text not like '%:x%' -- :y"
    return {
        "csv": SourceConfig(path=plain),
        "csv.gz": SourceConfig(path=packed),
        "parquet": SourceConfig(path=parquet),
        "sqlite": SourceConfig(database=Database(url=f"sqlite:///{database}", table="five")),
        "postgresql": SourceConfig(database=Database(url=url, table="public.five")),
        "query": SourceConfig(database=Database(url=url, query=query)),
    }


def batch_of(config: SourceConfig) -> tuple[list[object], bytes, bytes, bytes]:
    """All that is made of a source: record numbers, codes, values and exact tokens."""
    key = LinkageKey(bytes(32), KeyContext("A", schema_id(SCHEMA), "p", 1))
    encoder, normaliser = Encoder(SCHEMA, key, bytes), RecordNormaliser(SCHEMA, config)
    ids: list[object] = []
    codes = values = exact = b""
    for table in Source(config, SCHEMA).chunks():
        ids += table["record_id"].to_pylist()
        made = encoder.encode(normaliser.columns(table))
        codes += made.codes.tobytes()
        values += made.values.tobytes()
        exact += made.exact.tobytes()
    return ids, codes, values, exact


@settings(max_examples=12)
@given(persons=st.lists(PERSONS, min_size=1, max_size=6))
def test_five_sources_of_one_table_give_one_batch(
    persons: list[tuple[Any, ...]],
    engine: sa.Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows = [(number, *person) for number, person in enumerate(persons, 1)]
    made = sources(rows, tmp_path_factory.mktemp("five"), engine)
    batches = {name: batch_of(config) for name, config in made.items()}
    want = batches.pop("csv")
    assert want[0] == [str(row[0]) for row in rows]
    for name, batch in batches.items():
        assert batch == want, name
