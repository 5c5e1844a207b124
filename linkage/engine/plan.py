"""The comparisons of a job, counted and cut into tasks before any is made."""

from collections.abc import Sequence
from dataclasses import dataclass

from linkage.engine.records import Inputs

# One task keeps its columns in a core's second-level cache and ends within about a
# second, so that a cancelled job stops soon and a resumed one repeats little.
TASK_ROWS = 16_384
TASK_COLUMNS = 4_096
TASK_PAIRS = 4_000_000


@dataclass(frozen=True)
class Task:
    """Some comparisons: rows of one party against columns of another, or listed pairs.

    Attributes:
        left: number of the party whose records are the rows.
        right: number of the party whose records are the columns; equal to `left`
            in a de-duplication, where only pairs right > left are compared.
        rows: first row, and the row after the last; of listed pairs the first pair, and
            the one after the last.
        columns: first column, and the column after the last; None for listed pairs,
            those that share a token.
        comparisons: number of pairs that the task compares.
    """

    left: int
    right: int
    rows: tuple[int, int]
    columns: tuple[int, int] | None
    comparisons: int


def plan(inputs: Inputs, most: int) -> list[Task]:
    """Return tasks for the pairs that share a token, and for all pairs if they are few enough.

    Args:
        inputs: what is compared.
        most: most comparisons that all pairs may take.
    """
    everything = plan_all_pairs(inputs.sizes)
    shared = [
        Task(left, right, rows, None, rows[1] - rows[0])
        for (left, right), pairs in sorted(inputs.shared.items())
        for rows in _ranges(len(pairs), TASK_PAIRS)
    ]
    too_many = sum(task.comparisons for task in everything) > most
    # Without tokens there is no other way: whoever runs the plan sees its count.
    return shared if too_many and inputs.have_tokens else everything + shared


def plan_all_pairs(sizes: Sequence[int]) -> list[Task]:
    """Return the tasks that compare every two records of unlike parties once.

    Args:
        sizes: number of records of each party; with a single party its records
            are compared among themselves.
    """
    return [
        Task(left, right, rows, columns, _in_rectangle(left == right, rows, columns))
        for left, right in _pairs(len(sizes))
        for rows in _ranges(sizes[left], TASK_ROWS)
        for columns in _ranges(sizes[right], TASK_COLUMNS)
        if left != right or columns[1] > rows[0] + 1
    ]


def _pairs(n_parties: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n_parties) for j in range(i + 1, n_parties)] or [(0, 0)]


def _in_rectangle(within: bool, rows: tuple[int, int], columns: tuple[int, int]) -> int:
    n_rows, n_columns = rows[1] - rows[0], columns[1] - columns[0]
    if not within or rows[1] <= columns[0]:
        return n_rows * n_columns
    first, last = columns
    return sum(max(0, last - max(first, row + 1)) for row in range(*rows))


def _ranges(n: int, step: int) -> list[tuple[int, int]]:
    return [(start, min(start + step, n)) for start in range(0, n, step)]
