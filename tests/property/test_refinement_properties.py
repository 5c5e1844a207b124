"""Which pairs the second round asks about, and from where on pairs are candidates."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.block.shared import shared_pairs
from linkage.compare.candidates import Candidates, concatenate
from linkage.engine.floor import candidate_floor
from linkage.engine.local import run_task
from linkage.engine.plan import plan, plan_all_pairs
from linkage.engine.records import Inputs, PreparedRecords, prepare
from linkage.engine.refinement import (
    NOBODY,
    RefinePairs,
    pairs_of_unlike,
    probability_at,
    select_pairs,
    similarity_at,
)
from linkage.job import DRAWN_PER_RECORD

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 12)


def some_candidates(seed: int, n: int, m: int, share: float, within: bool = False) -> Candidates:
    """Candidates of few similarities, so that there are ties."""
    rng = np.random.default_rng(seed)
    every = [(i, j) for i in range(n) for j in range(m) if not within or i < j]
    chosen = [pair for pair in every if rng.random() < share]
    left, right = zip(*chosen, strict=True) if chosen else ((), ())
    similarity = rng.integers(1, 9, len(chosen)) / 8
    return Candidates(
        np.array(left, np.int32), np.array(right, np.int32), similarity.astype(np.float32)
    )


def chosen_by_hand(candidates: Candidates, most: int, within: bool) -> set[tuple[int, int]]:
    """The definition: the best first, as long as neither record has so many."""
    rows = zip(candidates.left, candidates.right, candidates.similarity, strict=True)
    of_left: Counter[int] = Counter()
    of_right = of_left if within else Counter[int]()
    chosen = set()
    for i, j, _ in sorted(rows, key=lambda row: (-row[2], row[0], row[1])):
        if of_left[int(i)] < most and of_right[int(j)] < most:
            of_left[int(i)] += 1
            of_right[int(j)] += 1
            chosen.add((int(i), int(j)))
    return chosen


def pairs_where(pairs: RefinePairs, chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    return list(zip(pairs.left[chosen].tolist(), pairs.right[chosen].tolist(), strict=True))


@given(SEEDS, SIZES, SIZES, st.integers(1, 5), st.sampled_from([0.0, 0.2, 0.7, 1.0]), st.booleans())
def test_the_best_candidates_are_taken_as_long_as_neither_record_has_too_many(
    seed: int, n: int, m: int, most: int, share: float, decoys: bool
) -> None:
    candidates = some_candidates(seed, n, m, share)
    rng = np.random.default_rng(seed)
    pairs = select_pairs(candidates, n, m, most, rng, decoys=decoys)
    real = pairs_where(pairs, pairs.real & ~pairs.drawn)
    assert len(real) == len(set(real))
    assert set(real) == chosen_by_hand(candidates, most, within=False)
    assert max(Counter(i for i, _ in real).values(), default=0) <= most
    assert max(Counter(j for _, j in real).values(), default=0) <= most


@given(SEEDS, SIZES, SIZES, st.integers(1, 5), st.sampled_from([0.0, 0.3, 1.0]))
def test_with_decoys_every_record_is_asked_about_equally_often(
    seed: int, n: int, m: int, most: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    pairs = select_pairs(some_candidates(seed, n, m, share), n, m, most, rng, decoys=True)
    for records, size in ((pairs.left, n), (pairs.right, m)):
        asked = Counter(records[records != NOBODY].tolist())
        assert asked == dict.fromkeys(range(size), most + DRAWN_PER_RECORD)
    # A decoy is asked of one owner, and was never drawn as a pair.
    one_sided = (pairs.left == NOBODY) ^ (pairs.right == NOBODY)
    assert (one_sided == ~pairs.real).all()
    assert not (pairs.drawn & ~pairs.real).any()


@given(SEEDS, SIZES, SIZES, st.integers(1, 5))
def test_without_decoys_both_owners_are_asked_about_every_pair(
    seed: int, n: int, m: int, most: int
) -> None:
    rng = np.random.default_rng(seed)
    pairs = select_pairs(some_candidates(seed, n, m, 0.5), n, m, most, rng, decoys=False)
    assert pairs.real.all()
    asked = Counter(pairs.left.tolist())
    assert max(asked.values()) <= most + DRAWN_PER_RECORD


@given(SEEDS, SIZES, SIZES, st.booleans())
def test_a_few_pairs_of_each_record_are_drawn_at_random(
    seed: int, n: int, m: int, decoys: bool
) -> None:
    rng = np.random.default_rng(seed)
    pairs = select_pairs(some_candidates(seed, n, m, 0.0), n, m, 3, rng, decoys=decoys)
    drawn = pairs_where(pairs, pairs.drawn)
    assert len(drawn) == DRAWN_PER_RECORD * min(n, m)
    for side in (0, 1):
        assert max(Counter(pair[side] for pair in drawn).values()) <= DRAWN_PER_RECORD


@given(SEEDS, SIZES, st.integers(1, 5), st.sampled_from([0.0, 0.5, 1.0]))
def test_inside_one_party_both_records_of_a_pair_count_and_none_meets_itself(
    seed: int, n: int, most: int, share: float
) -> None:
    candidates = some_candidates(seed, n, n, share, within=True)
    rng = np.random.default_rng(seed)
    pairs = select_pairs(candidates, n, n, most, rng, decoys=True, within=True)
    assert pairs.real.all()
    assert (pairs.left < pairs.right).all()
    real = pairs_where(pairs, ~pairs.drawn)
    assert set(real) == chosen_by_hand(candidates, most, within=True)
    times = Counter(record for pair in pairs_where(pairs, pairs.drawn) for record in pair)
    assert max(times.values(), default=0) <= DRAWN_PER_RECORD
    assert len(pairs_where(pairs, pairs.drawn)) == (n if n > 1 else 0)


def test_drawn_pairs_are_bounded_however_many_records_there_are() -> None:
    nobody = some_candidates(1, 0, 0, 0.0)
    pairs = select_pairs(nobody, 60_000, 30_000, 1, np.random.default_rng(1), decoys=False)
    assert pairs.drawn.sum() == 50_000
    assert len(np.unique(pairs.left)) > 30_000  # of all records, not of the first ones
    assert pairs.left.max() > 55_000


def test_the_order_of_pairs_is_random_and_says_nothing_of_what_they_are() -> None:
    candidates = some_candidates(1, 60, 60, 0.5)
    runs = [
        select_pairs(candidates, 60, 60, 5, np.random.default_rng(seed), decoys=True)
        for seed in (1, 2)
    ]
    again = select_pairs(candidates, 60, 60, 5, np.random.default_rng(1), decoys=True)
    assert again.left.tolist() == runs[0].left.tolist()
    assert runs[0].left.tolist() != runs[1].left.tolist()
    for pairs in runs:
        kinds = np.where(pairs.drawn, 2, np.where(pairs.real, 0, 1))
        for kind in range(3):
            places = np.flatnonzero(kinds == kind) / len(pairs)
            # Uniform places: their mean is 1/2 with deviation 1 / sqrt(12 n).
            assert abs(places.mean() - 0.5) < 6 / math.sqrt(12 * len(places))
        # Neighbours are not neighbours for their similarity.
        real = pairs.left[(kinds == 0)].astype(np.float64)
        assert abs(np.corrcoef(real[1:], real[:-1])[0, 1]) < 6 / math.sqrt(len(real))


def test_who_is_drawn_is_drawn_evenly() -> None:
    nobody = some_candidates(1, 0, 0, 0.0)
    times: Counter[tuple[int, int]] = Counter()
    for seed in range(1_000):
        pairs = select_pairs(nobody, 4, 3, 1, np.random.default_rng(seed), decoys=False)
        times.update(pairs_where(pairs, pairs.drawn))
    # 6 pairs each time, 12 possible ones: 500 each with deviation under 20.
    assert len(times) == 12
    assert max(abs(n - 500) for n in times.values()) < 6 * 20


# The floor


def records_of(seed: int, n: int) -> PreparedRecords:
    codes = np.random.default_rng(seed).integers(0, 256, (n, 64), dtype=np.uint8)
    return prepare(codes, "saul")


def all_similarities(inputs: Inputs) -> NDArray[np.float32]:
    tasks = plan_all_pairs(inputs.sizes)
    return concatenate(run_task(task, inputs, 1e-9) for task in tasks).similarity


@settings(max_examples=15)
@given(SEEDS, st.sampled_from([(400,), (300, 200), (200, 150, 100)]), st.integers(1, 5))
def test_above_the_floor_there_are_a_few_times_as_many_pairs_as_are_needed(
    seed: int, sizes: tuple[int, ...], per_record: int
) -> None:
    inputs = Inputs([records_of(seed + i, n) for i, n in enumerate(sizes)])
    tasks = plan_all_pairs(inputs.sizes)
    floor = candidate_floor(tasks, inputs, per_record, np.random.default_rng(seed))
    pairs = list(combinations(sizes, 2)) or [(sizes[0], sizes[0])]
    wanted = 4 * per_record * sum(min(pair) for pair in pairs)
    found = int((all_similarities(inputs) >= np.float32(floor)).sum())
    total = sum(task.comparisons for task in tasks)
    if wanted >= total:
        assert found == total
    else:
        # As many as wanted, but for the sample and for ties, of which codes of 512 bits
        # have many: a similarity is one of 513.
        assert found >= 0.8 * wanted
        above = int((all_similarities(inputs) > np.float32(floor + 1 / 512)).sum())
        assert above <= 1.2 * wanted


def test_where_few_pairs_are_planned_all_are_candidates() -> None:
    inputs = Inputs([records_of(1, 10), records_of(2, 10)])
    floor = candidate_floor(plan(inputs, 1_000), inputs, 10, np.random.default_rng(1))
    assert 0 < floor < 1e-5


def test_pairs_that_share_tokens_need_no_floor() -> None:
    shared = shared_pairs([np.arange(50, dtype=np.uint64)])
    inputs = Inputs([records_of(1, 500), records_of(2, 500)], {(0, 1): shared}, have_tokens=True)
    rng = np.random.default_rng(1)
    assert candidate_floor(plan(inputs, 10), inputs, 10, rng) < 1e-5
    # They change nothing in the floor of the others.
    with_shared = candidate_floor(plan(inputs, 10**6), inputs, 5, np.random.default_rng(1))
    plain = candidate_floor(plan_all_pairs([500, 500]), inputs, 5, np.random.default_rng(1))
    assert with_shared == plain > 0.4


def test_the_same_draws_give_the_same_floor() -> None:
    inputs = Inputs([records_of(1, 300), records_of(2, 300)])
    tasks = plan_all_pairs(inputs.sizes)
    floors = {candidate_floor(tasks, inputs, 3, np.random.default_rng(7)) for _ in range(3)}
    assert len(floors) == 1


# Probabilities and numbers


@given(st.floats(1e-12, 1 - 1e-12))
def test_a_probability_comes_back_from_its_similarity(probability: float) -> None:
    similarity = similarity_at(probability)
    assert 0 < similarity < 1
    assert probability_at(similarity) == pytest.approx(probability, rel=1e-9, abs=1e-15)


# Nearer to 1 the probability itself has too few digits left.
@given(st.floats(0.02, 0.9))
def test_a_similarity_comes_back_from_its_probability(similarity: float) -> None:
    assert similarity_at(probability_at(similarity)) == pytest.approx(similarity, rel=1e-6)


@given(st.floats(5e-324, 1), st.floats(5e-324, 1))
def test_similarities_are_in_the_order_of_probabilities(one: float, other: float) -> None:
    if one < other:
        assert similarity_at(one) <= similarity_at(other)
        assert probability_at(one) <= probability_at(other)


def test_even_odds_are_a_similarity_of_one_half() -> None:
    assert similarity_at(0.5) == probability_at(0.5) == 0.5
    assert similarity_at(1) == probability_at(1) == 1
    assert probability_at(0) == 0


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5))
def test_the_number_of_pairs_is_that_of_records_of_unlike_parties(sizes: list[int]) -> None:
    party = [number for number, size in enumerate(sizes) for _ in range(size)]
    expected = sum(one != other or len(sizes) == 1 for one, other in combinations(party, 2))
    assert pairs_of_unlike(sizes) == expected
