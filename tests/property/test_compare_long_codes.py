"""The kernels agree with the definition at every length, and on every processor."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kernel_digest import digest, related_codes
from numpy.typing import NDArray

from linkage.compare.bits import in_lanes, popcounts
from linkage.compare.bounds import (
    bounds_of,
    leading_bits,
    leading_bits_in_lanes,
    line_of,
    screen_length,
)
from linkage.compare.kernels import EVERY_COLUMN, similar_pairs

Words = NDArray[np.uint64]


def similarities_by_hand(left: Words, right: Words, agreement: bool) -> NDArray[np.float32]:
    """The definition on numpy's own counts, shape (n, m)."""
    total = np.bitwise_count(left).sum(axis=1, dtype=np.int64)[:, None] + np.bitwise_count(
        right
    ).sum(axis=1, dtype=np.int64)
    common = np.array([np.bitwise_count(row & right).sum(axis=1, dtype=np.int64) for row in left])
    if not agreement:
        return (2 * common / np.maximum(total, 1)).astype(np.float32)
    either_empty = (common == 0) & ((left.any(axis=1)[:, None] & right.any(axis=1)) == 0)
    similarity = 1 - (total - 2 * common) / (64 * left.shape[1])
    return np.where(either_empty, 0, similarity).astype(np.float32)


def pairs_of(
    left: Words, right: Words, agreement: bool, threshold: float, screen: tuple[int, int] = (0, 0)
) -> list[tuple[int, int, float]]:
    room = len(left) * len(right)
    out = (np.zeros(room, np.int32), np.zeros(room, np.int32), np.zeros(room, np.float32))
    found: list[tuple[int, int, float]] = []
    start = 0
    while start < len(left):
        n, start = similar_pairs(
            left,
            popcounts(left),
            in_lanes(right),
            popcounts(right),
            EVERY_COLUMN,
            64 * left.shape[1] if agreement else 0,
            threshold,
            start,
            *out,
            *screen,
        )
        found += zip(*(column[:n].tolist() for column in out), strict=True)
    return found


@pytest.mark.parametrize("agreement", [False, True])
@pytest.mark.parametrize("n_bits", [64, 512, 576, 1_024, 2_048, 4_096, 8_192, 32_768])
@pytest.mark.parametrize("fill", [0.02, 0.3, 0.5, 0.7, 1.0])
def test_pairs_at_every_length_and_fill(n_bits: int, agreement: bool, fill: float) -> None:
    left, right = related_codes(67, n_bits // 64, fill, n_bits)
    similarity = similarities_by_hand(left, right, agreement)
    # From nearly all pairs to hardly any, and a similarity that occurs.
    quantiles = np.quantile(similarity, [0.05, 0.5, 0.95, 0.999], method="lower")
    for threshold in {float(q) for q in quantiles if q > 0}:
        rows, columns = np.nonzero(similarity >= np.float32(threshold))
        expected = zip(rows, columns, similarity[rows, columns], strict=True)
        assert pairs_of(left, right, agreement, threshold) == list(expected)


@pytest.mark.parametrize("agreement", [False, True])
@pytest.mark.parametrize("fill", [0.02, 0.5, 0.7])
def test_no_pair_at_the_threshold_is_below_its_bound(agreement: bool, fill: float) -> None:
    left, right = related_codes(40, 16, fill, 5)
    similarity = similarities_by_hand(left, right, agreement)
    row_bits, column_bits = popcounts(left), popcounts(right)
    for threshold in np.unique(similarity[similarity > 0])[::50]:
        slope, offset = line_of(1_024 if agreement else 0, float(threshold))
        for words in range(17):
            rows, columns = leading_bits(left, words), leading_bits_in_lanes(in_lanes(right), words)
            of_rows = bounds_of(row_bits, rows, slope, offset, False)
            of_columns = bounds_of(column_bits, columns, slope, 0.0, False)[: len(right)]
            common = np.bitwise_count(left[:, None, :words] & right[None, :, :words]).sum(axis=2)
            reached = 2 * common >= of_rows[:, None] + of_columns
            assert reached[similarity >= threshold].all()


def test_the_screen_is_short_where_pairs_are_far_below_the_threshold() -> None:
    left, right = related_codes(60, 16, 0.3, 6)
    lengths = [
        screen_length(left, popcounts(left), in_lanes(right), popcounts(right), *line_of(0, t))
        for t in (0.01, 0.8, 0.95)
    ]
    # Where all pairs pass there is nothing to look at first.
    assert lengths[0] == 0
    assert 0 < lengths[2] < lengths[1] < 16


def test_a_given_screen_leaves_out_what_differs_more_in_the_leading_bits() -> None:
    left, right = related_codes(80, 32, 0.5, 7)
    similarity = similarities_by_hand(left, right, agreement=True)
    differing = np.bitwise_count(left[:, None, :8] ^ right[None, :, :8]).sum(axis=2)
    for most in (0, 200, 240, 256, 512):
        passing = (similarity >= np.float32(0.52)) & (differing <= most)
        rows, columns = np.nonzero(passing)
        expected = list(zip(rows, columns, similarity[rows, columns], strict=True))
        assert pairs_of(left, right, True, 0.52, screen=(8, most)) == expected


@pytest.mark.parametrize("processor", [("generic", ""), ("x86-64-v3", "+avx2,+popcnt")])
def test_other_processors_find_the_same(tmp_path: Path, processor: tuple[str, str]) -> None:
    if "x86" not in os.uname().machine:
        pytest.skip("names of processors are those of x86")
    names = {"NUMBA_CPU_NAME": processor[0], "NUMBA_CPU_FEATURES": processor[1]}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "kernel_digest.py")],
        env={**os.environ, **names, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest()


def test_codes_that_do_not_lie_in_rows_are_refused() -> None:
    left, right = related_codes(70, 16, 0.5, 8)
    with pytest.raises(ValueError, match="C-ordered"):
        pairs_of(left[:, ::2], right[:, :8], False, 0.9)
