"""Errors made in the columns of one register, with a record of each.

Decides which cells a mutator gets; what it does to them is in `name_errors`,
`value_errors` and `letters`, how often is in `grades`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from linkage.synthetic.cells import Cells
from linkage.synthetic.columns import Ints, Mask, Text, differs, pick, present, put
from linkage.synthetic.grades import COLUMN_FACTORS, FAULTS, Grade
from linkage.synthetic.streams import stream


@dataclass(frozen=True)
class Change:
    """The cells of one column that one mutator changed.

    Attributes:
        column: shared name of the column.
        mutator: its name in `FAULTS`.
        rows: row numbers, ascending.
    """

    column: str
    mutator: str
    rows: Ints


def corrupt(
    columns: Mapping[str, Text],
    facts: Mapping[str, Text],
    grade: Grade,
    seed: int,
    register: str,
    today: int,
    factors: Mapping[str, float],
    can_hold: Callable[[Text], Mask],
) -> tuple[dict[str, Text], list[Change]]:
    """Return the columns with errors, and what was changed.

    Every mutator draws from a stream of its own, so switching one off leaves the
    choice of cells of all the others as it was.

    Args:
        columns: columns in canonical form (dates YYYY-MM-DD, sex L or P).
        facts: what is true of the rows.
        grade: rates.
        seed: 0 or more.
        register: name of the register; part of the streams.
        today: reference date as a day number.
        factors: by mutator, what to multiply its rate by in this register; 1 by default.
        can_hold: says which names the register can hold; a change to another is not made.
    """
    result = dict(columns)
    changes = []
    for name, fault in FAULTS.items():
        base = grade.rates.get(name, 0.0) * factors.get(name, 1.0)
        for column in fault.columns:
            rate = min(base * COLUMN_FACTORS.get(column, 1.0), 1.0)
            if column not in result or rate <= 0:
                continue
            rng = stream(seed, "corrupt", register, column, name)
            old = result[column]
            rows = np.flatnonzero((rng.random(len(old)) < rate) & present(old))
            if not len(rows):
                continue
            cells = Cells(pick(old, rows), facts, rows, today, column)
            new = fault.mutate(rng, cells)
            changed = differs(new, cells.values)
            if column.startswith("nama"):
                changed &= can_hold(new)
            mask = np.zeros(len(old), dtype=np.bool_)
            mask[rows[changed]] = True
            result[column] = put(old, mask, pick(new, np.flatnonzero(changed)))
            changes.append(Change(column, name, rows[changed]))
    return result, changes
