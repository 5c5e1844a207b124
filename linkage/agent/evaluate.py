"""Linkage quality against known persons, through the code that links in earnest.

Encodes under a throw-away key, compares all pairs, solves, and counts. With one
input its records are compared among themselves (de-duplication).
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keys.derive import KeyContext, LinkageKey
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordEncoder
from linkage.agent.source import Source
from linkage.classify.quality import Quality, best_threshold, quality_of
from linkage.compare.candidates import Candidates, concatenate
from linkage.encode.encoder import EncodedRecords, schema_id
from linkage.engine.local import run_all, run_histogram, run_task
from linkage.engine.plan import Task, plan
from linkage.engine.records import PreparedRecords, prepare
from linkage.errors import QuotaExceededError, RecordError
from linkage.schema import LinkageSchema
from linkage.solve.groups import single_parties, solve_groups

MAX_COMPARISONS = 5_000_000_000
_BINS = 2_000
# Pairs kept for the sweep, per record: far below the best threshold of any data, so
# the sweep is complete, and bounded however alike the records are.
_SWEPT_PAIRS_PER_RECORD = 50


@dataclass(frozen=True)
class Evaluation:
    """What a linkage of known persons brought.

    Attributes:
        at_threshold: quality at the schema's threshold.
        best: quality at the best threshold.
        best_threshold: the threshold with the best F1, solved again for each.
        pairs_compared: number of comparisons.
        seconds: from raw records to solved groups, without the sweep.
    """

    at_threshold: Quality
    best: Quality
    best_threshold: float
    pairs_compared: int
    seconds: float

    def to_dict(self) -> dict[str, float | int]:
        """Return the figures under their public names."""
        quality = self.at_threshold
        return {
            "f1": quality.f1,
            "precision": quality.precision,
            "recall": quality.recall,
            "best_f1": self.best.f1,
            "best_threshold": self.best_threshold,
            "pairs_true": quality.pairs_true,
            "pairs_found": quality.pairs_found,
            "pairs_compared": self.pairs_compared,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class _Records:
    parties: list[PreparedRecords]
    person: NDArray[np.int64]
    file: NDArray[np.uint8]

    @property
    def sizes(self) -> list[int]:
        return [len(part) for part in self.parties]


def evaluate(
    schema: LinkageSchema,
    inputs: Sequence[SourceConfig],
    truth: str,
    threads: int,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Evaluation:
    """Link files of known persons and return how well it went.

    Args:
        schema: the linkage schema.
        inputs: the files; one is de-duplicated, several are linked.
        truth: column that names the person; it is never encoded.
        threads: threads that compare.
        on_progress: told comparisons done and planned, over both passes.

    Raises:
        RecordError: a file cannot be used.
        QuotaExceededError: more comparisons than all pairs may take.
    """
    if truth in {a.name for a in schema.attributes}:
        raise RecordError(f"the truth column {truth} is an attribute of the schema: take it out")
    started = time.monotonic()
    records = _load(schema, inputs, truth)
    tasks = plan(records.parties, MAX_COMPARISONS)
    planned = sum(task.comparisons for task in tasks)
    if planned > MAX_COMPARISONS:
        raise QuotaExceededError(
            f"{planned:,} comparisons, also with blocks: at most {MAX_COMPARISONS:,} are made; "
            "take a sample of the files, or blocks that tell more"
        )
    loaded_s = time.monotonic() - started
    threshold = schema.threshold
    floor = _floor(records, tasks, threads, threshold, lambda done: on_progress(done, 2 * planned))
    started = time.monotonic()
    candidates = _compare(
        records, tasks, floor, threads, lambda done: on_progress(planned + done, 2 * planned)
    )
    many = len(inputs) > 1
    single = single_parties(schema.match.cardinality, len(inputs)) if many else frozenset()
    groups = solve_groups(candidates, records.file, single)
    at_threshold = quality_of(groups.above(threshold).label, records.person, records.file)
    seconds = loaded_s + time.monotonic() - started
    best_at, best = best_threshold(groups, records.person, records.file)
    return Evaluation(at_threshold, best, best_at, planned, seconds)


def _load(schema: LinkageSchema, inputs: Sequence[SourceConfig], truth: str) -> _Records:
    context = KeyContext("evaluation", schema_id(schema), "evaluation", 1)
    key = LinkageKey(os.urandom(32), context)
    parties: list[PreparedRecords] = []
    persons: list[str] = []
    for config in inputs:
        encoder = RecordEncoder(schema, config, key)
        parts: list[EncodedRecords] = []
        truths: list[pa.ChunkedArray[pa.StringScalar]] = []
        for table in Source(config, schema, also=(truth,)).chunks():
            parts.append(encoder.encode(table))
            truths.append(table[truth])
        parties.append(
            prepare(
                np.concatenate([part.codes for part in parts]),
                schema.encoding.scheme,
                np.concatenate([part.blocks for part in parts]),
                np.concatenate([part.exact for part in parts]),
            )
        )
        # Whoever has no truth is a person of its own.
        persons += [
            value or f"\0{len(parties)}.{row}"
            for row, value in enumerate(v for column in truths for v in column.to_pylist())
        ]
    _, person = np.unique(np.array(persons, dtype=object).astype(str), return_inverse=True)
    sizes = [len(party) for party in parties]
    file = np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)
    return _Records(parties, person.astype(np.int64), file)


def _floor(
    records: _Records,
    tasks: list[Task],
    threads: int,
    threshold: float,
    on_done: Callable[[int], None],
) -> float:
    """Return a similarity low enough for the sweep, that not too many pairs reach."""
    histogram = np.zeros(_BINS + 1, dtype=np.int64)
    done = 0

    def run(task: Task) -> NDArray[np.int64]:
        return run_histogram(task, records.parties, _BINS)

    for task, counts in run_all(tasks, run, threads):
        histogram += counts
        done += task.comparisons
        on_done(done)
    reaching = np.cumsum(histogram[::-1])[::-1]
    budget = _SWEPT_PAIRS_PER_RECORD * sum(records.sizes)
    few = np.flatnonzero(reaching <= budget)
    # Where even the most alike pairs are too many, only those above the threshold count.
    lowest = few[0] / _BINS if len(few) else threshold
    return float(min(max(lowest, 1 / _BINS), threshold))


def _compare(
    records: _Records,
    tasks: list[Task],
    floor: float,
    threads: int,
    on_done: Callable[[int], None],
) -> Candidates:
    first = np.concatenate(([0], np.cumsum(records.sizes)))
    parts, done = [], 0

    def run(task: Task) -> Candidates:
        return run_task(task, records.parties, floor)

    for task, found in run_all(tasks, run, threads):
        parts.append(found.shifted(int(first[task.left]), int(first[task.right])))
        done += task.comparisons
        on_done(done)
    return concatenate(parts)


def input_of(path: Path, record_id: str) -> SourceConfig:
    """Return the source settings of a file whose columns are named as the attributes."""
    return SourceConfig(path=path, record_id=record_id)
