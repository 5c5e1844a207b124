"""Sources in a database: one moment, piece by piece, and no password or value in any text."""

import sqlite3
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from linkage.agent import tablequery
from linkage.agent.config import Database, SourceConfig, load_source
from linkage.agent.source import Source, read_columns
from linkage.agent.tablequery import password_in
from linkage.errors import ConfigError, RecordError
from linkage.schema import parse_schema

SCHEMA = parse_schema('name = "a"\n[[attributes]]\nname = "nama"\ntype = "name"\n')
SENTINEL = "RAHASIA"


def sqlite_file(folder: Path, *rows: tuple[Any, ...]) -> Path:
    path = folder / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table penduduk (record_id, nama)")
        connection.executemany("insert into penduduk values (?, ?)", rows)
    connection.close()
    return path


def of(url: str, **settings: Any) -> SourceConfig:
    settings = {"table": "penduduk"} | settings
    return SourceConfig(database=Database(url=url, **settings))


def read(config: SourceConfig) -> list[dict[str, Any]]:
    return [row for table in Source(config, SCHEMA).chunks() for row in table.to_pylist()]


def refused(config: SourceConfig) -> str:
    with pytest.raises(RecordError) as caught:
        read(config)
    assert SENTINEL not in "".join(map(str, (caught.value, caught.value.__cause__)))
    return str(caught.value)


@pytest.fixture
def server(postgres: sa.URL) -> sa.URL:
    execute(
        postgres,
        "create table penduduk (record_id integer primary key, nama text)",
        "insert into penduduk select i, 'NAMA ' || i from generate_series(1, 1000) i",
    )
    return postgres


def execute(url: sa.URL, *statements: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def test_a_table_is_read_in_the_order_of_its_record_numbers(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path, (2, "SITI"), (1, None), (3, ""))
    want = [(1, None), (2, "SITI"), (3, "")]
    assert [(int(r["record_id"]), r["nama"]) for r in read(of(f"sqlite:///{path}"))] == want


def test_a_path_counts_from_the_source_files_folder(tmp_path: Path) -> None:
    sqlite_file(tmp_path, (1, "SITI"))
    (tmp_path / "source.toml").write_text(
        '[database]\nurl = "sqlite:///a.db"\nquery = "select * from penduduk;"\n'
    )
    assert len(read(load_source(tmp_path / "source.toml"))) == 1


def test_nothing_is_made_or_written_where_there_is_no_database(tmp_path: Path) -> None:
    assert "unable to open" in refused(of(f"sqlite:///{tmp_path}/none.db"))
    assert not list(tmp_path.iterdir())


def test_a_query_that_writes_is_refused(tmp_path: Path, server: sa.URL) -> None:
    path = sqlite_file(tmp_path, (1, "SITI"))
    refused(of(f"sqlite:///{path}", table=None, query="delete from penduduk returning *"))
    assert len(read(of(f"sqlite:///{path}"))) == 1
    url = server.render_as_string()
    execute(
        server,
        "create function f() returns table (record_id int, nama text) language sql as "
        "'delete from penduduk returning *'",
    )
    text = refused(of(url, table=None, query="select * from f()"))
    assert "25006" in text  # read-only transaction
    assert len(read(of(url))) == 1000


def test_all_is_of_one_moment(server: sa.URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tablequery, "ROWS_PER_CHUNK", 100)
    chunks = Source(of(server.render_as_string()), SCHEMA).chunks()
    first = next(chunks)
    execute(
        server,
        "update penduduk set nama = 'LAIN'",
        "delete from penduduk where record_id > 500",
        "insert into penduduk values (2000, 'BARU')",
    )
    rest = [row for table in chunks for row in table.to_pylist()]
    assert len(first) == 100
    assert [row["nama"] for row in rest] == [f"NAMA {i}" for i in range(101, 1001)]


def test_a_server_that_goes_away_is_an_error_and_not_an_end(
    server: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tablequery, "ROWS_PER_CHUNK", 10)
    chunks = Source(of(server.render_as_string()), SCHEMA).chunks()
    next(chunks)
    execute(
        server,
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()",
    )
    with pytest.raises(RecordError, match="penduduk: the database"):
        list(chunks)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"table": "none"}, 'relation "none" does not exist'),
        ({"table": None, "query": "select 1 as record_id"}, "no column nama; it has record_id"),
        ({"table": None, "query": "selekt"}, "syntax error"),
        (
            {"table": None, "query": f"select '{SENTINEL}'::int as record_id, '' as nama"},
            "SQLSTATE 22P02",
        ),
        (
            {"table": None, "query": f"select 1 as record_id, '{{}}'::json as nama, '{SENTINEL}'"},
            "holds dict",
        ),
        ({"table": None, "query": "select 1 as record_id, 'a' as nama, 'b' as nama"}, "more than"),
    ],
)
def test_what_is_wrong_is_said_without_a_value(
    server: sa.URL, settings: dict[str, Any], words: str
) -> None:
    assert words in refused(of(server.render_as_string(), **settings))


