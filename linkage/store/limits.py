"""What limits a matcher remembers across restarts: rows inside a transaction."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select, update

from linkage.store import tables


class LimitRows:
    """Bytes that were sent on a day, and grants that are suspended.

    Args:
        connection: of a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def volumes(self, day: int) -> dict[str, int]:
        """Return how many bytes each account had sent on a day (days since 1970)."""
        table = tables.volumes
        rows = self._connection.execute(
            select(table.c.account, table.c.n_bytes).where(table.c.day == day)
        )
        return {str(account): int(n_bytes) for account, n_bytes in rows}

    def set_volumes(self, day: int, volumes: Mapping[str, int]) -> None:
        """Keep the bytes of some accounts on a day, in the place of those of an earlier day."""
        table = tables.volumes
        for account, n_bytes in volumes.items():
            changed = self._connection.execute(
                update(table).where(table.c.account == account).values(day=day, n_bytes=n_bytes)
            )
            if changed.rowcount == 0:
                values = {"account": account, "day": day, "n_bytes": n_bytes}
                self._connection.execute(insert(table).values(**values))

    def suspended(self) -> dict[str, int]:
        """Return until when each suspended grant would serve, in seconds since 1970."""
        table = tables.suspensions
        rows = self._connection.execute(select(table.c.grant_id, table.c.until))
        return {str(grant): int(until) for grant, until in rows}

    def suspend(self, grants: Mapping[str, int]) -> None:
        """Keep suspended grants, and until when they would serve; some may be kept already."""
        table = tables.suspensions
        for grant, until in grants.items():
            changed = self._connection.execute(
                update(table).where(table.c.grant_id == grant).values(until=until)
            )
            if changed.rowcount == 0:
                self._connection.execute(insert(table).values(grant_id=grant, until=until))

    def forget(self, before: int) -> None:
        """Forget the suspensions of grants that ended before a time."""
        table = tables.suspensions
        self._connection.execute(delete(table).where(table.c.until < before))
