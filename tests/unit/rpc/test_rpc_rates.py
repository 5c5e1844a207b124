"""The buckets of callers."""

import gc
from contextlib import ExitStack
from typing import Any

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


OFFICES = [parse_identity(f"spiffe://x.test/office/a/o{number}") for number in range(5)]


def test_offices_that_flood_leave_their_head_office_all_its_calls() -> None:
    clock = Clock()
    rates = Rates(2.0, 5.0, clock)
    for _ in range(30):
        taken = sum(rates.take_call(office) for office in OFFICES for _ in range(5))
        assert taken <= 15
        assert all(rates.take_call(PARTY) for _ in range(2))
        clock.now += 1.0


def test_offices_together_leave_their_head_office_a_quarter_of_the_day() -> None:
    volumes = Volumes(100, 25, 1_000, Clock())
    assert [send(volumes, office, 25) for office in OFFICES] == [True] * 3 + [False] * 2
    with pytest.raises(QuotaExceededError, match="the offices of this party have sent the 75"):
        volumes.taken(OFFICES[4], 1).__enter__()
    assert send(volumes, parse_identity("spiffe://x.test/office/b/o"), 25)
    assert send(volumes, PARTY, 25)
    assert not send(volumes, PARTY, 1)


def test_what_is_not_of_the_day_is_counted_while_it_is_worked_on_alone() -> None:
    volumes = Volumes(100, 25, 1_000, Clock())
    assert send(volumes, PARTY, 100)
    assert not send(volumes, PARTY, 1)
    day, sent = volumes.sent()
    with (
        volumes.taken(PARTY, 1_000, of_day=False),
        pytest.raises(QuotaExceededError),
        volumes.taken(PARTY, 1, of_day=False),
    ):
        pass
    assert volumes.sent() == (day, sent)


def test_bytes_at_hand_of_all_offices_are_bounded_together() -> None:
    volumes = Volumes(10_000, 10_000, 100, Clock())
    with ExitStack() as stack:
        for office in OFFICES[:3]:
            stack.enter_context(volumes.taken(office, 100))
        assert not send(volumes, OFFICES[3], 1)
        # Whatever they do, their head office has as much as anybody.
        assert send(volumes, PARTY, 100)
        assert send(volumes, parse_identity("spiffe://x.test/party/b"), 100)
    assert send(volumes, OFFICES[3], 100)


def test_bytes_at_hand_are_given_back_whatever_happens() -> None:
    volumes = Volumes(10_000, 10_000, 100, Clock())
    with volumes.taken(PARTY, 60):
        assert not send(volumes, PARTY, 41)
        assert send(volumes, OFFICE, 100)
        assert send(volumes, PARTY, 40)
    with pytest.raises(ValueError, match="x"), volumes.taken(PARTY, 100):
        raise ValueError("x")
    assert send(volumes, PARTY, 100)


def test_what_the_collector_gives_up_in_the_middle_of_counting_is_given_back() -> None:
    """It runs on any thread that allocates, also on one that counts: none waits for itself."""

    def collecting() -> float:
        gc.collect()
        return 0.0

    volumes = Volumes(10_000, 10_000, 100, collecting)
    lost: list[Any] = [volumes.taken(PARTY, 100)]
    lost[0].__enter__()
    lost.append(lost)
    del lost
    assert send(volumes, PARTY, 100)
