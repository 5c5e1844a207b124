"""Which database a setting names: PostgreSQL or SQLite, and never a password."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_DRIVERS = {"postgresql": "postgresql+pg8000", "sqlite": "sqlite"}
_PORT = 5432
# A folder, as libpq has it, or the socket itself, as the driver has it.
_SOCKETS = ("host", "unix_sock")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def checked_url(text: str) -> str:
    """Return the URL of a database.

    Raises:
        ValueError: it cannot be read, is of another kind of database, has a password,
            or something after the `?` that is not read; nothing of it is quoted.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(
            "no URL of a database: write postgresql://user@host/database or sqlite:///file"
        ) from None
    if url.password is not None or "password" in url.query:
        raise ValueError(
            "a password stands in it: take it out, change it, and name under password where "
            "the new one is"
        )
    if url.drivername not in {*_DRIVERS, *_DRIVERS.values()}:
        raise ValueError(
            "only postgresql and sqlite are read: write others out as CSV or Parquet, and name "
            "the file"
        )
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("it names no file: write sqlite:///file")
    if not 0 < (url.port or _PORT) < 2**16:
        raise ValueError("its port is none: write one from 1 to 65535")
    # The driver would take any of its settings from here, another host among them.
    if not all(_is_socket(url, name) for name in url.query):
        raise ValueError(
            "after the ? only the folder of a socket of PostgreSQL is read, as host=/folder: name "
            "a host before it, and under authority who signed its certificate"
        )
    return text


def _is_socket(url: URL, name: str) -> bool:
    value = url.query[name]
    named = name in _SOCKETS and url.get_backend_name() == "postgresql"
    return named and isinstance(value, str) and value.startswith("/")


def url_from(text: str, base: Path) -> str:
    """Return a URL in which the path of a SQLite file does not depend on the folder."""
    url = make_url(text)
    if url.get_backend_name() != "sqlite":
        return text
    path = base / str(url.database)
    return url.set(database=str(path)).render_as_string(hide_password=False)


def driver_url(text: str) -> URL:
    """Return the URL with the driver that this program uses."""
    url = make_url(text)
    url = url.set(drivername=_DRIVERS[url.get_backend_name()])
    socket = url.query.get("host")
    if isinstance(socket, str) and socket.startswith("/"):
        # libpq's way to name a folder of sockets; the driver wants the socket itself.
        query = {name: value for name, value in url.query.items() if name != "host"}
        query["unix_sock"] = f"{socket}/.s.PGSQL.{url.port or _PORT}"
        url = url.set(query=query)
    return url


def is_local(url: URL) -> bool:
    """Return whether the server is on this machine, so that nothing passes over a line."""
    return "unix_sock" in url.query or (url.host or "localhost") in _LOCAL
