"""Shared tokens and the comparisons they lead to, against their definition."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.block import shared as shared_module
from linkage.block.exact import raised, share_exact
from linkage.block.shared import MOST_EQUAL, SharedPairs, equal_pairs, meeting_pairs, shared_pairs
from linkage.compare.candidates import concatenate
from linkage.engine import plan as plan_module
from linkage.engine.local import run_all, run_histogram, run_task, score_shared
from linkage.engine.plan import Task, plan, plan_all_pairs
from linkage.engine.records import Inputs, PreparedRecords, prepare

SEEDS = st.integers(0, 2**32 - 1)


def some_tokens(seed: int, n: int, copies: int, width: int, values: int) -> NDArray[np.uint8]:
    """Tokens of few values, so that some stand once and some twice; unlike in their last byte."""
    rng = np.random.default_rng(seed)
    tokens = np.zeros((n, copies, width), dtype=np.uint8)
    tokens[:, :, width - 1] = rng.integers(0, values, (n, copies))
    return tokens


def once(tokens: NDArray[np.uint8]) -> dict[bytes, int]:
    """The tokens that stand once, and whose they are."""
    rows = [(token.tobytes(), record) for record, own in enumerate(tokens) for token in own]
    counts = Counter(token for token, _ in rows)
    return {token: record for token, record in rows if counts[token] == 1}


def in_order(pairs: set[tuple[int, int]]) -> list[int]:
    return [i << 32 | j for i, j in sorted(pairs)]


@given(SEEDS, st.integers(0, 20), st.integers(0, 20), st.integers(1, 4), st.integers(1, 8))
def test_who_shares_a_token_that_stands_once_meets(
    seed: int, n: int, m: int, copies: int, width: int
) -> None:
    left = some_tokens(seed, n, copies, width, 60)
    right = some_tokens(seed + 1, m, copies, width, 60)
    ours, theirs = once(left), once(right)
    expected = {(ours[token], theirs[token]) for token in ours.keys() & theirs.keys()}
    assert meeting_pairs(left, right).tolist() == in_order(expected)


def test_a_token_that_stands_twice_brings_nobody_together() -> None:
    # Not even where only one side breaks the rule: it could find out who shares a value.
    twice, alone = np.full((2, 1, 4), 7, np.uint8), np.full((1, 1, 4), 7, np.uint8)
    assert len(meeting_pairs(twice, alone)) == len(meeting_pairs(alone, twice)) == 0
    assert meeting_pairs(alone, alone).tolist() == [0]
    within_one = np.full((1, 2, 4), 7, np.uint8)
    assert len(meeting_pairs(within_one, alone)) == 0


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2**31 - 1)), max_size=9)))
def test_pairs_of_all_entries_are_listed_once_with_their_number(
    entries: list[list[tuple[int, int]]],
) -> None:
    expected = Counter(pair for entry in entries for pair in set(entry))
    arrays = [np.array(in_order(set(entry)), dtype=np.uint64) for entry in entries]
    for waiting in (shared_module._MOST_WAITING, 3, 0):
        with pytest.MonkeyPatch.context() as patch:
            # However often they are merged.
            patch.setattr(shared_module, "_MOST_WAITING", waiting)
            got = shared_pairs(iter(arrays))
        pairs = list(zip(got.left.tolist(), got.right.tolist(), strict=True))
        assert pairs == sorted(expected)
        assert got.count.tolist() == [expected[pair] for pair in pairs]
        assert len(got) == len(expected)


@given(SEEDS, st.integers(0, 20), st.integers(0, 20), st.integers(0, 3))
def test_pairs_with_an_equal_exact_token_in_one_slot(seed: int, n: int, m: int, slots: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = (
        rng.integers(0, 12, (size, slots, 1), dtype=np.uint8).repeat(16, axis=2) for size in (n, m)
    )
    expected = {
        (i, j)
        for i in range(n)
        for j in range(m)
        if any(bytes(left[i, slot]) == bytes(right[j, slot]) for slot in range(slots))
    }
    assert equal_pairs(left, right).tolist() == in_order(expected)
    within = {
        (i, j)
        for i, j in combinations(range(n), 2)
        if any(bytes(left[i, slot]) == bytes(left[j, slot]) for slot in range(slots))
    }
    assert equal_pairs(left, left).tolist() == in_order(within)


@pytest.mark.parametrize(("n", "m", "found"), [(16, 16, 256), (17, 1, 0), (1, 17, 0), (1, 1, 1)])
def test_a_token_that_many_share_names_nobody(n: int, m: int, found: int) -> None:
    assert MOST_EQUAL == 16
    left, right = np.zeros((n, 2, 16), np.uint8), np.zeros((m, 2, 16), np.uint8)
    # In the other slot everybody has a token of its own.
    left[:, 1, 0], right[:, 1, 0] = np.arange(n) + 1, np.arange(m) + 101
    assert len(equal_pairs(left, right)) == found
    right[0, 1] = left[0, 1]
    assert 0 in equal_pairs(left, right).tolist()


def test_equal_in_all_but_the_last_byte_is_not_equal() -> None:
    left, right = np.zeros((1, 1, 16), np.uint8), np.zeros((2, 1, 16), np.uint8)
    right[0, 0, 15] = 1
    assert equal_pairs(left, right).tolist() == [1]


def records_of(seed: int, n: int, exact: int = 1) -> PreparedRecords:
    rng = np.random.default_rng(seed)
    codes = np.random.default_rng(1).integers(0, 256, (12, 64), dtype=np.uint8)
    codes = codes[rng.integers(0, 12, n)] ^ (rng.random((n, 64)) < 0.1).astype(np.uint8)
    ids = rng.integers(0, 40, (n, exact, 1), dtype=np.uint8).repeat(16, axis=2)
    return prepare(codes, "saul", ids)


def inputs_of(seed: int, *sizes: int, listed: int = 150, exact: int = 1) -> Inputs:
    """Records of parties, some pairs of which share tokens."""
    rng = np.random.default_rng(seed)
    parties = [records_of(seed + i, n, exact) for i, n in enumerate(sizes)]
    shared = {}
    for left, right in list(combinations(range(len(sizes)), 2)) or [(0, 0)]:
        everything = [
            i << 32 | j
            for i in range(sizes[left])
            for j in range(sizes[right])
            if left != right or i < j
        ]
        entries = [
            np.unique(rng.choice(np.array(everything, np.uint64), listed // 2)) for _ in range(3)
        ]
        shared[left, right] = shared_pairs(entries)
    return Inputs(parties, shared, have_tokens=True)


def similarity_by_hand(inputs: Inputs, left: int, right: int, i: int, j: int) -> np.float32:
    one, other = inputs.parties[left], inputs.parties[right]
    differing = int(np.bitwise_count(one.words[i] ^ other.words[j]).sum())
    similarity = np.float32(1 - differing / 512)
    if any(
        (one.exact[i, slot] == other.exact[j, slot]).all() for slot in range(one.exact.shape[1])
    ):
        similarity = (similarity + np.float32(1)) / np.float32(2)
    return similarity


def listed_tasks(inputs: Inputs) -> list[Task]:
    return [task for task in plan(inputs, 0) if task.columns is None]


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([(40,), (40, 33), (20, 15, 10)]), st.floats(0.4, 0.95))
def test_listed_comparisons_are_the_pairs_that_share_a_token(
    seed: int, sizes: tuple[int, ...], threshold: float
) -> None:
    inputs = inputs_of(seed, *sizes)
    expected = {}
    for (left, right), pairs in inputs.shared.items():
        for i, j in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
            similarity = similarity_by_hand(inputs, left, right, i, j)
            if similarity >= np.float32(threshold):
                expected[left, right, i, j] = float(similarity)
    found = {}
    for task in listed_tasks(inputs):
        got = run_task(task, inputs, threshold)
        assert (got.similarity >= np.float32(threshold)).all()
        for i, j, s in zip(got.left, got.right, got.similarity, strict=True):
            found[task.left, task.right, int(i), int(j)] = float(s)
    assert found == pytest.approx(expected, abs=1e-7)


def test_tasks_are_cut_by_pairs_and_the_cut_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = inputs_of(1, 60, 50, 40)
    runs = (run_task, lambda task, inputs, _: score_shared(task, inputs))
    whole = listed_tasks(inputs)
    expected = [concatenate(run(task, inputs, 0.5) for task in whole) for run in runs]
    histogram = sum(run_histogram(task, inputs, 20) for task in whole)
    monkeypatch.setattr(plan_module, "TASK_PAIRS", 7)
    tasks = listed_tasks(inputs)
    assert len(tasks) > len(whole) == 3
    assert all(0 < task.comparisons <= 7 for task in tasks)
    assert sum(task.comparisons for task in tasks) == sum(map(len, inputs.shared.values()))
    for threads in (1, 2):
        for run, of_whole in zip(runs, expected, strict=True):
            cut = run_all(tasks, lambda task, run=run: run(task, inputs, 0.5), threads)  # type: ignore[misc]
            of_cut = concatenate(found for _, found in cut)
            assert of_cut.left.tolist() == of_whole.left.tolist()
            assert of_cut.right.tolist() == of_whole.right.tolist()
            assert of_cut.similarity.tolist() == of_whole.similarity.tolist()
    cut_histogram = sum(run_histogram(task, inputs, 20) for task in tasks)
    assert np.asarray(cut_histogram).tolist() == np.asarray(histogram).tolist()


def test_few_records_are_compared_all_and_many_by_their_tokens() -> None:
    inputs = inputs_of(1, 60, 50)
    listed = [Task(0, 1, (0, n), None, n) for n in [len(inputs.shared[0, 1])]]
    assert plan(inputs, 3_000) == [*plan_all_pairs([60, 50]), *listed]
    assert plan(inputs, 2_999) == listed
    # Without block tokens there is no other way: whoever runs the plan sees its count.
    plain = Inputs(inputs.parties, inputs.shared)
    assert plan(plain, 10) == [*plan_all_pairs([60, 50]), *listed]
    assert plan(Inputs(inputs.parties), 10) == plan_all_pairs([60, 50])
    # Where nobody shares any, nothing is compared.
    nobody = Inputs(inputs.parties, {(0, 1): shared_pairs([])}, have_tokens=True)
    assert plan(nobody, 2_999) == []


def test_a_pair_that_shares_tokens_is_scored_however_unlike() -> None:
    inputs = inputs_of(3, 30, 30)
    found = concatenate(score_shared(task, inputs) for task in listed_tasks(inputs))
    shared = inputs.shared[0, 1]
    assert found.left.tolist() == shared.left.tolist()
    assert found.right.tolist() == shared.right.tolist()
    for i, j, score in zip(shared.left, shared.right, found.similarity, strict=True):
        by_hand = similarity_by_hand(inputs, 0, 1, int(i), int(j))
        assert score == pytest.approx(float(by_hand), abs=1e-6)


def test_an_equal_exact_token_alone_makes_a_candidate() -> None:
    # The exact tokens are one more entry of shared pairs, as matcher and evaluation do it.
    parties = [records_of(1, 40), records_of(2, 30)]
    shared = shared_pairs([equal_pairs(parties[0].exact, parties[1].exact)])
    inputs = Inputs(parties, {(0, 1): shared}, have_tokens=True)
    assert len(shared) > 0
    (task,) = plan(inputs, 0)
    for i, j, similarity in zip(
        shared.left, shared.right, score_shared(task, inputs).similarity, strict=True
    ):
        assert similarity > 0.5
        assert similarity == similarity_by_hand(inputs, 0, 1, int(i), int(j))


def test_an_exact_token_is_equal_in_all_bytes_and_in_its_own_slot() -> None:
    left = np.zeros((1, 2, 16), np.uint8)
    right = np.ones((3, 2, 16), np.uint8)
    right[0, 0] = 0
    right[1, 0] = 0
    right[1, 0, 15] = 1
    right[2, 1] = 0
    pairs = np.zeros(3, np.int32), np.arange(3, dtype=np.int32)
    assert share_exact(left, right, *pairs).tolist() == [True, False, True]
    swapped = left.copy()
    swapped[0, 1] = 7
    assert share_exact(swapped, right, *pairs).tolist() == [True, False, False]
    for own in (left, swapped):
        same = share_exact(own, right, *pairs)
        assert equal_pairs(own, right).tolist() == np.flatnonzero(same).tolist()


def test_what_shares_an_exact_token_is_raised_and_keeps_its_order() -> None:
    similarity = np.array([0.0, 0.5, 0.52, 1.0], dtype=np.float32)
    assert raised(similarity).tolist() == pytest.approx([0.5, 0.75, 0.76, 1.0])


def test_the_histogram_counts_what_the_task_finds() -> None:
    inputs = inputs_of(1, 60, 50)
    for task in plan(inputs, 10_000):
        counts = run_histogram(task, inputs, 10)
        found = run_task(task, inputs, 1e-9).similarity
        assert counts.sum() == len(found) == task.comparisons
        assert counts[9:].sum() == (found >= np.float32(0.9)).sum()


def test_shared_pairs_know_how_many_they_are() -> None:
    none = np.zeros(0, np.int32)
    assert len(SharedPairs(none, none, none.astype(np.int16))) == 0
    assert len(shared_pairs([np.array([1, 2], np.uint64), np.array([2], np.uint64)])) == 2
