"""The matcher's database: SQLite in its own folder, or PostgreSQL; one writer at a time.

Log indexes are dense and in the order of commits, so writers wait for each other: threads
of this process by a lock, and beyond it by the database's own. SQLite takes its write lock
as a transaction begins. On PostgreSQL a writer first takes an advisory lock that ends with
its transaction, and reads at READ COMMITTED: whoever has the lock sees all that was
committed before it. So nothing can fail to serialise, and nothing is done a second time.
Readers keep one snapshot on both.

A commit whose connection breaks may have happened or not. It reads as `UnavailableError`,
as if it had not; whoever tries again has to find what is there already.

What is committed is on the disk: SQLite with `synchronous = FULL`, PostgreSQL with
`synchronous_commit = on`, whatever the server's own settings are.
"""

import secrets
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, make_url, select, text, update
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    TimeoutError,  # noqa: A004 -- no connection of the pool became free
)
from sqlalchemy.pool import NullPool

from linkage.errors import ConfigError, UnavailableError
from linkage.store import tables

POSTGRESQL = "postgresql"
# Advisory locks of the database that a matcher has for itself.
_WRITE, _MATCHER = 0x70616461_01, 0x70616461_02
# How long a call to a server may take, and how long a transaction may stand still.
_TIMEOUT_S = 60
_AT_CONNECT = {
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": f"{_TIMEOUT_S}s",
    "search_path": "public",
}
_GONE = "the matcher's database does not answer: try again"
_TAKEN_OVER = "another matcher has taken the database over: this one writes no more; stop it"
# Classes of SQLSTATE: the driver has one error for all of them.
_BROKEN, _INTEGRITY, _MISTAKEN = ("08", "57"), "23", ("0A", "22", "26", "42")
_NO_TABLE = "42P01"
# No such user, password or database.
_REFUSED = ("28", "3D")


