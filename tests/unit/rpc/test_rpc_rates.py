"""The buckets of callers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.rpc.rates import Rates


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_and_then_so_many_a_second() -> None:
    clock = Clock()
    rates = Rates(2.0, 5.0, clock)
    assert [rates.take("a") for _ in range(7)] == [True] * 5 + [False] * 2
    clock.now += 1.0
    assert [rates.take("a") for _ in range(3)] == [True, True, False]
    clock.now += 3_600.0
    assert [rates.take("a") for _ in range(6)] == [True] * 5 + [False]


def test_callers_do_not_hinder_each_other() -> None:
    rates = Rates(1.0, 2.0, Clock())
    assert [rates.take("a") for _ in range(3)] == [True, True, False]
    assert [rates.take("b") for _ in range(3)] == [True, True, False]


@given(st.lists(st.floats(0, 2), max_size=60), st.floats(0.5, 20), st.integers(1, 9))
def test_never_more_than_the_burst_and_the_rate(
    pauses: list[float], per_s: float, burst: int
) -> None:
    clock = Clock()
    rates, taken = Rates(per_s, burst, clock), 0
    for pause in pauses:
        clock.now += pause
        taken += rates.take("a")
        assert taken <= burst + per_s * (clock.now - 100.0) + 1e-6


@pytest.mark.parametrize("n", [1, 10])
def test_who_waits_long_enough_is_never_refused(n: int) -> None:
    clock = Clock()
    rates = Rates(4.0, 1.0, clock)
    for _ in range(20 * n):
        clock.now += 0.25
        assert rates.take("a")
