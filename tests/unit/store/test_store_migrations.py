"""A database of any earlier version becomes what a new one is, and loses nothing on the way.

`versions/N.KIND.sql` is what a real database of version N held when that was the newest.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, create_engine, inspect, make_url, text
from test_store_metadata import BATCH, JOB

from linkage.cli import padan
from linkage.errors import ConfigError, UnavailableError
from linkage.job import JobCounts, JobState
from linkage.store import migrations, tables
from linkage.store.database import Database
from linkage.store.metadata import Metadata, RefinementRow
from linkage.store.migrations import STEPS, VERSION, migrate
from linkage.store.registers import LookupRow, LookupRows, RegisterRow, RegisterRows

VERSIONS = Path(__file__).parent / "versions"
NewUrl = Callable[[str], str]


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def filled(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> NewUrl:
    """Makes a database out of statements, and returns its URL."""

    def make(statements: str) -> str:
        if kind == "sqlite":
            path = tmp_path / f"{len(list(tmp_path.iterdir()))}.db"
            connection = sqlite3.connect(path)
            connection.executescript(statements)
            connection.close()
            return f"sqlite:///{path}"
        server = request.getfixturevalue("postgres_server")
        return server.url(server.new_database(statements)).render_as_string()

    return make


@contextmanager
def database_at(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@contextmanager
def metadata_at(url: str) -> Iterator[Metadata]:
    metadata = Metadata(url)
    yield metadata
    metadata.close()


def earlier(version: int, kind: str) -> str:
    return (VERSIONS / f"{version}.{kind}.sql").read_text("utf-8")


def shape(url: str) -> dict[str, object]:
    """What a database is made of: columns, keys and indexes of each table."""
    engine = create_engine(url)
    found = inspect(engine)
    shape: dict[str, object] = {}
    for table in sorted(found.get_table_names()):
        columns = {
            (c["name"], str(c["type"]), bool(c["nullable"])) for c in found.get_columns(table)
        }
        shape[table] = (
            columns,
            found.get_pk_constraint(table)["constrained_columns"],
            {tuple(u["column_names"]) for u in found.get_unique_constraints(table)},
            {tuple(i["column_names"]) for i in found.get_indexes(table)},
            {
                (tuple(k["constrained_columns"]), k["referred_table"])
                for k in found.get_foreign_keys(table)
            },
        )
    engine.dispose()
    return shape


def test_every_earlier_version_has_its_file(kind: str) -> None:
    found = {int(path.name.split(".")[0]) for path in VERSIONS.glob(f"*.{kind}.sql")}
    assert found == set(range(1, VERSION)), "keep a dump of the version before each step"


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_earlier_database_becomes_what_a_new_one_is(
    version: int, kind: str, filled: NewUrl
) -> None:
    """Fails when `tables` was changed and no step leads there: add one to `migrations`."""
    url, new = filled(earlier(version, kind)), filled("")
    with database_at(url) as database:
        assert migrate(database) == list(range(version + 1, VERSION + 1))
        assert migrate(database) == []
    with metadata_at(new), metadata_at(url):
        pass
    assert shape(url) == shape(new)
    assert set(shape(new)) == set(tables.metadata.tables)


@pytest.mark.parametrize("version", range(1, VERSION))
def test_nothing_of_an_earlier_database_is_lost(version: int, kind: str, filled: NewUrl) -> None:
    url = filled(earlier(version, kind))
    with database_at(url) as database:
        migrate(database)
    with metadata_at(url) as metadata:
        assert metadata.read_entries(0, 9) == [b"genesis", b"\0\xff"]
        assert metadata.signed_head() == (2, b"r" * 32)
        with metadata.read() as transaction:
            assert transaction.entries(1, 2)[0].body == b'{"n":1}'
            first, second = transaction.job("j1"), transaction.job("j2")
            counts = JobCounts(2**62, 2**61, 2**40, 3, 1.5)
            assert first == replace(JOB, counts=counts, uploaded=("dukcapil",))
            failed = replace(JOB, job_id="j2", state=JobState.FAILED)
            assert second == replace(failed, reason_code="A_CODE", reason="why: é")
            assert transaction.result_leaf("j1") == 1
            assert transaction.cosigned("j2") == b"note\xff"
            batch = replace(BATCH, next_chunk=3, n_received=2**40, committed=True)
            assert transaction.batches_of("j1") == [batch]
            asked = RefinementRow("j1", "dukcapil", "imigrasi", 3, 1)
            assert transaction.refinements("j1") == [asked]
            assert transaction.done_tasks("j1") == {5: 2**40}
            register = RegisterRow("u1", "pks/1", "dukcapil", b"\0m", "2026-12-01", 2, 7, 1, 1)
            assert RegisterRows(transaction.connection).get("u1") == register
            counted = LookupRow(
                "pks/1", 29_000_000, "party/imigrasi", "dukcapil", answered=4, refused=1, sequence=4
            )
            assert LookupRows(transaction.connection).since(0) == [counted]


def test_an_earlier_database_is_not_opened_and_says_what_to_do(kind: str, filled: NewUrl) -> None:
    url = filled(earlier(1, kind))
    with pytest.raises(ConfigError, match="make a backup, then run `padan matcher migrate`"):
        Metadata(url)
    assert "store" not in shape(url)


def test_a_newer_database_is_neither_opened_nor_brought_anywhere(filled: NewUrl) -> None:
    url = filled("")
    with metadata_at(url) as metadata, metadata.write() as transaction:
        transaction.connection.execute(tables.store.update().values(version=VERSION + 1))
    with pytest.raises(ConfigError, match="newer than this program's"):
        Metadata(url)
    with database_at(url) as database, pytest.raises(ConfigError, match="newer"):
        migrate(database)


def test_a_database_from_before_the_first_version_is_refused(filled: NewUrl) -> None:
    url = filled("CREATE TABLE entries (leaf TEXT); CREATE TABLE jobs (job_id TEXT);")
    with pytest.raises(ConfigError, match="begin with an empty one"):
        Metadata(url)
    with database_at(url) as database, pytest.raises(ConfigError, match="empty one"):
        migrate(database)


def test_nothing_is_migrated_where_there_is_nothing(filled: NewUrl) -> None:
    url = filled("")
    with database_at(url) as database:
        assert migrate(database) == []
    assert shape(url) == {}


def test_a_step_that_fails_in_the_middle_was_never_begun(
    kind: str, filled: NewUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = filled(earlier(1, kind))
    before = shape(url)

    def fail(connection: Connection) -> None:
        STEPS[0](connection)
        connection.execute(text("SELECT * FROM none_such" if kind == "sqlite" else "SELECT 1/0"))

    monkeypatch.setattr(migrations, "STEPS", (fail, *STEPS[1:]))
    with database_at(url) as database, pytest.raises((UnavailableError, Exception)):
        migrate(database)
    assert shape(url) == before
    monkeypatch.undo()
    with database_at(url) as database:
        assert migrate(database) == list(range(2, VERSION + 1))


def test_the_command_tells_the_versions_and_is_harmless_again(tmp_path: Path) -> None:
    config = tmp_path / "matcher.toml"
    config.write_text(
        'trust_domain = "t"\nlisten = "127.0.0.1:0"\ndata = "data"\nkeystore = "keystore"\n'
        '[tls]\ncertificate = "c"\nprivate_key = "k"\nauthority = "a"\n'
        '[log]\norigin = "o"\nsigning_key = "s"\nkey_encryption_key = "e"\n'
        'administrators = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]\n'
    )
    (tmp_path / "data").mkdir()
    connection = sqlite3.connect(tmp_path / "data" / "matcher.db")
    connection.executescript(earlier(1, "sqlite"))
    connection.close()
    command = ["matcher", "migrate", "--config", str(config)]
    done = CliRunner().invoke(padan, [*command, "--json"])
    assert done.exit_code == 0, done.exception
    assert f'"version": {VERSION}, "reached": {list(range(2, VERSION + 1))}' in done.stdout
    again = CliRunner().invoke(padan, command)
    assert again.exit_code == 0
    assert "nothing to do" in again.stderr


def test_urls_of_versions_are_of_real_kinds() -> None:
    kinds = {path.name.split(".")[1] for path in VERSIONS.glob("*.sql")}
    assert kinds == {make_url("sqlite://").drivername, make_url("postgresql://").drivername}
