"""The comparisons of a job, counted and cut into tasks before any is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from linkage.block.buckets import count_candidates
from linkage.engine.records import PreparedRecords

# One task keeps its columns in a core's second-level cache and ends within about a
# second, so that a cancelled job stops soon and a resumed one repeats little.
TASK_ROWS = 16_384
TASK_COLUMNS = 4_096
# A task over buckets ends likewise; its candidates are a few tens of megabytes.
_TASK_CANDIDATES = 4_000_000

Tokens = Literal["none", "exact", "all"]


@dataclass(frozen=True)
class Task:
    """Some comparisons: rows of one party against columns of another.

    Attributes:
        left: number of the party whose records are the rows.
        right: number of the party whose records are the columns; equal to `left`
            in a de-duplication, where only pairs right > left are compared.
        rows: first row, and the row after the last.
        columns: first column, and the column after the last.
        tokens: which tokens a pair must share one of to be compared, if any.
        comparisons: number of pairs that the task compares; with tokens at most.
    """

    left: int
    right: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    tokens: Tokens = "none"
    comparisons: int = 0


def plan(parties: Sequence[PreparedRecords], most: int) -> list[Task]:
    """Return tasks for all pairs if they are few enough, else for those that share a token.

    Where all pairs are compared, those that share an exact token are looked at once
    more, for what their codes do not say.

    Args:
        parties: the records of each party; with a single one its records are compared
            among themselves.
        most: most comparisons that all pairs may take.
    """
    tasks = plan_all_pairs([len(party) for party in parties])
    blocked = all(party.blocks.shape[1] for party in parties)
    if blocked and sum(task.comparisons for task in tasks) > most:
        return plan_shared(parties, "all")
    return tasks + plan_shared(parties, "exact")


def plan_all_pairs(sizes: Sequence[int]) -> list[Task]:
    """Return the tasks that compare every two records of unlike parties once.

    Args:
        sizes: number of records of each party; with a single party its records
            are compared among themselves.
    """
    return [
        Task(left, right, rows, columns, "none", _in_rectangle(left == right, rows, columns))
        for left, right in _pairs(len(sizes))
        for rows in _ranges(sizes[left], TASK_ROWS)
        for columns in _ranges(sizes[right], TASK_COLUMNS)
        if left != right or columns[1] > rows[0] + 1
    ]


def plan_shared(parties: Sequence[PreparedRecords], tokens: Tokens) -> list[Task]:
    """Return the tasks that compare records of unlike parties that share a token."""
    return [
        task
        for left, right in _pairs(len(parties))
        for task in _shared(parties, left, right, tokens)
    ]


def _shared(
    parties: Sequence[PreparedRecords], left: int, right: int, tokens: Tokens
) -> list[Task]:
    rows, columns = parties[left], parties[right]
    own = rows.tokens if tokens == "all" else rows.exact_tokens
    if not own.shape[1]:
        return []
    buckets = columns.buckets if tokens == "all" else columns.exact_buckets
    counts = count_candidates(buckets.find(own), buckets.offsets)
    total = np.concatenate(([0], np.cumsum(counts)))
    tasks, start = [], 0
    while start < len(rows):
        end = int(np.searchsorted(total, total[start] + _TASK_CANDIDATES, side="right")) - 1
        end = min(max(end, start + 1), len(rows))
        task = Task(
            left, right, (start, end), (0, len(columns)), tokens, int(total[end] - total[start])
        )
        tasks.append(task)
        start = end
    return tasks


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
