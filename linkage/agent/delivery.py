"""A result brought where an operator wants it: a CSV or Parquet file, or a table of a database.

What the columns are is the result's matter: here they are names and texts. Half a result is
never seen: a file takes the place of the one before it at once, and a table changes in one
transaction. A second delivery of a job takes the place of the first.
"""

import csv
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import sqlalchemy as sa

from linkage.agent.config import Delivery, ResultTable
from linkage.agent.tablequery import opened
from linkage.errors import RecordError

_JOB_ID = "job_id"
# Advisory lock of a database that results are brought to.
_DELIVERY = 0x70616461_03
# Of the file of a job that names no level.
_HIGHEST = "R3"
# A statement has no more than 32,767 parameters.
_ROWS_PER_STATEMENT = 500


def deliver(to: Delivery | Path, job_id: str, files: Mapping[str, Path]) -> list[str]:
    """Bring the result of a job somewhere, and return the places.

    Args:
        to: where, or a file; the highest level goes to the place itself, others to one with
            their name.
        job_id: the job; takes the place of `{job}`.
        files: a CSV file for each result level.

    Raises:
        RecordError: a file or table cannot be written; what was there before is still there.
    """
    places = list(_places(to, job_id, files))
    for level, place in places:
        if isinstance(place, Path):
            _to_file(files[level], place)
        elif isinstance(to, Delivery) and to.database is not None:
            _to_table(files[level], to.database, *place, job_id)
    return [_named(place) for _, place in places]


def places_of(to: Delivery, job_id: str, files: Mapping[str, Path]) -> list[str]:
    """Return where the result of a job was or will be brought; arguments as for `deliver`."""
    return [_named(place) for _, place in _places(to, job_id, files)]


def _places(
    to: Delivery | Path, job_id: str, levels: Iterable[str]
) -> Iterator[tuple[str, Path | tuple[str | None, str]]]:
    """Yield each level, and the file or the schema and name of the table that it goes to."""
    file, database = (to, None) if isinstance(to, Path) else (to.path, to.database)
    for number, level in enumerate(sorted(levels, reverse=True)):
        lower = level.lower() if number else ""
        if file is not None:
            path = file.with_name(file.name.replace("{job}", job_id))
            yield level, path.with_name(f"{path.stem}.{lower}{path.suffix}") if lower else path
        if database is not None:
            schema, _, name = database.table.rpartition(".")
            yield level, (schema or None, f"{name}_{lower}" if lower else name)


def _named(place: Path | tuple[str | None, str]) -> str:
    return str(place) if isinstance(place, Path) else ".".join(part for part in place if part)


def bring_up_to_date(to: Delivery, work: Path) -> list[str]:
    """Bring every result there that is new or has changed since, and return the places.

    A result changes after its job: rows are frozen, suspended or marked invalid, or erased, when
    a person's rights ask for it. What was brought somewhere has to follow.

    Args:
        to: where.
        work: the agent's work folder.

    Raises:
        RecordError: as for `deliver`; what was not brought there is the next time.
    """
    if to == Delivery():
        return []
    # A run and a timer may be here at once.
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (work / "delivered.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _bring(to, work)


def _bring(to: Delivery, work: Path) -> list[str]:
    found: dict[str, dict[str, Path]] = {}
    for path in (work / "results").glob("*.csv"):
        job_id, *level = path.name.removesuffix(".csv").split(".")
        found.setdefault(job_id, {})["".join(level).upper() or _HIGHEST] = path
    memory = work / "delivered.json"
    known: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}
    places = list[str]()
    for job_id, files in sorted(found.items()):
        state = _state(to, files)
        if known.get(job_id) == state:
            continue
        places += deliver(to, job_id, files)
        known[job_id] = state
        temporary = memory.with_suffix(".part")
        temporary.write_text(json.dumps(known))
        temporary.replace(memory)
    return places


def _state(to: Delivery, files: Mapping[str, Path]) -> str:
    """Return a digest of what is to be brought where."""
    digest = hashlib.sha256(to.model_dump_json().encode())
    for level, path in sorted(files.items()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{level} {content}\n".encode())
    return digest.hexdigest()


def _to_file(result: Path, path: Path) -> None:
    write = _write_parquet if path.suffix == ".parquet" else shutil.copyfile
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        temporary = Path(name)
        try:
            write(result, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise RecordError(
            f"{path}: the result cannot be written: {error.strerror}; it is in {result}"
        ) from error


def _write_parquet(result: Path, path: Path) -> None:
    schema = pa.schema([(name, pa.string()) for name in _columns(result)])
    with pa_parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(result):
            writer.write_batch(batch)


def _to_table(result: Path, to: ResultTable, schema: str | None, name: str, job_id: str) -> None:
    columns = _columns(result)
    table = sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(column, sa.Text) for column in [_JOB_ID, *columns]),
        schema=schema,
    )
    with opened(to, name, read_only=False) as connection:
        if connection.dialect.name == "postgresql":
            # Of two deliveries at once neither would see, and replace, the rows of the other.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_DELIVERY)))
        inspector = sa.inspect(connection)
        if inspector.has_table(name, schema):
            there = {str(column["name"]) for column in inspector.get_columns(name, schema)}
            if missing := [column.name for column in table.columns if column.name not in there]:
                raise RecordError(
                    f"{name}: the table has no column {', '.join(missing)}: add what is missing, "
                    "as text, or name another table"
                )
        else:
            table.create(connection)
        connection.execute(table.delete().where(table.c[_JOB_ID] == job_id))
        for batch in _batches(result):
            rows = ({_JOB_ID: job_id, **row} for row in batch.to_pylist())
            while some := list(itertools.islice(rows, _ROWS_PER_STATEMENT)):
                connection.execute(table.insert().values(some))


def _columns(result: Path) -> list[str]:
    with result.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def _batches(result: Path) -> Iterator[pa.RecordBatch]:
    texts = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(_columns(result), pa.string()), strings_can_be_null=False
    )
    options = pa_csv.ParseOptions(newlines_in_values=True)
    with pa_csv.open_csv(result, parse_options=options, convert_options=texts) as reader:
        yield from reader
