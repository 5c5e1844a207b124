"""The matcher's metadata: jobs, batches, tasks, and the entries of the match log.

Every change happens inside a transaction together with the log entry that records
it, so neither can be there without the other. Only ids, counts, states and log
leaves are kept here; encodings and results are artefacts.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from linkage.agreement.values import office_in
from linkage.job import Job, JobCounts, JobSpec, JobState
from linkage.store import tables
from linkage.store.database import POSTGRESQL, Database
from linkage.store.migrations import check, prepare

_ENDED = [state.value for state in JobState if state.final]


@dataclass(frozen=True)
class NewEntry:
    """A leaf to be logged, and what opens it to the parties of its job."""

    leaf: bytes
    agreement_id: str | None = None
    job_id: str | None = None
    opening: bytes | None = None
    body: bytes | None = None


@dataclass(frozen=True)
class StoredEntry(NewEntry):
    """A leaf in the log."""

    index: int = 0


@dataclass(frozen=True)
class BatchRow:
    """An upload as the matcher keeps it.

    Attributes:
        batch_id: its name, also of its dataset of artefacts.
        job_id: the job it belongs to.
        party: who uploads.
        manifest: the manifest's serialised form.
        actor: identity of who opened it.
        key: digest of the key of its certificate.
        next_chunk: chunks before this one are stored.
        n_received: records in the stored chunks.
        committed: whether it is complete and logged.
    """

    batch_id: str
    job_id: str
    party: str
    manifest: bytes
    actor: str
    key: str
    next_chunk: int = 0
    n_received: int = 0
    committed: bool = False


@dataclass(frozen=True)
class RequestRow:
    """The signed request that made a job.

    Attributes:
        request_id: its id, chosen by the caller.
        sha256: digest of what was signed.
        actor: identity of the caller.
        key: digest of the key of its certificate.
    """

    request_id: str
    sha256: bytes
    actor: str
    key: str


@dataclass(frozen=True)
class RefinementRow:
    """What one party is asked in a second round about its records and another party's.

    Attributes:
        job_id: the job.
        party: who is asked.
        counterpart: the owner of the other records.
        n_chunks: number of chunks.
        next_chunk: answers to the chunks before this one are stored.
    """

    job_id: str
    party: str
    counterpart: str
    n_chunks: int
    next_chunk: int


class Metadata:
    """What is kept in the database, for any number of threads of one process.

    Args:
        url: an SQLAlchemy URL, for example `sqlite:////var/lib/padan/matcher.db`.
        authority: see `Database`.
        as_it_is: whether it is only read: then an empty one is refused, and stays empty.

    Raises:
        ConfigError: the database is of another version, or of no known kind.
        UnavailableError: it is gone.
    """

    def __init__(
        self, url: str | URL, authority: Path | None = None, *, as_it_is: bool = False
    ) -> None:
        self._database = Database(url, authority, as_it_is=as_it_is)
        try:
            (check if as_it_is else prepare)(self._database)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def claim(self) -> None:
        """Keep all other matchers from writing, until this is closed; see `Database.claim`."""
        self._database.claim()

    @contextmanager
    def write(self) -> Iterator["Transaction"]:
        """Open a transaction that is committed at the end, or rolled back on an error.

        Raises:
            UnavailableError: the database is locked, full or gone.
        """
        with self._database.write() as connection:
            yield Transaction(connection)

    @contextmanager
    def read(self) -> Iterator["Transaction"]:
        """Open a transaction for reading only.

        Raises:
            UnavailableError: the database is gone.
        """
        with self._database.read() as connection:
            yield Transaction(connection)

    # What the write path of the log needs (`matcher.match_log.EntryStore`).

    def entry_count(self) -> int:
        """Return the number of entries."""
        with self.read() as transaction:
            return transaction.entry_count()

    def read_entries(self, start: int, end: int) -> list[bytes]:
        """Return the leaves of a range, in order."""
        index = tables.entries.c.index
        query = select(tables.entries.c.leaf).where(index >= start, index < end).order_by(index)
        with self.read() as transaction:
            return list(transaction.connection.execute(query).scalars())

    def signed_head(self) -> tuple[int, bytes] | None:
        """Return size and root of the last head set out to be signed, if any."""
        head = tables.signed_head
        with self.read() as transaction:
            row = transaction.connection.execute(select(head.c.size, head.c.root)).first()
        return None if row is None else (row.size, row.root)

    def save_signed_head(self, size: int, root: bytes) -> None:
        """Keep the head that is about to be signed."""
        head = tables.signed_head
        with self.write() as transaction:
            changed = transaction.connection.execute(update(head).values(size=size, root=root))
            if changed.rowcount == 0:
                transaction.connection.execute(insert(head).values(id=1, size=size, root=root))


class Transaction:
    """What can be read and changed inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._time: datetime | None = None
        self._count: int | None = None

    def time(self, clock: Callable[[], float]) -> datetime:
        """Return the time of the transaction, in UTC and whole seconds: the same at each call.

        What is checked, decided and logged in it is so at one time.

        Args:
            clock: seconds since 1970; asked once.
        """
        if self._time is None:
            self._time = datetime.fromtimestamp(int(clock()), UTC)
        return self._time

    # Entries

    def append(self, entry: NewEntry) -> int:
        """Append an entry to the log and return its index."""
        index = self.entry_count()
        row = {name: getattr(entry, name) for name in NewEntry.__dataclass_fields__}
        self.connection.execute(insert(tables.entries), {"index": index, **row})
        self._count = index + 1
        return index

    def entry_count(self) -> int:
        """Return the number of entries."""
        if self._count is None:
            index = tables.entries.c.index
            last = self.connection.execute(select(func.max(index))).scalar_one()
            self._count = 0 if last is None else int(last) + 1
        return self._count

    def entries(self, start: int, end: int) -> list[StoredEntry]:
        """Return the entries of a range, in order."""
        table = tables.entries
        rows = self.connection.execute(
            select(table).where(table.c.index >= start, table.c.index < end).order_by(table.c.index)
        )
        return [StoredEntry(**row._asdict()) for row in rows]

    # Jobs

    def add_job(self, job: Job, request: RequestRow) -> None:
        """Keep a new job, and the request that made it."""
        self.connection.execute(
            insert(tables.jobs).values(
                job_id=job.job_id,
                agreement_id=job.spec.agreement_id,
                requester=job.requester,
                request_id=request.request_id,
                request_sha256=request.sha256,
                actor=request.actor,
                key=request.key,
                spec=json.dumps(job.spec.to_json()),
                state=job.state.value,
                reason_code=job.reason_code,
                reason=job.reason,
                requested_at=job.requested_at,
                collect_until=job.collect_until,
            )
        )

    def job(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        rows = self._jobs(tables.jobs.c.job_id == job_id)
        return rows[0] if rows else None

    def request_of(self, job_id: str) -> RequestRow:
        """Return the request that made a job."""
        table = tables.jobs
        columns = (table.c.request_id, table.c.request_sha256, table.c.actor, table.c.key)
        row = self.connection.execute(select(*columns).where(table.c.job_id == job_id)).one()
        return RequestRow(*row)

    def job_of_request(self, requester: str, request_id: str) -> Job | None:
        """Return the job that a request made, or None."""
        table = tables.jobs
        rows = self._jobs(table.c.requester == requester, table.c.request_id == request_id)
        return rows[0] if rows else None

    def jobs_in(self, *states: JobState) -> list[Job]:
        """Return the jobs in any of some states, oldest first."""
        return self._jobs(tables.jobs.c.state.in_([state.value for state in states]))

    def jobs_of(self, party: str, limit: int, office: str = "") -> list[Job]:
        """Return the jobs of a party: those that go on, then those that ended, newest first.

        One that was denied is of who asked for it alone: it names whom its requester liked.

        Args:
            party: one of their parties.
            limit: at most so many.
            office: only those that this office of it asked for.
        """
        table = tables.jobs
        asked = table.c.requester == party
        if office:
            path = f"/office/{party}/{office}"
            mine = and_(asked, table.c.actor.endswith(path, autoescape=True))
        else:
            mine = or_(asked, table.c.state != JobState.DENIED.value)
        query = (
            select(table)
            .where(mine, self._names(party))
            .order_by(
                case((table.c.state.in_(_ENDED), 1), else_=0),
                table.c.requested_at.desc(),
                table.c.job_id.desc(),
            )
        )
        rows = self.connection.execute(query.limit(limit)).all()
        return [self._job_of_row(row) for row in rows]

    def set_state(self, job_id: str, state: JobState, code: str = "", reason: str = "") -> None:
        """Move a job to a state."""
        self._update_job(job_id, state=state.value, reason_code=code, reason=reason)

    def set_deadline(self, job_id: str, until: int) -> None:
        """Set until when the parties of a job may send what it waits for."""
        self._update_job(job_id, collect_until=until)

    def set_counts(self, job_id: str, counts: JobCounts) -> None:
        """Keep how much a job compared and found."""
        self._update_job(job_id, **asdict(counts))

    def set_result_leaf(self, job_id: str, index: int) -> None:
        """Keep the index of the leaf that commits to a job's result."""
        self._update_job(job_id, result_leaf=index)

    def set_cosigned(self, job_id: str, note: bytes) -> None:
        """Keep the checkpoint under which a job is released."""
        self._update_job(job_id, cosigned=note)

    def cosigned(self, job_id: str) -> bytes | None:
        """Return the checkpoint under which a job was released, if it was."""
        table = tables.jobs
        query = select(table.c.cosigned).where(table.c.job_id == job_id)
        note: bytes | None = self.connection.execute(query).scalar_one()
        return note

    def result_leaf(self, job_id: str) -> int | None:
        """Return the index of the leaf that commits to a job's result, if there is one."""
        table = tables.jobs
        query = select(table.c.result_leaf).where(table.c.job_id == job_id)
        return _int_or_none(self.connection.execute(query).scalar_one())

    # Batches

    def add_batch(self, batch: BatchRow) -> None:
        """Keep a new batch."""
        self.connection.execute(insert(tables.batches).values(**asdict(batch)))

    def batch(self, batch_id: str) -> BatchRow | None:
        """Return a batch, or None."""
        rows = self._batches(tables.batches.c.batch_id == batch_id)
        return rows[0] if rows else None

    def batches_of(self, job_id: str) -> list[BatchRow]:
        """Return the batches of a job."""
        return self._batches(tables.batches.c.job_id == job_id)

    def set_received(self, batch_id: str, next_chunk: int, n_received: int) -> None:
        """Keep how much of a batch is stored."""
        self._update_batch(batch_id, next_chunk=next_chunk, n_received=n_received)

    def set_committed(self, batch_id: str, leaf: int) -> None:
        """Mark a batch as complete, logged at `leaf`."""
        self._update_batch(batch_id, committed=True, leaf=leaf)

    def batch_leaf(self, batch_id: str) -> int | None:
        """Return the index of the leaf that records a batch, if there is one."""
        table = tables.batches
        query = select(table.c.leaf).where(table.c.batch_id == batch_id)
        return _int_or_none(self.connection.execute(query).scalar_one())

    # Second rounds

    def add_refinement(self, row: RefinementRow) -> None:
        """Keep what a party is asked."""
        self.connection.execute(insert(tables.refinements).values(**asdict(row)))

    def clear_refinements(self, job_id: str) -> None:
        """Forget what the parties of a job are asked."""
        table = tables.refinements
        self.connection.execute(delete(table).where(table.c.job_id == job_id))

    def refinements(self, job_id: str) -> list[RefinementRow]:
        """Return what the parties of a job are asked, by party and counterpart."""
        table = tables.refinements
        rows = self.connection.execute(
            select(table)
            .where(table.c.job_id == job_id)
            .order_by(table.c.party, table.c.counterpart)
        )
        return [RefinementRow(**row._asdict()) for row in rows]

    def set_answered(self, job_id: str, party: str, counterpart: str, next_chunk: int) -> None:
        """Keep how many chunks a party has answered."""
        table = tables.refinements
        self.connection.execute(
            update(table)
            .where(
                table.c.job_id == job_id,
                table.c.party == party,
                table.c.counterpart == counterpart,
            )
            .values(next_chunk=next_chunk)
        )

    # Tasks

    def add_task(self, job_id: str, number: int, pairs: int) -> None:
        """Keep that a task is done and its pairs are stored."""
        self.connection.execute(
            insert(tables.tasks).values(job_id=job_id, number=number, pairs=pairs)
        )

    def done_tasks(self, job_id: str) -> dict[int, int]:
        """Return the number of pairs of each finished task of a job."""
        table = tables.tasks
        rows = self.connection.execute(
            select(table.c.number, table.c.pairs).where(table.c.job_id == job_id)
        )
        return {row.number: row.pairs for row in rows}

    def _names(self, party: str) -> ColumnElement[bool]:
        """Return the condition that a job's specification names a party."""
        spec = tables.jobs.c.spec
        if self.connection.dialect.name == POSTGRESQL:
            parties: ColumnElement[Any] = literal_column("'parties'")
            of_spec = cast(spec, JSONB).op("->")(parties)
            names = func.jsonb_array_elements_text(of_spec).table_valued("value")
        else:
            names = func.json_each(spec, "$.parties").table_valued("value")
        return exists(select(names.c.value).where(names.c.value == party))

    def _jobs(self, *where: Any) -> list[Job]:
        table = tables.jobs
        rows = self.connection.execute(
            select(table).where(*where).order_by(table.c.requested_at, table.c.job_id)
        ).all()
        return [self._job_of_row(row) for row in rows]

    def _job_of_row(self, row: Row[Any]) -> Job:
        silent: set[str] = set()
        if row.state in (JobState.REFINING.value, JobState.NAMING.value):
            asked = self.refinements(row.job_id)
            silent = {r.party for r in asked if r.next_chunk < r.n_chunks}
        uploaded = tuple(b.party for b in self.batches_of(row.job_id) if b.committed)
        return Job(
            job_id=row.job_id,
            requester=row.requester,
            spec=JobSpec.from_json(json.loads(row.spec)),
            state=JobState(row.state),
            requested_at=row.requested_at,
            collect_until=row.collect_until,
            uploaded=uploaded,
            reason_code=row.reason_code,
            reason=row.reason,
            counts=JobCounts(
                row.comparisons_planned,
                row.comparisons_done,
                row.candidate_pairs,
                row.links,
                row.comparing_s,
            ),
            silent=tuple(sorted(silent)),
            office=office_in(row.actor),
        )

    def _update_job(self, job_id: str, **values: object) -> None:
        table = tables.jobs
        self.connection.execute(update(table).where(table.c.job_id == job_id).values(**values))

    def _batches(self, *where: Any) -> list[BatchRow]:
        table = tables.batches
        columns = [table.c[name] for name in BatchRow.__dataclass_fields__]
        rows = self.connection.execute(select(*columns).where(*where).order_by(table.c.party))
        return [BatchRow(**row._asdict()) for row in rows]

    def _update_batch(self, batch_id: str, **values: object) -> None:
        table = tables.batches
        self.connection.execute(update(table).where(table.c.batch_id == batch_id).values(**values))


def _int_or_none(value: Any) -> int | None:
    return None if value is None else int(value)
