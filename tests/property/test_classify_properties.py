"""The model depends on nothing but the pairs; likelihood ratios rise."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.classify.estimate import fit
from linkage.classify.fellegi_sunter import Roles
from linkage.classify.levels import N_LEVELS, SCALES, Level
from linkage.classify.monotone import with_rising_ratio

TYPES = ["name", "date", "address", "phone"]
PARTS = st.floats(1e-6, 1)


def some_levels(seed: int, n: int) -> NDArray[np.int8]:
    rng = np.random.default_rng(seed)
    strangers = rng.integers(0, 5, (n, len(TYPES)))
    alike = rng.integers(Level.CLOSE, N_LEVELS, (n, len(TYPES)))
    return np.where(rng.random((n, 1)) < 0.2, alike, strangers).astype(np.int8)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.permutations(range(len(TYPES))))
def test_order_of_pairs_and_attributes_is_nothing(seed: int, columns: list[int]) -> None:
    levels, random_levels = some_levels(seed, 400), some_levels(seed + 1, 2_000) % 6
    first = fit(levels, random_levels, Roles.of(TYPES), 100_000)
    rows = np.random.default_rng(seed).permutation(len(levels))
    second = fit(
        levels[rows][:, columns],
        random_levels[::-1][:, columns],
        Roles.of([TYPES[c] for c in columns]),
        100_000,
    )
    assert np.allclose(first.m[columns], second.m, atol=1e-6)
    assert np.allclose(first.u[columns], second.u)
    scores = first.score(levels).log_odds[rows]
    assert np.allclose(scores, second.score(levels[rows][:, columns]).log_odds, atol=1e-4)
    assert first.notes == second.notes


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_a_higher_level_never_speaks_more_against_a_link(seed: int) -> None:
    model = fit(some_levels(seed, 300), some_levels(seed + 1, 1_500), Roles.of(TYPES), 50_000)
    if not model.notes:
        for scale in SCALES:
            weights = model.level_weights()[:, list(scale)]
            assert (np.diff(weights, axis=1) >= -1e-9).all()
    assert np.allclose(model.m.sum(axis=1), 1)
    assert np.allclose(model.u.sum(axis=1), 1)


@given(st.lists(st.tuples(PARTS, PARTS), min_size=1, max_size=12))
def test_pooling_gives_rising_ratios_and_keeps_the_sum(parts: list[tuple[float, float]]) -> None:
    m, u = (np.array(side) for side in zip(*parts, strict=True))
    got = with_rising_ratio(m, u)
    assert np.isclose(got.sum(), m.sum())
    ratios = got / u
    assert (np.diff(ratios) >= -1e-9 * ratios[1:]).all()
    if (np.diff(m / u) >= 0).all():
        assert np.allclose(got, m)
    # Pooling again changes nothing.
    assert np.allclose(with_rising_ratio(got, u), got)
