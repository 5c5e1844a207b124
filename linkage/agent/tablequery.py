"""The records of a table or query of a database, read in chunks.

One statement in one read-only transaction: all of it is of one moment, however long it takes,
and the server hands it out piece by piece. No text of an error holds a value of a record.
"""

import os
import re
import sqlite3
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from keys.errors import KeystoreError
from keys.files import read_private_file
from keys.secretsource import SecretSource
from linkage.agent.config import Connection, Database
from linkage.agent.databaseurl import driver_url, is_local
from linkage.agent.valuetext import ValueTexts
from linkage.errors import RecordError

ROWS_PER_CHUNK = 16_384
# Classes of SQLSTATE whose messages speak of the connection and of names, never of values:
# connection, authorisation, catalogue, syntax and access, resources, operator.
_TELLING = ("08", "28", "3D", "3F", "42", "53", "57")
_TELLING_SQLITE = ("no such", "unable to open", "near", "database is locked", "file is not")
_LARGEST_PASSFILE = 1 << 20


class TableQuery:
    """A table or query of a database.

    Args:
        database: which one.
        name: what errors call it.
        record_id: column of the record numbers, by which it is ordered: without an order, a
            second reading could give the records in another one.
    """

    def __init__(self, database: Database, name: str, record_id: str) -> None:
        self._database, self._name, self._record_id = database, name, record_id

    def column_names(self) -> list[str]:
        """Return the names of the columns, in their order.

        Raises:
            RecordError: the database cannot be reached, or has no such table.
        """
        statement: sa.Select[Any] = (
            sa.select(sa.literal_column("*")).select_from(self._from()).limit(0)
        )
        with self._connected() as connection:
            return list(connection.execute(statement).keys())

    def n_records(self) -> int | None:
        """Return how many records there are now, None where that cannot be told."""
        statement = sa.select(sa.func.count()).select_from(self._from())
        try:
            with self._connected() as connection:
                return connection.execute(statement).scalar_one()
        except RecordError:
            return None  # whoever reads it will be told why

    def chunks(self, wanted: list[str], digits: Mapping[str, int]) -> Iterator[pa.Table]:
        """Yield some columns as tables of text, in the order of the record numbers.

        Args:
            wanted: names of columns.
            digits: how many digits the numbers of a column have (`ValueTexts`).

        Raises:
            RecordError: the database went away, or a value is no text, number or date.
        """
        texts = [ValueTexts(self._name, column, digits.get(column)) for column in wanted]
        columns: list[sa.ColumnClause[Any]] = [sa.column(column) for column in wanted]
        statement = sa.select(*columns).select_from(self._from())
        statement = statement.order_by(sa.column(self._record_id))
        n_read = 0
        with self._connected() as connection:
            streamed = connection.execution_options(stream_results=True, yield_per=ROWS_PER_CHUNK)
            for rows in streamed.execute(statement).partitions():
                made = [
                    text.of(values, n_read)
                    for text, values in zip(texts, zip(*rows, strict=True), strict=True)
                ]
                yield pa.table(dict(zip(wanted, made, strict=True)))
                n_read += len(rows)

    def _from(self) -> sa.FromClause:
        if self._database.query is not None:
            query = self._database.query.strip().removesuffix(";")
            # As a table of the outer one it can be nothing but a single SELECT. A colon in it is
            # its own, and no parameter; its last line may be a comment.
            text = sa.text(query.replace(":", r"\:") + "\n")
            return text.columns().subquery("asked")
        schema, dot, table = (self._database.table or "").rpartition(".")
        return sa.table(table, schema=schema if dot else None)

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with opened(self._database, self._name, read_only=True) as connection:
            yield connection


