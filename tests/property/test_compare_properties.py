"""The compiled comparison agrees with the definition, however the work is cut."""

import threading
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.compare.bits import LANES, as_words, in_lanes, popcounts
from linkage.compare.candidates import Candidates, concatenate
from linkage.compare.kernels import EVERY_COLUMN, similar_pairs, similarity_histogram
from linkage.engine import local, plan
from linkage.engine.local import run_all, run_histogram, run_task
from linkage.engine.plan import Task, plan_all_pairs
from linkage.engine.records import Inputs, prepare
from linkage.errors import JobStateError, SchemaMismatchError
from linkage.schema import Scheme

# Few set bits out of few, so that high similarities, ties and empty codes all occur.
CODES = st.one_of(
    st.just(bytes(16)),
    st.sets(st.sampled_from([0, 1, 2, 63, 64, 65, 100, 127]), max_size=5).map(
        lambda bits: sum(1 << b for b in bits).to_bytes(16, "little")
    ),
    st.binary(min_size=16, max_size=16),
)
CODE_LISTS = st.lists(CODES, max_size=9)
THRESHOLDS = st.one_of(
    st.floats(min_value=0.01, max_value=1),
    st.sampled_from([0.25, 0.4, 0.5, 2 / 3, 0.7, 0.75, 0.8, 6 / 7, 1.0]),
)
# Plain filters are compared by Dice, hardened codes by agreement.
SCHEMES = st.sampled_from(["clk", "saul", "diffused"])
Found = list[tuple[int, int, float]]


def similarity_by_hand(a: bytes, b: bytes, scheme: Scheme) -> float:
    """The definition on whole numbers: slow, obvious, and the judge of the fast one."""
    x, y = int.from_bytes(a), int.from_bytes(b)
    if scheme == "clk":
        total = x.bit_count() + y.bit_count()
        return 2 * (x & y).bit_count() / total if total else 0.0
    # An empty code is a record without a word: it is like no other.
    return 1 - (x ^ y).bit_count() / (8 * len(a)) if x and y else 0.0


def packed(codes: Sequence[bytes], n_bytes: int = 16) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(codes), dtype=np.uint8).reshape(len(codes), n_bytes)


