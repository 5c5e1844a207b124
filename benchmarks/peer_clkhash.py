"""Runs clkhash and anonlink inside their own environment; imports nothing of ours.

Reads a job as JSON from stdin and answers in JSON on stdout. `link` encodes the records,
finds candidate pairs and solves at every threshold; it never learns the truth. `encode`
only times the encoding.
"""

import json
import sys
import time
from importlib.metadata import version
from itertools import combinations
from typing import Any

import anonlink
import numpy as np
from clkhash import clk, comparators, field_formats
from clkhash.schema import Schema

STEP = 0.005
# Candidates kept per record for the sweep: far more than have a true pair among them.
PAIRS_PER_RECORD = 150
SAMPLE = 1_500
# Share of pairs between two groups that must be candidates: anonlink's default; the whole,
# which is its plain greedy solver; and a tenth, without which it could never join an
# original to all of its duplicates in another file.
MERGING = (0.1, 0.5, 1.0)


def comparator_of(feature: str) -> comparators.AbstractComparison:
    """Return clkhash's comparison for a kind of feature."""
    if feature == "bigram":
        return comparators.NgramComparison(2)
    if feature == "digits":
        return comparators.NgramComparison(1, positional=True)
    return comparators.ExactComparison()


def schema_of(columns: list[dict[str, Any]], bits: int) -> Schema:
    """Return a clkhash schema: default hash, insertions fixed per feature."""
    fields = [
        field_formats.StringSpec(
            column["name"],
            field_formats.FieldHashingProperties(
                comparator_of(column["feature"]),
                field_formats.BitsPerFeatureStrategy(column["bits"]),
            ),
        )
        for column in columns
    ]
    return Schema(fields, bits)


def encode(job: dict[str, Any], schema: Schema, rows: list[list[str]]) -> list[Any]:
    """Return the CLKs of records, on one core and without the check of formats."""
    return clk.generate_clks(rows, schema, job["secret"], validate=False, max_workers=1)


def lowest_threshold(codes: list[list[Any]], single: bool) -> float:
    """Return a similarity that not more pairs reach than are needed, from a sample."""
    rng = np.random.default_rng(0)
    everyone = [code for part in codes for code in part]
    sizes = [len(part) for part in codes]
    pairs = (
        sizes[0] * (sizes[0] - 1) / 2 if single else sum(a * b for a, b in combinations(sizes, 2))
    )

    def draw() -> Any:
        chosen = rng.permutation(len(everyone))[:SAMPLE]
        return np.array([everyone[i].tolist() for i in chosen], dtype=np.float32)

    left, right = draw(), draw()
    total = left.sum(axis=1)[:, None] + right.sum(axis=1)[None]
    dice = 2 * (left @ right.T) / np.maximum(total, 1)
    share = min(1.0, PAIRS_PER_RECORD * len(everyone) / max(pairs, 1))
    return max(STEP, float(np.quantile(dice[dice < 1], 1 - share)))


def candidates_of(codes: list[list[Any]], threshold: float) -> Any:
    """Return anonlink's candidate pairs, within the file where there is only one."""
    dice = anonlink.similarities.dice_coefficient_accelerated
    if len(codes) > 1:
        return anonlink.candidate_generation.find_candidate_pairs(codes, dice, threshold)
    twice = [codes[0], codes[0]]
    found, _, (left, right) = anonlink.candidate_generation.find_candidate_pairs(
        twice, dice, threshold
    )
    kept = np.flatnonzero(np.asarray(left) < np.asarray(right))
    similarity = type(found)("d", np.asarray(found)[kept])
    sides = [type(left)("I", np.asarray(side)[kept].astype(np.uint32)) for side in (left, right)]
    file = type(left)("I", bytes(4 * len(kept)))
    return similarity, (file, file), tuple(sides)


def labels_at(
    candidates: Any, threshold: float, merging: float, deduplicated: bool, first: list[int]
) -> Any:
    """Return a label per record: records of one of anonlink's groups have the same."""
    similarity, files, records = candidates
    n = int(np.searchsorted(-np.asarray(similarity), -threshold, side="right"))
    above = (similarity[:n], tuple(f[:n] for f in files), tuple(r[:n] for r in records))
    labels = np.arange(first[-1], dtype=np.int32)
    for group in anonlink.solving.probabilistic_greedy_solve(
        above, merge_threshold=merging, deduplicated=deduplicated
    ):
        rows = [first[file] + record for file, record in group]
        labels[rows] = min(rows)
    return labels


def link(job: dict[str, Any]) -> dict[str, Any]:
    """Encode, find candidates, and solve at every threshold."""
    schema = schema_of(job["columns"], job["bits"])
    started = time.monotonic()
    codes = [encode(job, schema, rows) for rows in job["records"]]
    encoded_s = time.monotonic() - started
    first = np.concatenate(([0], np.cumsum([len(part) for part in codes]))).tolist()
    lowest = lowest_threshold(codes, len(codes) == 1)
    candidates = candidates_of(codes, lowest)
    thresholds = np.arange(np.ceil(lowest / STEP), round(1 / STEP) + 1) * STEP
    labels = [
        labels_at(candidates, float(threshold), merging, job["deduplicated"], first)
        for merging in MERGING
        for threshold in thresholds
    ]
    np.savez(
        job["output"],
        thresholds=np.tile(thresholds, len(MERGING)),
        merging=np.repeat(MERGING, len(thresholds)),
        labels=np.array(labels),
    )
    fill = np.mean([code.count() / len(code) for part in codes for code in part])
    return {"encoded_s": encoded_s, "candidates": len(candidates[0]), "fill": float(fill)}


def speed(job: dict[str, Any]) -> dict[str, Any]:
    """Time the encoding of all records, several times."""
    schema = schema_of(job["columns"], job["bits"])
    rows = job["records"][0]
    encode(job, schema, rows[:1_000])
    seconds = []
    for _ in range(job["repeats"]):
        started = time.perf_counter()
        encode(job, schema, rows)
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds}


def main() -> None:
    """Run the job on stdin."""
    job = json.load(sys.stdin)
    answer = link(job) if job["task"] == "link" else speed(job)
    answer["versions"] = {name: version(name) for name in ("clkhash", "anonlink", "numpy")}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
