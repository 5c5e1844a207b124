"""Counts for those who watch a matcher, inside a transaction of the metadata."""

from sqlalchemy import Connection, func, select

from linkage.job import JobState
from linkage.store import tables

_ENDED = [state.value for state in JobState if state.final]


class Counts:
    """What is counted over all jobs and registers.

    Args:
        connection: of a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def jobs(self) -> dict[JobState, int]:
        """Return how many jobs there are in each state, also in those without any."""
        table = tables.jobs
        rows = self._connection.execute(
            select(table.c.state, func.count()).group_by(table.c.state)
        ).all()
        found = {str(state): int(count) for state, count in rows}
        return {state: found.get(state.value, 0) for state in JobState}

    def oldest_open(self) -> int | None:
        """Return when the oldest job that has not ended was requested, in seconds since 1970."""
        table = tables.jobs
        query = select(func.min(table.c.requested_at)).where(table.c.state.not_in(_ENDED))
        found = self._connection.execute(query).scalar_one()
        return None if found is None else int(found)

    def comparisons(self) -> int:
        """Return the comparisons made in all jobs."""
        query = select(func.sum(tables.jobs.c.comparisons_done))
        return int(self._connection.execute(query).scalar_one() or 0)

    def registers(self) -> int:
        """Return the number of standing registers."""
        table = tables.registers
        complete = select(table.c.agreement_id, table.c.party).where(table.c.revision > 0)
        query = select(func.count()).select_from(complete.distinct().subquery())
        return int(self._connection.execute(query).scalar_one())
