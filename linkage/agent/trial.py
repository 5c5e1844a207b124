"""Codes of known persons to their best F1, under a key of the caller's choosing.

An evaluation draws a key for each run, so that nobody tunes to one. Two schemas are compared
under the same key, or the key's chance is counted as theirs. So the steps of `evaluate` are
taken here on codes that are there already.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linkage.classify.quality import Quality, best_threshold
from linkage.compare.bits import as_words, popcounts
from linkage.compare.candidates import Candidates, concatenate
from linkage.engine.local import run_all, run_task
from linkage.engine.plan import Task, plan_all_pairs
from linkage.engine.records import Inputs, prepare
from linkage.schema import LinkageSchema
from linkage.solve.groups import single_parties, solve_groups

# As in an evaluation: pairs kept for the sweep, per record.
_SWEPT_PAIRS_PER_RECORD = 50
_DRAWN = 50_000
_LOWEST = 0.0005


def best_quality(
    codes: Sequence[NDArray[np.uint8]],
    person: NDArray[np.int64],
    schema: LinkageSchema,
    threads: int,
) -> Quality:
    """Compare all pairs, solve, and return the quality at the best threshold.

    Args:
        codes: packed codes by file, shape (n, bits / 8) each; one file is de-duplicated.
        person: person of each record over all files in a row, shape (n,).
        schema: what the codes were made under.
        threads: threads that compare.
    """
    inputs = Inputs([prepare(part, schema.encoding.scheme) for part in codes])
    file = np.repeat(np.arange(len(codes), dtype=np.uint8), [len(part) for part in codes])
    tasks = plan_all_pairs(inputs.sizes)
    floor = _floor(np.concatenate(codes), sum(task.comparisons for task in tasks), schema)
    many = len(codes) > 1
    single = single_parties(schema.match.cardinality, len(codes)) if many else frozenset()
    groups = solve_groups(_compare(inputs, tasks, floor, threads), file, single)
    return best_threshold(groups, person, file)[1]


def _floor(codes: NDArray[np.uint8], n_pairs: int, schema: LinkageSchema) -> float:
    """Return a similarity below any best threshold, that not too many pairs reach.

    It is the quantile of pairs drawn at random, true pairs too few to matter among them.

    Args:
        codes: packed codes of all files in a row.
        n_pairs: number of pairs that are compared.
        schema: what the codes were made under.
    """
    budget = _SWEPT_PAIRS_PER_RECORD * len(codes)
    if n_pairs <= budget:
        return _LOWEST
    left, right = np.random.default_rng(0).integers(len(codes), size=(2, _DRAWN))
    words = as_words(codes)
    bits = popcounts(words)
    total = bits[left] + bits[right]
    common = popcounts(words[left] & words[right])
    if schema.encoding.scheme == "clk":
        similarity = 2 * common / np.maximum(total, 1)
    else:
        similarity = 1 - (total - 2 * common) / (8 * codes.shape[1])
    floor = np.quantile(similarity[left != right], 1 - budget / n_pairs)
    return float(min(max(floor, _LOWEST), schema.threshold))


def _compare(inputs: Inputs, tasks: Sequence[Task], floor: float, threads: int) -> Candidates:
    first = np.concatenate(([0], np.cumsum(inputs.sizes)))
    found = run_all(tasks, lambda task: run_task(task, inputs, floor), threads)
    return concatenate(
        pairs.shifted(int(first[task.left]), int(first[task.right])) for task, pairs in found
    )
