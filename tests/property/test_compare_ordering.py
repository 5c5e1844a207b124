"""Candidate pairs come best first, whatever order they were in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.compare.candidates import Candidates, concatenate

Pair = tuple[int, int, float]
# Small and large numbers, for every digit of them counts; few similarities, for ties.
NUMBERS = st.one_of(st.integers(0, 3), st.integers(0, 2**31 - 1), st.just(2**31 - 1))
SIMILARITIES = st.one_of(
    st.sampled_from([-0.0, 0.0, 0.5, 0.5000001, 1.0]), st.floats(0, 1, width=32)
)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS, SIMILARITIES), max_size=40)


def candidates_of(pairs: list[Pair]) -> Candidates:
    def column(at: int, kind: type) -> NDArray[np.generic]:
        return np.array([pair[at] for pair in pairs], kind)

    return Candidates(column(0, np.int32), column(1, np.int32), column(2, np.float32))


def listed(candidates: Candidates) -> list[Pair]:
    columns = (candidates.left, candidates.right, candidates.similarity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(PAIRS, st.booleans())
def test_pairs_come_by_falling_similarity_then_by_numbers(pairs: list[Pair], before: bool) -> None:
    given_pairs = sorted(pairs) if before else pairs
    expected = [
        (i, j, float(np.float32(s)))
        for i, j, s in sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))
    ]
    candidates = candidates_of(given_pairs)
    assert listed(candidates.best_first()) == expected
    # What was handed in is not changed.
    assert listed(candidates) == listed(candidates_of(given_pairs))


@pytest.mark.parametrize("n", [5_000])
def test_many_pairs_come_as_by_a_comparing_sort(n: int) -> None:
    rng = np.random.default_rng(1)
    candidates = Candidates(
        rng.integers(0, 2**31 - 1, n, dtype=np.int32),
        rng.integers(0, 300, n, dtype=np.int32),
        (rng.integers(0, 60, n) / 60).astype(np.float32),
    )
    order = np.lexsort((candidates.right, candidates.left, -candidates.similarity))
    ordered = candidates.best_first()
    assert (ordered.left == candidates.left[order]).all()
    assert (ordered.right == candidates.right[order]).all()
    assert (ordered.similarity == candidates.similarity[order]).all()


def test_no_pairs_are_in_order() -> None:
    assert len(concatenate([]).best_first()) == 0
