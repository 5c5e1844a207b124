"""One writer on a PostgreSQL database, and a server that goes away and comes back."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres import PASSWORD, PostgresServer
from sqlalchemy import URL, text
from sqlalchemy.exc import ProgrammingError

from linkage.errors import ConfigError, UnavailableError
from linkage.matcher.config import MatcherConfig, load_config
from linkage.matcher.opened import opened_database, opened_metadata
from linkage.store.database import Database
from linkage.store.metadata import Metadata, NewEntry

Configure = Callable[..., MatcherConfig]


def append(metadata: Metadata, leaf: bytes) -> int:
    with metadata.write() as transaction:
        return transaction.append(NewEntry(leaf))


@pytest.fixture
def metadata(postgres: URL) -> Iterator[Metadata]:
    metadata = Metadata(postgres)
    yield metadata
    metadata.close()


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Writes the settings of a matcher; each name has folders of its own."""

    def make(name: str, store: str) -> MatcherConfig:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "password").write_text(f"{PASSWORD}\n")
        (folder / "password").chmod(0o600)
        (folder / "matcher.toml").write_text(
            'trust_domain = "t"\nlisten = "127.0.0.1:0"\ndata = "data"\nkeystore = "keystore"\n'
            '[tls]\ncertificate = "c"\nprivate_key = "k"\nauthority = "a"\n'
            '[log]\norigin = "o"\nsigning_key = "s"\nkey_encryption_key = "e"\n'
            'administrators = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]\n'
            f"[store]\n{store}\n"
        )
        return load_config(folder / "matcher.toml")

    return make


# One writer


def test_two_matchers_on_two_machines_cannot_have_one_database(
    postgres_server: PostgresServer, configure: Configure
) -> None:
    url = postgres_server.url(postgres_server.new_database()).render_as_string()
    first, second = (configure(name, f'url = "{url}"') for name in ("first", "second"))
    with opened_metadata(first) as metadata:
        append(metadata, b"a")
        with (
            pytest.raises(ConfigError, match="another matcher runs on this database"),
            opened_metadata(second),
        ):
            pass
        with pytest.raises(ConfigError, match="another matcher"), opened_database(second):
            pass
        append(metadata, b"b")
    with opened_metadata(second) as metadata:
        assert metadata.read_entries(0, 9) == [b"a", b"b"]


