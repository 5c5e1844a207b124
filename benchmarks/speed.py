"""The speed benchmark: raw strings to packed codes on one core, ours and clkhash.

The same records and columns in one run. Our compiled code is warmed up first on other
encoders, and so is the peer; a fresh encoder is made for every repetition and its making
counts, since it keeps positions of the tokens it has met.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.experiment import Column, Experiment, Set
from benchmarks.peer_env import MissingPeerError, peer_python
from benchmarks.peers import time_peer
from benchmarks.report import Table, figure
from benchmarks.schemes import Scheme, encode, encoder_of, schema_of, supported_schemes
from linkage.agent.config import SourceConfig
from linkage.synthetic import generate_population, make_registers

RECORDS = 200_000
REPEATS = 3
SEED = 1
BARS = {"clk": 20.0, "diffused": 5.0, "saul:4096/4": 2.0, "saul:8192/5": 1.0}
"""Records per second as a multiple of clkhash's that each scheme must reach."""

PEER = "clkhash"
_WARM_UP = 5_000

EXPERIMENT = Experiment(
    set=Set(name="speed"),
    truth="entity_id",
    columns=(
        Column(name="nama", type="name", feature="bigram", bits=400),
        Column(name="tgl_lahir", type="date", feature="digits", bits=200),
        Column(name="tempat_lahir", type="place", feature="bigram", bits=100),
        Column(name="jenis_kelamin", type="sex", feature="exact", bits=50),
        Column(name="nama_ibu", type="mother_name", feature="bigram", bits=100),
    ),
    blocking=(),
)


def default_schemes() -> list[str]:
    """Return the schemes with a bar that the linkage schema knows."""
    known = supported_schemes()
    return [text for text in BARS if text.partition(":")[0] in known]


@dataclass
class SpeedResult:
    """Seconds of every repetition.

    Attributes:
        records: number of records.
        distinct_names: share of distinct values among the full names.
        seconds: by scheme, and the peer's under its name.
        skipped: reason by name of what was skipped.
        peer_versions: versions of the peer's packages.
    """

    records: int
    distinct_names: float
    seconds: dict[str, list[float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    peer_versions: dict[str, str] = field(default_factory=dict)

    def rate(self, name: str) -> float:
        """Return the records per second of the best repetition."""
        return self.records / min(self.seconds[name])

    def ratio(self, name: str) -> float | None:
        """Return the rate as a multiple of the peer's, if that ran."""
        return self.rate(name) / self.rate(PEER) if PEER in self.seconds else None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "records": self.records,
            "distinct_names": self.distinct_names,
            "seed": SEED,
            "contestants": {
                name: {
                    "seconds": seconds,
                    "records_per_s": self.rate(name),
                    "ratio": self.ratio(name),
                    "bar": BARS.get(name),
                }
                for name, seconds in self.seconds.items()
            },
            "skipped": self.skipped,
            "peer_versions": self.peer_versions,
        }


def measure_speed(
    schemes: Sequence[Scheme],
    n_records: int = RECORDS,
    repeats: int = REPEATS,
    install: bool = True,
    on_start: Callable[[str], None] = lambda _name: None,
) -> SpeedResult:
    """Encode the same records with every scheme and with the peer, on one core.

    Args:
        schemes: ours.
        n_records: how many records.
        repeats: how often each encodes them.
        install: make the peers' environment if it is not there.
        on_start: told the name of each contestant before it starts.
    """
    on_start("records")
    table = speed_records(n_records)
    names = table["nama"].combine_chunks()
    result = SpeedResult(table.num_rows, len(names.unique()) / table.num_rows)
    try:
        python: Path | None = peer_python(install)
    except MissingPeerError as error:
        python = None
        result.skipped[PEER] = str(error)
    with one_core():
        for scheme in schemes:
            on_start(scheme.text)
            _time_scheme(scheme, table.slice(0, _WARM_UP), 1)
            result.seconds[scheme.text] = _time_scheme(scheme, table, repeats)
        if python is not None:
            on_start(PEER)
            timed = time_peer(table, EXPERIMENT.columns, python, repeats)
            result.seconds[PEER], result.peer_versions = timed
    return result


def speed_records(n_records: int) -> pa.Table:
    """Return an ordinary register of civil registration, exactly `n_records` long."""
    # Not everybody is registered, so more people are made than records are wanted.
    population = generate_population(n_records + n_records // 10 + 100, SEED)
    register = make_registers(population, ("dukcapil",), "ordinary", SEED).tables["dukcapil"]
    columns = [column.name for column in EXPERIMENT.columns]
    return register.select(columns).slice(0, n_records).combine_chunks()


def _time_scheme(scheme: Scheme, table: pa.Table, repeats: int) -> list[float]:
    schema = schema_of(EXPERIMENT, scheme)
    source = SourceConfig(path=Path("dukcapil"))
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        encode(encoder_of(schema, source), table)
        seconds.append(time.perf_counter() - started)
    return seconds


@contextmanager
def one_core() -> Iterator[None]:
    """Bind this process, all its threads and what it starts to one core."""
    allowed = os.sched_getaffinity(0)
    try:
        _bind({max(allowed)})
        yield
    finally:
        _bind(allowed)


def _bind(cores: set[int]) -> None:
    # Threads that libraries have started already do not follow the main thread.
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def speed_table(result: SpeedResult) -> Table:
    """Return the result as a table: a row per contestant."""
    rows = [
        [
            name,
            f"{result.rate(name):,.0f}",
            figure(min(result.seconds[name]), 2),
            figure(result.ratio(name), 1),
            figure(BARS.get(name), 0),
        ]
        for name in result.seconds
    ]
    return Table(
        title="Encoding speed on one core",
        header=["contestant", "records/s", "seconds", "x clkhash", "bar"],
        rows=rows,
        notes=[
            (
                f"{result.records:,} synthetic records, {result.distinct_names:.1%} distinct full "
                f"names, columns {', '.join(column.name for column in EXPERIMENT.columns)}."
            ),
            (
                "From raw strings to packed codes, all rules on, best of the repetitions; every "
                "process bound to the same core, compiled code warmed up on the first "
                f"{_WARM_UP:,} records."
            ),
            "clkhash: 1,024 bits, default hash, without its check of formats, one worker.",
            *[f"Skipped: {name}: {reason}." for name, reason in result.skipped.items()],
        ],
    )
