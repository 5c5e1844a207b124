"""The threshold benchmark: the threshold chosen without truth against the best one, one round.

And what the estimate says of its own links, against the truth. Of two rounds the threshold is a
probability that needs no choice: see the refine benchmark.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import read_environment
from benchmarks.experiment import Experiment, load_experiments
from benchmarks.options import (
    command_line,
    parsed,
    progress,
    publish,
    selected,
    with_as_json,
    with_data,
    with_results,
    with_schemes,
    with_sets,
    with_small,
    with_threads,
)
from benchmarks.records import MissingSetError, RecordSet, load_records
from benchmarks.report import Table, figure
from benchmarks.schemes import Scheme, encode_set, schema_of
from linkage.classify.intervals import Interval
from linkage.classify.null import Null
from linkage.classify.quality import Quality, best_threshold, quality_of
from linkage.classify.threshold import Threshold, choose_threshold
from linkage.compare.candidates import concatenate
from linkage.engine.local import run_all, run_histogram, run_task
from linkage.engine.plan import Task, plan_all_pairs
from linkage.engine.records import Inputs, prepare
from linkage.schema import LinkageSchema
from linkage.solve.agreed import solve_agreed
from linkage.solve.groups import single_parties, solve_groups

BINS = 2_048
BAR, MEDIAN_BAR = 0.02, 0.005
SCHEMES = ("clk", "saul")
# As in the product's evaluation.
_SWEPT_PAIRS_PER_RECORD = 50


@dataclass(frozen=True)
class Chosen:
    """One linkage at the threshold chosen without truth.

    Attributes:
        threshold: as chosen, with what it says of its links.
        quality: of the links there, counted.
        best: quality at the best threshold.
        best_threshold: that threshold.
    """

    threshold: Threshold
    quality: Quality
    best: Quality
    best_threshold: float

    @property
    def short(self) -> float:
        """By how much F1 lies below the best."""
        return self.best.f1 - self.quality.f1


@dataclass
class ThresholdResult:
    """Figures of all sets: by set and scheme one for each key.

    Attributes:
        chosen: by name of the set and of the scheme.
        skipped: reason by name of a set.
    """

    chosen: dict[tuple[str, str], list[Chosen]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "sets": [
                {"set": name, "scheme": scheme, "keys": [_figures(one) for one in by_key]}
                for (name, scheme), by_key in self.chosen.items()
            ],
            "skipped": self.skipped,
        }


def _figures(one: Chosen) -> dict[str, Any]:
    return {
        "best_f1": one.best.f1,
        "best_threshold": one.best_threshold,
        "f1": one.quality.f1,
        "precision": one.quality.precision,
        "recall": one.quality.recall,
        "chosen": asdict(one.threshold),
    }


def choose(
    records: RecordSet, schema: LinkageSchema, codes: Sequence[NDArray[np.uint8]], threads: int
) -> Chosen:
    """Compare all pairs, choose the threshold without truth, and count what it brought.

    Args:
        records: the set.
        schema: what its codes were made under.
        codes: packed codes by file, shape (n, bits / 8) each.
        threads: threads that compare.
    """
    inputs = Inputs([prepare(part, schema.encoding.scheme) for part in codes])
    tasks = plan_all_pairs(inputs.sizes)
    histogram = np.zeros(BINS + 1, np.int64)
    for _, counts in run_all(tasks, lambda task: run_histogram(task, inputs, BINS), threads):
        histogram += counts
    reaching = np.cumsum(histogram[::-1])[::-1]
    floor = max(int(np.argmax(reaching <= _SWEPT_PAIRS_PER_RECORD * len(records))), 1) / BINS
    first = np.concatenate(([0], np.cumsum(inputs.sizes)))

    def compare(task: Task) -> Any:
        found = run_task(task, inputs, floor)
        return found.shifted(int(first[task.left]), int(first[task.right]))

    candidates = concatenate(found for _, found in run_all(tasks, compare, threads))
    cardinality, n_files = schema.match.cardinality, len(codes)
    single = single_parties(cardinality, n_files) if n_files > 1 else frozenset[int]()
    groups = solve_groups(candidates, records.file, single)
    threshold = choose_threshold(
        histogram,
        candidates,
        groups,
        records.file,
        single,
        Null.of(schema.encoding),
        np.random.default_rng(0),
    )
    agreed = solve_agreed(candidates, records.file, n_files, cardinality, threshold.value)
    best_at, best = best_threshold(groups, records.person, records.file)
    quality = quality_of(agreed.label, records.person, records.file)
    return Chosen(threshold, quality, best, best_at)


def measure_threshold(
    experiments: Sequence[Experiment],
    schemes: Sequence[Scheme],
    data: Path,
    threads: int,
    keys: int,
    small: bool = False,
    on_set: Callable[[str], None] = lambda _name: None,
) -> ThresholdResult:
    """Choose a threshold on every set under every scheme.

    Args:
        experiments: the sets.
        schemes: ours.
        data: folder of the sets that are files.
        threads: threads that compare.
        keys: number of keys that every encoding is tried under.
        small: use a small part of each set.
        on_set: told the name of each set before it starts.
    """
    result = ThresholdResult()
    for experiment in experiments:
        on_set(experiment.name)
        try:
            records = load_records(experiment, data, small)
        except MissingSetError as error:
            result.skipped[experiment.name] = str(error)
            continue
        for scheme in schemes:
            schema = schema_of(experiment, scheme)
            result.chosen[experiment.name, scheme.text] = [
                choose(records, schema, encode_set(records, schema, key), threads)
                for key in range(keys)
            ]
    return result


def threshold_table(result: ThresholdResult) -> Table:
    """Return the table: a row for each set and scheme, the key with the median difference."""
    rows, short = [], dict[str, list[float]]()
    for (name, scheme), by_key in result.chosen.items():
        one = sorted(by_key, key=lambda chosen: chosen.short)[len(by_key) // 2]
        short.setdefault(scheme, []).append(one.short)
        rows.append(
            [
                name,
                scheme,
                figure(one.best.f1),
                figure(one.quality.f1),
                f"{one.short:.4f}" + (" !" if one.short > BAR else ""),
                figure(one.threshold.value, 4),
                *_held(one.quality.precision, one.threshold.precision),
                *_held(one.quality.recall, one.threshold.recall),
            ]
        )
    notes = [
        (
            f"{scheme}: median difference {median(all_of):.4f} (bar {MEDIAN_BAR}), "
            f"largest {max(all_of):.4f} (bar {BAR}, a ! beyond it)."
        )
        for scheme, all_of in short.items()
    ]
    notes += [
        "All pairs compared, pairs counted after the solver, the key with the median difference.",
        "estimated: without truth, with its 95 % interval; a star where it misses the true one.",
        *[f"{name}: {note}." for name, note in _notes(result)],
        *[f"Skipped: {name}: {reason}." for name, reason in result.skipped.items()],
    ]
    header = ["set", "scheme", "best F1", "F1", "short", "threshold"]
    header += ["precision", "estimated", "recall", "estimated"]
    return Table("The threshold without truth, one round", header, rows, notes)


def _held(true: float, estimated: Interval) -> list[str]:
    star = "" if true in estimated else " *"
    shown = f"{estimated.estimate:.3f} [{estimated.low:.3f}, {estimated.high:.3f}]{star}"
    return [figure(true), shown]


def _notes(result: ThresholdResult) -> list[tuple[str, str]]:
    noted = {
        (f"{name}, {scheme}", note)
        for (name, scheme), by_key in result.chosen.items()
        for one in by_key
        for note in one.threshold.notes
    }
    return sorted(noted)


@click.command()
@with_data
@with_schemes
@with_sets
@with_threads
@click.option("--keys", default=1, show_default=True, help="Keys to try; the median one counts.")
@with_small
@with_results
@with_as_json
def threshold(
    data: Path,
    schemes: tuple[str, ...],
    sets: str | None,
    threads: int,
    keys: int,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """F1 at the threshold chosen without truth against the best, and what it says of itself."""
    environment = read_environment(command_line("threshold"))
    experiments = selected(load_experiments(), sets)
    result = measure_threshold(
        experiments, parsed(schemes or SCHEMES), data, threads, keys, small, progress
    )
    partial = small or sets is not None or bool(schemes)
    table, figures = threshold_table(result), result.to_dict()
    publish("threshold", table, figures, json_out, results, partial, environment)
