"""Listed pairs score as all pairs do, and the best of each record are kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_digest import related_codes

from linkage.compare.bits import popcounts
from linkage.compare.listed import keep_best, leading_words, score_pairs
from linkage.compare.screen import Screen

RECORDS = 50
LISTS = st.lists(st.tuples(st.integers(0, RECORDS - 1), st.integers(0, RECORDS - 1)), max_size=60)


def similarity_by_hand(a: bytes, b: bytes, agreement: bool) -> float:
    x, y = int.from_bytes(a), int.from_bytes(b)
    if agreement:
        return 1 - (x ^ y).bit_count() / (8 * len(a)) if x and y else 0.0
    return 2 * (x & y).bit_count() / max(x.bit_count() + y.bit_count(), 1)


@given(LISTS, st.sampled_from([1, 7, 8, 9, 16, 128]), st.booleans())
def test_scores_are_those_of_the_definition(
    pairs: list[tuple[int, int]], n_words: int, agreement: bool
) -> None:
    left, right = related_codes(RECORDS, n_words, 0.4, n_words)
    rows, columns = (np.array([p[side] for p in pairs], np.int32) for side in range(2))
    got = score_pairs(
        left,
        popcounts(left),
        right,
        popcounts(right),
        rows,
        columns,
        64 * n_words if agreement else 0,
    )
    expected = [
        float(np.float32(similarity_by_hand(left[i].tobytes(), right[j].tobytes(), agreement)))
        for i, j in pairs
    ]
    assert got.tolist() == expected


@pytest.mark.parametrize("most", [0, 200, 250, 256, 512])
@pytest.mark.parametrize("batch", [1, 7, 10_000])
def test_screened_pairs_score_nothing_and_the_others_as_before(
    most: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkage.compare.listed._BATCH", batch)
    left, right = related_codes(RECORDS, 32, 0.5, 1)
    rows, columns = np.divmod(np.arange(300, dtype=np.int32), np.int32(RECORDS))
    codes = (left, popcounts(left), right, popcounts(right), rows, columns, 2_048)
    screen = Screen(8, most, 0.01, 0.1)
    differing = np.bitwise_count(left[rows, :8] ^ right[columns, :8]).sum(axis=1)
    expected = np.where(differing <= most, score_pairs(*codes), 0)
    assert score_pairs(*codes, screen).tolist() == expected.tolist()
    leading = leading_words(left, screen), leading_words(right, screen)
    assert score_pairs(*codes, screen, leading).tolist() == expected.tolist()


@pytest.mark.parametrize("pair", [(-1, 0), (0, -1), (RECORDS, 0), (0, RECORDS)])
def test_a_pair_of_a_record_that_is_not_there_is_refused(pair: tuple[int, int]) -> None:
    left, right = related_codes(RECORDS, 8, 0.5, 1)
    rows, columns = np.array([pair[0]], np.int32), np.array([pair[1]], np.int32)
    with pytest.raises(ValueError, match="not there"):
        score_pairs(left, popcounts(left), right, popcounts(right), rows, columns, 0)


# Exact in float32, with many ties.
ROWS = st.lists(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 9)),
        max_size=8,
        unique_by=lambda candidate: candidate[1],
    ),
    max_size=6,
)


@given(ROWS, st.integers(1, 9), st.sampled_from([0.0, 0.25, 0.6]))
def test_the_best_are_kept_in_order_and_the_rest_is_counted(
    rows: list[list[tuple[float, int]]], k: int, threshold: float
) -> None:
    offsets = np.cumsum([0, *(len(row) for row in rows)])
    scores = np.array([s for row in rows for s, _ in row], np.float32)
    columns = np.array([c for row in rows for _, c in row], np.int32)
    best = keep_best(offsets, columns, scores, k, threshold)
    cut = 0
    for i, row in enumerate(rows):
        passing = sorted((-s, c) for s, c in row if s >= threshold)
        cut += max(0, len(passing) - k)
        kept = slice(best.offsets[i], best.offsets[i + 1])
        got = zip(best.scores[kept].tolist(), best.columns[kept].tolist(), strict=True)
        assert list(got) == [(-s, c) for s, c in passing[:k]]
    assert best.cut == cut
    assert len(best.columns) == len(best.scores) == best.offsets[-1]


def test_at_least_one_is_kept() -> None:
    with pytest.raises(ValueError, match="at least one"):
        keep_best(np.array([0]), np.zeros(0, np.int32), np.zeros(0, np.float32), 0, 0.5)
