"""Buckets and the comparisons they lead to, against their definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.block.buckets import Buckets, count_candidates, joined_tokens, shared_pairs
from linkage.block.exact import raised, share_exact
from linkage.compare.candidates import concatenate
from linkage.engine import plan as plan_module
from linkage.engine.local import run_all, run_histogram, run_task
from linkage.engine.plan import plan, plan_shared
from linkage.engine.records import PreparedRecords, prepare


@st.composite
def sides(draw: st.DrawFn) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    slots = draw(st.integers(1, 4))
    seed, universe = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 12))
    rng = np.random.default_rng(seed)
    n, m = draw(st.integers(0, 30)), draw(st.integers(0, 30))
    left = rng.integers(0, universe, (n, slots), dtype=np.uint64)
    right = rng.integers(0, universe, (m, slots), dtype=np.uint64)
    return left, right


def sharing(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> set[tuple[int, int]]:
    return {
        (i, j)
        for i, own in enumerate(left.tolist())
        for j, other in enumerate(right.tolist())
        if set(own) & set(other)
    }


@given(sides())
def test_pairs_that_share_a_token_are_found_once_each(
    both: tuple[NDArray[np.uint64], NDArray[np.uint64]],
) -> None:
    left, right = both
    buckets = Buckets.of(right)
    got = shared_pairs(buckets, left, len(right), within=False, first=0)
    pairs = list(zip(got[0].tolist(), got[1].tolist(), strict=True))
    assert pairs == sorted(sharing(left, right))
    counts = count_candidates(buckets.find(left), buckets.offsets)
    distinct = np.bincount(got[0], minlength=len(left))
    assert (counts >= distinct).all()


@given(sides(), st.integers(0, 30))
def test_within_one_set_only_later_records_count(
    both: tuple[NDArray[np.uint64], NDArray[np.uint64]], first: int
) -> None:
    own = both[0]
    first = min(first, len(own))
    got = shared_pairs(Buckets.of(own), own[first:], len(own), within=True, first=first)
    expected = {(i, j) for i, j in sharing(own, own) if first <= i < j}
    assert list(zip(got[0].tolist(), got[1].tolist(), strict=True)) == sorted(expected)


def records_of(seed: int, n: int, slots: int = 2, exact: int = 1) -> PreparedRecords:
    rng = np.random.default_rng(seed)
    codes = np.random.default_rng(1).integers(0, 256, (12, 64), dtype=np.uint8)
    codes = codes[rng.integers(0, 12, n)] ^ (rng.random((n, 64)) < 0.1).astype(np.uint8)
    tokens = rng.integers(0, 9, (n, slots), dtype=np.uint32)
    ids = rng.integers(0, 40, (n, exact, 1), dtype=np.uint8).repeat(16, axis=2)
    return prepare(codes, "saul", tokens, ids)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.floats(0.4, 0.95))
def test_shared_comparisons_are_all_pairs_that_share_a_token(
    seed: int, one_set: bool, threshold: float
) -> None:
    parties = (
        [records_of(seed, 40)] if one_set else [records_of(seed, 40), records_of(seed + 1, 33)]
    )
    left, right = parties[0], parties[-1]
    got = concatenate(run_task(t, parties, threshold) for t in plan_shared(parties, "all"))
    expected = {}
    for i in range(len(left)):
        for j in range(i + 1 if one_set else 0, len(right)):
            same_id = bool((left.exact[i, 0] == right.exact[j, 0]).all())
            if not (same_id or set(left.blocks[i].tolist()) & set(right.blocks[j].tolist())):
                continue
            differing = int(np.bitwise_count(left.words[i] ^ right.words[j]).sum())
            similarity = np.float32(1 - differing / 512)
            if same_id:
                similarity = (similarity + np.float32(1)) / np.float32(2)
            if similarity >= np.float32(threshold):
                expected[i, j] = float(similarity)
    found = dict(
        zip(
            zip(got.left.tolist(), got.right.tolist(), strict=True),
            got.similarity.tolist(),
            strict=True,
        )
    )
    assert len(got) == len(found)
    assert found == pytest.approx(expected, abs=1e-7)


def test_tasks_are_cut_by_candidates_and_the_cut_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parties = [records_of(1, 60), records_of(2, 50), records_of(3, 40)]
    whole = [run_task(task, parties, 0.5) for task in plan_shared(parties, "all")]
    monkeypatch.setattr(plan_module, "_TASK_CANDIDATES", 100)
    tasks = plan_shared(parties, "all")
    assert len(tasks) > len(whole) == 3
    assert all(task.comparisons <= 100 or task.rows[1] == task.rows[0] + 1 for task in tasks)
    for threads in (1, 2):
        cut = [found for _, found in run_all(tasks, lambda t: run_task(t, parties, 0.5), threads)]
        for of_cut, of_whole in zip((concatenate(cut),), (concatenate(whole),), strict=True):
            assert (of_cut.left == of_whole.left).all()
            assert (of_cut.right == of_whole.right).all()
            assert (of_cut.similarity == of_whole.similarity).all()


def test_few_records_are_compared_all_and_many_by_their_tokens() -> None:
    parties = [records_of(1, 60), records_of(2, 50)]
    assert {task.tokens for task in plan(parties, 3_000)} == {"none", "exact"}
    assert {task.tokens for task in plan(parties, 2_999)} == {"all"}
    plain = [records_of(1, 60, slots=0, exact=0), records_of(2, 50, slots=0, exact=0)]
    # Without block tokens there is no other way: whoever runs the plan sees its count.
    assert sum(task.comparisons for task in plan(plain, 10)) == 3_000


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


def test_what_shares_an_exact_token_is_raised_and_keeps_its_order() -> None:
    similarity = np.array([0.0, 0.5, 0.52, 1.0], dtype=np.float32)
    assert raised(similarity).tolist() == pytest.approx([0.5, 0.75, 0.76, 1.0])


def test_tokens_of_unlike_kinds_and_slots_never_meet() -> None:
    exact = np.zeros((1, 2, 16), np.uint8)
    tokens = joined_tokens(np.zeros((1, 1), np.uint32), exact)
    assert len(set(tokens[0].tolist())) == 3


def test_the_histogram_counts_what_the_task_finds() -> None:
    parties = [records_of(1, 60), records_of(2, 50)]
    for task in plan_shared(parties, "all") + plan_shared(parties, "exact"):
        counts = run_histogram(task, parties, 10)
        found = run_task(task, parties, 1e-9).similarity
        assert counts.sum() == len(found)
        assert counts[9:].sum() == (found >= 0.9).sum()
