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
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keys.derive import KeyContext, LinkageKey
from linkage.agent.blocktokens import block_tokens, within_pairs
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordEncoder, RecordValues
from linkage.agent.evidence import Evidence, comparisons_by_files
from linkage.agent.fieldrows import FieldRows
from linkage.agent.refining import RefinedFile, RefinedPairs, refine_files
from linkage.agent.session import refinement_of
from linkage.agent.source import Source
from linkage.block.shared import SharedPairs, equal_pairs, meeting_pairs, shared_pairs
from linkage.classify.fellegi_sunter import LinkageModel
from linkage.classify.intervals import UNKNOWN, Interval
from linkage.classify.missed import missed_matches
from linkage.classify.null import Null
from linkage.classify.quality import Quality, quality_of
from linkage.classify.refined import estimate_quality
from linkage.classify.sweep import GreedySweep, Sweep
from linkage.classify.threshold import choose_threshold
from linkage.compare.candidates import Candidates, concatenate
from linkage.encode.encoder import EncodedRecords, schema_id
from linkage.engine.local import run_all, run_histogram, run_task
from linkage.engine.plan import Task, plan
from linkage.engine.records import Inputs, PreparedRecords, prepare
from linkage.engine.refinement import (
    CERTAIN,
    Comparison,
    in_bands,
    pairs_of_unlike,
    probability_at,
    similarity_at,
    sweep_of,
)
from linkage.errors import ConfigError, QuotaExceededError, RecordError
from linkage.schema import LinkageSchema
from linkage.solve.agreed import solve_agreed
from linkage.solve.groups import Groups, single_parties, solve_groups

MAX_COMPARISONS = 5_000_000_000
_BINS = 2_048
# Pairs kept for the sweep, per record: far below the best threshold of any data, so
# the sweep is complete, and bounded however alike the records are.
_SWEPT_PAIRS_PER_RECORD = 50


@dataclass(frozen=True)
class Evaluation:
    """What a linkage of known persons brought.

    Attributes:
        at_threshold: quality where pairs were linked.
        best: quality at the best threshold.
        threshold: where pairs were linked, without truth; a similarity of codes with one
            round, a probability with two.
        estimated: how good the links are without truth, None where it cannot be told.
        best_threshold: the threshold with the best F1, solved again for each.
        pairs_compared: number of comparisons of the first round.
        refined: what the second round was, None without one.
        seconds: from raw records to solved groups, without the sweep.
        evidence: the scored pairs, where they were asked for.
    """

    at_threshold: Quality
    threshold: float
    estimated: "Estimated | None"
    best: Quality
    best_threshold: float
    pairs_compared: int
    refined: "Refined | None"
    seconds: float
    evidence: Evidence | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        quality = self.at_threshold
        figures: dict[str, Any] = {
            "f1": quality.f1,
            "precision": quality.precision,
            "recall": quality.recall,
            "threshold": self.threshold,
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
            }
        if self.estimated is not None:
            for name, interval in (
                ("precision", self.estimated.precision),
                ("recall", self.estimated.recall),
            ):
                figures[f"estimated_{name}"] = interval.estimate
                figures[f"estimated_{name}_interval"] = [interval.low, interval.high]
            figures["notes"] = list(self.estimated.notes)
        figures["seconds"] = round(self.seconds, 3)
        return figures


@dataclass(frozen=True)
class Refined:
    """The second round of an evaluation.

    Attributes:
        pairs: number of pairs that were refined.
        completeness: share of the true pairs among them.
        matches: number of all matches, candidates or not, as estimated.
        model: what was learnt of the comparison levels.
    """

    pairs: int
    completeness: float
    matches: float
    model: LinkageModel


@dataclass(frozen=True)
class Estimated:
    """How good links are, told without truth.

    Attributes:
        precision: share of right links.
        recall: share of matches that are linked.
        notes: what a reader of these figures must know.
    """

    precision: Interval
    recall: Interval
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Truth:
    """Who the records are, over all files."""

    person: NDArray[np.int64]
    file: NDArray[np.uint8]

    @property
    def sizes(self) -> list[int]:
        return [int(n) for n in np.bincount(self.file)]


