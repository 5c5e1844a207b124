"""Linkage quality against known persons, through the code that links in earnest.

Encodes under a throw-away key, compares, refines, solves, and counts. With one input
its records are compared among themselves (de-duplication).
"""

import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keys.derive import KeyContext, LinkageKey
from linkage.agent.blocktokens import block_tokens, within_pairs
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordEncoder
from linkage.agent.evidence import Evidence, comparisons_by_files
from linkage.agent.fieldrows import FieldRows
from linkage.agent.session import refinement_of
from linkage.agent.source import Source
from linkage.block.shared import SharedPairs, equal_pairs, meeting_pairs, shared_pairs
from linkage.classify.fellegi_sunter import LinkageModel
from linkage.classify.missed import missed_matches
from linkage.classify.quality import Quality, best_threshold, quality_of
from linkage.compare.candidates import Candidates, concatenate
from linkage.encode.encoder import EncodedRecords, schema_id
from linkage.encode.pairkeys import pair_keys
from linkage.engine.floor import candidate_floor
from linkage.engine.local import find_candidates, run_all, run_histogram, run_task
from linkage.engine.plan import Task, plan
from linkage.engine.records import Inputs, PreparedRecords, prepare
from linkage.engine.refinement import (
    Comparison,
    RefinePairs,
    pairs_of_unlike,
    probability_at,
    select_pairs,
    similarity_at,
)
from linkage.errors import QuotaExceededError, RecordError
from linkage.job import Refinement
from linkage.schema import LinkageSchema
from linkage.solve.agreed import solve_agreed
from linkage.solve.groups import single_parties, solve_groups

MAX_COMPARISONS = 5_000_000_000
_BINS = 2_000
# Pairs kept for the sweep, per record: far below the best threshold of any data, so
# the sweep is complete, and bounded however alike the records are.
_SWEPT_PAIRS_PER_RECORD = 50
# Pairs whose rows are held at once.
_REFINED_AT_ONCE = 65_536


@dataclass(frozen=True)
class Evaluation:
    """What a linkage of known persons brought.

    Attributes:
        at_threshold: quality at the schema's threshold.
        best: quality at the best threshold.
        best_threshold: the threshold with the best F1, solved again for each; a
            similarity of codes with one round, a probability with two.
        pairs_compared: number of comparisons of the first round.
        refined: what the second round was, None without one.
        seconds: from raw records to solved groups, without the sweep.
        evidence: the scored pairs, where they were asked for.
    """

    at_threshold: Quality
    best: Quality
    best_threshold: float
    pairs_compared: int
    refined: "Refined | None"
    seconds: float
    evidence: Evidence | None = None

    def to_dict(self) -> dict[str, float | int]:
        """Return the figures under their public names."""
        quality = self.at_threshold
        figures: dict[str, float | int] = {
            "f1": quality.f1,
            "precision": quality.precision,
            "recall": quality.recall,
            "best_f1": self.best.f1,
            "best_threshold": self.best_threshold,
            "pairs_true": quality.pairs_true,
            "pairs_found": quality.pairs_found,
            "pairs_compared": self.pairs_compared,
        }
        if self.refined is not None:
            figures |= {
                "pairs_refined": self.refined.pairs,
                "pairs_completeness": self.refined.completeness,
                "estimated_precision": self.refined.precision,
                "estimated_recall": min(
                    quality.pairs_found * self.refined.precision / self.refined.matches, 1.0
                ),
            }
        figures["seconds"] = round(self.seconds, 3)
        return figures


@dataclass(frozen=True)
class Refined:
    """The second round of an evaluation.

    Attributes:
        pairs: number of pairs that were refined.
        completeness: share of the true pairs among them.
        precision: share of matches among the pairs likelier than not, as estimated.
        matches: number of all matches, candidates or not, as estimated.
        model: what was learnt of the comparison levels.
    """

    pairs: int
    completeness: float
    precision: float
    matches: float
    model: LinkageModel


@dataclass(frozen=True)
class _Records:
    inputs: Inputs
    rows: list[FieldRows]
    person: NDArray[np.int64]
    file: NDArray[np.uint8]

    @property
    def sizes(self) -> list[int]:
        return self.inputs.sizes

    @property
    def first(self) -> NDArray[np.int64]:
        return np.concatenate(([0], np.cumsum(self.sizes)))


