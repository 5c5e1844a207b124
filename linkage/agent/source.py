"""An agency's own records, read in chunks from CSV or Parquet.

Checks what a linkage needs of a source, and says what to mend: no text of an
error holds a value of a record, only columns and row numbers.
"""

import codecs
import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from typing import IO, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
from numpy.typing import NDArray

from linkage.agent.config import SourceConfig
from linkage.agent.refusals import OnRefused, Refusals
from linkage.errors import RecordError
from linkage.schema import LinkageSchema

# Some 65,000 records at once: their codes and words are what an agent needs memory for.
_CSV_BLOCK_BYTES = 6 << 20
_ROWS_PER_CHUNK = 65_536
DIGEST_BYTES = 16
_HEAD_BYTES = 1 << 16


class Source:
    """The records of one source file, as columns named by attribute.

    Args:
        config: the source file.
        schema: which attributes are wanted.
        also: more columns to read, under their own names.
        on_refused: told of each value for which the schema has its record left out.
        refuse: False keeps those records all the same, to look at them.

    Raises:
        RecordError: the file cannot be read, is empty, lacks columns, or has two of
            a name that is wanted.
    """

    def __init__(
        self,
        config: SourceConfig,
        schema: LinkageSchema,
        also: tuple[str, ...] = (),
        on_refused: OnRefused | None = None,
        *,
        refuse: bool = True,
    ) -> None:
        self._config = config
        refuses = refuse and any(a.invalid == "refuse" for a in schema.attributes)
        self._refusals = Refusals(schema, config, on_refused) if refuses else None
        self._column_of = {
            attribute.name: config.columns.get(attribute.name, attribute.name)
            for attribute in schema.attributes
        }
        self._wanted = list(dict.fromkeys([config.record_id, *self._column_of.values(), *also]))
        unknown = sorted(set(config.columns) - set(self._column_of))
        if unknown:
            raise RecordError(
                f"{config.path.name}: the source file maps {', '.join(unknown)}, "
                "which the schema does not have: correct the names under [columns]"
            )
        self._also = also
        taken = sorted({"record_id", *self._column_of} & set(also))
        if taken:
            raise RecordError(f"the column {taken[0]} is in use: name another one")
        present = column_names(config)
        missing = [column for column in self._wanted if column not in present]
        if len(missing) == len(self._wanted):
            # What stands there instead may be a record: it is not shown.
            raise RecordError(
                f"{config.path.name}: none of the columns {', '.join(missing)} is among its "
                f"{len(present)}: it needs a first row of names, and the right delimiter"
            )
        if missing:
            raise RecordError(
                f"{config.path.name}: no column {', '.join(missing)}; it has "
                f"{', '.join(present)}: name the right ones under [columns] of the source file"
            )
        # Which of the two is meant, nobody can tell: a reader would take either.
        twice = [column for column in self._wanted if present.count(column) > 1]
        if twice:
            raise RecordError(
                f"{config.path.name}: more than one column {', '.join(twice)}: rename the "
                "others, or take them away"
            )

    def chunks(self) -> Iterator[pa.Table]:
        """Yield the records as tables of text columns, in the order of the file.

        Columns are `record_id`, then one for each attribute, then those read also. Records
        that the schema refuses are left out (`refusals`).

        Raises:
            RecordError: a row or a byte cannot be read, a record number is missing
                or occurs twice, or there is no record at all, or none that is not refused.
        """
        seen, n_kept, n_read = _RecordIds(self._config.path.name), 0, 0
        for text in read_columns(self._config, self._wanted):
            columns = {"record_id": text[self._config.record_id]}
            columns |= {name: text[column] for name, column in self._column_of.items()}
            columns |= {name: text[name] for name in self._also}
            seen.add(columns["record_id"])
            table = pa.table(columns)
            if self._refusals is not None:
                table = self._refusals.kept(table, n_read)
            n_read += len(columns["record_id"])
            n_kept += table.num_rows
            if table.num_rows:
                yield table
        seen.close()
        if not n_kept:
            raise RecordError(
                f"{self._config.path.name}: the schema refuses every record: look at them with "
                '`padan agent profile`, or agree on invalid = "missing"'
            )


def column_names(config: SourceConfig) -> list[str]:
    """Return the names of a file's columns, in its order.

    Raises:
        RecordError: the file cannot be read, or is empty.
    """
    try:
        if config.path.suffix == ".parquet":
            return list(pa_parquet.read_schema(config.path).names)
        codecs.lookup(config.encoding)
        with pa.input_stream(str(config.path), compression="detect") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise RecordError(f"{config.path}: cannot be read: {_reason(error)}") from error
    except pa.ArrowInvalid as error:
        raise RecordError(f"{config.path.name}: not a Parquet file, or damaged") from error
    except LookupError as error:
        raise RecordError(f"encoding {config.encoding!r} is unknown: try utf-8") from error
    if not head.strip():
        raise RecordError(f"{config.path.name}: the file is empty")
    text = codecs.decode(head, config.encoding, "replace").removeprefix("\ufeff")
    if "\n" not in text.strip() and len(head) < _HEAD_BYTES:
        raise RecordError(f"{config.path.name}: it has a header and no records")
    return next(csv.reader(io.StringIO(text), delimiter=config.delimiter), [])