@dataclass(frozen=True)
class _Linked:
    """Scored pairs, and what came of comparing.

    Attributes:
        candidates: distinct pairs by how much speaks for them; record numbers count over all
            files.
        sweep: the groups at any threshold.
        decided: the same pairs as a job decides on them.
        threshold: similarity from which a job links.
        compared: pairs compared by pair of files: of all, and of those sharing a token.
        refined: the second round, None without one.
        levels: comparison levels of the candidates, None without a second round.
        posterior: probability of each candidate, likewise.
        missed: estimated number of matches that are no candidates.
        estimated: how good the links are, where that is told before they are made.
        certain: similarity from which a pair joins two groups without support.
    """

    candidates: Candidates
    sweep: Sweep
    decided: Candidates
    threshold: float
    compared: dict[tuple[int, int], tuple[int, int]]
    refined: Refined | None = None
    levels: NDArray[np.int8] | None = None
    posterior: NDArray[np.float64] | None = None
    missed: float = 0.0
    estimated: Estimated | None = None
    certain: float = 0.0


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
    context = KeyContext("evaluation", schema_id(schema), "evaluation", 1)
    key = LinkageKey(os.urandom(32), context)
    if schema.match.rounds == 1:
        known, linked = _one_round(schema, inputs, truth, key, threads, on_progress)
    else:
        known, linked = _two_rounds(schema, inputs, truth, key)
    agreed = solve_agreed(
        linked.decided,
        known.file,
        len(inputs),
        schema.match.cardinality,
        linked.threshold,
        linked.certain,
    )
    at_threshold = quality_of(agreed.label, known.person, known.file)
    seconds = time.monotonic() - started
    best_at, best = linked.sweep.best(known.person, known.file)
    if at_threshold.f1 > best.f1:
        # A job tells pairs apart by bands alone, which can be right where the order is not.
        best_at, best = linked.threshold, at_threshold
    threshold = linked.threshold
    if linked.refined is not None:
        best_at, threshold = probability_at(best_at), schema.threshold
    evidence = None
    if keep_evidence:
        evidence = Evidence(
            person=known.person,
            file=known.file,
            candidates=linked.candidates,
            label=agreed.label,
            sweep=linked.sweep,
            threshold=linked.threshold,
            compared=linked.compared,
            levels=linked.levels,
            model=linked.refined.model if linked.refined is not None else None,
        )
    n_compared = sum(sum(of_files) for of_files in linked.compared.values())
    return Evaluation(
        at_threshold,
        threshold,
        _estimated(linked, agreed),
        best,
        best_at,
        n_compared,
        linked.refined,
        seconds,
        evidence,
    )


def _estimated(linked: _Linked, agreed: Groups) -> Estimated | None:
    """Return how good the links are without truth, where it can be told."""
    if linked.posterior is None or linked.refined is None:
        return linked.estimated
    pairs = linked.decided
    are_linked = (pairs.similarity >= np.float32(linked.threshold)) & (
        agreed.label[pairs.left] == agreed.label[pairs.right]
    )
    rng = np.random.default_rng(0)
    intervals = estimate_quality(linked.posterior, are_linked, linked.missed, rng)
    return Estimated(*intervals, linked.refined.model.notes)


def _one_round(
    schema: LinkageSchema,
    inputs: Sequence[SourceConfig],
    truth: str,
    key: LinkageKey,
    threads: int,
    on_progress: Callable[[int, int], None],
) -> tuple[_Truth, _Linked]:
    """Compare codes; nothing leaves the machine, so that blocks tell nobody anything."""
    schema = schema.blocked()
    persons = _Persons()
    parties: list[PreparedRecords] = []
    values: list[NDArray[np.uint64]] = []
    for config in inputs:
        encoder = RecordEncoder(schema, config, key)
        parts: list[EncodedRecords] = []
        for table in Source(config, schema, also=(truth,)).chunks():
            parts.append(encoder.encode(table))
            persons.add(table[truth], len(parties))
        codes = np.concatenate([part.codes for part in parts])
        exact = np.concatenate([part.exact for part in parts])
        parties.append(prepare(codes, schema.encoding.scheme, exact))
        values.append(np.concatenate([part.values for part in parts]))
    records = Inputs(parties, _shared(schema, key, parties, values), bool(schema.block_entries))
    tasks = plan(records, MAX_COMPARISONS)
    planned = sum(task.comparisons for task in tasks)
    if planned > MAX_COMPARISONS:
        raise QuotaExceededError(
            f"{planned:,} comparisons, also with blocks: at most {MAX_COMPARISONS:,} are made; "
            "take a sample of the files, or blocks that tell more"
        )
    run, known = _Run(records, tasks, threads, on_progress), persons.known()
    histogram = run.histogram()
    found = run.compare(run.swept_floor(histogram, schema.threshold)).distinct()
    single = _single(schema, known)
    groups, chosen = solve_groups(found, known.file, single), None
    if schema.match.threshold is None and run.compares_all:
        null, rng = Null.of(schema.encoding), np.random.default_rng(0)
        chosen = choose_threshold(histogram, found, groups, known.file, single, null, rng)
    # Similarities of pairs that share a block are not those of all pairs: they choose nothing.
    if chosen is None or chosen.precision is UNKNOWN:
        at, estimated = schema.threshold, None
    else:
        at, estimated = chosen.value, Estimated(chosen.precision, chosen.recall, chosen.notes)
    compared = comparisons_by_files(tasks)
    return known, _Linked(found, GreedySweep(groups), found, at, compared, estimated=estimated)


def _single(schema: LinkageSchema, known: _Truth) -> frozenset[int]:
    """Return the files that have each person at most once."""
    n_files = len(known.sizes)
    return single_parties(schema.match.cardinality, n_files) if n_files > 1 else frozenset()


