"""The two-sided peer: clkhash encodes, anonlink compares and solves.

Told the same attributes and the same values as ours, cleaned as its users would. The
program itself runs in an environment of its own; groups come back for every threshold
and are counted here, exactly as ours are.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.blocking import prepared
from benchmarks.experiment import Column
from benchmarks.records import RecordSet
from linkage.classify.quality import Quality, quality_of

BITS = 1_024
_PROGRAM = Path(__file__).parent / "peer_clkhash.py"


class PeerError(Exception):
    """The peer's program failed."""


@dataclass(frozen=True)
class PeerResult:
    """What the peer brought.

    Attributes:
        best: quality at its best threshold.
        threshold: that threshold.
        merging: anonlink's merge threshold with it.
        at_lowest: whether that is the lowest one tried, so that a lower one may be better.
        fill: mean share of set bits.
        versions: of its packages.
    """

    best: Quality
    threshold: float
    merging: float
    at_lowest: bool
    fill: float
    versions: dict[str, str]


def link_with_peer(records: RecordSet, python: Path, work: Path, key: int) -> PeerResult:
    """Link a set with clkhash and anonlink, at every threshold.

    Args:
        records: the set.
        python: interpreter of the peers' environment.
        work: a folder for the result.
        key: number of the key, which decides by chance what collides.

    Raises:
        PeerError: the program failed.
    """
    columns = records.experiment.columns
    values = [prepared(records, column) for column in columns]
    rows = [[value or "" for value in row] for row in zip(*values, strict=True)]
    ends = np.cumsum([table.num_rows for table in records.tables])
    starts = ends - [table.num_rows for table in records.tables]
    output = work / "labels.npz"
    answer = _run(
        python,
        {
            "task": "link",
            "bits": BITS,
            "secret": f"benchmark {key}",
            "columns": _described(columns),
            "records": [rows[start:end] for start, end in zip(starts, ends, strict=True)],
            # It cannot hold one side only to one record a person.
            "deduplicated": records.experiment.set.cardinality == "one-to-one",
            "output": str(output),
        },
    )
    with np.load(output) as solved:
        thresholds, merging, labels = solved["thresholds"], solved["merging"], solved["labels"]
    tried = [quality_of(label, records.person, records.file) for label in labels]
    best = max(range(len(tried)), key=lambda at: tried[at].f1)
    return PeerResult(
        best=tried[best],
        threshold=round(float(thresholds[best]), 3),
        merging=float(merging[best]),
        at_lowest=bool(thresholds[best] == thresholds[0]),
        fill=answer["fill"],
        versions=answer["versions"],
    )


def time_peer(
    table: pa.Table, columns: Sequence[Column], python: Path, repeats: int
) -> tuple[list[float], dict[str, str]]:
    """Return the seconds of each encoding of a table's raw values, and the versions.

    Raises:
        PeerError: the program failed.
    """
    values = [table[column.name].to_pylist() for column in columns]
    rows = [[value or "" for value in row] for row in zip(*values, strict=True)]
    answer = _run(
        python,
        {
            "task": "encode",
            "bits": BITS,
            "secret": "benchmark",
            "columns": _described(columns),
            "records": [rows],
            "repeats": repeats,
        },
    )
    return answer["seconds"], answer["versions"]


def _described(columns: Sequence[Column]) -> list[dict[str, Any]]:
    return [{"name": c.name, "feature": c.feature, "bits": c.bits} for c in columns]


def _run(python: Path, job: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), str(_PROGRAM)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise PeerError(f"clkhash failed: {last[0]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
