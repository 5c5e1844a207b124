"""Executes comparison tasks on the threads of this machine.

The kernels release the interpreter lock, so threads share the codes without a
copy. At most a few finished tasks wait for the caller, so memory stays bounded
by what the caller keeps.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from linkage.block.exact import raised, share_exact
from linkage.compare.bits import LANES
from linkage.compare.candidates import Candidates, concatenate
from linkage.compare.kernels import EVERY_COLUMN, similar_pairs, similarity_histogram
from linkage.compare.listed import score_pairs
from linkage.compare.screen import ALL_PAIRS, Screen, screen_of
from linkage.engine.plan import TASK_COLUMNS, Task
from linkage.engine.records import Inputs, PreparedRecords, prepare
from linkage.errors import JobStateError

_PAIRS_PER_CALL = 1 << 20

T = TypeVar("T")


def run_task(task: Task, inputs: Inputs, threshold: float, loss: float = 0.0) -> Candidates:
    """Return the pairs of one task that reach the threshold.

    Args:
        task: the comparisons.
        inputs: what the job compares.
        threshold: lowest similarity of a pair.
        loss: highest probability that a pair of hardened codes just at the threshold is
            overlooked, for looking at part of the bits first; 0 for none.

    Returns:
        Pairs by left, then right number; record numbers count from the start of each
        party.
    """
    if task.columns is None:
        return score_shared(task, inputs).above(threshold)
    side = _Sides(task, inputs.parties)
    room = max(_PAIRS_PER_CALL, TASK_COLUMNS)
    out = (np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32))
    parts, start = [], 0
    screen = _screen_of(inputs.parties[task.left].agreement_bits, threshold, loss)
    first_look = () if screen is None else (screen.words, screen.differing)
    while start < len(side.left):
        written, start = similar_pairs(*side.arguments, threshold, start, *out, *first_look)
        found = Candidates(out[0][:written], out[1][:written], out[2][:written])
        parts.append(found.shifted(*side.first))
    return concatenate(parts)


@lru_cache(maxsize=64)
def _screen_of(agreement_bits: int, threshold: float, loss: float) -> Screen | None:
    return (
        screen_of(agreement_bits, threshold, loss, second_look=ALL_PAIRS)
        if agreement_bits
        else None
    )


def run_histogram(task: Task, inputs: Inputs, bins: int) -> NDArray[np.int64]:
    """Return how many pairs of one task have which similarity.

    Args:
        task: the comparisons to count.
        inputs: what the job compares.
        bins: number of equal bins over [0, 1].

    Returns:
        Counts, shape (bins + 1,); the last counts pairs of similarity 1.
    """
    counts = np.zeros(bins + 1, dtype=np.int64)
    if task.columns is not None:
        similarity_histogram(*_Sides(task, inputs.parties).arguments, counts)
        return counts
    similarity = score_shared(task, inputs).similarity
    np.add.at(counts, (similarity.astype(np.float64) * bins).astype(np.int64), 1)
    return counts


def score_shared(task: Task, inputs: Inputs) -> Candidates:
    """Return listed pairs with their similarities, raised where an exact token is equal."""
    left, right = inputs.parties[task.left], inputs.parties[task.right]
    shared = inputs.shared[task.left, task.right]
    part = slice(*task.rows)
    pairs = shared.left[part], shared.right[part]
    similarity = score_pairs(
        left.words, left.bits, right.words, right.bits, *pairs, left.agreement_bits
    )
    same = share_exact(left.exact, right.exact, *pairs)
    return Candidates(*pairs, np.where(same, raised(similarity), similarity))


class _Sides:
    """The slices of two parties' codes that one task compares."""

    def __init__(self, task: Task, parties: Sequence[PreparedRecords]) -> None:
        if task.columns is None:
            raise ValueError("listed pairs have no columns")
        left, right = parties[task.left], parties[task.right]
        rows, columns = slice(*task.rows), slice(*task.columns)
        diagonal = task.rows[0] - task.columns[0] if task.left == task.right else EVERY_COLUMN
        self.first = task.rows[0], task.columns[0]
        self.left = left.words[rows]
        self.arguments = (
            self.left,
            left.bits[rows],
            right.lanes[task.columns[0] // LANES : -(-task.columns[1] // LANES)],
            right.bits[columns],
            diagonal,
            left.agreement_bits,
        )


def warm_up() -> None:
    """Compile the kernels, so that the first job's rate is that of every other."""
    codes = prepare(np.ones((1, 64), dtype=np.uint8), "clk")
    run_task(Task(0, 1, (0, 1), (0, 1), 1), Inputs([codes, codes]), threshold=0.5)


def run_all(
    tasks: Sequence[Task],
    run: Callable[[Task], T],
    threads: int,
    cancelled: threading.Event | None = None,
) -> Iterator[tuple[Task, T]]:
    """Run tasks on threads and yield their results in the order of the tasks.

    Args:
        tasks: what to run.
        run: runs one task; called on several threads at once.
        threads: how many.
        cancelled: checked before every task.

    Raises:
        JobStateError: cancelled before the end.
    """
    waiting: deque[tuple[Task, Future[T]]] = deque()
    remaining = iter(tasks)
    with ThreadPoolExecutor(threads, thread_name_prefix="compare") as pool:
        try:
            while True:
                for task in islice(remaining, 2 * threads - len(waiting)):
                    waiting.append((task, pool.submit(run, task)))
                if not waiting:
                    return
                if cancelled is not None and cancelled.is_set():
                    raise JobStateError("cancelled while comparing")
                task, result = waiting.popleft()
                yield task, result.result()
        finally:
            for _, result in waiting:
                result.cancel()
