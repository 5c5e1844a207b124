import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.synthetic import letters, name_errors, value_errors
from linkage.synthetic.cells import Cells, Mutator, split, unsplit
from linkage.synthetic.columns import (
    calendar,
    day_number,
    differs,
    join,
    rank_within,
    text,
)
from linkage.synthetic.letters import to_letters, to_text
from linkage.synthetic.pools import GroupedPool, Pool

WORDS = st.text("ABDEIJKLMNORSTUWY", min_size=1, max_size=12)
NAMES = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)
SEEDS = st.integers(0, 2**32)
DAYS = st.integers(-30_000, 20_000)


def mutated(mutate: Mutator, values: list[str], seed: int, today: int = 20_454) -> list[str]:
    cells = Cells(text(values), {}, np.arange(len(values)), today)
    return mutate(np.random.default_rng(seed), cells).to_pylist()


def edits(a: str, b: str) -> int:
    """Optimal string alignment distance by its definition: transpositions count one."""
    d = [[i + j if i * j == 0 else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d[i][j] = min(
                d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])
            )
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                d[i][j] = min(d[i][j], d[i - 2][j - 2] + 1)
    return d[-1][-1]


@pytest.mark.parametrize(
    ("mutate", "growth"),
    [
        (letters.swap_letters, 0),
        (letters.strike_neighbour, 0),
        (letters.misread_letter, 0),
        (letters.omit_letter, -1),
        (letters.double_letter, 1),
    ],
)
@given(names=st.lists(NAMES, min_size=1, max_size=8), seed=SEEDS)
def test_a_slip_is_one_edit_and_of_its_kind(
    mutate: Mutator, growth: int, names: list[str], seed: int
) -> None:
    for before, got in zip(names, mutated(mutate, names, seed), strict=True):
        assert edits(before, got) <= 1
        if got != before:
            assert len(got) - len(before) == growth


@given(names=st.lists(NAMES, min_size=1, max_size=8))
def test_splitting_and_letters_can_be_undone(names: list[str]) -> None:
    column = text(names)
    words = split(column)
    assert unsplit(words, words.words).equals(column)
    assert to_text(to_letters(column)).equals(column)


@pytest.mark.parametrize(
    "mutate", [name_errors.join_words, name_errors.reorder_words, name_errors.drop_word]
)
@given(names=st.lists(NAMES, min_size=1, max_size=8), seed=SEEDS)
def test_words_are_moved_and_never_invented(mutate: Mutator, names: list[str], seed: int) -> None:
    for before, got in zip(names, mutated(mutate, names, seed), strict=True):
        assert got
        bag = before.replace(" ", "")
        assert all(got.count(letter) <= bag.count(letter) for letter in set(got) - {" ", ","})


@pytest.mark.parametrize(
    "mutate",
    [
        value_errors.swap_day_month,
        value_errors.slip_digit,
        value_errors.write_placeholder,
        value_errors.miss_year,
    ],
)
@given(days=st.lists(DAYS, min_size=1, max_size=8), seed=SEEDS)
def test_dates_stay_dates_that_are_past(mutate: Mutator, days: list[int], seed: int) -> None:
    today = 20_454
    days = [min(day, today) for day in days]
    values = value_errors.iso_dates(np.array(days)).to_pylist()
    for before, got in zip(values, mutated(mutate, values, seed, today), strict=True):
        assert np.datetime64(got) <= np.datetime64(today, "D")
        assert abs(int(got[:4]) - int(before[:4])) in (0, 1, 10)


@given(days=st.lists(DAYS, min_size=1, max_size=20))
def test_calendar_can_be_undone_and_agrees_with_numpy(days: list[int]) -> None:
    numbers = np.array(days)
    assert day_number(*calendar(numbers)).tolist() == days
    assert value_errors.iso_dates(numbers).to_pylist() == [
        str(np.datetime64(day, "D")) for day in days
    ]


@given(groups=st.lists(st.integers(0, 4), max_size=30))
def test_rank_counts_the_earlier_members_of_the_group(groups: list[int]) -> None:
    codes = np.array(groups, dtype=np.int64)
    rank = rank_within(codes, np.argsort(codes, kind="stable"))
    assert rank.tolist() == [groups[:i].count(group) for i, group in enumerate(groups)]


@given(
    weights=st.lists(st.integers(0, 3), min_size=1, max_size=8).filter(any),
    seed=SEEDS,
)
def test_pools_draw_only_what_has_weight(weights: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = Pool(range(len(weights)), weights).draw(rng, 40)
    assert all(weights[i] > 0 for i in drawn.tolist())


@given(
    items=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), min_size=1, max_size=12),
    seed=SEEDS,
)
def test_grouped_pools_draw_from_the_group_that_is_named(
    items: list[tuple[int, int]], seed: int
) -> None:
    groups = np.array([group for group, _ in items])
    pool = GroupedPool(groups, np.arange(len(items)), np.array([w for _, w in items]), 4)
    asked = np.tile(np.unique(groups), 5)
    drawn = pool.draw(np.random.default_rng(seed), asked)
    assert groups[drawn].tolist() == asked.tolist()


@given(rows=st.lists(st.tuples(*[st.none() | WORDS] * 3), min_size=1, max_size=8))
def test_join_leaves_out_what_is_missing(rows: list[tuple[str | None, ...]]) -> None:
    columns = [text([row[i] for row in rows]) for i in range(3)]
    expected = [" ".join(part for part in row if part) or None for row in rows]
    assert join(columns, " ").to_pylist() == expected


@given(rows=st.lists(st.tuples(st.none() | WORDS, st.none() | WORDS), min_size=1, max_size=8))
def test_differs_is_inequality_with_missing_equal_to_missing(
    rows: list[tuple[str | None, str | None]],
) -> None:
    left, right = (text([row[i] for row in rows]) for i in (0, 1))
    assert differs(left, right).tolist() == [a != b for a, b in rows]
