"""Rows of standing registers and of lookups, inside a transaction of the metadata."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Update, bindparam, case, delete, func, insert, select, update

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
    """Lookups of one caller in one register under one grant during one minute.

    Attributes:
        agreement_id: under which agreement.
        minute: minutes since 1970.
        caller: who asked, as role/name.
        register: whose register.
        grant_id: under which grant; "" for refusals without one.
        key: digest of the key of the certificate that was shown last.
        cosigned: size of the checkpoint that covers the grant.
        answered: how many got an answer.
        refused: how many were refused.
        sequence: the last number given to an answer; 0 for none.
        leaf: index of the leaf that records the minute.
    """

    agreement_id: str
    minute: int
    caller: str
    register: str
    grant_id: str = ""
    key: str = ""
    cosigned: int = 0
    answered: int = 0
    refused: int = 0
    sequence: int = 0
    leaf: int | None = None


@dataclass(frozen=True)
class LookupRequestRow:
    """A signed request that was answered.

    Attributes:
        grant_id: under which grant.
        sequence: the number of its answer.
        minute: minutes since 1970.
        request: the envelope.
    """

    grant_id: str
    sequence: int
    minute: int
    request: bytes


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

    def names(self) -> list[tuple[str, str]]:
        """Return agreement and party of every register that is complete."""
        table = tables.registers
        query = select(table.c.agreement_id, table.c.party).where(table.c.revision > 0).distinct()
        return sorted(
            (str(agreement), str(party)) for agreement, party in self._connection.execute(query)
        )

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


def _add_to_minute() -> Update:
    """Return the statement that adds to the counts of a minute."""
    table = tables.lookups
    added = {name: bindparam(f"added_{name}", type_=table.c[name].type) for name in _ADDED}
    return (
        update(table)
        .where(*(table.c[name] == bindparam(f"of_{name}") for name in _MINUTE_OF))
        .values(
            key=case((added["key"] == "", table.c.key), else_=added["key"]),
            cosigned=case((added["cosigned"] == 0, table.c.cosigned), else_=added["cosigned"]),
            answered=table.c.answered + added["answered"],
            refused=table.c.refused + added["refused"],
            sequence=case((added["sequence"] == 0, table.c.sequence), else_=added["sequence"]),
        )
    )


_MINUTE_OF = ("agreement_id", "minute", "caller", "register", "grant_id")
_ADDED = ("key", "cosigned", "answered", "refused", "sequence")
# Made once: to make it takes three times as long as to carry it out, and every lookup does.
_ADD_TO_MINUTE = _add_to_minute()
_ADD_REQUEST = insert(tables.lookup_requests)


class LookupRows:
    """Counts of lookups.

    Args:
        connection: of a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self, added: LookupRow) -> None:
        """Add to the counts of a minute; a number of an answer takes the older one's place."""
        fields = asdict(added)
        values = {f"of_{name}": fields[name] for name in _MINUTE_OF}
        values |= {f"added_{name}": fields[name] for name in _ADDED}
        changed = self._connection.execute(_ADD_TO_MINUTE, values)
        if changed.rowcount == 0:
            self._connection.execute(insert(tables.lookups).values(**fields))

    def add_requests(self, rows: Sequence[LookupRequestRow]) -> None:
        """Keep signed requests."""
        self._connection.execute(_ADD_REQUEST, [asdict(row) for row in rows])

    def used(self, minute: int) -> dict[str, int]:
        """Return the last number given under each grant that was used since a minute."""
        table = tables.lookups
        rows = self._connection.execute(
            select(table.c.grant_id, func.max(table.c.sequence))
            .where(table.c.minute >= minute)
            .group_by(table.c.grant_id)
        )
        return {str(grant): int(last) for grant, last in rows}

    def since(self, minute: int) -> list[LookupRow]:
        """Return the counts of a minute and those after it."""
        table = tables.lookups
        rows = self._connection.execute(select(table).where(table.c.minute >= minute))
        return [LookupRow(**row._asdict()) for row in rows]

    def requests_since(self, minute: int) -> list[LookupRequestRow]:
        """Return the requests of a minute and those after it."""
        table = tables.lookup_requests
        rows = self._connection.execute(select(table).where(table.c.minute >= minute))
        return [LookupRequestRow(**row._asdict()) for row in rows]

    def requests_of(self, minute: int, grants: Sequence[str]) -> list[LookupRequestRow]:
        """Return the requests of a minute under some grants, by grant and number."""
        table = tables.lookup_requests
        rows = self._connection.execute(
            select(table)
            .where(table.c.minute == minute, table.c.grant_id.in_(grants))
            .order_by(table.c.grant_id, table.c.sequence)
        )
        return [LookupRequestRow(**row._asdict()) for row in rows]

    def forget_requests(self, before: int) -> int:
        """Delete the requests of all minutes before one; return how many."""
        table = tables.lookup_requests
        return self._connection.execute(delete(table).where(table.c.minute < before)).rowcount

    def not_logged(self, before: int) -> list[LookupRow]:
        """Return the counts of all minutes before one that have no leaf, in a fixed order."""
        table = tables.lookups
        rows = self._connection.execute(
            select(table)
            .where(table.c.leaf.is_(None), table.c.minute < before)
            .order_by(
                table.c.minute,
                table.c.agreement_id,
                table.c.grant_id,
                table.c.caller,
                table.c.register,
            )
        )
        return [LookupRow(**row._asdict()) for row in rows]

    def of_leaf(self, leaf: int) -> list[LookupRow]:
        """Return the counts that a leaf records."""
        table = tables.lookups
        rows = self._connection.execute(select(table).where(table.c.leaf == leaf))
        return [LookupRow(**row._asdict()) for row in rows]

    def set_logged(self, logged: LookupRow, leaf: int) -> None:
        """Keep the leaf that records some counts."""
        table = tables.lookups
        self._connection.execute(
            update(table)
            .where(
                table.c.agreement_id == logged.agreement_id,
                table.c.minute == logged.minute,
                table.c.caller == logged.caller,
                table.c.register == logged.register,
                table.c.grant_id == logged.grant_id,
            )
            .values(leaf=leaf)
        )


class CosignedRows:
    """Under which checkpoints the parties of agreements have cosigned the log.

    Args:
        connection: of a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sizes(self) -> dict[str, int]:
        """Return the size of the last such checkpoint by agreement."""
        table = tables.cosigned
        rows = self._connection.execute(select(table.c.agreement_id, table.c.size))
        return {str(agreement): int(size) for agreement, size in rows}

    def set(self, agreement_id: str, size: int, note: bytes) -> None:
        """Keep a checkpoint in the place of an older one."""
        table = tables.cosigned
        self._connection.execute(delete(table).where(table.c.agreement_id == agreement_id))
        values = {"agreement_id": agreement_id, "size": size, "note": note}
        self._connection.execute(insert(table).values(**values))
