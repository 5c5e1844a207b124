"""Precision and recall agree with counting every pair by hand."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.classify.quality import Quality, best_threshold, quality_of
from linkage.compare.candidates import Candidates
from linkage.solve.groups import solve_groups

Problem = tuple[list[int], list[int], list[tuple[int, int, float]], frozenset[int]]


def count_by_hand(label: list[int], person: list[int], file: list[int]) -> Quality:
    """The definition, one pair after another."""
    several = len(set(file)) > 1
    true = found = correct = 0
    for i, j in combinations(range(len(label)), 2):
        if several and file[i] == file[j]:
            continue
        is_true, is_found = person[i] == person[j], label[i] == label[j]
        true, found, correct = true + is_true, found + is_found, correct + (is_true and is_found)
    return Quality(true, found, correct)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Files of records of persons, scored pairs between them, and the single files."""
    n_files = draw(st.integers(1, 3))
    n = draw(st.integers(1, 12))
    file = sorted(draw(st.lists(st.integers(0, n_files - 1), min_size=n, max_size=n)))
    person = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    several = len(set(file)) > 1
    possible = [(i, j) for i, j in combinations(range(n), 2) if not several or file[i] != file[j]]
    pairs = draw(st.lists(st.sampled_from(possible), unique=True, max_size=25)) if possible else []
    scores = st.sampled_from([0.25, 0.5, 0.625, 0.75, 0.875, 1.0])
    scored = [(i, j, draw(scores)) for i, j in pairs]
    single = draw(st.frozensets(st.integers(0, 2))) if several else frozenset()
    return file, person, scored, single


def candidates_of(pairs: list[tuple[int, int, float]]) -> Candidates:
    columns: list[tuple[float, ...]] = list(zip(*pairs, strict=True)) or [(), (), ()]
    return Candidates(
        np.array(columns[0], np.int32),
        np.array(columns[1], np.int32),
        np.array(columns[2], np.float32),
    )


LABELS = st.integers(1, 14).flatmap(
    lambda n: st.tuples(
        *(st.lists(st.integers(0, high), min_size=n, max_size=n) for high in (n - 1, 6, 2))
    )
)


@given(LABELS)
def test_quality_is_what_counting_every_pair_gives(
    columns: tuple[list[int], list[int], list[int]],
) -> None:
    label, person, file = columns
    got = quality_of(
        np.array(label, np.int32), np.array(person, np.int64), np.array(file, np.uint8)
    )
    assert got == count_by_hand(label, person, file)


@given(LABELS)
def test_inside_one_file_every_pair_counts(
    columns: tuple[list[int], list[int], list[int]],
) -> None:
    label, person, _ = columns
    file = [3] * len(label)
    got = quality_of(
        np.array(label, np.int32), np.array(person, np.int64), np.array(file, np.uint8)
    )
    assert got == count_by_hand(label, person, file)


@given(problems())
def test_the_best_threshold_is_the_best_of_all_solved_again(problem: Problem) -> None:
    file, person, pairs, single = problem
    party_of = np.array(file, np.uint8)
    people = np.array(person, np.int64)
    tried = {}
    for threshold in {1.01, *(s for _, _, s in pairs)}:
        kept = candidates_of([pair for pair in pairs if pair[2] >= threshold])
        label = solve_groups(kept, party_of, single).label.tolist()
        tried[threshold] = count_by_hand(label, person, file)
    best_f1 = max(quality.f1 for quality in tried.values())
    groups = solve_groups(candidates_of(pairs), party_of, single)
    threshold, quality = best_threshold(groups, people, party_of)
    assert quality.f1 == best_f1
    expected = max(t for t in tried if tried[t].f1 == best_f1)
    assert threshold == min(expected, 1.0)
    if expected <= 1:
        assert quality == tried[expected]
        assert quality == quality_of(groups.above(threshold).label, people, party_of)


def test_figures_of_a_quality() -> None:
    quality = Quality(pairs_true=4, pairs_found=5, pairs_correct=3)
    assert quality.precision == pytest.approx(0.6)
    assert quality.recall == pytest.approx(0.75)
    assert quality.f1 == pytest.approx(2 * 0.6 * 0.75 / (0.6 + 0.75))


@pytest.mark.parametrize(
    ("counts", "figures"),
    [
        ((0, 0, 0), (1, 1, 1)),
        ((3, 0, 0), (1, 0, 0)),
        ((0, 3, 0), (0, 1, 0)),
        ((3, 3, 3), (1, 1, 1)),
        ((3, 3, 0), (0, 0, 0)),
    ],
)
def test_figures_where_there_is_nothing(
    counts: tuple[int, int, int], figures: tuple[int, int, int]
) -> None:
    quality = Quality(*counts)
    assert (quality.precision, quality.recall, quality.f1) == figures


def test_no_record_has_no_pairs() -> None:
    empty = np.zeros(0, np.int64)
    got = quality_of(empty.astype(np.int32), empty, empty.astype(np.uint8))
    assert got == Quality(0, 0, 0)
