"""The plain-text peer: what recordlinkage brings when nothing needs to be hidden.

Candidate pairs by several blocking passes, comparison vectors, and two ways to weigh
them: without truth (ECM), and by logistic regression that knows half of the persons.
Solved and counted by the same code as ours, at the best threshold of each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import toolkit
from benchmarks.blocking import keys_of, prepared
from benchmarks.records import RecordSet
from benchmarks.schemes import true_pairs
from linkage.classify.quality import Quality, best_threshold
from linkage.compare.candidates import Candidates
from linkage.solve.groups import single_parties, solve_groups

_SEED = 20_260_101


@dataclass(frozen=True)
class PlainTextResult:
    """What plain text brought.

    Attributes:
        ecm: best quality of the unsupervised weights.
        logistic: best quality of logistic regression; None where half of the truth holds
            nothing to learn.
        candidates: pairs that the blocking left.
        completeness: share of the true pairs among them.
    """

    ecm: Quality
    logistic: Quality | None
    candidates: int
    completeness: float

    @property
    def best_f1(self) -> float:
        """The better of the two."""
        return max(self.ecm.f1, self.logistic.f1 if self.logistic else 0.0)


def link_plain_text(records: RecordSet) -> PlainTextResult:
    """Link a set in plain text.

    Logistic regression is crossed over: persons are drawn into two halves, a pair inside
    one half is scored by the model that learned on the other, and a pair across by the
    mean of both. So no pair is scored by a model that knew its truth, and the whole set
    is linked, as by every other contestant.
    """
    experiment = records.experiment
    values = {column.name: prepared(records, column) for column in experiment.columns}
    pairs = toolkit.candidate_pairs(
        [keys_of(keys, values) for keys in experiment.blocking],
        [(_joined(values, n.on), n.window) for n in experiment.neighbourhoods],
        records.file,
    )
    vectors = toolkit.comparison_vectors(pairs, experiment.columns, values)
    left, right = (np.asarray(pairs.get_level_values(side)) for side in (0, 1))
    is_match = records.person[left] == records.person[right]
    crossed = _crossed_scores(records, vectors, left, right, is_match)
    return PlainTextResult(
        ecm=best_of_scores(records, left, right, toolkit.ecm_scores(vectors)),
        logistic=None if crossed is None else best_of_scores(records, left, right, crossed),
        candidates=len(left),
        completeness=float(is_match.sum() / max(1, len(true_pairs(records)))),
    )


def _joined(values: dict[str, list[str | None]], names: tuple[str, ...]) -> list[str | None]:
    rows = zip(*(values[name] for name in names), strict=True)
    return [" ".join(value or "" for value in row).strip() or None for row in rows]


def _crossed_scores(
    records: RecordSet,
    vectors: toolkit.Vectors,
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    is_match: NDArray[np.bool_],
) -> NDArray[np.float64] | None:
    half = np.random.default_rng(_SEED).integers(0, 2, int(records.person.max()) + 1)
    left_half, right_half = half[records.person[left]], half[records.person[right]]
    by_half = []
    for learned in (0, 1):
        training = (left_half == learned) & (right_half == learned)
        scores = toolkit.logistic_scores(vectors, training, is_match)
        if scores is None:
            return None
        by_half.append(scores)
    mean = (by_half[0] + by_half[1]) / 2
    other = np.where(left_half == 0, by_half[1], by_half[0])
    return np.where(left_half == right_half, other, mean)


def best_of_scores(
    records: RecordSet,
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    scores: NDArray[np.float64],
) -> Quality:
    """Return the quality at the best threshold of scored pairs, solved as ours are.

    Args:
        records: the set.
        left: the smaller record number of each pair, over all files in a row.
        right: the larger one.
        scores: the higher, the likelier a match; only their order counts.
    """
    # Only the order of scores matters to the solver: ranks fit its range and its floats.
    distinct, rank = np.unique(scores, return_inverse=True)
    similarity = ((rank + 1) / len(distinct)).astype(np.float32)
    candidates = Candidates(left.astype(np.int32), right.astype(np.int32), similarity)
    n_files = len(records.tables)
    cardinality = records.experiment.set.cardinality
    single = single_parties(cardinality, n_files) if n_files > 1 else frozenset()
    groups = solve_groups(candidates, records.file, single)
    return best_threshold(groups, records.person, records.file)[1]
