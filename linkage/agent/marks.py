"""What stands against links in the own result files: frozen, suspended, invalid.

Every file of results has a column `state`, which says `valid` or why a row must not be relied
upon. It is worked out anew from the own tickets and from what other parties told, so nothing
that a file lost or gained by hand stays wrong. A row is never lost by a mark, but for an erasure.

`frozen` (restriction) and `suspended` (objection) last until they are lifted. `invalid`
(rectification) concerns jobs that were asked for before: a job that was asked for since compared
the corrected record. Answers of a lower level name no record of the counterpart, so nobody can
tell which of them rest on the one that a notice is about, and none may be found out: there all
rows of that counterpart of earlier jobs are to be asked again (`recheck`).
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from linkage.agreement.rights import NoticeKind

MarkState = Literal["recheck", "suspended", "frozen", "invalid", "erased"]
VALID, COLUMN = "valid", "state"
STATE_OF: dict[NoticeKind, MarkState] = {
    "restrict": "frozen",
    "object": "suspended",
    "rectify": "invalid",
    "erase": "erased",
}
# The stronger one counts where several meet.
_STRENGTH: tuple[MarkState, ...] = ("recheck", "suspended", "frozen", "invalid", "erased")


@dataclass(frozen=True)
class Mark:
    """What stands against some links.

    Attributes:
        state: what.
        record_id: the own record whose links are meant, in all files.
        counterpart: or the rows of another party, which may say nothing of a third one's:
        links: of them those with these link ids, in hexadecimal; None for all without a link id.
        before: only rows of jobs asked for before this leaf of the log; None for all jobs.
    """

    state: MarkState
    record_id: str | None = None
    counterpart: str | None = None
    links: frozenset[str] | None = None
    before: int | None = None

    def meets(self, row: Mapping[str, str], asked: int) -> bool:
        """Return whether the mark stands against a row of a job that a leaf asked for."""
        if self.before is not None and asked > self.before:
            return False
        if self.record_id is not None and row.get("record_id") == self.record_id:
            return True
        if self.counterpart is None or row.get("counterpart") != self.counterpart:
            return False
        if self.links is None:
            return "link_id" not in row
        return row.get("link_id") in self.links


def write_marks(
    folder: Path,
    marks: Iterable[Mark],
    asked: Mapping[str, int],
) -> dict[MarkState, int]:
    """Write the state of every row into the result files; return how many have which mark.

    Args:
        folder: of the result files.
        marks: what stands against links.
        asked: the leaf that asked for each job, by its id; one that is not known was before all.
    """
    counts: dict[MarkState, int] = {}
    known = tuple(marks)
    for path in sorted(folder.glob("*.csv")):
        _mark_file(path, known, asked.get(job_of(path), -1), counts)
    return counts


def _mark_file(
    path: Path,
    marks: tuple[Mark, ...],
    asked: int,
    counts: dict[MarkState, int],
) -> None:
    temporary = path.with_suffix(".marked")
    with (
        path.open(encoding="utf-8", newline="") as old,
        temporary.open("w", encoding="utf-8", newline="") as new,
    ):
        rows = csv.DictReader(old)
        names = list(rows.fieldnames or ())
        if "record_id" not in names:  # counts of records are no links
            temporary.unlink()
            return
        changed = COLUMN not in names
        writer = csv.DictWriter(
            new, names if COLUMN in names else [*names, COLUMN], lineterminator="\n"
        )
        writer.writeheader()
        for row in rows:
            found = {mark.state for mark in marks if mark.meets(row, asked)}
            state = max(found, key=_STRENGTH.index, default=None)
            if state is not None:
                counts[state] = counts.get(state, 0) + 1
            if state == "erased":
                changed = True
                continue
            changed = changed or row[COLUMN] != (state or VALID)
            writer.writerow({**row, COLUMN: state or VALID})
    if changed:
        temporary.replace(path)
    else:
        temporary.unlink()


def job_of(path: Path) -> str:
    """Return the job of a result file."""
    return path.name.partition(".")[0]


def links_of(folder: Path, record_ids: Iterable[str]) -> dict[str, list[tuple[str, str, str]]]:
    """Return the links of own records: job, counterpart and link id of each, by record."""
    wanted = {record_id: list[tuple[str, str, str]]() for record_id in record_ids}
    for path in sorted(folder.glob("*.csv")) if wanted else ():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("record_id") in wanted and row.get("link_id"):
                    link = (job_of(path), row["counterpart"], row["link_id"])
                    wanted[row["record_id"]].append(link)
    return wanted
