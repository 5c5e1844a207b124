"""The records of a CSV or Parquet file, read in chunks.

No text of an error holds a value of a record, only columns and row numbers.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from linkage.agent.config import SourceConfig
from linkage.agent.valuetext import ValueTexts
from linkage.errors import RecordError

# Some 65,000 records at once: their codes and words are what an agent needs memory for.
CSV_BLOCK_BYTES = 6 << 20
ROWS_PER_CHUNK = 65_536
_HEAD_BYTES = 1 << 16


class TableFile:
    """A CSV (also .gz) or Parquet file.

    Args:
        path: the file.
        config: how it is written.
    """

    def __init__(self, path: Path, config: SourceConfig) -> None:
        self._path, self._config = path, config

    def column_names(self) -> list[str]:
        """Return the names of the columns, in their order.

        Raises:
            RecordError: the file cannot be read, or is empty.
        """
        path, config = self._path, self._config
        try:
            if path.suffix == ".parquet":
                return list(pa_parquet.read_schema(path).names)
            codecs.lookup(config.encoding)
            with pa.input_stream(str(path), compression="detect") as stream:
                head = stream.read(_HEAD_BYTES)
        except OSError as error:
            raise RecordError(f"{path}: cannot be read: {_reason(error)}") from error
        except pa.ArrowInvalid as error:
            raise RecordError(f"{path.name}: not a Parquet file, or damaged") from error
        except LookupError as error:
            raise RecordError(f"encoding {config.encoding!r} is unknown: try utf-8") from error
        if not head.strip():
            raise RecordError(f"{path.name}: the file is empty")
        text = codecs.decode(head, config.encoding, "replace").removeprefix("\ufeff")
        if "\n" not in text.strip() and len(head) < _HEAD_BYTES:
            raise RecordError(f"{path.name}: it has a header and no records")
        return next(csv.reader(io.StringIO(text), delimiter=config.delimiter), [])

    def n_records(self) -> int | None:
        """Return about how many records there are, None where that cannot be told.

        A CSV file says nothing of it: the lengths of its first ones are taken for those of all.
        """
        try:
            if self._path.suffix == ".parquet":
                return pa_parquet.read_metadata(self._path).num_rows
            if self._path.suffix == ".gz":
                return None
            with self._path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
            size = self._path.stat().st_size
        except (OSError, pa.ArrowException):
            return None  # whoever reads it will be told why
        return max(round(head.count(b"\n") * size / max(len(head), 1)) - 1, 0)

    def chunks(self, wanted: list[str], digits: Mapping[str, int]) -> Iterator[pa.Table]:
        """Yield some columns as tables of text.

        Args:
            wanted: names of columns.
            digits: how many digits the numbers of a column have (`ValueTexts`).

        Raises:
            RecordError: a row or a byte cannot be read, or the file changed meanwhile.
        """
        with _unchanged(self._path):
            if self._path.suffix == ".parquet":
                yield from self._parquet_chunks(wanted, digits)
            else:
                yield from self._csv_chunks(wanted)

    def _parquet_chunks(self, wanted: list[str], digits: Mapping[str, int]) -> Iterator[pa.Table]:
        name, n_read = self._path.name, 0
        texts = {column: ValueTexts(name, column, digits.get(column)) for column in wanted}
        try:
            with pa_parquet.ParquetFile(self._path) as file:
                for batch in file.iter_batches(ROWS_PER_CHUNK, columns=wanted):
                    table = pa.Table.from_batches([batch])
                    yield pa.table({c: texts[c].of_arrow(table[c], n_read) for c in wanted})
                    n_read += len(table)
        except (pa.ArrowException, KeyError, OSError, UnicodeError):
            # The library's own text may quote a value, so it is not passed on.
            raise RecordError(
                f"{name}: damaged, a column is there twice, or one of {', '.join(wanted)} holds "
                "something that is no text, number or date"
            ) from None

    def _csv_chunks(self, wanted: list[str]) -> Iterator[pa.Table]:
        path, config = self._path, self._config
        wrong: list[str] = []

        def refuse(row: pa_csv.InvalidRow) -> Literal["error"]:
            # The row's text is personal data: only its number goes on.
            where = f"row {row.number}" if row.number else "a row"
            wrong.append(f"{where} has {row.actual_columns} columns, not {row.expected_columns}")
            return "error"

        try:
            with pa.input_stream(str(path), compression="detect") as stream:
                reader = pa_csv.open_csv(
                    cast("IO[bytes]", stream),
                    read_options=pa_csv.ReadOptions(
                        block_size=CSV_BLOCK_BYTES, encoding=config.encoding, use_threads=False
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
                    yield pa.Table.from_batches([batch]).select(wanted)
        except (pa.ArrowException, UnicodeError) as error:
            if wrong:
                problem = f"{wrong[0]}: quote the values that hold a {config.delimiter!r}"
            elif isinstance(error, UnicodeError) or "utf8" in str(error).lower():
                problem = (
                    f"not written in {config.encoding}: name the right encoding in the source "
                    "file, for example windows-1252"
                )
            else:
                problem = "cannot be read as CSV: check its delimiter and quotes"
            # The library's own text may quote the row, so it is not passed on.
            raise RecordError(f"{path.name}: {problem}") from None
        except OSError as error:
            raise RecordError(f"{path.name}: cannot be read: {_reason(error)}") from None


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    """Notice that a file was written to while it was read: half of it may be of another time.

    Raises:
        RecordError: it has changed.
    """
    before = _state(path)
    yield
    if _state(path) != before:
        raise RecordError(
            f"{path.name}: it changed while it was read: copy it, and read the copy, or let "
            "nobody write to it meanwhile"
        )


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {_reason(error)}") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


def _reason(error: OSError) -> str:
    return error.strerror or "not a readable file"
