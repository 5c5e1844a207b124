"""A Ray cluster of two nodes gives what threads give, whatever dies in the middle."""

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import astuple
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import Service, links, people

from linkage.block.shared import SharedPairs
from linkage.compare.candidates import Candidates
from linkage.engine import plan
from linkage.engine.executor import LocalExecutor, executor_of
from linkage.engine.local import run_histogram, run_task
from linkage.engine.plan import Task
from linkage.engine.records import Inputs, prepare
from linkage.errors import ConfigError, JobStateError, UnavailableError
from linkage.schema import Scheme

MISSING = "Ray is not here: pip install -e '.[ray]'"
STORE_BYTES = 80 * 2**20
SIZES = (700, 300)


class _Ray:
    """A cluster of two nodes with one processor each, and a connection to it."""

    def __init__(self) -> None:
        # Starts many processes: it should neither report its use nor serve pages.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
        head = node | {"include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self._second = self._cluster.add_node(**node)
        self._cluster.wait_for_nodes()

    def kill_node(self) -> None:
        """Of what comes after, one node does all."""
        self._cluster.remove_node(self._second, allow_graceful=False)

    def shutdown(self) -> None:
        import ray

        ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[_Ray]:
    with warnings.catch_warnings():
        # Of Ray's own modules.
        warnings.simplefilter("ignore")
        pytest.importorskip("ray", reason=MISSING)
        started = _Ray()
        yield started
        started.shutdown()


@pytest.fixture
def ray_executor(cluster: _Ray) -> Any:
    return executor_of("ray", 1, cluster.address)


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "TASK_ROWS", 128)
    monkeypatch.setattr(plan, "TASK_COLUMNS", 128)
    monkeypatch.setattr(plan, "TASK_PAIRS", 500)


