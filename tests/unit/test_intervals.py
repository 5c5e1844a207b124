"""Intervals, and what links of two rounds say of their own quality."""

import numpy as np
import pytest

from linkage.classify.intervals import UNKNOWN, Interval, off_by
from linkage.classify.refined import estimate_quality

SURE, LIKELY, UNLIKELY = 1.0, 0.9, 0.01


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_an_interval_leaves_out_the_outermost_draws_on_both_sides() -> None:
    interval = Interval.of(0.5, np.linspace(0.0, 1.0, 1001))
    assert interval.low == pytest.approx(0.025)
    assert interval.high == pytest.approx(0.975)
    assert 0.03 in interval
    assert 0.99 not in interval


def test_an_interval_holds_its_estimate_though_no_draw_does() -> None:
    assert Interval.of(0.9, np.full(10, 0.5)) == Interval(0.9, 0.5, 0.9)
    assert Interval.of(0.1, np.full(10, 0.5)) == Interval(0.1, 0.1, 0.5)


def test_of_what_is_not_known_nothing_is_left_out() -> None:
    assert 0.0 in UNKNOWN
    assert 1.0 in UNKNOWN


def test_factors_lie_between_the_inverse_and_the_factor_in_95_of_100_draws() -> None:
    drawn = off_by(3.0, 100_000, rng())
    inside = ((drawn > 1 / 3) & (drawn < 3)).mean()
    assert inside == pytest.approx(0.95, abs=0.005)
    assert np.median(drawn) == pytest.approx(1.0, abs=0.01)


def test_links_are_as_precise_as_their_probabilities_say() -> None:
    posterior = np.array([LIKELY] * 200 + [UNLIKELY] * 1000)
    linked = posterior > 0.5
    precision, recall = estimate_quality(posterior, linked, 20.0, rng())
    assert precision.estimate == pytest.approx(0.9)
    assert recall.estimate == pytest.approx(180 / (180 + 10 + 20))
    assert precision.low < 0.9 < precision.high
    assert recall.low < recall.estimate < recall.high


def test_sure_links_may_still_be_wrong() -> None:
    posterior = np.full(1000, SURE)
    precision, recall = estimate_quality(posterior, np.ones(1000, np.bool_), 0.0, rng())
    assert precision.estimate == recall.estimate == 1.0
    assert 0.99 < precision.low < 1.0
    assert 0.99 < recall.low < 1.0


def test_matches_that_were_never_seen_lower_the_recall_and_widen_it() -> None:
    posterior = np.full(1000, SURE)
    linked = np.ones(1000, np.bool_)
    _, none = estimate_quality(posterior, linked, 0.0, rng())
    _, many = estimate_quality(posterior, linked, 100.0, rng())
    assert many.estimate < none.estimate
    assert many.high - many.low > none.high - none.low


def test_without_a_link_nothing_is_found_and_nothing_false() -> None:
    posterior = np.full(10, 0.4)
    precision, recall = estimate_quality(posterior, np.zeros(10, np.bool_), 0.0, rng())
    assert precision.estimate == 1.0
    assert recall.estimate == 0.0


def test_equal_draws_give_equal_intervals() -> None:
    posterior = np.full(50, LIKELY)
    linked = np.ones(50, np.bool_)
    assert estimate_quality(posterior, linked, 3.0, rng()) == estimate_quality(
        posterior, linked, 3.0, rng()
    )
