"""The one door to a matcher's database: this matcher's alone, and of the right version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url

from keys.files import read_private_file
from linkage.errors import ConfigError
from linkage.matcher.config import MatcherConfig
from linkage.matcher.lock import locked
from linkage.store.database import Database
from linkage.store.metadata import Metadata

DATABASE = "matcher.db"
_MAX_PASSWORD_BYTES = 1024


@contextmanager
def opened_metadata(config: MatcherConfig) -> Iterator[Metadata]:
    """Open the database of a matcher, which no other process writes meanwhile.

    Raises:
        ConfigError: a matcher runs on it, or it is of another version.
        KeystoreError: its password cannot be read.
        UnavailableError: it is gone.
    """
    with _alone(config):
        metadata = Metadata(database_url(config), config.store.authority)
        try:
            metadata.claim()
            yield metadata
        finally:
            metadata.close()


@contextmanager
def opened_database(config: MatcherConfig) -> Iterator[Database]:
    """Open the database of a matcher whatever its version, to bring it up; raises as above."""
    with _alone(config):
        database = Database(database_url(config), config.store.authority)
        try:
            database.hold()
            yield database
        finally:
            database.close()


@contextmanager
def read_metadata(config: MatcherConfig) -> Iterator[Metadata]:
    """Open the database of a matcher that may run, to be read and not changed; raises as above."""
    metadata = Metadata(database_url(config), config.store.authority, as_it_is=True)
    try:
        yield metadata
    finally:
        metadata.close()


@contextmanager
def empty_metadata(config: MatcherConfig, folder: Path) -> Iterator[Metadata]:
    """Open a database for data that are made again.

    Args:
        config: the matcher's settings.
        folder: where the new data are; a PostgreSQL database is where the settings say.

    Raises:
        ConfigError: there is something in it.
    """
    metadata = Metadata(database_url(config, folder), config.store.authority)
    try:
        metadata.claim()
        if metadata.entry_count() > 0:
            problem = (
                "the database holds a log: make an empty one, and name it here; the old one "
                "stays as it is"
            )
            raise ConfigError("[store] url", [problem])
        yield metadata
    finally:
        metadata.close()


@contextmanager
def _alone(config: MatcherConfig) -> Iterator[None]:
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(config.data / "lock"):
        yield


def database_url(config: MatcherConfig, folder: Path | None = None) -> URL:
    """Return where the database is, with its password.

    Args:
        config: the matcher's settings.
        folder: where SQLite's is, if not with the data.

    Raises:
        KeystoreError: the password's file cannot be read, or others can read it.
        ConfigError: there is no password in it.
    """
    store = config.store
    if store.url is None:
        return make_url(f"sqlite:///{(folder or config.data) / DATABASE}")
    url = make_url(store.url)
    if store.password_file is None:
        return url
    password = bytes(read_private_file(store.password_file, _MAX_PASSWORD_BYTES)).strip()
    if not password:
        raise ConfigError(str(store.password_file), ["is empty: write the database's password"])
    return url.set(password=password.decode("utf-8", "surrogateescape"))
