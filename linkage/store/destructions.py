"""Destructions that were decided on and are perhaps not done: rows inside a transaction."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from linkage.log.canonical import JsonObject
from linkage.store import tables


@dataclass(frozen=True)
class DestructionRow:
    """What goes with one key.

    Attributes:
        key: name of the key that is destroyed.
        agreement_id: whose datasets these are.
        body: the record that is logged afterwards; empty where there is nothing to log.
        id: its number; 0 before it is kept.
    """

    key: str
    agreement_id: str
    body: JsonObject
    id: int = 0


class Destructions:
    """The destructions of a matcher.

    Args:
        connection: of a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def plan(self, key: str, rows: Sequence[DestructionRow]) -> None:
        """Keep what will be destroyed with a key, in place of what was planned before."""
        table = tables.destructions
        self._connection.execute(delete(table).where(table.c.key == key, table.c.done.is_(False)))
        for row in rows:
            self._connection.execute(
                insert(table).values(
                    key=key, agreement_id=row.agreement_id, body=json.dumps(row.body), done=False
                )
            )

    def planned(self) -> list[DestructionRow]:
        """Return what is not logged as done, in the order in which it was planned."""
        table = tables.destructions
        rows = self._connection.execute(
            select(table.c.key, table.c.agreement_id, table.c.body, table.c.id)
            .where(table.c.done.is_(False))
            .order_by(table.c.id)
        )
        return [DestructionRow(r.key, r.agreement_id, json.loads(r.body), r.id) for r in rows]

    def done(self, row: DestructionRow, leaf: int | None) -> None:
        """Mark one as done, logged at `leaf` if there was something to log."""
        table = tables.destructions
        self._connection.execute(
            update(table).where(table.c.id == row.id).values(done=True, leaf=leaf)
        )
