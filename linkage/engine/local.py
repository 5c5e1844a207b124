"""Executes comparison tasks on the threads of this machine.

The kernels release the interpreter lock, so threads share the codes without a
copy. At most a few finished tasks wait for the caller, so memory stays bounded
by what the caller keeps.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from linkage.compare.bits import LANES, as_words, in_lanes, popcounts
from linkage.compare.candidates import Candidates, concatenate
from linkage.compare.kernels import EVERY_COLUMN, similar_pairs, similarity_histogram
from linkage.engine.plan import TASK_COLUMNS, Task
from linkage.errors import JobStateError
from linkage.schema import Scheme

_PAIRS_PER_CALL = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True)
class PreparedCodes:
    """The codes of one party in the forms that the kernels take.

    Attributes:
        words: shape (n, n_words).
        bits: set bits of each code, shape (n,).
        lanes: the same codes grouped by 64.
        agreement_bits: 0 where codes are compared by Dice, else their length.
    """

    words: NDArray[np.uint64]
    bits: NDArray[np.int32]
    lanes: NDArray[np.uint64]
    agreement_bits: int

    def __len__(self) -> int:
        """Return the number of codes."""
        return len(self.words)


def prepare(codes: NDArray[np.uint8], scheme: Scheme) -> PreparedCodes:
    """Prepare packed codes of shape (n, n_bits / 8), to be compared as their scheme asks."""
    words = as_words(codes)
    agreement_bits = 0 if scheme == "clk" else 8 * codes.shape[1]
    return PreparedCodes(words, popcounts(words), in_lanes(words), agreement_bits)


def run_task(task: Task, parties: Sequence[PreparedCodes], threshold: float) -> Candidates:
    """Return the pairs of one task that reach the threshold.

    Record numbers count from the start of each party. The pairs are ordered by
    left, then right number.
    """
    side = _Sides(task, parties)
    room = max(_PAIRS_PER_CALL, TASK_COLUMNS)
    out = (np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32))
    parts, start = [], 0
    while start < len(side.left):
        written, start = similar_pairs(*side.arguments, threshold, start, *out)
        found = Candidates(out[0][:written], out[1][:written], out[2][:written])
        parts.append(found.shifted(task.rows[0], task.columns[0]))
    return concatenate(parts)


def run_histogram(task: Task, parties: Sequence[PreparedCodes], bins: int) -> NDArray[np.int64]:
    """Return how many pairs of one task have which similarity.

    Args:
        task: the comparisons to count.
        parties: prepared codes of each party.
        bins: number of equal bins over [0, 1].

    Returns:
        Counts, shape (bins + 1,); the last counts pairs of similarity 1.
    """
    counts = np.zeros(bins + 1, dtype=np.int64)
    similarity_histogram(*_Sides(task, parties).arguments, counts)
    return counts


class _Sides:
    """The slices of two parties' codes that one task compares."""

    def __init__(self, task: Task, parties: Sequence[PreparedCodes]) -> None:
        left, right = parties[task.left], parties[task.right]
        rows, columns = slice(*task.rows), slice(*task.columns)
        diagonal = task.rows[0] - task.columns[0] if task.left == task.right else EVERY_COLUMN
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
    run_task(Task(0, 1, (0, 1), (0, 1)), [codes, codes], threshold=0.5)


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
