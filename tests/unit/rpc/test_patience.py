"""How long a caller tries again, and how: on a clock of the tests' own."""

import re

import pytest

from linkage.cli.progress import AwayLines
from linkage.errors import DeniedError, UnavailableError
from linkage.rpc.patience import Patience, telling


class Clock:
    def __init__(self) -> None:
        self.now, self.pauses = 0.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, longest_s: float) -> Patience:
        return Patience(longest_s, self.sleep, lambda: self.now)


def test_a_call_that_succeeds_is_made_once() -> None:
    clock, calls = Clock(), list[int]()
    assert clock.patience(0).call(lambda: calls.append(1)) is None
    assert (calls, clock.pauses) == ([1], [])


def test_pauses_grow_up_to_half_a_minute_and_end_with_patience() -> None:
    clock, told = Clock(), list[tuple[float, float, float]]()
    patience = clock.patience(3600)
    patience.on_away = lambda away_s, pause_s, left_s: told.append((away_s, pause_s, left_s))

    def fails() -> None:
        raise UnavailableError("gone")

    with pytest.raises(UnavailableError, match="gone"):
        patience.call(fails)
    assert sum(clock.pauses) == pytest.approx(3600)
    assert clock.pauses[0] <= 0.2
    assert 20 < max(clock.pauses) <= 30
    assert len(clock.pauses) < 200
    assert [pause for _, pause, _ in told] == clock.pauses
    assert [away for away, _, _ in told] == sorted(away for away, _, _ in told)
    assert all(away + left == pytest.approx(3600) for away, _, left in told)


def test_the_time_that_calls_take_counts_too() -> None:
    clock, calls = Clock(), list[int]()

    def hangs() -> None:
        calls.append(1)
        clock.now += 30
        raise UnavailableError("deadline")

    with pytest.raises(UnavailableError):
        clock.patience(60).call(hangs)
    assert len(calls) <= 4


def test_whatever_gets_through_renews_it() -> None:
    clock = Clock()
    patience = clock.patience(10)
    for _ in range(100):
        for _ in range(4):
            patience.wait(UnavailableError("again"))
        patience.reached()
    assert clock.now > 100


def test_other_errors_are_not_tried_again() -> None:
    clock, calls = Clock(), list[int]()

    def refused() -> None:
        calls.append(1)
        raise DeniedError("NO", "never")

    with pytest.raises(DeniedError):
        clock.patience(60).call(refused)
    assert len(calls) == 1


def test_commands_say_on_stderr_who_does_not_answer_and_until_when(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()

    def call() -> None:
        if clock.now < 20:
            raise UnavailableError("gone")

    with telling(AwayLines("matcher.example:8443")):
        clock.patience(60).call(call)
    shown = capsys.readouterr()
    assert shown.out == ""
    # Once: the clock of the lines has hardly moved.
    assert re.fullmatch(
        r"the matcher at matcher\.example:8443 does not answer: it will be tried until "
        r"\d\d:\d\d:\d\d\n",
        shown.err,
    )


def test_a_moment_without_an_answer_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    clock, left = Clock(), [3]

    def call() -> None:
        left[0] -= 1
        if left[0]:
            raise UnavailableError("gone")

    with telling(AwayLines("matcher.example:8443")):
        clock.patience(60).call(call)
    assert capsys.readouterr().err == ""
