"""Versions of the database: each step from one to the next, forward only.

A new database has the newest version at once. An older one is refused until somebody who has
a backup runs the steps (`padan matcher migrate`): each in one transaction with the number that
it reaches, so a step that stops in the middle was never begun.

Whoever changes `tables` adds a step here and raises nothing else; the tests compare what the
steps make of every earlier version with what a new database has. A table of steps and no
framework: they are few, they run on two databases alike, and whoever reads one sees all that it
does (`docs/adr/0009-database.md`).
"""

from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    select,
    update,
)
from sqlalchemy import insert as insert_into

from linkage.errors import ConfigError
from linkage.store import tables
from linkage.store.database import Database

Step = Callable[[Connection], None]


def _from_1(connection: Connection) -> None:
    """Keep the version itself, and which matcher writes."""
    store = Table(
        "store",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("version", Integer, nullable=False),
        Column("writer", String(32)),
    )
    store.create(connection)
    connection.execute(insert_into(store).values(id=1, version=1))


def _from_2(connection: Connection) -> None:
    """Count lookups by grant, keep their signed requests, and what covers grants."""
    lookups = _lookups_of_2(MetaData())
    before = connection.execute(select(lookups)).mappings().all()
    lookups.drop(connection)
    made = MetaData()
    new = Table(
        "lookups",
        made,
        Column("agreement_id", String(64), primary_key=True),
        Column("minute", BigInteger, primary_key=True),
        Column("caller", String(80), primary_key=True),
        Column("register", String(32), primary_key=True),
        Column("grant_id", String(32), primary_key=True),
        Column("key", String(64), nullable=False),
        Column("cosigned", BigInteger, nullable=False),
        Column("answered", BigInteger, nullable=False),
        Column("refused", BigInteger, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("leaf", BigInteger),
    )
    Table(
        "lookup_requests",
        made,
        Column("grant_id", String(32), primary_key=True),
        Column("sequence", BigInteger, primary_key=True, autoincrement=False),
        Column("minute", BigInteger, nullable=False, index=True),
        Column("request", LargeBinary, nullable=False),
    )
    Table(
        "cosigned",
        made,
        Column("agreement_id", String(64), primary_key=True),
        Column("size", BigInteger, nullable=False),
        Column("note", LargeBinary, nullable=False),
    )
    made.create_all(connection)
    for row in before:
        # There were no grants, and parties alone could ask.
        changed = {"caller": f"party/{row['caller']}", "grant_id": "", "key": "", "cosigned": 0}
        connection.execute(insert_into(new).values(**{**row, **changed}))


def _lookups_of_2(metadata: MetaData) -> Table:
    names = ("agreement_id", "minute", "caller", "register", "answered", "refused", "sequence")
    return Table("lookups", metadata, *(Column(name) for name in (*names, "leaf")))


def _from_3(connection: Connection) -> None:
    """Keep what will be destroyed."""
    Table(
        "destructions",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("key", String(64), nullable=False),
        Column("agreement_id", String(64), nullable=False),
        Column("body", Text, nullable=False),
        Column("done", Boolean, nullable=False),
        Column("leaf", BigInteger),
    ).create(connection)


def _from_4(connection: Connection) -> None:
    """Keep limits that hold after a restart."""
    made = MetaData()
    Table(
        "volumes",
        made,
        Column("account", String(160), primary_key=True),
        Column("day", BigInteger, nullable=False),
        Column("n_bytes", BigInteger, nullable=False),
    )
    Table(
        "suspensions",
        made,
        Column("grant_id", String(32), primary_key=True),
        Column("until", BigInteger, nullable=False),
    )
    made.create_all(connection)


# The first leads from version 1 to version 2.
STEPS: tuple[Step, ...] = (_from_1, _from_2, _from_3, _from_4)
VERSION = len(STEPS) + 1


def prepare(database: Database) -> None:
    """Make the tables of a new database; check that another one has the version of today.

    Raises:
        ConfigError: it is of another version, and says what to do.
        UnavailableError: it is gone.
    """
    with database.write() as connection:
        version = _version(connection, database.name)
        if version == 0:
            tables.metadata.create_all(connection)
            connection.execute(insert_into(tables.store).values(id=1, version=VERSION))
        else:
            _check_version(version, database.name)


def check(database: Database) -> None:
    """Check that a database has the version of today; nothing of it is changed.

    Raises:
        ConfigError: it is empty or of another version, and says what to do.
        UnavailableError: it is gone.
    """
    with database.read() as connection:
        version = _version(connection, database.name)
    if version == 0:
        raise ConfigError(database.name, ["is empty: no matcher has written it"])
    _check_version(version, database.name)


def migrate(database: Database) -> list[int]:
    """Run the steps that a database lacks; return the versions that it went through.

    Raises:
        ConfigError: it is newer than this program, or older than version 1.
        UnavailableError: it is gone; the steps before stay done.
    """
    reached = []
    with database.read() as connection:
        version = _version(connection, database.name)
    while 0 < version < VERSION:
        with database.write() as connection:
            # Looked at again: another process may have been first.
            version = _version(connection, database.name)
            if version < VERSION:
                STEPS[version - 1](connection)
                version += 1
                connection.execute(update(tables.store).values(version=version))
                reached.append(version)
    return reached


def _check_version(version: int, name: str) -> None:
    if version < VERSION:
        problem = (
            f"is of version {version}, and this program needs {VERSION}: make a backup, "
            "then run `padan matcher migrate`"
        )
        raise ConfigError(name, [problem])


def _version(connection: Connection, name: str) -> int:
    """Return the version of a database; 0 of an empty one."""
    there = set(inspect(connection).get_table_names())
    if tables.store.name in there:
        version: int = connection.execute(select(tables.store.c.version)).scalar_one()
        if version > VERSION:
            problem = f"is of version {version}, newer than this program's {VERSION}: upgrade it"
            raise ConfigError(name, [problem])
        return version
    if "entries" not in there:
        return 0
    if "cosigned" not in {column["name"] for column in inspect(connection).get_columns("jobs")}:
        problem = "is older than the first version that can be brought up: begin with an empty one"
        raise ConfigError(name, [problem])
    return 1