def evaluate(
    schema: LinkageSchema,
    inputs: Sequence[SourceConfig],
    truth: str,
    threads: int,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    *,
    keep_evidence: bool = False,
) -> Evaluation:
    """Link files of known persons and return how well it went.

    Args:
        schema: the linkage schema, which says how many rounds there are.
        inputs: the files; one is de-duplicated, several are linked.
        truth: column that names the person; it is never encoded.
        threads: threads that compare.
        on_progress: told comparisons done and planned, over all passes.
        keep_evidence: keep the scored pairs, as a report needs them.

    Raises:
        RecordError: a file cannot be used.
        QuotaExceededError: more comparisons than even blocks may take.
    """
    if truth in {a.name for a in schema.attributes}:
        raise RecordError(f"the truth column {truth} is an attribute of the schema: take it out")
    started = time.monotonic()
    records = _load(schema, inputs, truth)
    tasks = plan(records.inputs, MAX_COMPARISONS)
    planned = sum(task.comparisons for task in tasks)
    if planned > MAX_COMPARISONS:
        raise QuotaExceededError(
            f"{planned:,} comparisons, also with blocks: at most {MAX_COMPARISONS:,} are made; "
            "take a sample of the files, or blocks that tell more"
        )
    run = _Run(records, tasks, threads, on_progress)
    refinement = refinement_of(schema)
    refined = levels = None
    if refinement is None:
        threshold = schema.threshold
        candidates = run.compare(run.swept_floor(threshold))
    else:
        threshold = similarity_at(schema.threshold)
        candidates, levels, refined = _refine(records, run, refinement)
    many = len(inputs) > 1
    single = single_parties(schema.match.cardinality, len(inputs)) if many else frozenset()
    groups = solve_groups(candidates, records.file, single)
    agreed = solve_agreed(
        candidates, records.file, len(inputs), schema.match.cardinality, threshold
    )
    at_threshold = quality_of(agreed.label, records.person, records.file)
    seconds = time.monotonic() - started
    best_at, best = best_threshold(groups, records.person, records.file)
    if refined is not None:
        best_at = probability_at(best_at)
    evidence = None
    if keep_evidence:
        evidence = Evidence(
            person=records.person,
            file=records.file,
            candidates=candidates.distinct() if refined is None else candidates,
            label=agreed.label,
            groups=groups,
            threshold=threshold,
            compared=comparisons_by_files(tasks),
            levels=levels,
            model=refined.model if refined is not None else None,
        )
    return Evaluation(at_threshold, best, best_at, planned, refined, seconds, evidence)


def _load(schema: LinkageSchema, inputs: Sequence[SourceConfig], truth: str) -> _Records:
    context = KeyContext("evaluation", schema_id(schema), "evaluation", 1)
    key = LinkageKey(os.urandom(32), context)
    parties: list[PreparedRecords] = []
    values: list[NDArray[np.uint64]] = []
    rows: list[FieldRows] = []
    persons: list[str] = []
    for config in inputs:
        encoder = RecordEncoder(schema, config, key)
        parts: list[EncodedRecords] = []
        truths: list[pa.ChunkedArray[pa.StringScalar]] = []
        rows.append(FieldRows(schema))
        for table in Source(config, schema, also=(truth,)).chunks():
            columns = encoder.columns(table)
            parts.append(encoder.encode_columns(columns))
            if schema.match.rounds == 2:
                rows[-1].add(columns)
            truths.append(table[truth])
        parties.append(
            prepare(
                np.concatenate([part.codes for part in parts]),
                schema.encoding.scheme,
                np.concatenate([part.exact for part in parts]),
            )
        )
        values.append(np.concatenate([part.values for part in parts]))
        # Whoever has no truth is a person of its own.
        persons += [
            value or f"\0{len(parties)}.{row}"
            for row, value in enumerate(v for column in truths for v in column.to_pylist())
        ]
    _, person = np.unique(np.array(persons, dtype=object).astype(str), return_inverse=True)
    sizes = [len(party) for party in parties]
    file = np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)
    compared = Inputs(parties, _shared(schema, key, parties, values), bool(schema.block_entries))
    return _Records(compared, rows, person.astype(np.int64), file)


def _shared(
    schema: LinkageSchema,
    key: LinkageKey,
    parties: Sequence[PreparedRecords],
    values: Sequence[NDArray[np.uint64]],
) -> dict[tuple[int, int], SharedPairs]:
    """Return the pairs that share a token, as the parties of a job would find them."""
    shared = {}
    for left, right in itertools.combinations(range(len(parties)), 2):
        name = f"{left}\0{right}"
        ours = block_tokens(schema, key, values[left], [(name, "left")])
        theirs = block_tokens(schema, key, values[right], [(name, "right")])
        met = (meeting_pairs(*both) for both in zip(ours, theirs, strict=True))
        equal = equal_pairs(parties[left].exact, parties[right].exact)
        shared[left, right] = shared_pairs(itertools.chain([equal], met))
    if len(parties) == 1:
        # One party needs no token to know which of its records share a value.
        equal = equal_pairs(parties[0].exact, parties[0].exact)
        within = within_pairs(schema, key, values[0])
        shared[0, 0] = shared_pairs(itertools.chain([equal], within))
    return shared


