"""Records that are left out because a value in them cannot be read, where the schema says so.

A value that is there and says nothing, such as a 45th of January or a NIK of five digits,
never stops a file. It counts as missing, and its record is encoded without it; or its record
is refused, if the parties agreed on that (`invalid = "refuse"` of the attribute). Whoever
reads a source reads it through `Source`, so that both rounds of a job, a register for
lookups and an evaluation leave out the same records.
"""

import csv
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.normalise.arrow import text_array
from linkage.normalise.columns import WordColumn
from linkage.normalise.profile import rule_of
from linkage.schema import Attribute, LinkageSchema

_compute: Any = pyarrow.compute  # the published stubs refuse arguments that Arrow documents
# Told the number of the row, from 1, of a refused record, its record number, and what was wrong.
OnRefused = Callable[[int, str, Attribute], None]


class Refusals:
    """Leaves records out of the tables of one source.

    Args:
        schema: the linkage schema.
        source: how the agency writes its values.
        on_refused: told of each value for which a record is refused.

    Raises:
        ConfigError: as for `RecordNormaliser`.
    """

    def __init__(
        self, schema: LinkageSchema, source: SourceConfig, on_refused: OnRefused | None = None
    ) -> None:
        self._attributes = tuple(a for a in schema.attributes if a.invalid == "refuse")
        refusing = schema.model_copy(update={"attributes": self._attributes})
        self._normaliser = RecordNormaliser(refusing, source)
        self._on_refused = on_refused or (lambda _row, _record_id, _attribute: None)

    def kept(self, table: pa.Table, before: int) -> pa.Table:
        """Return some records of the source without those that are refused.

        Args:
            table: the records.
            before: number of records of the source before them.
        """
        refused = np.zeros(table.num_rows, dtype=np.bool_)
        columns = self._normaliser.columns(table)
        for attribute in self._attributes:
            unread = unreadable(table[attribute.name], columns[attribute.name])
            for row in np.flatnonzero(unread).tolist():
                self._on_refused(before + row + 1, table["record_id"][row].as_py(), attribute)
            refused |= unread
        return table.filter(pa.array(~refused)) if refused.any() else table


class RefusedFile:
    """The list of an agency's own records that a job leaves out; no file where there are none.

    Args:
        path: a CSV file with row, record number, attribute and rule; replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: int, record_id: str, attribute: Attribute) -> None:
        """Write one line."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(["row", "record_id", "attribute", "rule"])
        rule = rule_of(attribute.type, "rejected")
        csv.writer(self._file).writerow([row, record_id, attribute.name, rule])


def lengths(raw: "pa.ChunkedArray[pa.StringScalar]") -> NDArray[np.int64]:
    """Return the number of characters of each value without outer white space; 0 if missing."""
    trimmed = _compute.utf8_trim_whitespace(text_array(raw))
    counts = _compute.fill_null(_compute.utf8_length(trimmed), 0)
    return np.asarray(counts.to_numpy(zero_copy_only=False), dtype=np.int64)


def unreadable(raw: "pa.ChunkedArray[pa.StringScalar]", column: WordColumn) -> NDArray[np.bool_]:
    """Return which values are there and say nothing, shape (n,).

    Args:
        raw: values as the source has them.
        column: the same values normalised.
    """
    unread: NDArray[np.bool_] = (lengths(raw) > 0) & (np.diff(column.offsets) == 0)
    return unread