@contextmanager
def opened(database: Connection, name: str, *, read_only: bool) -> Iterator[sa.Connection]:
    """Open a connection in a transaction, which is undone if the block does not end well.

    Args:
        database: which one.
        name: what errors call it.
        read_only: nothing can be written, and all that is read is of one moment.

    Raises:
        RecordError: it cannot be reached, or refuses what is asked; holds no value.
    """
    url = driver_url(database.url)
    try:
        if url.get_backend_name() == "sqlite":
            engine = _sqlite_engine(Path(str(url.database)), read_only=read_only)
        else:
            engine = _postgresql_engine(url, database, read_only=read_only)
    except ImportError as error:
        raise RecordError("the driver is missing: run pip install 'padan[postgres]'") from error
    try:
        with engine.connect() as connection:
            yield connection
            if not read_only:
                connection.commit()
    except (SQLAlchemyError, OSError, UnicodeError) as error:
        # The library's own text has the statement, and may quote a value.
        raise RecordError(f"{name}: {_reason(error)}") from None
    finally:
        engine.dispose()


def _sqlite_engine(path: Path, *, read_only: bool) -> sa.Engine:
    # Opened anew for each use, so that nothing is made where there is no file.
    where = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    return sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(where, uri=True, check_same_thread=False),
        poolclass=sa.pool.NullPool,
    )


def _postgresql_engine(url: sa.URL, database: Connection, *, read_only: bool) -> sa.Engine:
    arguments: dict[str, Any] = {}
    if (password := _password(url, database)) is not None:
        arguments["password"] = password
    if database.authority is not None:
        try:
            arguments["ssl_context"] = ssl.create_default_context(cafile=database.authority)
        except OSError as error:
            raise RecordError(f"{database.authority}: no certificate authority in it") from error
    elif not is_local(url):
        raise RecordError(
            "the database is on another machine: name under authority who signed its "
            "certificate, so that records do not pass in the clear"
        )
    # Who writes waits for others, and has to see then what they have committed.
    options: dict[str, Any] = {"isolation_level": "READ COMMITTED"}
    if read_only:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    engine = sa.create_engine(url, connect_args=arguments, poolclass=sa.pool.NullPool)
    return engine.execution_options(**options)


def _password(url: sa.URL, database: Connection) -> str | None:
    if database.password is not None:
        try:
            return SecretSource(database.password, "password of the database").read().decode()
        except KeystoreError as error:
            raise RecordError(str(error)) from error
    path = os.environ.get("PGPASSFILE")
    return None if path is None else password_in(Path(path), url)


def password_in(path: Path, url: sa.URL) -> str | None:
    r"""Return the password that a file of PostgreSQL's form has for a database, or None.

    Lines are `host:port:database:user:password`, `*` stands for anything, `\` before a colon
    or a backslash keeps it.

    Raises:
        RecordError: the file cannot be read, or others than its owner can read it.
    """
    try:
        text = read_private_file(path, _LARGEST_PASSFILE).decode()
    except (KeystoreError, UnicodeError) as error:
        raise RecordError(f"PGPASSFILE: {error}") from error
    asked = (url.host or "localhost", str(url.port or 5432), url.database, url.username)
    for line in text.splitlines():
        escaped = re.findall(r"(?:^|:)((?:\\.|[^\\:])*)", line)
        *fields, password = [re.sub(r"\\(.)", r"\1", field) for field in escaped]
        if len(fields) == len(asked) and all(
            field in ("*", wanted) for field, wanted in zip(fields, asked, strict=True)
        ):
            return password
    return None


def _reason(error: Exception) -> str:
    if not isinstance(error, DBAPIError) or error.orig is None:
        return "the database cannot be read"
    told = error.orig.args[0] if error.orig.args else ""
    if isinstance(told, dict):  # PostgreSQL's own fields
        state = str(told.get("C", ""))
        if state.startswith(_TELLING):
            return f"the database says: {told.get('M', state)}"
        return f"the database refuses with SQLSTATE {state}: look into its log"
    text = str(told)
    if isinstance(error.orig, sqlite3.Error):
        known = text.startswith(_TELLING_SQLITE)
        return f"the database says: {text}" if known else "damaged, or a value that is no text"
    return (
        "the database cannot be reached, went away, or refuses this user: check its address, "
        "user and password, and that it runs"
    )