class _Run:
    """The comparisons of an evaluation, made as often as they are needed."""

    def __init__(
        self,
        records: _Records,
        tasks: list[Task],
        threads: int,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self.records, self.tasks = records, tasks
        self._threads, self._on_progress = threads, on_progress
        self._planned = sum(task.comparisons for task in tasks)
        self._passes = 1

    def swept_floor(self, threshold: float) -> float:
        """Return a similarity low enough for the sweep, that not too many pairs reach."""
        self._passes = 2
        histogram = np.zeros(_BINS + 1, dtype=np.int64)
        done = 0

        def run(task: Task) -> NDArray[np.int64]:
            return run_histogram(task, self.records.inputs, _BINS)

        for task, counts in run_all(self.tasks, run, self._threads):
            histogram += counts
            done += task.comparisons
            self._on_progress(done, 2 * self._planned)
        reaching = np.cumsum(histogram[::-1])[::-1]
        budget = _SWEPT_PAIRS_PER_RECORD * sum(self.records.sizes)
        few = np.flatnonzero(reaching <= budget)
        # Where even the most alike pairs are too many, only those above the threshold count.
        lowest = few[0] / _BINS if len(few) else threshold
        return float(min(max(lowest, 1 / _BINS), threshold))

    def compare(self, floor: float) -> Candidates:
        """Return the pairs above a floor; record numbers count over all files."""
        first = self.records.first
        return concatenate(
            found.shifted(int(first[task.left]), int(first[task.right]))
            for task, found in self.compare_tasks(floor)
        )

    def compare_tasks(
        self,
        floor: float,
        find: Callable[[Task, Inputs, float], Candidates] = run_task,
    ) -> list[tuple[Task, Candidates]]:
        """Return the pairs above a floor by task; record numbers count in each file."""
        parts, done = [], (self._passes - 1) * self._planned

        def run(task: Task) -> Candidates:
            return find(task, self.records.inputs, floor)

        for task, found in run_all(self.tasks, run, self._threads):
            parts.append((task, found))
            done += task.comparisons
            self._on_progress(done, self._passes * self._planned)
        return parts


def _refine(
    records: _Records, run: _Run, refinement: Refinement
) -> tuple[Candidates, NDArray[np.int8], Refined]:
    """Return the scored candidates of the second round, and their comparison levels."""
    rng = np.random.default_rng(int.from_bytes(os.urandom(16), "big"))
    floor = candidate_floor(run.tasks, records.inputs, refinement.candidates, rng)
    parts = run.compare_tasks(floor, find_candidates)
    comparison = Comparison(refinement)
    n, first = len(records.sizes), records.first
    found: list[tuple[RefinePairs, NDArray[np.int8], int, int]] = []
    for left, right in list(itertools.combinations(range(n), 2)) or [(0, 0)]:
        of_pair = [part for task, part in parts if (task.left, task.right) == (left, right)]
        pairs = select_pairs(
            concatenate(of_pair).distinct(),
            records.sizes[left],
            records.sizes[right],
            refinement.candidates,
            rng,
            decoys=False,
            within=left == right,
        )
        found.append((pairs, _levels(records, comparison, left, right, pairs), left, right))
    drawn = np.concatenate([pairs.drawn for pairs, *_ in found])
    levels = np.concatenate([of_pair for _, of_pair, *_ in found])
    lefts = np.concatenate([p.left + np.int32(first[left]) for p, _, left, _ in found])[~drawn]
    rights = np.concatenate([p.right + np.int32(first[right]) for p, _, _, right in found])[~drawn]
    model, scores = comparison.score(levels, drawn, pairs_of_unlike(records.sizes))
    found_by = np.concatenate(
        [
            records.inputs.shared[left, right].count_of(pairs.left, pairs.right)
            for pairs, _, left, right in found
        ]
    )[~drawn]
    missed = missed_matches(found_by, scores.posterior)
    likely = scores.posterior > 0.5
    matches = float(scores.posterior[likely].sum())
    true = quality_of(records.person.astype(np.int32), records.person, records.file).pairs_true
    same = records.person[lefts] == records.person[rights]
    refined = Refined(
        pairs=len(levels),
        completeness=float(same.sum() / true) if true else 1.0,
        precision=matches / float(likely.sum()) if likely.any() else 1.0,
        matches=model.matches + missed,
        model=model,
    )
    return Candidates(lefts, rights, scores.similarity), levels[~drawn], refined


def _levels(
    records: _Records, comparison: Comparison, left: int, right: int, pairs: RefinePairs
) -> NDArray[np.int8]:
    """Return the comparison levels of pairs, as both owners' rows give them."""
    key = os.urandom(32)
    parts = []
    exact = records.inputs.parties[left].exact, records.inputs.parties[right].exact
    for start in range(0, len(pairs), _REFINED_AT_ONCE):
        numbers = np.arange(start, min(start + _REFINED_AT_ONCE, len(pairs)), dtype=np.uint32)
        keys = pair_keys(key, numbers)
        own, other = pairs.left[numbers], pairs.right[numbers]
        parts.append(
            comparison.levels(
                records.rows[left].encode(own.astype(np.int64), keys, "left"),
                records.rows[right].encode(other.astype(np.int64), keys, "right"),
                exact[0][own],
                exact[1][other],
            )
        )
    return np.concatenate([np.zeros((0, len(comparison.types)), np.int8), *parts])


def input_of(path: Path, record_id: str) -> SourceConfig:
    """Return the source settings of a file whose columns are named as the attributes."""
    return SourceConfig(path=path, record_id=record_id)