def read_columns(config: SourceConfig, wanted: list[str]) -> Iterator[pa.Table]:
    """Yield some columns of a file as tables of text, under the file's own names.

    Raises:
        RecordError: a row or a byte cannot be read.
    """
    schema = pa.schema([(name, pa.string()) for name in wanted])
    parquet = config.path.suffix == ".parquet"
    for table in (_parquet_chunks if parquet else _csv_chunks)(config, wanted):
        yield table.select(wanted).cast(schema)


def _parquet_chunks(config: SourceConfig, wanted: list[str]) -> Iterator[pa.Table]:
    schema = pa.schema([(name, pa.string()) for name in wanted])
    try:
        with pa_parquet.ParquetFile(config.path) as file:
            for batch in file.iter_batches(_ROWS_PER_CHUNK, columns=wanted):
                table = pa.Table.from_batches([batch]).select(wanted).cast(schema)
                table.validate(full=True)
                yield table
    except (pa.ArrowException, KeyError, OSError):
        # The library's own text may quote a value, so it is not passed on.
        raise RecordError(
            f"{config.path.name}: damaged, a column is there twice, or one of "
            f"{', '.join(wanted)} holds something that is no text, number or date"
        ) from None


def _csv_chunks(config: SourceConfig, wanted: list[str]) -> Iterator[pa.Table]:
    wrong: list[str] = []

    def refuse(row: pa_csv.InvalidRow) -> Literal["error"]:
        # The row's text is personal data: only its number goes on.
        where = f"row {row.number}" if row.number else "a row"
        wrong.append(f"{where} has {row.actual_columns} columns, not {row.expected_columns}")
        return "error"

    try:
        with pa.input_stream(str(config.path), compression="detect") as stream:
            reader = pa_csv.open_csv(
                cast("IO[bytes]", stream),
                read_options=pa_csv.ReadOptions(
                    block_size=_CSV_BLOCK_BYTES, encoding=config.encoding, use_threads=False
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=config.delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=refuse,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.string()),
                    include_columns=wanted,
                    strings_can_be_null=False,
                ),
            )
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, UnicodeError) as error:
        if wrong:
            problem = f"{wrong[0]}: quote the values that hold a {config.delimiter!r}"
        elif isinstance(error, UnicodeError) or "utf8" in str(error).lower():
            problem = (
                f"not written in {config.encoding}: name the right encoding in the source file, "
                "for example windows-1252"
            )
        else:
            problem = "cannot be read as CSV: check its delimiter and quotes"
        # The library's own text may quote the row, so it is not passed on.
        raise RecordError(f"{config.path.name}: {problem}") from None
    except OSError as error:
        raise RecordError(f"{config.path.name}: cannot be read: {_reason(error)}") from None


class _RecordIds:
    """Finds record numbers that are missing or occur twice, at some 24 bytes for each."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._digests = np.zeros(0, dtype="V16")
        self._rows = np.zeros(0, dtype=np.int64)

    def add(self, ids: "pa.ChunkedArray[pa.StringScalar]") -> None:
        values, before = ids.to_pylist(), len(self._rows)
        for row, value in enumerate(values, before + 1):
            if not value:
                raise RecordError(f"{self._name}: record {row} has no record number")
        digests = np.concatenate([self._digests, digests_of(cast("list[str]", values))])
        rows = np.concatenate([self._rows, np.arange(before + 1, before + 1 + len(values))])
        order = np.argsort(digests, kind="stable")
        self._digests, self._rows = digests[order], rows[order]
        twice = np.flatnonzero(self._digests[1:] == self._digests[:-1])
        if len(twice):
            # Of one number the rows are in their order: which pair comes first in the file.
            second = int(self._rows[twice + 1].min())
            at = int(twice[np.argmin(self._rows[twice + 1])])
            raise RecordError(
                f"{self._name}: records {int(self._rows[at])} and {second} have the same record "
                "number: each record needs its own"
            )

    def close(self) -> None:
        if not len(self._rows):
            raise RecordError(f"{self._name}: it has a header and no records")


def digests_of(values: Sequence[str]) -> NDArray[np.void]:
    """Return 16 bytes for each value that tell it from any other, shape (n,)."""
    made = b"".join(
        hashlib.blake2b(value.encode(), digest_size=DIGEST_BYTES).digest() for value in values
    )
    return np.frombuffer(made, dtype="V16")


def _reason(error: OSError) -> str:
    return error.strerror or "not a readable file"
