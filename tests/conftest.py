"""What holds for all tests."""

from collections.abc import Iterator

import pytest
import sqlalchemy
from hypothesis import settings
from postgres import new_database, running_server

# Compiled kernels are built at their first call: a slow first example is no failure.
settings.register_profile("padan", deadline=None)
settings.load_profile("padan")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sqlalchemy.URL]:
    """A PostgreSQL server for all tests of this process."""
    with running_server() as url:
        yield url


@pytest.fixture
def postgres(postgres_server: sqlalchemy.URL) -> sqlalchemy.URL:
    """The URL of an empty PostgreSQL database; `render_as_string` makes it a text."""
    return new_database(postgres_server)