class Database:
    """Connections to the database, for any number of threads of one process.

    Args:
        url: an SQLAlchemy URL, `sqlite:////var/lib/padan/matcher.db` or
            `postgresql+pg8000://padan@db.example/padan`.
        authority: PEM file of who signs the certificate of a PostgreSQL server, whose host
            name is checked, too. None for no TLS.
        as_it_is: whether it is only read, and a file of SQLite stays what it is.

    Raises:
        ConfigError: there is no such kind of database, or its driver is not installed.
    """

    def __init__(
        self, url: str | URL, authority: Path | None = None, *, as_it_is: bool = False
    ) -> None:
        arguments = _arguments(url, authority)
        self._engine = _engine(arguments)
        self.name = self._engine.url.render_as_string(hide_password=True)
        self._writing, self._writer = threading.Lock(), 0
        self._claim: _Claim | None = None
        if self._engine.dialect.name == POSTGRESQL:
            _prepare_postgresql(self._engine)
            self._claim = _Claim(arguments)
            event.listen(self._engine, "invalidate", self._claim.doubt)
        else:
            _prepare_sqlite(self._engine, as_it_is=as_it_is)

    def close(self) -> None:
        """Close all connections, and let another matcher have the database."""
        if self._claim is not None:
            self._claim.close()
        self._engine.dispose()

    def hold(self) -> None:
        """Keep all other matchers from starting on it, until it is closed.

        SQLite's lies in the matcher's folder, of which `matcher.lock` keeps a second one out.

        Raises:
            ConfigError: another matcher runs on it.
            UnavailableError: the database is gone.
        """
        if self._claim is None:
            return
        with unavailable():
            if not self._claim.take():
                raise ConfigError(self.name, ["another matcher runs on this database: stop it"])

    def claim(self) -> None:
        """Hold it, and keep whoever held it before from writing; raises as `hold`."""
        self.hold()
        if self._claim is not None:
            with self.write() as connection:
                self._claim.sign(connection)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that is committed at the end, or rolled back on an error.

        Raises:
            UnavailableError: the database is locked, full or gone, or another matcher's.
        """
        if self._writer == threading.get_ident():
            # It would wait for itself, and everybody for it.
            raise RuntimeError("a transaction inside a transaction")
        with self._alone(), unavailable(), self._engine.connect() as plain:
            connection = plain.execution_options(writes=True)
            with connection.begin():
                if self._claim is not None:
                    self._claim.check(connection)
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction for reading only.

        Raises:
            UnavailableError: the database is gone.
        """
        with unavailable(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._writing:
            self._writer = threading.get_ident()
            try:
                yield
            finally:
                self._writer = 0


class _Claim:
    """What keeps a second matcher off a PostgreSQL database.

    A lock that lasts as long as one connection does keeps it from starting. That connection
    breaks when the server goes away, and a second matcher may come in between; so the one that
    came last leaves its mark, and every writer finds its own, or writes nothing.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        # A connection of its own: those of a pool come and go.
        self._engine = _engine(arguments | {"poolclass": NullPool})
        _prepare_errors(self._engine)
        self._connection: Connection | None = None
        self._mark: str | None = None
        self._doubtful = False

    def take(self) -> bool:
        """Return whether no other matcher has the database."""
        self._let_go()
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._connection = connection
        lock = text(f"SELECT pg_try_advisory_lock({_MATCHER})")
        return bool(connection.execute(lock).scalar_one())

    def sign(self, connection: Connection) -> None:
        """Leave the mark of this matcher."""
        mark = secrets.token_hex(16)
        connection.execute(update(tables.store).values(writer=mark))
        self._mark = mark

    def check(self, connection: Connection) -> None:
        """Check that the mark is this matcher's, if it has ever left one.

        Raises:
            UnavailableError: it is another's.
        """
        if self._mark is None:
            return
        if connection.execute(select(tables.store.c.writer)).scalar_one() != self._mark:
            raise UnavailableError(_TAKEN_OVER)
        if self._doubtful:
            self._doubtful = False
            if not self.take():
                self._doubtful = True
                raise UnavailableError(_TAKEN_OVER)

    def doubt(self, *_: object) -> None:
        """Take the lock again before the next change: a connection broke, perhaps all did."""
        self._doubtful = True

    def close(self) -> None:
        """Let another matcher have the database."""
        self._mark = None
        self._let_go()
        self._engine.dispose()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closed and not only returned: so the lock ends, also of one that is half broken.
            connection.invalidate()
            connection.close()


def _arguments(url: str | URL, authority: Path | None) -> dict[str, Any]:
    """Return what makes an engine.

    Raises:
        ConfigError: the certificate of the authority cannot be read.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        problem = "is no URL: write it as postgresql+pg8000://USER@HOST/DATABASE"
        raise ConfigError("database", [problem]) from error
    if parsed.get_backend_name() != POSTGRESQL:
        return {"url": parsed, "hide_parameters": True}
    tls: ssl.SSLContext | bool = False
    if authority is not None:
        try:
            tls = ssl.create_default_context(cafile=authority)
        except OSError as error:
            problem = f"cannot be read as PEM: {error.strerror or error}"
            raise ConfigError(str(authority), [problem]) from error
    connect: dict[str, Any] = {
        "application_name": "padan-matcher",
        "ssl_context": tls,
        "startup_params": _AT_CONNECT,
        "timeout": _TIMEOUT_S,
    }
    if parsed.password is None:
        # The driver would fail to ask for one.
        connect["password"] = ""
    return {
        "url": parsed,
        "hide_parameters": True,
        "connect_args": connect,
        # A server that was restarted broke all of them: found before they are used.
        "pool_pre_ping": True,
    }


def _engine(arguments: dict[str, Any]) -> Engine:
    url: URL = arguments["url"]
    try:
        return create_engine(**arguments)
    except NoSuchModuleError as error:
        problem = f"no database that is known: {url.drivername}: use postgresql+pg8000"
        raise ConfigError(url.render_as_string(), [problem]) from error
    except ModuleNotFoundError as error:
        problem = f"needs {error.name}: pip install 'padan[postgres]'"
        raise ConfigError(url.render_as_string(), [problem]) from error


def _prepare_sqlite(engine: Engine, *, as_it_is: bool) -> None:
    """Make commits durable, and a write transaction one from its first statement."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA query_only = ON" if as_it_is else "PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA busy_timeout = 10000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A writer takes its lock at once: two that begin by reading could only fail later.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_postgresql(engine: Engine) -> None:
    """Let writers wait for each other, and give readers one snapshot."""

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", False):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE})")
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    _prepare_errors(engine)


def _prepare_errors(engine: Engine) -> None:
    """Tell apart what the driver has one error for."""

    @event.listens_for(engine, "handle_error")
    def _on_error(context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error, OSError | struct.error):
            # Some errors of the socket come as they are.
            context.is_disconnect = True
            raise UnavailableError(_GONE) from error
        fields = error.args[0] if error.args else None
        state = fields.get("C", "") if isinstance(fields, dict) else ""
        if state.startswith(_BROKEN):
            context.is_disconnect = True
        if state.startswith(_REFUSED):
            problem = "refuses this user: mend url and password_file, or make the database"
            raise ConfigError("the database's server", [problem]) from error
        kind: type[DBAPIError] = OperationalError
        if state.startswith(_INTEGRITY):
            kind = IntegrityError
        elif state.startswith(_MISTAKEN) and state != _NO_TABLE:
            kind = ProgrammingError
        if state:
            raise kind(context.statement, None, error, hide_parameters=True) from error


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn what a database does when it is locked, full or gone into one error."""
    try:
        yield
    except (OperationalError, InterfaceError, TimeoutError) as error:
        raise UnavailableError(_GONE) from error
