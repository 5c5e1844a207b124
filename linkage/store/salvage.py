"""What can still be read of a database that no matcher uses any more.

It may be an old backup, of another version, or damaged: it is opened for reading only, and what
cannot be read is as good as gone. Nothing of it is to be believed; the reader checks it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def salvage_bodies(path: Path) -> dict[int, tuple[bytes, bytes, bytes]]:
    """Return leaf, opening and body of the confidential entries in an SQLite file, by index."""
    query = (
        'SELECT "index", leaf, opening, body FROM entries '
        "WHERE opening IS NOT NULL AND body IS NOT NULL"
    )
    return {index: (leaf, opening, body) for index, leaf, opening, body in _rows(path, query)}


def salvage_cosigned(path: Path) -> dict[str, bytes]:
    """Return the checkpoints under which jobs were released, by job."""
    return dict(_rows(path, "SELECT job_id, cosigned FROM jobs WHERE cosigned IS NOT NULL"))


def _rows(path: Path, query: str) -> list[Any]:
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.Error:
        return []
