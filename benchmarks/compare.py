"""The benchmark of comparing and solving: kernels and solver beside anonlink's.

The same codes, made by clkhash, and the same pairs on both sides in one run, each side on
one thread and timed by the processor's clock, so that other work on the machine counts
little; ours and the peer's runs take turns. The sets of pairs must be identical. All
pairs of two larger files then go through the engine, on two threads and by the wall
clock.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiment import load_experiments
from benchmarks.febrl_like import febrl_like
from benchmarks.peer_env import ROOT, peer_python
from benchmarks.peers import BITS, PeerError
from linkage.compare.bits import as_words, in_lanes, popcounts
from linkage.compare.candidates import Candidates, concatenate
from linkage.compare.kernels import EVERY_COLUMN, similar_pairs
from linkage.solve.groups import solve_groups

SEED = 1
THRESHOLD = 0.8
THREADS = 2
_PROGRAM = Path(__file__).parent / "peer_anonlink.py"
_ROOM = 1 << 20
# A task of the engine has as many columns: they fit into the second-level cache.
_COLUMNS = 4_096
# How many times as fast as anonlink each task must be.
_BAR, _HALF_BAR, _SOLVE_BAR = 6.0, 20.0, 8.0

T = TypeVar("T")


@dataclass(frozen=True)
class Sizes:
    """How much is compared.

    Attributes:
        strict: records of each file at the usual threshold.
        half: records of each file where half of all pairs pass.
        solved: candidate pairs to solve.
        engine: records of each file through the engine.
        repeats: runs of each side; the best counts.
    """

    strict: int = 32_768
    half: int = 6_000
    solved: int = 5_000_000
    engine: int = 100_000
    repeats: int = 3


SMALL = Sizes(strict=1_000, half=500, solved=20_000, engine=2_000, repeats=1)


@dataclass(frozen=True)
class Race:
    """One task for both sides.

    Attributes:
        name: what is done.
        work: comparisons or candidate pairs.
        pairs: pairs found, or links made.
        seconds: ours.
        peer_seconds: anonlink's.
        bar: how many times as fast as the peer it must be; 0 for a figure without a bar.
    """

    name: str
    work: int
    pairs: int
    seconds: float
    peer_seconds: float
    bar: float

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer."""
        return self.peer_seconds / self.seconds


@dataclass
class CompareResult:
    """All figures.

    Attributes:
        races: the tasks of both sides, with identical results.
        engine: seconds, comparisons, pairs and memory of the run through the engine.
        threshold_half: threshold that half of all pairs pass.
        fill: mean share of set bits.
        peer_versions: versions of the peer's packages.
    """

    races: list[Race] = field(default_factory=list)
    engine: dict[str, float] = field(default_factory=dict)
    threshold_half: float = 0.0
    fill: float = 0.0
    peer_versions: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "races": [
                {
                    **asdict(race),
                    "per_s": race.work / race.seconds,
                    "peer_per_s": race.work / race.peer_seconds,
                    "ratio": race.ratio,
                }
                for race in self.races
            ],
            "engine": self.engine,
            "threshold": THRESHOLD,
            "threshold_half": self.threshold_half,
            "fill": self.fill,
            "seed": SEED,
            "peer_versions": self.peer_versions,
        }


class DifferentPairsError(Exception):
    """The two sides did not find the same: no time of theirs can be compared."""


def measure_compare(
    sizes: Sizes, install: bool = True, on_start: Callable[[str], None] = lambda _name: None
) -> CompareResult:
    """Run all tasks.

    Args:
        sizes: how much is compared.
        install: make the peers' environment if it is not there.
        on_start: told the name of each task before it starts.

    Raises:
        MissingPeerError: the peers' environment is not there and cannot be made.
        PeerError: the peer's program failed.
        DifferentPairsError: the two sides did not find the same.
    """
    python = peer_python(install)
    result = CompareResult()
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(python, Path(folder), sizes.repeats)
        on_start("codes by clkhash")
        codes = bench.encoded(max(sizes.strict, sizes.half, sizes.engine))
        result.fill = float(np.unpackbits(codes[0][:1_000]).mean())
        on_start("threshold 0.8")
        result.races.append(bench.at_threshold(codes, sizes.strict))
        on_start("half of all pairs pass")
        result.threshold_half = _median(codes)
        result.races += bench.half_passing(codes, sizes.half, result.threshold_half)
        on_start("greedy solve")
        result.races.append(bench.solving(codes, sizes.solved))
        on_start("engine")
        result.engine = bench.through_engine(codes, sizes.engine)
        result.peer_versions = bench.versions
    return result


