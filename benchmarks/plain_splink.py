"""The second plain-text peer: Splink, with one recipe for all sets.

Told the same attributes and the same cleaned values as the other plain-text peer, and
the same blocking where it is by equal keys; besides, records meet that agree on any
attribute, or any two, which few enough share. Its model is in `peer_splink`. Solved and
counted by the same code as ours, at its best threshold.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from benchmarks.blocking import keys_of, prepared
from benchmarks.peers import PeerError
from benchmarks.plain_text import best_of_scores
from benchmarks.records import RecordSet
from benchmarks.schemes import true_pairs
from linkage.classify.quality import Quality

# Pairs that an agreement on one attribute or two may bring, per record.
_PAIRS_PER_RECORD = 50
_PROGRAM = Path(__file__).parent / "peer_splink.py"


@dataclass(frozen=True)
class SplinkResult:
    """What Splink brought.

    Attributes:
        best: quality at its best threshold.
        candidates: pairs that it weighed.
        completeness: share of the true pairs among them.
        notes: what went wrong in its training.
        versions: of its packages.
    """

    best: Quality
    candidates: int
    completeness: float
    notes: list[str]
    versions: dict[str, str]


def link_with_splink(records: RecordSet, python: Path, work: Path) -> SplinkResult:
    """Link a set with Splink.

    Args:
        records: the set.
        python: interpreter of its environment.
        work: a folder for the records and the result.

    Raises:
        PeerError: the program failed.
    """
    experiment = records.experiment
    values = {column.name: prepared(records, column) for column in experiment.columns}
    rules, keys = blocking_rules(records, values)
    table = pa.table(
        {"number": np.arange(len(records))}
        | {name: pa.array(column, pa.string()) for name, column in {**values, **keys}.items()}
    )
    sources = []
    for number in range(len(records.tables)):
        path = work / f"splink-{number}.parquet"
        pyarrow.parquet.write_table(table.filter(pa.array(records.file == number)), path)
        sources.append(str(path))
    output = work / "splink.npz"
    job = {
        "sources": sources,
        "columns": [
            {"name": c.name, "type": c.type, "values": len(set(values[c.name]))}
            for c in experiment.columns
        ],
        "blocking": rules,
        "output": str(output),
    }
    done = subprocess.run(
        [str(python), str(_PROGRAM)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise PeerError(f"Splink failed: {last[0]}")
    answer = json.loads(done.stdout)
    with np.load(output) as found:
        left, right, weight = found["left"], found["right"], found["weight"]
    matched = int((records.person[left] == records.person[right]).sum())
    return SplinkResult(
        best=best_of_scores(records, np.minimum(left, right), np.maximum(left, right), weight),
        candidates=len(left),
        completeness=matched / max(1, len(true_pairs(records))),
        notes=answer["notes"],
        versions=answer["versions"],
    )


def blocking_rules(
    records: RecordSet, values: dict[str, list[str | None]]
) -> tuple[list[list[str]], dict[str, list[str | None]]]:
    """Return the columns of each blocking rule, and the columns made for them.

    Args:
        records: the set.
        values: prepared values by attribute.
    """
    rules: list[list[str]] = []
    made: dict[str, list[str | None]] = {}
    for wanted in records.experiment.blocking:
        rule = []
        for key, column in keys_of(wanted, values).items():
            name = key if key in values else f"key_{key.replace('(', '_').replace(')', '')}"
            if name not in values:
                made[name] = column
            rule.append(name)
        rules.append(rule)
    known = {frozenset(rule) for rule in rules}
    number = {name: _numbered(column) for name, column in values.items()}
    for size in (1, 2):
        for names in combinations(values, size):
            few = pairs_agreeing([number[name] for name in names], records.file)
            if frozenset(names) not in known and few <= _PAIRS_PER_RECORD * len(records):
                rules.append(list(names))
    return rules, made


def _numbered(column: Sequence[str | None]) -> NDArray[np.int64]:
    """Return a number for each value, -1 where it is missing."""
    known: dict[str | None, int] = {None: -1}
    return np.array([known.setdefault(value, len(known)) for value in column], dtype=np.int64)


def pairs_agreeing(columns: Sequence[NDArray[np.int64]], file: NDArray[np.uint8]) -> int:
    """Return how many pairs agree on all columns; between files, if there are several."""
    there = np.logical_and.reduce([column >= 0 for column in columns])
    rows = np.stack([column[there] for column in columns], axis=1)
    pairs = _pairs_inside(rows)
    if len(np.unique(file)) > 1:
        pairs -= _pairs_inside(np.column_stack([rows, file[there]]))
    return pairs


def _pairs_inside(rows: NDArray[np.int64]) -> int:
    sizes = np.unique(rows, axis=0, return_counts=True)[1].astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())