def inputs_of(scheme: Scheme, sizes: tuple[int, ...] = SIZES) -> Inputs:
    """Parties whose records are alike, with exact tokens and listed pairs."""
    rng = np.random.default_rng(len(sizes))
    common = rng.integers(0, 256, (max(sizes), 64), dtype=np.uint8)
    parties = []
    for n in sizes:
        noise = rng.integers(0, 256, (n, 64), dtype=np.uint8) & rng.integers(0, 256, (n, 64))
        exact = np.zeros((n, 1, 16), np.uint8)
        exact[:, 0, 0] = np.arange(n) % 251
        codes = np.where(rng.random((n, 64)) < 0.3, noise, common[np.arange(n) // 2]).astype(
            np.uint8
        )
        parties.append(prepare(codes, scheme, exact))
    shared = {}
    for left, right in list(combinations(range(len(sizes)), 2)) or [(0, 0)]:
        drawn = rng.choice(sizes[left] * sizes[right], 1_200, replace=False)
        lefts, rights = np.divmod(np.sort(drawn).astype(np.int32), np.int32(sizes[right]))
        kept = np.ones(len(drawn), np.bool_) if left != right else lefts < rights
        count = rng.integers(0, 4, len(drawn)).astype(np.int16)
        shared[left, right] = SharedPairs(lefts[kept], rights[kept], count[kept])
    return Inputs(parties, shared)


def assert_same(got: list[tuple[Task, Any]], expected: list[tuple[Task, Any]]) -> None:
    assert [task for task, _ in got] == [task for task, _ in expected]
    for (_, ours), (_, theirs) in zip(got, expected, strict=True):
        for one, other in zip(arrays_of(ours), arrays_of(theirs), strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)


def arrays_of(result: Any) -> tuple[Any, ...]:
    return astuple(result) if isinstance(result, Candidates) else (result,)


@pytest.mark.parametrize(
    ("scheme", "sizes", "find", "arguments"),
    [
        ("clk", SIZES, run_task, (0.6, 0.0)),
        ("saul", SIZES, run_task, (0.6, 0.001)),
        ("saul", (150, 140, 130), run_task, (0.6, 0.01)),
        ("clk", (300,), run_task, (0.6, 0.0)),
        ("clk", SIZES, run_histogram, (50,)),
    ],
)
def test_a_cluster_gives_bit_for_bit_what_threads_give(
    ray_executor: Any,
    scheme: Scheme,
    sizes: tuple[int, ...],
    find: Callable[..., Any],
    arguments: tuple[float, ...],
) -> None:
    inputs = inputs_of(scheme, sizes)
    tasks = plan.plan(inputs, 10**9)
    expected = list(LocalExecutor(2).run_all(tasks, inputs, find, arguments))
    got = list(ray_executor.run_all(tasks, inputs, find, arguments))
    assert_same(got, expected)
    assert {task.columns is None for task in tasks} == {True, False}
    if find is not run_histogram:
        assert sum(len(found) for _, found in got) > 100
        # The caller's own, not a window into the cluster's memory.
        assert got[0][1].left.flags.writeable


def test_no_tasks_no_results(ray_executor: Any) -> None:
    assert list(ray_executor.run_all([], inputs_of("clk"), run_task, (0.6,))) == []


def test_a_run_is_cancelled_while_tasks_are_running(ray_executor: Any, tmp_path: Path) -> None:
    inputs = inputs_of("clk")
    tasks = plan.plan(inputs, 10**9)
    cancelled = threading.Event()

    def slow(task: Task, _: Inputs, folder: str) -> int:
        Path(folder, f"{task.rows[0]}-{task.columns}").touch()
        for _tenth in range(100 if task.rows[0] else 1):
            time.sleep(0.1)
        return task.comparisons

    results = ray_executor.run_all(tasks, inputs, slow, (str(tmp_path),), cancelled)
    assert next(results)[1] == tasks[0].comparisons
    threading.Timer(0.3, cancelled.set).start()
    with pytest.raises(JobStateError, match="cancelled"):
        list(results)
    started = len(list(tmp_path.iterdir()))
    assert 0 < started < len(tasks)
    # What was running is stopped, and what was waiting never starts.
    assert next(ray_executor.run_all(tasks[:1], inputs, run_task, (0.6,)))[0] == tasks[0]
    assert len(list(tmp_path.iterdir())) <= started + 1


def test_few_finished_tasks_wait_for_the_caller(ray_executor: Any, tmp_path: Path) -> None:
    inputs = inputs_of("clk")
    tasks = plan.plan(inputs, 10**9)

    def noted(task: Task, inputs: Inputs, folder: str) -> int:
        Path(folder, f"{task.rows[0]}-{task.columns}").touch()
        return len(inputs.parties)

    results = ray_executor.run_all(tasks, inputs, noted, (str(tmp_path),))
    taken = list(islice(results, 3))
    time.sleep(1)
    assert len(list(tmp_path.iterdir())) <= len(taken) + 4 < len(tasks)
    results.close()


def test_what_a_task_raises_reaches_the_caller(ray_executor: Any) -> None:
    inputs = inputs_of("clk")

    def broken(*_: object) -> None:
        raise ValueError("listed pairs have no columns")

    with pytest.raises(ValueError, match="no columns"):
        list(ray_executor.run_all(plan.plan(inputs, 10**9), inputs, broken, ()))


def test_a_worker_of_another_version_is_refused(
    ray_executor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkage.engine.ray.__version__", "0.0.1")
    inputs = inputs_of("clk")
    with pytest.raises(UnavailableError, match=r"the matcher 0\.0\.1"):
        list(ray_executor.run_all(plan.plan(inputs, 10**9), inputs, run_task, (0.6,)))


def test_a_matcher_links_on_a_cluster(cluster: _Ray, new_service: Callable[..., Service]) -> None:
    service = new_service(dukcapil=people(80), imigrasi=people(70, skip=20))
    settings = service.site.root / "matcher" / "matcher.toml"
    text = f'executor = "ray"\nray_address = "{cluster.address}"\n'
    settings.write_text(text + settings.read_text("utf-8"), "utf-8")
    with service.running():
        outcomes = service.run_all(service.request("dukcapil"))
    assert len(links(outcomes["dukcapil"])) == len(links(outcomes["imigrasi"])) == 60


def test_the_death_of_a_worker_and_of_a_node_changes_nothing(
    cluster: _Ray, ray_executor: Any, tmp_path: Path
) -> None:
    inputs = inputs_of("saul")
    tasks = plan.plan(inputs, 10**9)

    def deadly(task: Task, inputs: Inputs, threshold: float, folder: str) -> Any:
        import ray

        died = Path(folder, "died")
        if task.rows[0] == 256 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        node = ray.get_runtime_context().get_node_id()
        # Each node has begun a task before any ends one: however long its first process takes.
        Path(folder, f"node-{node}").touch()
        until = time.monotonic() + 60.0
        while len(list(Path(folder).glob("node-*"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.1)
        return node, run_task(task, inputs, threshold)

    expected = list(LocalExecutor(2).run_all(tasks, inputs, run_task, (0.6,)))
    results = ray_executor.run_all(tasks, inputs, deadly, (0.6, str(tmp_path)))
    got, nodes = [], []
    for n, (task, (node, found)) in enumerate(results):
        got.append((task, found))
        nodes.append(node)
        if n == len(tasks) // 2:
            # Two more are at work or done there.
            cluster.kill_node()
    assert_same(got, expected)
    assert len(set(nodes[: len(tasks) // 2])) == 2
    assert len(set(nodes[-3:])) == 1
    assert Path(tmp_path, "died").exists()


def test_a_matcher_without_ray_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "linkage.engine.ray", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'padan\[ray\]'"):
        executor_of("ray", 1, "head:6379")


def test_a_cluster_that_is_not_there_is_told_soon() -> None:
    pytest.importorskip("ray", reason=MISSING)
    import ray

    ray.shutdown()
    with pytest.raises(UnavailableError, match="no Ray cluster at 127"):
        list(executor_of("ray", 1, "127.0.0.1:1").run_all([], Inputs([]), run_task, (0.6,)))


def test_without_ray_local_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert isinstance(executor_of("local", 2, "auto"), LocalExecutor)
