"""`python -m benchmarks ray-scaling`: two workers of a Ray cluster against one.

All pairs of two sets of codes, as many as keep one worker busy for a minute, on a cluster
whose nodes run on this machine with one processor each. Needs the extra `ray`, and as many
idle cores as workers: where they are busy with something else the ratio tells of that.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.environment import read_environment
from benchmarks.report import Table, as_json, figure, print_table, write_result
from linkage.engine.executor import Executor, LocalExecutor, executor_of
from linkage.engine.local import run_task, warm_up
from linkage.engine.plan import Task, plan_all_pairs
from linkage.engine.records import Inputs, prepare
from linkage.errors import ConfigError

LEAST_RATIO = 1.7
_RESULTS = Path(__file__).parent / "results"
_CODE_BYTES = 1_024
_THRESHOLD = 0.535
# Of every so many records one has a counterpart.
_COUNTERPARTS = 10
_SEED = 1
_TRIED = 16_384
_FULL_S, _SMALL_S = 60.0, 5.0
# So much longer than it has to be a job is on a thread, and so much more when it is made longer.
_MARGIN = 1.1
_SPARE_STORE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Run:
    """One run of the job.

    Attributes:
        executor: who ran it.
        workers: how many.
        seconds: wall-clock time from the codes to the last pair.
        pairs: pairs at or above the threshold.
        digest: SHA-256 of the pairs and their similarities, in order.
    """

    executor: str
    workers: int
    seconds: float
    pairs: int
    digest: str


def inputs_of(n_records: int) -> Inputs:
    """Return two sets of codes at random; some of the second are like those of the first."""
    rng = np.random.default_rng(_SEED)
    left, right = (rng.integers(0, 256, (n_records, _CODE_BYTES), dtype=np.uint8) for _ in range(2))
    alike = slice(0, n_records, _COUNTERPARTS)
    # A quarter of the bits of two random bytes are set in both: so many differ.
    right[alike] = left[alike] ^ (right[alike] & np.roll(right, 1, axis=1)[alike])
    return Inputs([prepare(codes, "saul") for codes in (left, right)])


def measure(name: str, workers: int, executor: Executor, inputs: Inputs) -> Run:
    """Run the job once."""
    tasks = plan_all_pairs(inputs.sizes)
    digest, pairs = hashlib.sha256(), 0
    started = time.perf_counter()
    for _, found in executor.run_all(tasks, inputs, run_task, (_THRESHOLD, 0.0)):
        pairs += len(found)
        for column in (found.left, found.right, found.similarity):
            digest.update(column.tobytes())
    return Run(name, workers, time.perf_counter() - started, pairs, digest.hexdigest())


def measure_scaling(seconds: float) -> tuple[int, list[Run]]:
    """Run a job that takes one worker so long, on a thread, on one worker and on two.

    Returns:
        Records of each set, and the runs in that order.

    Raises:
        ConfigError: Ray is not installed.
        RuntimeError: the executors found unlike pairs.
    """
    executor_of("ray", 1, "auto")
    warm_up()
    measure("trial", 1, LocalExecutor(1), inputs_of(64))
    inputs = inputs_of(_TRIED)
    local = measure("local", 1, LocalExecutor(1), inputs)
    # Larger sets are compared faster than a trial tells, and by Ray's worker than by a thread.
    while local.seconds < _MARGIN * seconds:
        wanted = _MARGIN**2 * seconds / local.seconds
        inputs = inputs_of(ceil(inputs.sizes[0] * wanted**0.5))
        local = measure("local", 1, LocalExecutor(1), inputs)
    runs = [local]
    codes_bytes = sum(party.words.nbytes for party in inputs.parties)
    with _cluster(2 * codes_bytes + _SPARE_STORE_BYTES) as cluster:
        for workers in (1, 2):
            cluster.add_node(**cluster.worker)
            executor = executor_of("ray", 1, cluster.address)
            _warm_up(executor, workers)
            runs.append(measure("ray", workers, executor, inputs))
    if len({run.digest for run in runs}) > 1:
        raise RuntimeError("the executors found unlike pairs")
    return inputs.sizes[0], runs


@contextmanager
def _cluster(store_bytes: int) -> Iterator[Any]:
    """Start a cluster whose head does no work; a worker's settings are its `worker`."""
    # Read when Ray's processes start: nothing is told to its makers.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray  # noqa: PLC0415 -- of an extra
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    node = {"object_store_memory": store_bytes, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"num_cpus": 0})
    cluster.worker = {"object_store_memory": store_bytes, "num_cpus": 1}
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def _warm_up(executor: Executor, workers: int) -> None:
    """Run small tasks until every worker has started and compiled."""
    inputs = inputs_of(64)
    tasks = [Task(0, 1, (0, 64), (0, 64), 64 * 64)] * (4 * workers)
    seen: set[str] = set()
    while len(seen) < workers:
        seen |= {node for _, node in executor.run_all(tasks, inputs, _node_of, ())}


def _node_of(task: Task, inputs: Inputs) -> str:
    import ray  # noqa: PLC0415 -- on the workers

    run_task(task, inputs, _THRESHOLD)
    time.sleep(0.2)
    node: str = ray.get_runtime_context().get_node_id()
    return node


def scaling_table(n_records: int, runs: list[Run]) -> Table:
    """Return the figures as a table."""
    one, two = (run.seconds for run in runs[1:])
    return Table(
        f"All pairs of {n_records:,} x {n_records:,} codes of {8 * _CODE_BYTES:,} bits",
        ["executor", "workers", "seconds", "M pairs/s", "found", "times one worker"],
        [
            [
                run.executor, str(run.workers), figure(run.seconds, 1),
                figure(n_records**2 / run.seconds / 1e6, 1), f"{run.pairs:,}",
                figure(one / run.seconds, 2),
            ]
            for run in runs
        ],
        [
            (
                f"Two workers {one / two:.2f} times as fast as one; the bar is {LEAST_RATIO} on a "
                f"job of {_FULL_S:.0f} s at one."
            ),
            "All found the identical pairs in the identical order (SHA-256).",
            (
                "From codes in this process to pairs in this process: putting the codes into the "
                "object store and grouping them counts, starting workers and compiling does not."
            ),
            "The nodes share this machine, and with it its memory bus.",
        ],
    )  # fmt: skip


@click.command()
@click.option("--small", is_flag=True, help="A job of seconds, to try it out.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Folder of the result files; a full run writes to benchmarks/results by default.",
)
@click.option("--json", "json_out", is_flag=True, help="Print the figures as JSON.")
def ray_scaling(small: bool, results: Path | None, json_out: bool) -> None:
    """Two workers of a Ray cluster against one."""
    environment = read_environment("python -m benchmarks ray-scaling" + " --small" * small)
    try:
        n_records, runs = measure_scaling(_SMALL_S if small else _FULL_S)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    table = scaling_table(n_records, runs)
    figures = {
        "records": n_records,
        "bits": 8 * _CODE_BYTES,
        "threshold": _THRESHOLD,
        "runs": [asdict(run) for run in runs],
        "ratio": runs[1].seconds / runs[2].seconds,
        "bar": LEAST_RATIO,
        "load_average": os.getloadavg()[0],
    }
    if json_out:
        click.echo(as_json(figures, environment))
    else:
        print_table(table)
    folder = results or (None if small else _RESULTS)
    if folder is not None:
        for path in write_result(folder, "ray-scaling", table, figures, environment):
            click.echo(f"written: {path.name}", err=True)
