"""The comparisons of a job, counted and cut into tasks before any is made."""

from collections.abc import Sequence
from dataclasses import dataclass

# One task keeps its columns in a core's second-level cache and ends within about a
# second, so that a cancelled job stops soon and a resumed one repeats little.
TASK_ROWS = 16_384
TASK_COLUMNS = 4_096


@dataclass(frozen=True)
class Task:
    """One rectangle of comparisons: rows of one party against columns of another.

    Attributes:
        left: number of the party whose records are the rows.
        right: number of the party whose records are the columns; equal to `left`
            in a de-duplication, where only pairs right > left are compared.
        rows: first row, and the row after the last.
        columns: first column, and the column after the last.
    """

    left: int
    right: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def comparisons(self) -> int:
        """Number of pairs that the task compares."""
        n_rows, n_columns = self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]
        if self.left != self.right or self.rows[1] <= self.columns[0]:
            return n_rows * n_columns
        first, last = self.columns
        return sum(max(0, last - max(first, row + 1)) for row in range(*self.rows))


def plan_all_pairs(sizes: Sequence[int]) -> list[Task]:
    """Return the tasks that compare every two records of unlike parties once.

    Args:
        sizes: number of records of each party; with a single party its records
            are compared among themselves.
    """
    pairs = [(i, j) for i in range(len(sizes)) for j in range(i + 1, len(sizes))] or [(0, 0)]
    return [
        Task(left, right, rows, columns)
        for left, right in pairs
        for rows in _ranges(sizes[left], TASK_ROWS)
        for columns in _ranges(sizes[right], TASK_COLUMNS)
        if left != right or columns[1] > rows[0] + 1
    ]


def _ranges(n: int, step: int) -> list[tuple[int, int]]:
    return [(start, min(start + step, n)) for start in range(0, n, step)]
