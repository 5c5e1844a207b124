"""The buckets of callers."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.identity import Identity, parse_identity
from linkage.errors import QuotaExceededError
from linkage.rpc.rates import Rates, Volumes


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


def test_a_share_is_a_larger_bucket() -> None:
    clock = Clock()
    rates = Rates(2.0, 5.0, clock)
    assert [rates.take("party", 4) for _ in range(21)] == [True] * 20 + [False]
    clock.now += 1.0
    assert [rates.take("party", 4) for _ in range(9)] == [True] * 8 + [False]


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


PARTY, OFFICE = (parse_identity(f"spiffe://x.test/{path}") for path in ("party/a", "office/a/b"))


def send(volumes: Volumes, who: Identity, n_bytes: int) -> bool:
    try:
        with volumes.taken(who, n_bytes):
            return True
    except QuotaExceededError:
        return False


def test_bytes_are_of_a_day_and_those_of_offices_their_party_s_too() -> None:
    clock = Clock()
    volumes = Volumes(100, 30, 1_000, clock)
    assert send(volumes, OFFICE, 30)
    assert not send(volumes, OFFICE, 1)
    assert send(volumes, PARTY, 70)
    assert not send(volumes, PARTY, 1)
    clock.now += 86_400
    assert send(volumes, OFFICE, 30)
    assert send(volumes, PARTY, 70)


def test_bytes_at_hand_of_all_offices_are_bounded_together() -> None:
    volumes = Volumes(10_000, 10_000, 100, Clock())
    offices = [parse_identity(f"spiffe://x.test/office/a/o{number}") for number in range(5)]
    with ExitStack() as stack:
        for office in offices[:4]:
            stack.enter_context(volumes.taken(office, 100))
        assert not send(volumes, offices[4], 1)
        assert not send(volumes, PARTY, 1)
        assert send(volumes, parse_identity("spiffe://x.test/party/b"), 100)
    assert send(volumes, offices[4], 100)


def test_bytes_at_hand_are_given_back_whatever_happens() -> None:
    volumes = Volumes(10_000, 10_000, 100, Clock())
    with volumes.taken(PARTY, 60):
        assert not send(volumes, PARTY, 41)
        assert send(volumes, OFFICE, 100)
        assert send(volumes, PARTY, 40)
    with pytest.raises(ValueError, match="x"), volumes.taken(PARTY, 100):
        raise ValueError("x")
    assert send(volumes, PARTY, 100)