def seeded(n: int, seed: int, n_bytes: int = 16) -> list[bytes]:
    """Codes with neighbours: every third is another one with a few bits changed."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)
    for i in range(3, n, 3):
        rows[i] = rows[i - int(rng.integers(1, 4))]
        rows[i, rng.integers(0, n_bytes)] ^= 1 << int(rng.integers(0, 8))
    if n > 4:
        rows[4] = 0
    return [row.tobytes() for row in rows]


def found(candidates: Candidates) -> Found:
    return list(
        zip(
            candidates.left.tolist(),
            candidates.right.tolist(),
            candidates.similarity.tolist(),
            strict=True,
        )
    )


def float32(value: float) -> float:
    return float(np.float32(value))


def by_hand(
    left: Sequence[bytes],
    right: Sequence[bytes],
    diagonal: int,
    threshold: float,
    scheme: Scheme = "clk",
) -> Found:
    pairs = [
        (i, j, similarity_by_hand(a, b, scheme))
        for i, a in enumerate(left)
        for j, b in enumerate(right)
        if j > i + diagonal
    ]
    return [(i, j, float32(s)) for i, j, s in pairs if float32(s) >= float32(threshold)]


def kernel_pairs(
    left: Sequence[bytes],
    right: Sequence[bytes],
    diagonal: int,
    threshold: float,
    room: int,
    scheme: Scheme = "clk",
) -> Found:
    one, two = as_words(packed(left)), as_words(packed(right))
    agreement_bits = 0 if scheme == "clk" else 64 * one.shape[1]
    out = (np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32))
    got: Found = []
    start = 0
    while start < len(left):
        written, after = similar_pairs(
            one,
            popcounts(one),
            in_lanes(two),
            popcounts(two),
            diagonal,
            agreement_bits,
            threshold,
            start,
            *out,
        )
        assert written <= room
        assert after > start
        start = after
        got += found(Candidates(out[0][:written], out[1][:written], out[2][:written]))
    return got


def histogram_by_hand(
    left: Sequence[bytes], right: Sequence[bytes], diagonal: int, bins: int, scheme: Scheme
) -> list[int]:
    counts = [0] * (bins + 1)
    for i, a in enumerate(left):
        for b in right[max(0, i + diagonal + 1) :]:
            counts[int(similarity_by_hand(a, b, scheme) * bins)] += 1
    return counts


@given(CODE_LISTS, CODE_LISTS, THRESHOLDS, st.integers(0, 20), SCHEMES)
def test_pairs_are_those_of_the_definition_in_order(
    left: list[bytes], right: list[bytes], threshold: float, more: int, scheme: Scheme
) -> None:
    expected = by_hand(left, right, EVERY_COLUMN, threshold, scheme)
    # Any room from one row's worth upwards gives the same pairs.
    room = len(right) + more
    assert kernel_pairs(left, right, EVERY_COLUMN, threshold, room, scheme) == expected


@given(CODE_LISTS, CODE_LISTS, THRESHOLDS, st.integers(-12, 12), SCHEMES)
def test_only_columns_above_the_diagonal_are_compared(
    left: list[bytes], right: list[bytes], threshold: float, diagonal: int, scheme: Scheme
) -> None:
    got = kernel_pairs(left, right, diagonal, threshold, max(1, len(right)), scheme)
    assert got == by_hand(left, right, diagonal, threshold, scheme)


@pytest.mark.parametrize("scheme", ["clk", "saul"])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 127, 128, 130])
def test_pairs_at_sizes_around_a_group(n: int, scheme: Scheme) -> None:
    left, right = seeded(7, 1), seeded(n, 2)
    whole = by_hand(left, right, EVERY_COLUMN, 0.5, scheme)
    for diagonal in (EVERY_COLUMN, -n, -1, 0, 1, 62, 63, 64, n - 1, n):
        expected = [(i, j, s) for i, j, s in whole if j > i + diagonal]
        assert kernel_pairs(left, right, diagonal, 0.5, n + 3, scheme) == expected


@pytest.mark.parametrize("scheme", ["clk", "saul"])
@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_every_diagonal_of_one_set_with_itself(n: int, scheme: Scheme) -> None:
    codes = seeded(n, 3)
    whole = by_hand(codes, codes, EVERY_COLUMN, 0.55, scheme)
    for diagonal in range(-n, n + 1):
        expected = [(i, j, s) for i, j, s in whole if j > i + diagonal]
        assert kernel_pairs(codes, codes, diagonal, 0.55, n, scheme) == expected


@given(CODE_LISTS, CODE_LISTS, st.integers(-12, 12), st.integers(1, 50), SCHEMES)
def test_the_histogram_counts_every_pair_in_its_bin(
    left: list[bytes], right: list[bytes], diagonal: int, bins: int, scheme: Scheme
) -> None:
    one, two = as_words(packed(left)), as_words(packed(right))
    counts = np.zeros(bins + 1, np.int64)
    similarity_histogram(
        one,
        popcounts(one),
        in_lanes(two),
        popcounts(two),
        diagonal,
        0 if scheme == "clk" else 128,
        counts,
    )
    assert counts.tolist() == histogram_by_hand(left, right, diagonal, bins, scheme)


@pytest.mark.parametrize("scheme", ["clk", "saul"])
@pytest.mark.parametrize("n", [63, 64, 65, 130])
def test_the_histogram_at_sizes_around_a_group(n: int, scheme: Scheme) -> None:
    left, right = seeded(9, 12), seeded(n, 13)
    inputs = Inputs([prepare(packed(codes), scheme) for codes in (left, right)])
    got = run_histogram(Task(0, 1, (0, 9), (0, n), 9 * n), inputs, 16)
    assert got.tolist() == histogram_by_hand(left, right, EVERY_COLUMN, 16, scheme)
    # Among one party's own records every pair counts once.
    got = run_histogram(Task(1, 1, (0, n), (0, n), n * (n - 1) // 2), inputs, 16)
    assert got.tolist() == histogram_by_hand(right, right, 0, 16, scheme)


@given(CODE_LISTS, CODE_LISTS, THRESHOLDS, SCHEMES)
def test_a_stored_similarity_is_never_below_the_threshold_as_stored(
    left: list[bytes], right: list[bytes], threshold: float, scheme: Scheme
) -> None:
    # Thresholds and similarities are both kept as float32 later on.
    for _, _, similarity in kernel_pairs(
        left, right, EVERY_COLUMN, threshold, max(1, len(right)), scheme
    ):
        assert float32(threshold) <= similarity <= 1


@pytest.mark.parametrize("scheme", ["clk", "diffused", "saul"])
def test_an_empty_code_is_like_no_other(scheme: Scheme) -> None:
    codes = [bytes(16), bytes(16), b"\xff" * 16]
    inputs = Inputs([prepare(packed(codes), scheme)] * 2)
    found_pairs = found(run_task(Task(0, 1, (0, 3), (0, 3), 9), inputs, 1e-9))
    assert found_pairs == [(2, 2, 1.0)]


def test_only_plain_filters_are_compared_by_dice() -> None:
    codes = packed(seeded(5, 14))
    assert prepare(codes, "clk").agreement_bits == 0
    assert prepare(codes, "diffused").agreement_bits == 128
    assert prepare(codes, "saul").agreement_bits == 128


@given(st.integers(0, 130), st.integers(1, 4))
def test_lanes_hold_every_word_once_and_are_filled_with_empty_codes(n: int, n_words: int) -> None:
    words = np.arange(1, n * n_words + 1, dtype=np.uint64).reshape(n, n_words)
    lanes = in_lanes(words)
    assert lanes.shape == (-(-n // LANES), n_words, LANES)
    for row in range(n):
        assert (lanes[row // LANES, :, row % LANES] == words[row]).all()
    assert int(lanes.astype(object).sum()) == sum(range(1, n * n_words + 1))


@given(st.lists(CODES, max_size=5))
def test_words_keep_the_bits_and_their_count(codes: list[bytes]) -> None:
    words = as_words(packed(codes))
    assert words.shape == (len(codes), 2)
    assert popcounts(words).tolist() == [int.from_bytes(code).bit_count() for code in codes]
    assert words.tobytes() == b"".join(codes)


def test_codes_that_are_no_whole_words_are_refused() -> None:
    with pytest.raises(SchemaMismatchError, match="72 bits"):
        as_words(np.zeros((2, 9), np.uint8))


# Task sizes so small that a few records need many tasks. Columns stay whole groups.
SIZES = [(1, 64), (3, 64), (64, 64), (65, 128), (1000, 64), (10, 1024)]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def task_size(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    rows, columns = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "TASK_ROWS", rows)
        patch.setattr(plan, "TASK_COLUMNS", columns)
        patch.setattr(local, "TASK_COLUMNS", columns)
        patch.setattr(local, "_PAIRS_PER_CALL", columns)
        yield rows, columns


def pairs_of(task: Task) -> list[tuple[int, int]]:
    assert task.columns is not None
    return [
        (i, j)
        for i in range(*task.rows)
        for j in range(*task.columns)
        if task.left != task.right or j > i
    ]


@pytest.mark.parametrize(
    "sizes", [(1,), (2,), (64,), (65,), (150,), (5, 70), (70, 5), (0, 5), (3, 66, 2), (9, 0, 9)]
)
@pytest.mark.usefixtures("task_size")
def test_the_plan_compares_every_pair_exactly_once(sizes: tuple[int, ...]) -> None:
    tasks = plan_all_pairs(sizes)
    planned = [(task.left, task.right, i, j) for task in tasks for i, j in pairs_of(task)]
    if len(sizes) == 1:
        expected = {(0, 0, i, j) for i, j in combinations(range(sizes[0]), 2)}
    else:
        expected = {
            (a, b, i, j)
            for a, b in combinations(range(len(sizes)), 2)
            for i in range(sizes[a])
            for j in range(sizes[b])
        }
    assert len(planned) == len(expected)
    assert set(planned) == expected
    for task in tasks:
        assert task.comparisons == len(pairs_of(task)) > 0


def compare_all(
    parties: Sequence[Sequence[bytes]], threshold: float, threads: int, scheme: Scheme = "clk"
) -> list[tuple[int, int, int, int, float]]:
    inputs = Inputs([prepare(packed(codes), scheme) for codes in parties])
    results = run_all(
        plan_all_pairs([len(codes) for codes in parties]),
        lambda task: run_task(task, inputs, threshold),
        threads,
    )
    return [(task.left, task.right, *pair) for task, part in results for pair in found(part)]


@pytest.mark.parametrize(("threads", "scheme"), [(1, "saul"), (2, "clk")])
@pytest.mark.usefixtures("task_size")
def test_all_tasks_together_find_what_brute_force_finds(threads: int, scheme: Scheme) -> None:
    parties = [seeded(70, 5), seeded(40, 5), seeded(66, 6)]
    expected = [
        (a, b, i, j, s)
        for a, b in combinations(range(3), 2)
        for i, j, s in by_hand(parties[a], parties[b], EVERY_COLUMN, 0.6, scheme)
    ]
    got = compare_all(parties, 0.6, threads, scheme)
    assert sorted(got) == sorted(expected)
    assert len(expected) > 50


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("task_size")
def test_a_de_duplication_finds_every_unordered_pair_once(threads: int) -> None:
    codes = seeded(150, 7)
    got = compare_all([codes], 0.6, threads)
    assert sorted(got) == [(0, 0, *pair) for pair in by_hand(codes, codes, 0, 0.6)]
    assert len(got) > 50


@pytest.mark.usefixtures("task_size")
def test_the_histograms_of_all_tasks_add_up_to_all_pairs() -> None:
    parties = [seeded(70, 8), seeded(90, 9)]
    inputs = Inputs([prepare(packed(codes), "saul") for codes in parties])
    tasks = plan_all_pairs([70, 90])
    total = sum(run_histogram(task, inputs, 20) for task in tasks)
    assert np.asarray(total).tolist() == histogram_by_hand(*parties, EVERY_COLUMN, 20, "saul")


def test_results_come_in_the_order_of_the_tasks_and_are_the_same_on_any_threads() -> None:
    parties = [seeded(200, 10), seeded(130, 11)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "TASK_ROWS", 16)
        patch.setattr(plan, "TASK_COLUMNS", 64)
        tasks = plan_all_pairs([200, 130])
        runs = [compare_all(parties, 0.55, threads) for threads in (1, 2, 3)]
    assert runs[0] == runs[1] == runs[2]
    got = [task for task, _ in run_all(tasks, lambda task: task, 2)]
    assert got == tasks


def test_a_pairs_own_similarity_as_threshold_finds_it_again() -> None:
    # `best_threshold` returns such a number, and it is written into schemas.
    inputs = Inputs([prepare(packed([bytes([first, *bytes(15)])]), "clk") for first in (3, 1)])
    (task,) = plan_all_pairs([1, 1])
    (similarity,) = run_task(task, inputs, 0.5).similarity.tolist()
    assert len(run_task(task, inputs, similarity)) == 1


TASKS = [Task(0, 1, (i, i + 1), (0, 64), 64) for i in range(50)]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_job_cancelled_before_it_starts_gives_nothing(threads: int) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(JobStateError, match="cancelled"):
        next(run_all(TASKS, lambda task: task, threads, cancelled))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_job_cancelled_in_the_middle_stops_within_a_few_tasks(threads: int) -> None:
    cancelled = threading.Event()
    ran: list[Task] = []

    def run(task: Task) -> Task:
        ran.append(task)
        return task

    results = run_all(TASKS, run, threads, cancelled)
    for _ in range(5):
        next(results)
    cancelled.set()
    with pytest.raises(JobStateError):
        next(results)
    assert len(ran) <= 5 + 2 * threads + 1
    assert threading.active_count() == 1 or not any(
        thread.name.startswith("compare") for thread in threading.enumerate()
    )


def test_a_caller_that_stops_asking_stops_the_tasks() -> None:
    ran: list[Task] = []

    def run(task: Task) -> None:
        ran.append(task)

    results = run_all(TASKS, run, 2)
    next(results)
    results.close()  # type: ignore[attr-defined] # a generator
    assert len(ran) < len(TASKS)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_of_a_task_reaches_the_caller(threads: int) -> None:
    def run(task: Task) -> None:
        if task.rows[0] == 3:
            raise ZeroDivisionError

    results = run_all(TASKS, run, threads)
    with pytest.raises(ZeroDivisionError):
        list(results)


def test_no_tasks_have_no_results() -> None:
    assert list(run_all([], lambda task: task, 2)) == []
    assert plan_all_pairs([0, 0]) == []


PAIRS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(6, 11), st.sampled_from([0.5, 0.75, 1.0])),
    max_size=20,
    unique_by=lambda pair: pair[:2],
)


def candidates_of(pairs: Found) -> Candidates:
    columns: list[tuple[float, ...]] = list(zip(*pairs, strict=True)) or [(), (), ()]
    return Candidates(
        np.array(columns[0], np.int32),
        np.array(columns[1], np.int32),
        np.array(columns[2], np.float32),
    )


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_best_come_first_and_ties_by_their_numbers(pairs: Found, random: object) -> None:
    expected = sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))
    random.shuffle(pairs)  # type: ignore[attr-defined]
    ordered = candidates_of(pairs).best_first()
    assert found(ordered) == expected
    assert len(ordered) == len(pairs)


@given(st.lists(PAIRS, max_size=3), st.integers(0, 9), st.integers(0, 9))
def test_pairs_put_together_and_moved_keep_their_order(
    parts: list[Found], left: int, right: int
) -> None:
    whole = concatenate(candidates_of(part) for part in parts)
    assert found(whole) == [pair for part in parts for pair in part]
    moved = whole.shifted(left, right)
    assert found(moved) == [(i + left, j + right, s) for part in parts for i, j, s in part]
