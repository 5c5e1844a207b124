"""The quality of an agency's own records, looked at before they are encoded.

Reads the source chunk by chunk, normalises it as encoding would, and adds up what was
noticed. The result holds counts and row numbers, bounded in number, and never a value;
it stays in the agency all the same, for row numbers are its own.

Identifiers of the file are looked at too where the name of their column tells what they
are, whether the schema uses them or not: a NIK is the best witness of a date and a sex.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from linkage.agent.columnnames import hint_of
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.fieldlength import FieldLength
from linkage.agent.refusals import lengths, unreadable
from linkage.agent.source import Source, column_names
from linkage.normalise import NORM_VERSION
from linkage.normalise.attributes import normalise_column
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.names import NAME_KINDS
from linkage.normalise.profile import (
    MAX_ROWS,
    ColumnProfile,
    Finding,
    QualityProfile,
    profile_column,
    profile_niks,
)
from linkage.schema import LinkageSchema

_WITH_LENGTH = NAME_KINDS | {"place", "address", "text"}


@dataclass(frozen=True)
class SourceProfile:
    """What was noticed in a whole source.

    Attributes:
        n_records: records read.
        quality: the profiles of its columns. Row numbers count records from 1, the
            row of column names not counted.
        beside: names of the columns that are no attributes of the schema.
    """

    n_records: int
    quality: QualityProfile
    beside: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the profile as JSON can have it."""
        return {
            "records": self.n_records,
            **self.quality.to_dict(),
            "beside_the_schema": list(self.beside),
        }


def profile_source(
    config: SourceConfig,
    schema: LinkageSchema,
    on_records: Callable[[int], None],
    max_rows: int = MAX_ROWS,
) -> SourceProfile:
    """Return the quality profile of a source.

    Args:
        config: the source file.
        schema: the linkage schema.
        on_records: called with the number of records read so far.
        max_rows: row numbers to list for each finding.

    Raises:
        RecordError: the file cannot be read, is empty, or lacks columns.
        ConfigError: the source lacks a setting that a type needs.
    """
    identifiers = _identifiers(config, schema)
    profiling = Profiling(schema, identifiers, max_rows)
    normaliser = RecordNormaliser(schema, config)
    for table in Source(config, schema, also=tuple(identifiers), refuse=False).chunks():
        columns = dict(normaliser.columns(table))
        columns |= {n: normalise_column(table[n], kind) for n, kind in identifiers.items()}
        profiling.add(columns, table)
        on_records(profiling.n_records)
    return profiling.profile()


class Profiling:
    """Adds up the profile of a source whose tables are normalised one after the other.

    Args:
        schema: the linkage schema.
        beside: kinds of identifiers that the schema does not have, by column.
        max_rows: row numbers to list for each finding.

    Attributes:
        n_records: records so far.
    """

    def __init__(
        self,
        schema: LinkageSchema,
        beside: Mapping[str, str] | None = None,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._beside = dict(beside or {})
        self._kinds = {a.name: a.type for a in schema.attributes} | self._beside
        refusing = {a.name for a in schema.attributes if a.invalid == "refuse"}
        self._sums = {
            name: _ColumnSum(name, kind, max_rows, refuses=name in refusing)
            for name, kind in self._kinds.items()
        }
        self._niks = _Findings(max_rows)
        self.n_records = 0

    def add(self, columns: Mapping[str, FlaggedColumn], table: pa.Table) -> None:
        """Add the records of a table.

        Args:
            columns: their normalised words.
            table: the same as the source has them.
        """
        for name, column in columns.items():
            self._sums[name].add(column, table[name], self.n_records)
        self._niks.add_all(_nik_checks(columns, self._kinds), self.n_records)
        self.n_records += table.num_rows

    def profile(self) -> SourceProfile:
        """Return what was noticed so far."""
        profiles = tuple(column.profile() for column in self._sums.values())
        quality = QualityProfile(NORM_VERSION, profiles, self._niks.findings())
        return SourceProfile(self.n_records, quality, tuple(self._beside))


def _identifiers(config: SourceConfig, schema: LinkageSchema) -> dict[str, str]:
    """Return the identifiers of the file that the schema does not have, with their kinds."""
    names = {attribute.name for attribute in schema.attributes}
    taken = names | {config.columns.get(name, name) for name in names} | {config.record_id}
    hints = {column: hint_of(column) for column in column_names(config) if column not in taken}
    return {
        column: hint.type
        for column, hint in hints.items()
        if hint is not None and hint.role == "identifier"
    }


def _nik_checks(
    columns: Mapping[str, FlaggedColumn], kinds: Mapping[str, str]
) -> dict[str, Finding]:
    """Compare the first NIK of the records with their first date, sex and KK number."""

    def first(kind: str) -> FlaggedColumn | None:
        return next((columns[name] for name, of in kinds.items() if of == kind), None)

    niks = first("nik")
    if niks is None:
        return {}
    return profile_niks(niks, first("date"), first("sex"), first("kk"), max_rows=len(niks))


class _Findings:
    """Adds up findings of chunks."""

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._counts: dict[str, int] = {}
        self._rows: dict[str, list[int]] = {}

    def add(self, name: str, finding: Finding, first_row: int) -> None:
        """Add one finding of a chunk whose first record has the number `first_row` + 1."""
        self._counts[name] = self._counts.get(name, 0) + finding.count
        rows = self._rows.setdefault(name, [])
        room = self._max_rows - len(rows)
        rows += [first_row + row + 1 for row in finding.rows[:room]]

    def add_all(self, findings: Mapping[str, Finding], first_row: int) -> None:
        for name, finding in findings.items():
            self.add(name, finding, first_row)

    def findings(self) -> dict[str, Finding]:
        return {name: Finding(n, tuple(self._rows[name])) for name, n in self._counts.items()}


class _ColumnSum:
    """Adds up the profiles of one column's chunks."""

    def __init__(self, name: str, kind: str, max_rows: int, *, refuses: bool) -> None:
        self._name, self._kind, self._max_rows = name, kind, max_rows
        self._unread = "refused" if refuses else "rejected"
        self._findings = _Findings(max_rows)
        self._lengths = FieldLength(max_rows) if kind in _WITH_LENGTH else None
        self._n_records = self._n_missing = 0

    def add(
        self, column: FlaggedColumn, raw: "pa.ChunkedArray[pa.StringScalar]", first_row: int
    ) -> None:
        profile = profile_column(self._name, self._kind, column, self._max_rows)
        self._n_records += profile.n_records
        self._n_missing += profile.n_missing
        self._findings.add_all(profile.findings, first_row)
        unread = np.flatnonzero(unreadable(raw, column))
        if len(unread):
            rows = tuple(unread[: self._max_rows].tolist())
            self._findings.add(self._unread, Finding(len(unread), rows), first_row)
        if self._lengths is not None:
            self._lengths.add(lengths(raw), first_row)

    def profile(self) -> ColumnProfile:
        findings = self._findings.findings()
        if self._lengths is not None and (cut := self._lengths.suspects()):
            findings["cut_suspect"] = cut
        return ColumnProfile(self._name, self._kind, self._n_records, self._n_missing, findings)
