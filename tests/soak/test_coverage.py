"""True precision and recall lie inside their 95 % intervals in 90 of 100 registers or more.

Registers of about 2,000 persons of ordinary grade, linked in one round under both kinds of codes
and in two rounds. The counts go to benchmarks/results/soak-coverage.json.

`PADAN_SOAK_REGISTERS` sets the number of registers (100), `PADAN_SOAK_FIRST` the first seed.
"""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from soak_results import keep_result

from benchmarks.experiment import Experiment, load_experiments
from benchmarks.records import TRUTH, RecordSet, synthetic_records
from benchmarks.schemes import Scheme, encode_set, parse_scheme, schema_of, source_of
from benchmarks.threshold import choose
from linkage.agent.evaluate import evaluate
from linkage.classify.intervals import Interval
from linkage.classify.quality import Quality

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

REGISTERS = int(os.environ.get("PADAN_SOAK_REGISTERS", "100"))
FIRST = int(os.environ.get("PADAN_SOAK_FIRST", "1000"))
# 2,500 and 1,500 records, of which some 900 persons are in both.
PERSONS = 3_200
HELD = 0.9
EXPERIMENTS = {experiment.name: experiment for experiment in load_experiments()}


def registers(seed: int) -> RecordSet:
    base = EXPERIMENTS["synthetic-ordinary-1"]
    of_seed = base.set.model_copy(update={"seed": seed})
    return synthetic_records(base.model_copy(update={"set": of_seed}), "ordinary", PERSONS)


def one_round(scheme: Scheme, seed: int) -> tuple[Quality, Interval, Interval]:
    records = registers(seed)
    schema = schema_of(records.experiment, scheme)
    chosen = choose(records, schema, encode_set(records, schema, seed), threads=1)
    return chosen.quality, chosen.threshold.precision, chosen.threshold.recall


def two_rounds(scheme: Scheme, seed: int, work: Path) -> tuple[Quality, Interval, Interval]:
    records = registers(seed)
    experiment: Experiment = records.experiment
    sources = []
    for name, table in zip(records.files, records.tables, strict=True):
        pyarrow.parquet.write_table(table, work / f"{name}.parquet")
        sources.append(source_of(experiment, name, work / f"{name}.parquet"))
    done = evaluate(schema_of(experiment, scheme), sources, TRUTH, 1)
    assert done.estimated is not None
    return done.at_threshold, done.estimated.precision, done.estimated.recall


@pytest.mark.parametrize(("name", "rounds"), [("clk", 1), ("saul", 1), ("saul", 2)])
def test_intervals_hold_the_true_precision_and_recall(
    name: str, rounds: int, tmp_path: Path
) -> None:
    scheme = parse_scheme(name)
    precision_held = recall_held = 0
    widths = []
    for seed in range(FIRST, FIRST + REGISTERS):
        if rounds == 1:
            quality, precision, recall = one_round(scheme, seed)
        else:
            quality, precision, recall = two_rounds(scheme.refined(10), seed, tmp_path)
        precision_held += quality.precision in precision
        recall_held += quality.recall in recall
        widths.append((precision.high - precision.low, recall.high - recall.low))
    assert precision_held >= HELD * REGISTERS
    assert recall_held >= HELD * REGISTERS
    figures = {
        "registers": REGISTERS,
        "first_seed": FIRST,
        "precision_held": precision_held,
        "recall_held": recall_held,
        "mean_width_precision": round(float(np.mean(widths, axis=0)[0]), 4),
        "mean_width_recall": round(float(np.mean(widths, axis=0)[1]), 4),
    }
    keep_result("coverage", figures, part=f"{name}, {rounds} round{'s' * (rounds > 1)}")
