"""What holds for all tests."""

import gc
from collections.abc import Iterator

import pytest
import sqlalchemy
from hypothesis import settings
from postgres import PostgresServer, running_server

# Compiled kernels are built at their first call: a slow first example is no failure.
settings.register_profile("padan", deadline=None)
settings.load_profile("padan")


def pytest_collection_finish() -> None:
    """Let the collector pass over what stays to the end: thousands of tests and modules."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of this process."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> sqlalchemy.URL:
    """The URL of an empty PostgreSQL database; `render_as_string` makes it a text."""
    return postgres_server.url(postgres_server.new_database())