def test_whoever_was_replaced_while_the_server_was_away_writes_no_more(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.url(postgres_server.new_database())
    old, new = Metadata(url), Metadata(url)
    old.claim()
    append(old, b"old")
    postgres_server.stop()
    postgres_server.start()
    # The lock went with the server; the other one is quicker.
    new.claim()
    assert append(new, b"new") == 1
    for _ in range(2):
        with pytest.raises(UnavailableError, match="taken the database over"):
            append(old, b"too late")
    assert new.read_entries(0, 9) == [b"old", b"new"]
    old.close()
    new.close()


def test_the_lock_is_taken_again_when_the_server_is_back(postgres_server: PostgresServer) -> None:
    url = postgres_server.url(postgres_server.new_database())
    metadata, late = Metadata(url), Metadata(url)
    metadata.claim()
    postgres_server.stop()
    with pytest.raises(UnavailableError):
        append(metadata, b"nobody there")
    postgres_server.start()
    assert append(metadata, b"a") == 0
    with pytest.raises(ConfigError, match="another matcher"):
        late.claim()
    metadata.close()
    late.claim()
    assert append(late, b"b") == 1
    late.close()


def test_indexes_are_dense_though_two_processes_write_without_a_claim(postgres: URL) -> None:
    pair = [Metadata(postgres), Metadata(postgres)]

    def write(metadata: Metadata) -> None:
        for _ in range(15):
            append(metadata, b"x")

    threads = [threading.Thread(target=write, args=(one,)) for one in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pair[0].entry_count() == 30
    for one in pair:
        one.close()


# Away and back


def test_what_was_acknowledged_is_there_after_a_crash_of_the_server(
    postgres_server: PostgresServer, metadata: Metadata
) -> None:
    append(metadata, b"a")

    def stop_before_the_commit() -> None:
        with metadata.write() as transaction:
            transaction.append(NewEntry(b"lost"))
            postgres_server.stop()

    with pytest.raises(UnavailableError, match="does not answer"):
        stop_before_the_commit()
    for _ in range(3):
        with pytest.raises(UnavailableError):
            metadata.entry_count()
        with pytest.raises(UnavailableError):
            append(metadata, b"lost")
    postgres_server.start()
    assert metadata.read_entries(0, 9) == [b"a"]
    assert append(metadata, b"b") == 1


def test_a_reader_is_told_when_the_server_goes_away(
    postgres_server: PostgresServer, metadata: Metadata
) -> None:
    append(metadata, b"a")

    def read() -> None:
        with metadata.read() as transaction:
            assert transaction.entry_count() == 1
            postgres_server.stop()
            transaction.entry_count()

    with pytest.raises(UnavailableError):
        read()
    postgres_server.start()
    assert metadata.entry_count() == 1


def test_a_mistake_in_a_statement_is_no_fault_of_the_server(metadata: Metadata) -> None:
    with pytest.raises(ProgrammingError), metadata.read() as transaction:
        transaction.connection.execute(text("SELEC 1"))


def test_commits_are_durable_whatever_the_server_says(
    postgres_server: PostgresServer,
) -> None:
    name = postgres_server.new_database()
    postgres_server.psql(name, f"ALTER DATABASE {name} SET synchronous_commit = off")
    database = Database(postgres_server.url(name))
    with database.read() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        shown = connection.execute(text("SHOW idle_in_transaction_session_timeout"))
        assert shown.scalar_one() == "1min"
    database.close()


# Settings


def test_the_password_is_read_from_its_file(
    postgres_server: PostgresServer, configure: Configure
) -> None:
    url = postgres_server.url_with_password(postgres_server.new_database())
    bare = url._replace(password=None).render_as_string()
    config = configure("with", f'url = "{bare}"\npassword_file = "password"')
    with opened_metadata(config) as metadata:
        append(metadata, b"a")
    without = configure("without", f'url = "{bare}"')
    with pytest.raises(ConfigError, match="refuses this user"), opened_metadata(without):
        pass


def test_a_password_is_in_no_text(postgres_server: PostgresServer) -> None:
    database = Database(postgres_server.url_with_password("postgres"))
    assert PASSWORD not in database.name
    database.close()
    wrong = postgres_server.url_with_password("none_such")
    with pytest.raises(ConfigError, match="make the database") as caught:
        Metadata(wrong)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ('url = "postgresql+pg8000://u:p@127.0.0.1/d"', "no password belongs here"),
        ('url = "postgresql+pg8000://u@db.example/d"', "by TLS alone"),
        ('url = "postgresql+pg8000://u@localhost/d?host=db.example"', "after the"),
        ('url = "postgresql+pg8000://u@localhost/d?sslmode=require"', "after the"),
        ('url = "postgresql+pg8000://db.example/d"', "write it as postgresql"),
        ('url = "mysql://u@127.0.0.1/d"', "write it as postgresql"),
        ('url = "no url"', "write it as postgresql"),
        ('password_file = "password"', "go with a url"),
        ('authority = "a.pem"', "go with a url"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    store: str, problem: str, configure: Configure
) -> None:
    with pytest.raises(ConfigError, match=problem):
        configure("one", store)


def test_a_password_that_others_can_read_is_refused(
    postgres_server: PostgresServer, configure: Configure
) -> None:
    url = postgres_server.url("postgres").render_as_string()
    config = configure("one", f'url = "{url}"\npassword_file = "password"')
    assert config.store.password_file is not None
    config.store.password_file.chmod(0o644)
    with pytest.raises(Exception, match="readable by others"), opened_metadata(config):
        pass


def test_an_authority_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"a\.pem"):
        Database("postgresql+pg8000://u@db.example/d", tmp_path / "a.pem")
    with pytest.raises(ConfigError, match=r"none\.pem"):
        Database("postgresql+pg8000://u@db.example/d", tmp_path / "none.pem")


# SQLite


def test_a_locked_file_is_unavailable_and_then_there_again(tmp_path: Path) -> None:
    path = tmp_path / "matcher.db"
    metadata = Metadata(f"sqlite:///{path}")
    append(metadata, b"a")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    # The pool hands the same connection out again; its ten seconds are more than a test waits.
    with metadata.read() as transaction:
        transaction.connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    with pytest.raises(UnavailableError, match="does not answer"):
        append(metadata, b"b")
    assert metadata.read_entries(0, 9) == [b"a"]
    other.execute("ROLLBACK")
    assert append(metadata, b"b") == 1
    other.close()
    metadata.close()
