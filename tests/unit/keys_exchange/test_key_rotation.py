"""When a new epoch is due, which ones may be worked under, and what a new one costs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keys.rotation import (
    OVERLAP,
    PERIOD,
    Due,
    Event,
    Holding,
    JobUnder,
    KeyedEpoch,
    Reason,
    Usable,
    cost_of_new,
    destroy_from,
    reasons_for_new,
    usable_epochs,
)

DAY = timedelta(days=1)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
DONE = BEGAN + 2 * DAY
PENANG = "spiffe://padan.test/office/kemenlu.kjri-penang"
ONE = KeyedEpoch(1, BEGAN, DONE, frozenset({"dukcapil", "kemenlu", PENANG}))
TWO = KeyedEpoch(2, DONE + 80 * DAY, DONE + 85 * DAY, frozenset({"dukcapil", "kemenlu"}))


def test_a_key_is_due_when_its_time_is_over() -> None:
    last = DONE + PERIOD - timedelta(seconds=1)
    assert reasons_for_new(ONE, [], last) == []
    assert reasons_for_new(ONE, [], DONE + PERIOD) == [Due(Reason.AGE, DONE + PERIOD)]
    assert reasons_for_new(ONE, [], DONE + 7 * DAY, 7 * DAY) == [Due(Reason.AGE, DONE + 7 * DAY)]


@pytest.mark.parametrize("reason", [Reason.REMOVAL, Reason.LOSS])
@pytest.mark.parametrize("holder", ["dukcapil", PENANG])
def test_it_is_due_when_somebody_who_holds_it_goes_or_may_have_lost_it(
    reason: Reason, holder: str
) -> None:
    event = Event(reason, DONE + DAY, holder)
    assert reasons_for_new(ONE, [event], DONE + DAY) == [Due(reason, DONE + DAY, holder)]
    # Not yet; and not again, for who never held it, or for what an older epoch was about.
    assert reasons_for_new(ONE, [event], DONE) == []
    assert reasons_for_new(ONE, [replace(event, holder="ahu")], DONE + DAY) == []
    assert reasons_for_new(ONE, [replace(event, at=BEGAN - DAY)], DONE + DAY) == []
    assert reasons_for_new(TWO, [event], TWO.completed) == []


def test_who_goes_while_the_exchange_runs_has_had_a_part_in_it() -> None:
    event = Event(Reason.REMOVAL, BEGAN + DAY, "dukcapil")
    assert reasons_for_new(ONE, [event], DONE) == [Due(Reason.REMOVAL, BEGAN + DAY, "dukcapil")]


def test_other_algorithms_make_it_due_and_reasons_come_in_their_order() -> None:
    events = [
        Event(Reason.LOSS, DONE + 5 * DAY, "kemenlu"),
        Event(Reason.ALGORITHM, DONE + 3 * DAY),
    ]
    found = [due.reason for due in reasons_for_new(ONE, events, DONE + PERIOD)]
    assert found == [Reason.ALGORITHM, Reason.LOSS, Reason.AGE]


def usable(
    epochs: list[KeyedEpoch], now: datetime, *events: Event
) -> tuple[int | None, tuple[int, ...]]:
    found = usable_epochs(epochs, events, now)
    return found.current, found.finishing


def test_two_keys_are_in_use_for_a_while() -> None:
    assert usable([], DONE) == (None, ())
    assert usable([ONE], DONE) == (1, ())
    assert usable([ONE, TWO], TWO.completed) == (2, (1,))
    assert usable([TWO, ONE], TWO.completed + OVERLAP - timedelta(seconds=1)) == (2, (1,))
    assert usable([ONE, TWO], TWO.completed + OVERLAP) == (2, ())


def test_each_key_finishes_beside_the_one_after_it() -> None:
    three = KeyedEpoch(3, TWO.completed, TWO.completed + 2 * DAY, TWO.holders)
    epochs = [ONE, TWO, three]
    assert usable(epochs, three.completed) == (3, (2, 1))
    assert usable(epochs, TWO.completed + OVERLAP) == (3, (2,))
    assert usable(epochs, three.completed + OVERLAP) == (3, ())


def test_an_old_key_waits_for_the_next_and_not_for_ever() -> None:
    assert usable([ONE], DONE + PERIOD) == (1, ())
    assert usable([ONE], DONE + PERIOD + OVERLAP - timedelta(seconds=1)) == (1, ())
    assert usable([ONE], DONE + PERIOD + OVERLAP) == (None, ())


def test_a_key_that_waited_long_still_finishes_beside_the_next() -> None:
    late = replace(TWO, completed=DONE + PERIOD + 13 * DAY)
    assert usable([ONE, late], late.completed + 13 * DAY) == (2, (1,))


def test_a_key_whose_time_was_over_does_not_come_back_with_the_next() -> None:
    late = replace(TWO, completed=DONE + PERIOD + OVERLAP)
    assert usable([ONE, late], late.completed) == (2, ())


@pytest.mark.parametrize("reason", [Reason.REMOVAL, Reason.LOSS])
def test_after_a_removal_or_a_loss_nothing_more_runs_under_the_key(reason: Reason) -> None:
    event = Event(reason, DONE + DAY, "dukcapil")
    assert usable([ONE], DONE + DAY - timedelta(seconds=1), event) == (1, ())
    assert usable([ONE], DONE + DAY, event) == (None, ())
    assert usable([ONE, TWO], TWO.completed, event) == (2, ())


def test_other_algorithms_let_what_was_begun_finish() -> None:
    event = Event(Reason.ALGORITHM, DONE + DAY)
    assert usable([ONE], DONE + DAY, event) == (1, ())
    assert usable([ONE, TWO], TWO.completed, event) == (2, (1,))


def test_the_old_key_dies_after_the_last_retention() -> None:
    assert destroy_from(TWO, []) == TWO.completed + OVERLAP
    late = TWO.completed + 40 * DAY
    assert destroy_from(TWO, [TWO.completed, late]) == late


def test_what_a_new_epoch_costs() -> None:
    holdings = [
        Holding("dukcapil", 1_000_000, 1, (), 20_000.0),
        Holding("kemenlu", 50_000, 0, (PENANG,), 10_000.0),
    ]
    jobs = [JobUnder("job-1", 1), JobUnder("job-2", 2)]
    due = reasons_for_new(TWO, [], TWO.completed + PERIOD)
    cost = cost_of_new(3, due, holdings, jobs, Usable(2, ()), TWO.completed, DAY)
    assert cost.epoch == 4
    assert [one.reason for one in cost.due] == [Reason.AGE]
    assert cost.messages == 7
    assert cost.latest == TWO.completed + 4 * DAY
    assert cost.records == {"dukcapil": 1_000_000, "kemenlu": 50_000}
    assert cost.encode_s == {"dukcapil": 50.0, "kemenlu": 5.0}
    assert cost.registers == {"dukcapil": 1, "kemenlu": 0}
    assert cost.delegations == {"dukcapil": (), "kemenlu": (PENANG,)}
    assert cost.jobs_to_finish == ("job-2",)
    assert cost.jobs_to_repeat == ("job-1",)
