"""Rows of standing registers and of lookups, inside a transaction of the metadata."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from linkage.store import tables


@dataclass(frozen=True)
class RegisterRow:
    """An upload of a register as the matcher keeps it.

    Attributes:
        upload_id: its name, also of its dataset of artefacts.
        agreement_id: the agreement it is kept under.
        party: whose register it is.
        manifest: the manifest's canonical form.
        expires: day after which its artefacts can no longer be read.
        next_chunk: chunks before this one are stored.
        n_received: records and removals in the stored chunks.
        revision: of the register since this upload; 0 while it is not complete.
        leaf: index of the leaf that records it.
    """

    upload_id: str
    agreement_id: str
    party: str
    manifest: bytes
    expires: str
    next_chunk: int = 0
    n_received: int = 0
    revision: int = 0
    leaf: int | None = None


@dataclass(frozen=True)
class LookupRow:
    """Lookups of one caller in one register during one minute.

    Attributes:
        agreement_id: under which agreement.
        minute: minutes since 1970.
        caller: who asked.
        register: whose register.
        answered: how many got an answer.
        refused: how many were refused, of a caller that may ask.
        sequence: the last number given to an answer; 0 for none.
        leaf: index of the leaf that records the minute.
    """

    agreement_id: str
    minute: int
    caller: str
    register: str
    answered: int = 0
    refused: int = 0
    sequence: int = 0
    leaf: int | None = None


class RegisterRows:
    """Uploads of registers.

    Args:
        connection: of a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, row: RegisterRow) -> None:
        """Keep a new upload."""
        self._connection.execute(insert(tables.registers).values(**asdict(row)))

    def get(self, upload_id: str) -> RegisterRow | None:
        """Return an upload, or None."""
        table = tables.registers
        found = self._connection.execute(select(table).where(table.c.upload_id == upload_id))
        row = found.first()
        return None if row is None else RegisterRow(**row._asdict())

    def of(self, agreement_id: str, party: str) -> list[RegisterRow]:
        """Return the uploads of a register, those not complete first, then by revision."""
        table = tables.registers
        rows = self._connection.execute(
            select(table)
            .where(table.c.agreement_id == agreement_id, table.c.party == party)
            .order_by(table.c.revision)
        )
        return [RegisterRow(**row._asdict()) for row in rows]

    def set_received(self, upload_id: str, next_chunk: int, n_received: int) -> None:
        """Keep how much of an upload is stored."""
        self._update(upload_id, next_chunk=next_chunk, n_received=n_received)

    def set_committed(self, upload_id: str, revision: int, leaf: int) -> None:
        """Mark an upload as complete, logged at `leaf`."""
        self._update(upload_id, revision=revision, leaf=leaf)

    def remove(self, upload_id: str) -> None:
        """Forget an upload."""
        table = tables.registers
        self._connection.execute(delete(table).where(table.c.upload_id == upload_id))

    def _update(self, upload_id: str, **values: object) -> None:
        table = tables.registers
        self._connection.execute(
            update(table).where(table.c.upload_id == upload_id).values(**values)
        )


class LookupRows:
    """Counts of lookups.

    Args:
        connection: of a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self, added: LookupRow) -> None:
        """Add to the counts of a minute; a number of an answer takes the older one's place."""
        table = tables.lookups
        changed = self._connection.execute(
            update(table)
            .where(
                table.c.agreement_id == added.agreement_id,
                table.c.minute == added.minute,
                table.c.caller == added.caller,
                table.c.register == added.register,
            )
            .values(
                answered=table.c.answered + added.answered,
                refused=table.c.refused + added.refused,
                sequence=added.sequence or table.c.sequence,
            )
        )
        if changed.rowcount == 0:
            self._connection.execute(insert(table).values(**asdict(added)))

    def last_sequence(self, agreement_id: str) -> int:
        """Return the last number given under an agreement, 0 for none."""
        table = tables.lookups
        query = select(func.max(table.c.sequence)).where(table.c.agreement_id == agreement_id)
        return int(self._connection.execute(query).scalar_one() or 0)

    def since(self, minute: int) -> list[LookupRow]:
        """Return the counts of a minute and those after it."""
        table = tables.lookups
        rows = self._connection.execute(select(table).where(table.c.minute >= minute))
        return [LookupRow(**row._asdict()) for row in rows]

    def not_logged(self, before: int) -> list[LookupRow]:
        """Return the counts of all minutes before one that have no leaf, in a fixed order."""
        table = tables.lookups
        rows = self._connection.execute(
            select(table)
            .where(table.c.leaf.is_(None), table.c.minute < before)
            .order_by(table.c.minute, table.c.agreement_id, table.c.caller, table.c.register)
        )
        return [LookupRow(**row._asdict()) for row in rows]

    def set_logged(self, agreement_id: str, minute: int, leaf: int) -> None:
        """Keep the leaf that records a minute of an agreement."""
        table = tables.lookups
        self._connection.execute(
            update(table)
            .where(table.c.agreement_id == agreement_id, table.c.minute == minute)
            .values(leaf=leaf)
        )
