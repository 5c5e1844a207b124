"""Executes comparison tasks on a Ray cluster.

The codes of each party and the listed pairs are put into Ray's object store once; every
node fetches what its tasks need once, and its processes share it without a copy. Tasks are
idempotent, so Ray runs those of a worker or node that dies again on another.

Only this module knows of Ray, and of the matcher only this process has keys: what goes to
a cluster are codes, set bits, exact tokens, numbers of records and a few more numbers. A
Ray cluster must be a closed one all the same: `docs/scale.md`.
"""

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from typing import Any, TypeAlias, TypeVar, TypeVarTuple

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError, RayTaskError

from linkage import __version__
from linkage.block.shared import SharedPairs
from linkage.engine.plan import Task
from linkage.engine.records import Inputs, PreparedRecords
from linkage.errors import JobStateError, UnavailableError

_POLL_S = 0.2
_CONNECT_S = 3.0
# A task that brings down as many workers is to blame itself.
_RETRIES = 10

# Ray ships types of its own only in part: what it returns counts as unknown.
Ref: TypeAlias = Any

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class RayExecutor:
    """Runs tasks on a Ray cluster, one on each of its processors.

    Connects at the first run, so that a matcher starts while its cluster is away.

    Args:
        address: host and port of the cluster's head; "auto" for the one that was started on
            this machine.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def run_all(
        self,
        tasks: Sequence[Task],
        inputs: Inputs,
        find: Callable[[Task, Inputs, *Ts], T],
        arguments: tuple[*Ts],
        cancelled: threading.Event | None = None,
    ) -> Iterator[tuple[Task, T]]:
        """Run tasks; see `Executor`."""
        self._connect()
        stored = _Stored(inputs)
        waiting: deque[tuple[Task, Ref]] = deque()
        remaining = iter(tasks)
        try:
            while True:
                # Asked for each time: nodes come and go.
                room = 2 * max(int(ray.cluster_resources().get("CPU", 0)), 1) - len(waiting)
                for task in islice(remaining, max(room, 0)):
                    operands = stored.operands(task)
                    run = _run.remote(__version__, find, task, arguments, *operands)
                    waiting.append((task, run))
                if not waiting:
                    return
                if not _ready(waiting[0][1], cancelled):
                    raise JobStateError("cancelled while comparing")
                task, result = waiting.popleft()
                yield task, _fetch(result)
        finally:
            for _, result in waiting:
                ray.cancel(result)

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        host, _, port = self._address.rpartition(":")
        try:
            if host:
                # Ray would try for minutes, and nobody could cancel it.
                socket.create_connection((host, int(port)), _CONNECT_S).close()
            ray.init(address=self._address, log_to_driver=False, configure_logging=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise UnavailableError(
                f"no Ray cluster at {self._address}: start it, with this machine as a node, or "
                "check the token"
            ) from error


class _Stored:
    """What a job compares, in the object store for as long as this object lives."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._parties: dict[int, Ref] = {}
        self._lanes: dict[int, Ref] = {}
        self._shared: dict[tuple[int, int], Ref] = {}

    def operands(self, task: Task) -> tuple[Ref, Ref, Ref, Ref]:
        """Return both parties of a task, the right one's lanes and the listed pairs.

        What a task does not need is None.
        """
        left, right = self._party(task.left), self._party(task.right)
        if task.columns is not None:
            return left, right, self._lanes_of(task.right), None
        pair = task.left, task.right
        if pair not in self._shared:
            self._shared[pair] = ray.put(self._inputs.shared[pair])
        return left, right, None, self._shared[pair]

    def _party(self, number: int) -> Ref:
        if number not in self._parties:
            # A copy without what was made of the codes since.
            self._parties[number] = ray.put(replace(self._inputs.parties[number]))
        return self._parties[number]

    def _lanes_of(self, number: int) -> Ref:
        if number not in self._lanes:
            # Made on a node and kept: where that node dies, Ray makes them once more.
            self._lanes[number] = _group.remote(self._party(number))
        return self._lanes[number]


@ray.remote(num_cpus=1, max_retries=_RETRIES)
def _group(party: PreparedRecords) -> NDArray[np.uint64]:
    return party.lanes


@ray.remote(num_cpus=1, max_retries=_RETRIES)
def _run(
    version: str,
    find: Callable[[Task, Inputs, *Ts], T],
    task: Task,
    arguments: tuple[*Ts],
    left: PreparedRecords,
    right: PreparedRecords,
    lanes: NDArray[np.uint64] | None,
    shared: SharedPairs | None,
) -> T:
    """Run one task on a node, which knows of its two parties only."""
    if version != __version__:
        # Other versions may come to other results.
        raise UnavailableError(f"a Ray worker runs padan {__version__}, the matcher {version}")
    within = task.left == task.right
    if lanes is not None:
        # Where the property keeps them, too.
        vars(right)["lanes"] = lanes
    here = (0, 0) if within else (0, 1)
    inputs = Inputs([right] if within else [left, right], {} if shared is None else {here: shared})
    return find(replace(task, left=here[0], right=here[1]), inputs, *arguments)


def _ready(result: Ref, cancelled: threading.Event | None) -> bool:
    """Wait for a result; False where the run is cancelled before."""
    while True:
        if cancelled is not None and cancelled.is_set():
            return False
        finished, _ = ray.wait([result], timeout=_POLL_S, fetch_local=True)
        if finished:
            return True


def _fetch(result: Ref) -> Any:
    """Return a result, or raise what its task raised.

    Raises:
        UnavailableError: no worker lived to bring it.
    """
    try:
        # A copy: what lies in the object store could not leave it while the caller looks.
        return deepcopy(ray.get(result))
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise UnavailableError(f"the Ray cluster lost a task: {type(error).__name__}") from error
