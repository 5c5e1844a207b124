"""What is counted agrees with counting one pair at a time."""

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from benchmarks.experiment import Experiment
from benchmarks.records import RecordSet
from benchmarks.schemes import true_pairs
from linkage.classify.quality import quality_of


def records_of(sizes: list[int], person: NDArray[np.int64]) -> RecordSet:
    experiment = Experiment.model_validate(
        {"set": {"name": "x"}, "truth": "t", "columns": (), "blocking": ()}
    )
    tables = tuple(pa.table({"record_id": [str(i) for i in range(size)]}) for size in sizes)
    file = np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)
    return RecordSet(experiment, tuple("abc"[: len(sizes)]), tables, person, file)


def pairs_by_hand(group: NDArray[np.int64], file: NDArray[np.uint8]) -> set[tuple[int, int]]:
    """The definition: every unordered pair of one group, between files if there are several."""
    inside = len(set(file.tolist())) == 1
    return {
        (i, j)
        for i, j in combinations(range(len(group)), 2)
        if group[i] == group[j] and (inside or file[i] != file[j])
    }


@pytest.mark.parametrize("sizes", [[40], [25, 15], [15, 15, 10]])
def test_true_pairs_are_those_of_the_definition(sizes: list[int]) -> None:
    person = np.random.default_rng(1).integers(0, 12, sum(sizes))
    records = records_of(sizes, person)
    found = {tuple(sorted(pair)) for pair in true_pairs(records).tolist()}
    assert found == pairs_by_hand(person, records.file)
    assert len(true_pairs(records)) == len(found)


@pytest.mark.parametrize("sizes", [[40], [25, 15], [15, 15, 10]])
def test_quality_of_labels_agrees_with_sets_of_pairs(sizes: list[int]) -> None:
    """The peer's groups come back as labels; pairs implied by a group count."""
    rng = np.random.default_rng(2)
    person, label = rng.integers(0, 12, sum(sizes)), rng.integers(0, 15, sum(sizes))
    file = records_of(sizes, person).file
    true, found = pairs_by_hand(person, file), pairs_by_hand(label, file)
    quality = quality_of(label.astype(np.int32), person, file)
    assert quality.pairs_true == len(true)
    assert quality.pairs_found == len(found)
    assert quality.pairs_correct == len(true & found)
    assert quality.f1 == 2 * len(true & found) / (len(true) + len(found))
