"""An agency's own records, read in chunks from a file or a database.

Checks what a linkage needs of a source, and says what to mend: no text of an
error holds a value of a record, only columns and row numbers.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.agent.config import SourceConfig
from linkage.agent.refusals import OnRefused, Refusals
from linkage.agent.tablefile import TableFile
from linkage.agent.tablequery import TableQuery
from linkage.errors import RecordError
from linkage.schema import LinkageSchema

DIGEST_BYTES = 16
# Numbers that may begin with zeros: how many digits they have, 0 where that varies.
_DIGITS = {"nik": 16, "nit": 16, "kk": 16, "postcode": 5, "phone": 0}


class Source:
    """The records of one source, as columns named by attribute.

    Args:
        config: the source file.
        schema: which attributes are wanted.
        also: more columns to read, under their own names.
        on_refused: told of each value for which the schema has its record left out.
        refuse: False keeps those records all the same, to look at them.

    Raises:
        RecordError: the source cannot be read, is empty, lacks columns, or has two of
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
        self._digits = {
            self._column_of[attribute.name]: _DIGITS[attribute.type]
            for attribute in schema.attributes
            if attribute.type in _DIGITS
        }
        self._wanted = list(dict.fromkeys([config.record_id, *self._column_of.values(), *also]))
        unknown = sorted(set(config.columns) - set(self._column_of))
        if unknown:
            raise RecordError(
                f"{config.name}: the source file maps {', '.join(unknown)}, "
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
                f"{config.name}: none of the columns {', '.join(missing)} is among its "
                f"{len(present)}: it needs a first row of names, and the right delimiter"
            )
        if missing:
            raise RecordError(
                f"{config.name}: no column {', '.join(missing)}; it has "
                f"{', '.join(present)}: name the right ones under [columns] of the source file"
            )
        # Which of the two is meant, nobody can tell: a reader would take either.
        twice = [column for column in self._wanted if present.count(column) > 1]
        if twice:
            raise RecordError(
                f"{config.name}: more than one column {', '.join(twice)}: rename the "
                "others, or take them away"
            )

    def n_records(self) -> int | None:
        """Return about how many records there are, refused ones too; None if nobody knows."""
        return _reader(self._config).n_records()

    def chunks(self) -> Iterator[pa.Table]:
        """Yield the records as tables of text columns, in the order of the source.

        Columns are `record_id`, then one for each attribute, then those read also. Records
        that the schema refuses are left out (`refusals`).

        Raises:
            RecordError: a row or a byte cannot be read, a record number is missing
                or occurs twice, or there is no record at all, or none that is not refused.
        """
        seen, n_kept, n_read = _RecordIds(self._config.name), 0, 0
        for text in read_columns(self._config, self._wanted, self._digits):
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
                f"{self._config.name}: the schema refuses every record: look at them with "
                '`padan agent profile`, or agree on invalid = "missing"'
            )


def column_names(config: SourceConfig) -> list[str]:
    """Return the names of a source's columns, in its order.

    Raises:
        RecordError: the source cannot be read, or is empty.
    """
    return _reader(config).column_names()


def read_columns(
    config: SourceConfig, wanted: list[str], digits: Mapping[str, int] | None = None
) -> Iterator[pa.Table]:
    """Yield some columns of a source as tables of text, under the source's own names.

    Args:
        config: the source file.
        wanted: names of columns.
        digits: how many digits the numbers of a column have, where its type says so.

    Raises:
        RecordError: a row, a value or a byte cannot be read, or the source changed meanwhile.
    """
    return _reader(config).chunks(wanted, digits or {})


def _reader(config: SourceConfig) -> TableFile | TableQuery:
    if config.path is not None:
        return TableFile(config.path, config)
    if config.database is None:
        raise ValueError("a source has a path or a database")
    return TableQuery(config.database, config.name, config.record_id)


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