def test_no_such_server_is_said(server: sa.URL) -> None:
    url = server.set(query={"host": "/nowhere"}).render_as_string()
    assert "cannot be reached" in refused(of(url))
    # A server that asks for passwords does not say whether there is such a role.
    told = refused(of(server.set(username="nobody").render_as_string()))
    assert "user" in told or 'role "nobody" does not exist' in told


def test_text_that_is_none_is_not_quoted(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("insert into penduduk values (1, cast(x'52414841534941ff' as text))")
    connection.close()
    assert "value that is no text" in refused(of(f"sqlite:///{path}"))


def test_a_database_on_another_machine_needs_its_authority() -> None:
    assert "authority" in refused(of("postgresql://padan@db.example/penduduk"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"postgresql://padan:{SENTINEL}@db.example/x", "a password stands in it"),
        (f"postgresql://db.example/x?password={SENTINEL}", "a password stands in it"),
        ("mysql://db.example/x", "write others out as CSV or Parquet"),
        (f"{SENTINEL} x", "no URL"),
        ("sqlite://", "names no file"),
        # Else the driver would go there in the clear, for the first host is this machine.
        ("postgresql://u@localhost/x?host=db.example", "after the"),
        ("postgresql://u@localhost/x?host=/run&host=db.example", "after the"),
        ("postgresql://u@localhost/x?unix_sock=run", "after the"),
        ("postgresql://u@localhost/x?sslmode=require", "after the"),
        ("sqlite:///a.db?mode=rwc", "after the"),
        ("postgresql://u@localhost:99999/x", "port"),
    ],
)
def test_a_url_with_a_password_or_of_another_kind_is_refused(
    tmp_path: Path, url: str, words: str
) -> None:
    path = tmp_path / "source.toml"
    path.write_text(f'[database]\nurl = "{url}"\ntable = "x"\n')
    with pytest.raises(ConfigError, match=words) as caught:
        load_source(path)
    assert SENTINEL not in str(caught.value)


def test_a_source_is_in_one_place() -> None:
    database = Database(url="sqlite:///a.db", table="a")
    for settings in ({}, {"path": Path("a.csv"), "database": database}):
        with pytest.raises(ValidationError, match="either a path or a"):
            SourceConfig.model_validate(settings)
    with pytest.raises(ValidationError, match="either a table or a query"):
        Database(url="sqlite:///a.db")


PASSFILE = r"""
# a comment
db.example:5432:a:padan:first
*:*:b\:c:padan:with\:colon\\
*:*:*:lain:last
"""


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://padan@db.example/a", "first"),
        ("postgresql://padan@db.example:5433/a", None),
        ("postgresql://padan@x/b%3Ac", r"with:colon" + "\\"),
        ("postgresql://lain@x/y", "last"),
    ],
)
def test_a_password_comes_from_the_file_that_the_environment_names(
    tmp_path: Path, url: str, password: str | None
) -> None:
    path = tmp_path / "pgpass"
    path.write_text(PASSFILE)
    path.chmod(0o644)
    with pytest.raises(RecordError, match="chmod 600"):
        password_in(path, sa.make_url(url))
    path.chmod(0o600)
    assert password_in(path, sa.make_url(url)) == password


def test_a_password_is_used_and_told_to_nobody(
    server: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server here asks for none: what is looked at is what reaches the driver."""
    seen: list[object] = []
    real = sa.create_engine

    def create(url: sa.URL, **options: Any) -> sa.Engine:
        seen.append(options["connect_args"].get("password"))
        assert SENTINEL not in str(url)
        return real(url, **options)

    monkeypatch.setattr(sa, "create_engine", create)
    path = tmp_path / "pin"
    path.write_text(SENTINEL + "\n")
    path.chmod(0o600)
    config = of(server.render_as_string(), password=f"file:{path}")
    assert SENTINEL not in repr(config)
    assert len(read(config)) == 1000
    (tmp_path / "pgpass").write_text(f"*:*:*:*:{SENTINEL}")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    assert len(read(of(server.render_as_string()))) == 1000
    assert set(seen) == {SENTINEL}


def test_memory_does_not_grow_with_the_table(server: sa.URL) -> None:
    """More records: what is held at once is a chunk of them."""
    execute(
        server,
        "insert into penduduk select i, repeat('NAMA ', 20) from generate_series(1001, 80000) i",
    )
    peaks = []
    # Both are several chunks: while the first is read there is less than at any later time.
    for most in (40_000, 80_000):
        query = f"select * from penduduk where record_id <= {most}"
        config = of(server.render_as_string(), table=None, query=query)
        tracemalloc.start()
        n = sum(len(table) for table in read_columns(config, ["nama"]))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n == most
    assert peaks[1] < 1.5 * peaks[0]


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("record_id,nama\n1,A\n")
    chunks = Source(SourceConfig(path=path), SCHEMA).chunks()
    next(chunks)
    with path.open("a") as file:
        file.write(f"2,{SENTINEL}\n")
    with pytest.raises(RecordError, match="changed while it was read") as caught:
        next(chunks)
    assert SENTINEL not in str(caught.value)


def test_readers_do_not_wait_for_each_other(server: sa.URL) -> None:
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(len(read(of(server.render_as_string())))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1000] * 3