def _two_rounds(
    schema: LinkageSchema, inputs: Sequence[SourceConfig], truth: str, key: LinkageKey
) -> tuple[_Truth, _Linked]:
    """Let tickets meet, and compare fields of the pairs that did."""
    if not schema.entries:
        problem = "no attribute can be found by: set match.rounds = 1, or add one such as a name"
        raise ConfigError(schema.name, [problem])
    persons = _Persons()
    files: list[RefinedFile] = []
    for config in inputs:
        reader, rows = RecordValues(schema, config, key), FieldRows(schema)
        parts: list[NDArray[np.uint64]] = []
        for table in Source(config, schema, also=(truth,)).chunks():
            columns = reader.columns(table)
            parts.append(reader.values(columns))
            rows.add(columns)
            persons.add(table[truth], len(files))
        files.append(RefinedFile(np.concatenate(parts), rows))
    known = persons.known()
    rng = np.random.default_rng(int.from_bytes(os.urandom(16), "big"))
    pairs = refine_files(schema, key, files, rng)
    return known, _scored(schema, pairs, known)


def _scored(schema: LinkageSchema, pairs: RefinedPairs, known: _Truth) -> _Linked:
    refinement = refinement_of(schema)
    if refinement is None:
        raise ValueError("a schema of one round has no second one")
    model, scores = Comparison(refinement).score(
        pairs.levels, pairs.drawn, pairs_of_unlike(known.sizes)
    )
    met = ~pairs.drawn
    lefts, rights = pairs.left[met], pairs.right[met]
    true = quality_of(known.person.astype(np.int32), known.person, known.file).pairs_true
    same = known.person[lefts] == known.person[rights]
    missed = missed_matches(pairs.count[met], scores.posterior)
    refined = Refined(
        pairs=len(pairs),
        completeness=float(same.sum() / true) if true else 1.0,
        matches=model.matches + missed,
        model=model,
    )
    files, times = np.unique(
        np.stack([known.file[lefts], known.file[rights]], axis=1), axis=0, return_counts=True
    )
    compared = {
        (int(left), int(right)): (0, int(n)) for (left, right), n in zip(files, times, strict=True)
    }
    candidates = Candidates(lefts, rights, scores.similarity)
    return _Linked(
        candidates,
        sweep_of(candidates, known.file, len(known.sizes), schema.match.cardinality),
        Candidates(lefts, rights, in_bands(scores.posterior, schema.threshold)),
        similarity_at(schema.threshold),
        compared,
        refined,
        pairs.levels[met],
        scores.posterior,
        missed,
        certain=CERTAIN,
    )


class _Persons:
    """Who the records of all files are, as the truth column names them."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._files: list[int] = []

    def add(self, column: "pa.ChunkedArray[pa.StringScalar]", file: int) -> None:
        # Whoever has no truth is a person of its own.
        first = len(self._names)
        self._names += [name or f"\0{first + row}" for row, name in enumerate(column.to_pylist())]
        self._files += [file] * len(column)

    def known(self) -> _Truth:
        names = np.array(self._names, dtype=object).astype(str)
        _, person = np.unique(names, return_inverse=True)
        return _Truth(person.astype(np.int64), np.array(self._files, dtype=np.uint8))


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
        inputs: Inputs,
        tasks: list[Task],
        threads: int,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._inputs, self._tasks = inputs, tasks
        self._threads, self._on_progress = threads, on_progress
        self._planned = sum(task.comparisons for task in tasks)
        self.compares_all = any(task.columns is not None for task in tasks)

    def histogram(self) -> NDArray[np.int64]:
        """Return how many pairs have which similarity, shape (bins + 1,)."""
        histogram = np.zeros(_BINS + 1, dtype=np.int64)
        done = 0

        def run(task: Task) -> NDArray[np.int64]:
            return run_histogram(task, self._inputs, _BINS)

        for task, counts in run_all(self._tasks, run, self._threads):
            # Where all pairs are compared, those that share a block are among them.
            if task.columns is not None or not self.compares_all:
                histogram += counts
            done += task.comparisons
            self._on_progress(done, 2 * self._planned)
        return histogram

    def swept_floor(self, histogram: NDArray[np.int64], threshold: float) -> float:
        """Return a similarity low enough for the sweep, that not too many pairs reach."""
        reaching = np.cumsum(histogram[::-1])[::-1]
        budget = _SWEPT_PAIRS_PER_RECORD * sum(self._inputs.sizes)
        few = np.flatnonzero(reaching <= budget)
        # Where even the most alike pairs are too many, only those above the threshold count.
        lowest = few[0] / _BINS if len(few) else threshold
        return float(max(lowest, 1 / _BINS))

    def compare(self, floor: float) -> Candidates:
        """Return the pairs above a floor; record numbers count over all files."""
        first = [0, *itertools.accumulate(self._inputs.sizes)]
        parts, done = [], self._planned

        def run(task: Task) -> Candidates:
            return run_task(task, self._inputs, floor)

        for task, found in run_all(self._tasks, run, self._threads):
            parts.append(found.shifted(first[task.left], first[task.right]))
            done += task.comparisons
            self._on_progress(done, 2 * self._planned)
        return concatenate(parts)


def input_of(path: Path, record_id: str) -> SourceConfig:
    """Return the source settings of a file whose columns are named as the attributes."""
    return SourceConfig(path=path, record_id=record_id)