class _Bench:
    """The files and the peer of one run."""

    def __init__(self, python: Path, folder: Path, repeats: int) -> None:
        self._python, self._folder, self._repeats = python, folder, repeats
        self._paths = [str(folder / name) for name in ("left.npy", "right.npy")]
        self.versions: dict[str, str] = {}

    def encoded(self, n_records: int) -> list[NDArray[np.uint8]]:
        """Return the codes of two files that clkhash made, shape (n_records, bytes)."""
        columns = next(e.columns for e in load_experiments() if e.set.name == "febrl4")
        files = febrl_like([column.name for column in columns], n_records, SEED)
        described = [{"name": c.name, "feature": c.feature, "bits": c.bits} for c in columns]
        self._ask(
            task="encode",
            columns=described,
            bits=BITS,
            secret="benchmark",  # noqa: S106 # it protects nobody
            records=files,
            outputs=self._paths,
        )
        return [np.load(path) for path in self._paths]

    def at_threshold(self, codes: list[NDArray[np.uint8]], n: int) -> Race:
        """Return the race at the usual threshold; pairs are compared one by one."""
        left, right = (part[:n] for part in codes)
        _found(left[:100], right[:100], THRESHOLD)
        seconds, found = _best(partial(_found, left, right, THRESHOLD), self._repeats)
        output = self._folder / "pairs.npz"
        peer = self._peer_pairs(n, THRESHOLD, output=str(output))
        with np.load(output) as pairs:
            theirs = _in_order(*(pairs[name] for name in ("left", "right", "similarity")))
        ours = _in_order(found.left, found.right, found.similarity)
        same = all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
        if not same:
            raise DifferentPairsError(f"{len(found)} pairs and {len(theirs[0])}")
        name = f"all pairs, threshold {THRESHOLD}"
        return Race(name, n * n, len(found), seconds, peer["seconds"], _BAR)

    def half_passing(
        self, codes: list[NDArray[np.uint8]], n: int, threshold: float
    ) -> tuple[Race, Race]:
        """Return the races where half of all pairs pass: streamed out, and put in order."""
        left, right = (part[:n] for part in codes)
        peer = self._peer_pairs(n, threshold)
        races = []
        for name, run, bar in (
            ("half of all pairs pass", _counted, _HALF_BAR),
            ("half of all pairs pass, best first", _counted_in_order, 0.0),
        ):
            run(left[:100], right[:100], threshold)
            seconds, counted = _best(partial(run, left, right, threshold), self._repeats)
            if counted != (peer["pairs"], peer["checksum"]):
                raise DifferentPairsError(f"{counted[0]} pairs and {peer['pairs']}")
            races.append(Race(name, n * n, counted[0], seconds, peer["seconds"], bar))
        return races[0], races[1]

    def solving(self, codes: list[NDArray[np.uint8]], n_pairs: int) -> Race:
        """Return the race of the greedy solvers over the same candidate pairs."""
        n = min(len(codes[0]), max(500, n_pairs // 250))
        left, right = (part[:n] for part in codes)
        threshold = _quantile(codes, 1 - n_pairs / n**2)
        candidates = _found(left, right, threshold)[1]
        path, output = self._folder / "candidates.npz", self._folder / "links.npy"
        np.savez(
            path,
            similarity=candidates.similarity.astype(np.float64),
            left=candidates.left.astype(np.uint32),
            right=candidates.right.astype(np.uint32),
        )
        peer = self._ask(
            task="solve", candidates=str(path), output=str(output), repeats=self._repeats
        )
        numbered = candidates.shifted(0, n)
        party_of = np.repeat(np.arange(2, dtype=np.uint8), n)

        def run() -> tuple[float, Candidates]:
            started = time.process_time()
            joined = solve_groups(numbered, party_of, frozenset({0, 1})).joined
            return time.process_time() - started, joined

        run()
        seconds, joined = _best(run, self._repeats)
        order = np.argsort(joined.left)
        ours = np.stack([joined.left[order], joined.right[order] - n], axis=1)
        if not np.array_equal(ours, np.load(output)):
            raise DifferentPairsError("the greedy solvers made other links")
        return Race(
            "greedy solve", len(candidates), len(joined), seconds, peer["seconds"], _SOLVE_BAR
        )

    def through_engine(self, codes: list[NDArray[np.uint8]], n: int) -> dict[str, float]:
        """Return what all pairs took through the engine, in a process of its own."""
        for part, path in zip(codes, self._paths, strict=True):
            np.save(path, part[:n])
        arguments = [*self._paths, str(THRESHOLD), str(THREADS)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.compare_run", *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        answer: dict[str, float] = json.loads(done.stdout)
        return answer

    def _peer_pairs(self, n: int, threshold: float, **more: str) -> dict[str, Any]:
        return self._ask(
            task="compare",
            codes=self._paths,
            records=n,
            threshold=threshold,
            repeats=self._repeats,
            **more,
        )

    def _ask(self, **job: Any) -> dict[str, Any]:
        done = subprocess.run(
            [str(self._python), str(_PROGRAM)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise PeerError(f"anonlink failed: {last[0]}")
        answer: dict[str, Any] = json.loads(done.stdout)
        self.versions = answer["versions"]
        return answer


def _streamed(
    left: NDArray[np.uint8], right: NDArray[np.uint8], threshold: float
) -> Iterator[Candidates]:
    """Yield all pairs from packed codes on, in parts that are written over by the next."""
    rows = as_words(left)
    row_bits = popcounts(rows)
    out = (np.empty(_ROOM, np.int32), np.empty(_ROOM, np.int32), np.empty(_ROOM, np.float32))
    for first in range(0, len(right), _COLUMNS):
        columns = as_words(right[first : first + _COLUMNS])
        lanes, bits, start = in_lanes(columns), popcounts(columns), 0
        while start < len(rows):
            n, start = similar_pairs(
                rows, row_bits, lanes, bits, EVERY_COLUMN, 0, threshold, start, *out
            )
            out[1][:n] += np.int32(first)
            yield Candidates(out[0][:n], out[1][:n], out[2][:n])


def _found(
    left: NDArray[np.uint8], right: NDArray[np.uint8], threshold: float
) -> tuple[float, Candidates]:
    """Return the seconds of finding all pairs, and the pairs."""
    started = time.process_time()
    found = concatenate(part.shifted(0, 0) for part in _streamed(left, right, threshold))
    return time.process_time() - started, found


def _counted(
    left: NDArray[np.uint8], right: NDArray[np.uint8], threshold: float
) -> tuple[float, tuple[int, int]]:
    """Return the seconds of streaming all pairs, their number and checksum."""
    started = time.process_time()
    pairs, total = 0, 0
    for part in _streamed(left, right, threshold):
        pairs += len(part)
        total += int(part.left.sum(dtype=np.int64)) * len(right)
        total += int(part.right.sum(dtype=np.int64))
    return time.process_time() - started, (pairs, total)


def _counted_in_order(
    left: NDArray[np.uint8], right: NDArray[np.uint8], threshold: float
) -> tuple[float, tuple[int, int]]:
    """As `_counted`, but all pairs are kept and put in order, as anonlink does."""
    seconds, found = _found(left, right, threshold)
    started = time.process_time()
    ordered = found.best_first()
    total = int(ordered.left.sum(dtype=np.int64)) * len(right)
    total += int(ordered.right.sum(dtype=np.int64))
    return seconds + time.process_time() - started, (len(ordered), total)


def _best(run: Callable[[], tuple[float, T]], repeats: int) -> tuple[float, T]:
    return min((run() for _ in range(repeats)), key=lambda timed: timed[0])


def _in_order(left: Any, right: Any, similarity: Any) -> tuple[Any, Any, Any]:
    order = np.lexsort((right, left))
    return left[order], right[order], similarity[order].astype(np.float32)


def _median(codes: list[NDArray[np.uint8]]) -> float:
    return _quantile(codes, 0.5)


def _quantile(codes: list[NDArray[np.uint8]], share: float) -> float:
    """Return the similarity that a share of pairs stays below, from a sample."""
    found = _found(codes[0][:500], codes[1][:500], 1e-6)[1]
    return float(np.quantile(found.similarity.astype(np.float64), share))
