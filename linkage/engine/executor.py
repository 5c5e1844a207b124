"""Who runs the tasks of a job: threads of this machine, or a Ray cluster.

All executors give the same results bit for bit, in the order of the tasks: a task has
nothing but its comparisons, what is compared, and a few numbers to go by.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar, TypeVarTuple

from linkage.engine.local import run_all
from linkage.engine.plan import Task
from linkage.engine.records import Inputs
from linkage.errors import ConfigError

ExecutorName: TypeAlias = Literal["local", "ray"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Executor(Protocol):
    """Runs tasks."""

    def run_all(
        self,
        tasks: Sequence[Task],
        inputs: Inputs,
        find: Callable[[Task, Inputs, *Ts], T],
        arguments: tuple[*Ts],
        cancelled: threading.Event | None = None,
    ) -> Iterator[tuple[Task, T]]:
        """Run tasks and yield their results in the order of the tasks.

        At most a few finished tasks wait for the caller, so memory stays bounded by what
        the caller keeps.

        Args:
            tasks: what to run.
            inputs: what the tasks compare.
            find: runs one task, in any thread, process or machine, more than once where one
                of these dies: a function of a module.
            arguments: what else it is told: numbers, no keys, for it may leave the machine.
            cancelled: ends the run within seconds.

        Raises:
            JobStateError: cancelled before the end.
            UnavailableError: who runs the tasks is not there now.
        """
        ...


class LocalExecutor:
    """Runs tasks on threads of this machine.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def run_all(
        self,
        tasks: Sequence[Task],
        inputs: Inputs,
        find: Callable[[Task, Inputs, *Ts], T],
        arguments: tuple[*Ts],
        cancelled: threading.Event | None = None,
    ) -> Iterator[tuple[Task, T]]:
        """Run tasks; see `Executor`."""

        def run(task: Task) -> T:
            return find(task, inputs, *arguments)

        return run_all(tasks, run, self._threads, cancelled)


def executor_of(name: ExecutorName, threads: int, ray_address: str) -> Executor:
    """Return the executor of that name.

    Args:
        name: which.
        threads: of the local executor.
        ray_address: the cluster of the Ray executor; see `ray.RayExecutor`.

    Raises:
        ConfigError: Ray is asked for and not installed.
    """
    if name == "local":
        return LocalExecutor(threads)
    try:
        from linkage.engine.ray import RayExecutor  # noqa: PLC0415 -- of an extra
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        problem = "Ray is not installed: install it with `pip install 'padan[ray]'`"
        raise ConfigError('executor = "ray"', [problem]) from error
    return RayExecutor(ray_address)
