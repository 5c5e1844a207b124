from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linkage.agent.attack import attacked_job, tokens_and_values
from linkage.agent.jobview import job_view
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.frequency import best_alignments
from linkage.privacy.graph import Overlap
from linkage.privacy.jobgraph import JobGraph, match_jobs
from linkage.privacy.made import take
from linkage.privacy.people import control_of
from linkage.privacy.wholejob import attack_whole_job
from linkage.schema import LinkageSchema

Columns = Mapping[str, FlaggedColumn]
_NONE = np.zeros(0, np.int64), np.zeros(0, np.int64)


def graph_of(n: int, order: NDArray[np.int64], seed: int) -> JobGraph:
    """A graph of n pairs with some labels each, records renumbered by an order."""
    rng = np.random.default_rng(seed)
    labels = []
    for _ in range(30):
        left, right = rng.integers(0, n, (2, n // 3))
        labels.append((order[left].astype(np.int32), order[right].astype(np.int32)))
    return JobGraph.of((n, n), labels)


def test_equal_graphs_are_matched_whatever_the_numbering() -> None:
    order = np.random.default_rng(1).permutation(80)
    seen, own = graph_of(80, order, 5), graph_of(80, np.arange(80), 5)
    best = match_jobs(seen, own, _NONE).argmax(axis=1)
    assert (best[order] == np.arange(80)).mean() > 0.95


def test_unlike_graphs_are_not_matched() -> None:
    order = np.random.default_rng(1).permutation(80)
    seen, own = graph_of(80, order, 5), graph_of(80, np.arange(80), 6)
    best = match_jobs(seen, own, _NONE).argmax(axis=1)
    assert (best[order] == np.arange(80)).mean() < 0.1


def test_known_records_stay_what_they_are() -> None:
    seen, own = graph_of(40, np.arange(40), 5), graph_of(40, np.arange(40), 6)
    known = np.array([3, 4]), np.array([8, 9])
    fit = match_jobs(seen, own, known)
    assert fit[known].tolist() == [1, 1]
    assert fit[3].argmax() == 8


def test_a_job_shows_a_persons_two_records_as_an_edge(
    schema: LinkageSchema, columns: Columns
) -> None:
    some = {name: take(column, np.arange(120)) for name, column in columns.items()}
    view = job_view(schema, some, some, 1)
    pairs = set(zip(view.graph.left.tolist(), view.graph.right.tolist(), strict=True))
    assert view.graph.sizes == (120, 120)
    assert sum((record, record) in pairs for record in range(120)) > 110


def test_the_graph_of_a_job_names_people_to_whoever_holds_both_registers(
    schema: LinkageSchema, columns: Columns
) -> None:
    drawn = Overlap.draw(400, 0.8, 1)
    registers = (columns, drawn.encoded), (columns, drawn.plain)
    job, control = (attacked_job(s, registers, 1.0, 1) for s in (schema, control_of(schema)))
    blind, known = attack_whole_job("plain registers", job, control, (0, 100), 1)
    # The leak is real and documented: a gate that did not see it would be worth nothing.
    assert blind.exceeded
    assert known.control is not None
    assert known.control > 0.9


def test_one_time_tokens_keep_no_frequency(schema: LinkageSchema, columns: Columns) -> None:
    tokens, values = tokens_and_values(schema, columns, 1)
    assert max(alignment.hits for alignment in best_alignments(tokens, values)) <= 1
    repeating = {name: column[:, None] for name, column in values.items()}
    assert best_alignments(repeating, values)[0].exceeded
