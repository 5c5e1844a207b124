"""What normalising found in a source: counts and row numbers, no values.

For the quality report that an agency makes before it encodes. Row numbers are those
of the source, bounded in number, so that its officials can look the records up;
nothing of what stands in them is here. The report leaves nothing out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from linkage.normalise.columns import FlaggedColumn, WordColumn
from linkage.normalise.flags import DateFlag, IdFlag, NameFlag, PlaceFlag
from linkage.normalise.identifiers import DOCUMENT_KINDS, NUMBER_KINDS, check_nik, parse_nik
from linkage.normalise.namereading import Sex
from linkage.normalise.names import NAME_KINDS

MAX_ROWS = 100
"""Row numbers that one finding lists; its count is always the whole."""

# The rule that noticed something: of each kind of value, and where it is another one.
_RULE_OF_KIND = {
    **dict.fromkeys(NAME_KINDS, "N02"), "sex": "S01", "date": "D01", "year": "D01", "age": "D05",
    "place": "L01", "nik": "I01", "nit": "I02", "kk": "I03", "passport": "I04", "permit": "I04",
    "deed": "I05",
}  # fmt: skip
_RULE_OF_NAME = {
    "title_stripped": "N03", "title_kept": "N03", "noble": "N04", "expanded": "N13",
    "clan_mark": "N07", "patronym": "N08", "mononym": "N14", "filler": "N14", "undoubled": "N14",
    "nobody": "N14", "turned": "N16", "cut": "N19", "mrz": "N19",
}  # fmt: skip
_RULE_OF_FINDING = {
    "date": {"placeholder": "D02"},
    "place": {"renamed": "L02", "abroad": "L03"},
    "nik": {"is_nit": "I02", "nik_dob_mismatch": "D04", "nik_sex_mismatch": "D04",
            "kk_in_nik_column": "I03"},
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing that was noticed in a column.

    Attributes:
        count: in how many records.
        rows: the first of them by row number, at most `MAX_ROWS`.
    """

    count: int
    rows: tuple[int, ...]

    def to_dict(self) -> dict[str, object]:
        """Return count and rows as JSON can have them."""
        return {"count": self.count, "rows": list(self.rows)}


@dataclass(frozen=True)
class ColumnProfile:
    """What was noticed in one column.

    Attributes:
        attribute: the attribute's name.
        kind: what it is.
        n_records: records looked at.
        n_missing: records without a word, for whatever reason.
        findings: by the name of the flag in lower case; only what occurs.
    """

    attribute: str
    kind: str
    n_records: int
    n_missing: int
    findings: Mapping[str, Finding] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the profile as JSON can have it."""
        return {
            "attribute": self.attribute,
            "kind": self.kind,
            "records": self.n_records,
            "missing": self.n_missing,
            "findings": {
                name: {"rule": rule_of(self.kind, name), **found.to_dict()}
                for name, found in self.findings.items()
            },
        }


@dataclass(frozen=True)
class QualityProfile:
    """The profiles of all columns of a source.

    Attributes:
        norm_version: the version of the rules.
        columns: one profile for each attribute, in the order of the source.
        nik_checks: what disagrees between a NIK and the rest of its record.
    """

    norm_version: str
    columns: tuple[ColumnProfile, ...]
    nik_checks: Mapping[str, Finding] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the profile as JSON can have it."""
        return {
            "norm_version": self.norm_version,
            "columns": [column.to_dict() for column in self.columns],
            "nik_checks": {
                name: {"rule": rule_of("nik", name), **found.to_dict()}
                for name, found in self.nik_checks.items()
            },
        }


def rule_of(kind: str, finding: str) -> str:
    """Return the id of the rule that notices a finding in values of a kind, "" for none.

    Short forms written out by their place are those of N04, N05, N07 and N13, the one named.
    """
    of_kind = _RULE_OF_NAME if kind in NAME_KINDS else _RULE_OF_FINDING.get(kind, {})
    return of_kind.get(finding, _RULE_OF_KIND.get(kind, ""))


def profile_column(
    attribute: str, kind: str, column: FlaggedColumn, max_rows: int = MAX_ROWS
) -> ColumnProfile:
    """Return what was noticed while normalising one column.

    Args:
        attribute: the attribute's name in the schema.
        kind: what it is; it tells how to read the flags.
        column: the normalised column.
        max_rows: row numbers to list for each finding.
    """
    flag_names = _flags_of(kind)
    findings = {}
    for flag in flag_names or ():
        found = np.flatnonzero(column.flags & np.uint32(flag))
        if len(found):
            findings[str(flag.name).lower()] = _finding(found, max_rows)
    return ColumnProfile(
        attribute, kind, len(column), int(np.sum(np.diff(column.offsets) == 0)), findings
    )


def profile_niks(
    niks: WordColumn,
    born: WordColumn | None = None,
    sexes: WordColumn | None = None,
    kks: WordColumn | None = None,
    max_rows: int = MAX_ROWS,
) -> dict[str, Finding]:
    """Return where a NIK disagrees with the date, sex and KK of its record.

    Args:
        niks: normalised NIKs.
        born: normalised dates of birth.
        sexes: normalised sexes.
        kks: normalised KK numbers.
        max_rows: row numbers to list for each finding.
    """
    seen: dict[IdFlag, list[int]] = {
        IdFlag.DOB_MISMATCH: [], IdFlag.SEX_MISMATCH: [], IdFlag.KK_IN_NIK: [],
    }  # fmt: skip
    for record in range(len(niks)):
        words = niks.words_of(record)
        if not words:
            continue
        flags = check_nik(
            parse_nik(words[0]),
            _only(born, record),
            _sex(_only(sexes, record)),
            _only(kks, record),
        )
        for flag, rows in seen.items():
            if flag in flags:
                rows.append(record)
    names = {
        IdFlag.DOB_MISMATCH: "nik_dob_mismatch",
        IdFlag.SEX_MISMATCH: "nik_sex_mismatch",
        IdFlag.KK_IN_NIK: "kk_in_nik_column",
    }
    return {names[flag]: _finding(np.array(rows), max_rows) for flag, rows in seen.items() if rows}


def _flags_of(kind: str) -> type[IntFlag] | None:
    if kind in NAME_KINDS:
        return NameFlag
    if kind in NUMBER_KINDS | DOCUMENT_KINDS:
        return IdFlag
    return {"date": DateFlag, "year": DateFlag, "age": DateFlag, "place": PlaceFlag}.get(kind)


def _finding(rows: NDArray[np.int64], max_rows: int) -> Finding:
    return Finding(len(rows), tuple(rows[:max_rows].tolist()))


def _only(column: WordColumn | None, record: int) -> str | None:
    words = column.words_of(record) if column is not None else ()
    return words[0] if len(words) == 1 else None


def _sex(word: str | None) -> Sex:
    return "L" if word == "L" else "P" if word == "P" else "U"
