import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linkage.privacy.graph import Overlap
from linkage.privacy.learner import Correlation, correlated
from linkage.privacy.lint import _rank
from linkage.privacy.pairwise import common_bits, signed_agreement
from linkage.privacy.rates import Rate


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 300), st.integers(1, 5))
def test_common_bits_are_those_of_each_pair(seed: int, n: int, m: int, words: int) -> None:
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 2**64, (n, words), dtype=np.uint64)
    right = rng.integers(0, 2**64, (m, words), dtype=np.uint64)
    both = np.bitwise_count(left[:, None] & right[None]).sum(axis=2)
    assert (common_bits(left, right) == both).all()
    differ = np.bitwise_count(left[:, None] ^ right[None]).sum(axis=2)
    expected = 1 - 2 * differ / (64 * words)
    np.testing.assert_allclose(signed_agreement(left, right), expected, atol=1e-5)


@given(st.data())
def test_the_interval_holds_the_rate(data: st.DataObject) -> None:
    trials = data.draw(st.integers(1, 100_000))
    rate = Rate(data.draw(st.integers(0, trials)), trials, 1e-4)
    low, high = rate.interval
    assert 0 <= low <= rate.value + 1e-12
    assert rate.value - 1e-12 <= high <= 1
    assert (rate + rate).trials == 2 * trials
    low2, high2 = (rate + rate).interval
    assert high2 - low2 <= high - low + 1e-12


def test_the_interval_is_wilsons() -> None:
    low, high = Rate(10, 100, 0.01).interval
    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)


def test_few_trials_do_not_exceed_without_hits() -> None:
    assert not Rate(0, 50, 0.001).exceeded
    assert Rate(10, 50, 0.001).exceeded
    assert not Rate(0, 5000, 0.0001).exceeded
    assert Rate(25, 5000, 0.0001).exceeded


@given(st.integers(0, 2**32), st.integers(2, 9), st.integers(2, 9), st.integers(9, 40))
def test_correlations_come_in_parts_as_at_once(seed: int, n: int, m: int, n_known: int) -> None:
    rng = np.random.default_rng(seed)
    seen, expected = (rng.standard_normal((rows, n_known)).astype(np.float32) for rows in (n, m))
    parts = Correlation(n, m)
    cut = int(rng.integers(0, n_known + 1))
    for part in (slice(0, cut), slice(cut, None)):
        parts.add(seen[:, part], expected[:, part])
    np.testing.assert_allclose(parts.value(), correlated(seen, expected), atol=1e-3)
    centred = [rows - rows.mean(axis=0) for rows in (seen, expected)]
    plain = np.corrcoef(np.concatenate(centred))[:n, n:]
    np.testing.assert_allclose(parts.value(), plain, atol=1e-3)


@given(st.integers(10, 3000), st.floats(0, 1), st.integers(0, 2**32))
def test_overlaps_are_what_they_say(n: int, share: float, seed: int) -> None:
    overlap = Overlap.draw(n, share, seed)
    assert len(overlap.encoded) == len(overlap.plain)
    shared = np.intersect1d(overlap.encoded, overlap.plain)
    assert sorted(overlap.encoded[: overlap.n_shared]) == shared.tolist()
    assert (overlap.encoded[: overlap.n_shared] == overlap.plain[: overlap.n_shared]).all()
    assert len(set(overlap.encoded)) == len(overlap.encoded)
    assert abs(overlap.n_shared - share * len(overlap.plain)) <= 1


@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(0, 40))
def test_the_rank_is_that_of_independent_rows(seed: int, n: int, independent: int) -> None:
    rng = np.random.default_rng(seed)
    # Rows of a unit triangle are independent; sums of them add nothing.
    independent = min(independent, n)
    base = np.zeros((independent, 2), dtype=np.uint64)
    for row in range(independent):
        base[row, 0] = np.uint64(1 << row) | np.uint64(rng.integers(0, 2**20)) << np.uint64(44)
        base[row, 1] = rng.integers(0, 2**64, dtype=np.uint64)
    sums = [
        np.bitwise_xor.reduce(base[rng.random(independent) < 0.5], axis=0)
        for _ in range(n - independent)
    ]
    rows = np.concatenate([base, np.array(sums, dtype=np.uint64).reshape(-1, 2)])
    assert _rank(rng.permutation(rows)) == independent
