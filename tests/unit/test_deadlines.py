"""Deadlines: worked examples of both clocks."""

from datetime import UTC, date, datetime

import pytest

from linkage.deadlines import (
    Deadline,
    after_hours,
    after_working_days,
    is_decreed,
    is_working_day,
    parse_moment,
    zone,
)
from linkage.errors import ConfigError


def moment(text: str, where: str = "WIB") -> datetime:
    return parse_moment(text, zone(where))


def shown(deadline: Deadline, where: str = "WIB") -> str:
    return deadline.due.astimezone(zone(where)).isoformat(timespec="minutes")


def test_three_times_24_hours_run_through_the_feast_and_the_weekend() -> None:
    # 21 March 2026, a Saturday, is Idulfitri; joint leave lasts to the 24th.
    received = moment("2026-03-20T16:05")
    assert shown(after_hours(received)) == "2026-03-23T16:05+07:00"
    assert not after_hours(received).provisional


@pytest.mark.parametrize(
    ("received", "days", "due"),
    [
        ("2026-11-20T16:05", 1, "2026-11-24T00:00+07:00"),  # a Friday: Monday counts, to its end
        ("2026-11-23T00:00", 3, "2026-11-27T00:00+07:00"),
        ("2026-11-22T10:00", 3, "2026-11-26T00:00+07:00"),  # a Sunday
        # Nyepi, Idulfitri, joint leave on both sides, and weekends: the next day is the 25th.
        ("2026-03-17T09:00", 1, "2026-03-26T00:00+07:00"),
        ("2026-12-23T09:00", 1, "2026-12-29T00:00+07:00"),  # joint leave, Christmas, a weekend
        ("2026-08-14T09:00", 1, "2026-08-19T00:00+07:00"),  # Independence Day on a Monday
    ],
)
def test_working_days_leave_out_weekends_holidays_and_joint_leave(
    received: str, days: int, due: str
) -> None:
    deadline = after_working_days(moment(received), days, zone("WIB"))
    assert (shown(deadline), deadline.provisional) == (due, False)


def test_the_same_moment_is_another_day_at_another_office() -> None:
    received = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)  # the 25th in Jayapura, not in Jakarta
    assert shown(after_working_days(received, 1, zone("WIB"))) == "2026-11-26T00:00+07:00"
    wit = after_working_days(received, 1, zone("WIT"))
    assert shown(wit, "WIT") == "2026-11-27T00:00+09:00"


def test_clocks_that_are_set_back_give_no_hour_away() -> None:
    # In Berlin the clock was set back on 25 October 2026: 72 hours end an hour earlier by it.
    received = moment("2026-10-24T12:00", "Europe/Berlin")
    assert shown(after_hours(received), "Europe/Berlin") == "2026-10-27T11:00+01:00"
    # The hour that came twice: the first one.
    assert moment("2026-10-25T02:30", "Europe/Berlin") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_time_with_its_own_offset_keeps_it() -> None:
    assert moment("2026-11-22T09:30+09:00", "WIB") == datetime(2026, 11, 22, 0, 30, tzinfo=UTC)


def test_years_without_a_decree_are_provisional() -> None:
    assert is_decreed(2026)
    assert not is_decreed(2031)
    assert after_working_days(moment("2031-06-02T09:00"), 30, zone("WIB")).provisional
    assert not is_working_day(date(2032, 8, 17))  # what needs no decree is known


def test_what_is_due_now_is_late() -> None:
    deadline = after_hours(moment("2026-11-22T09:30"))
    assert deadline.late(deadline.due)
    assert not deadline.late(moment("2026-11-25T09:29"))


@pytest.mark.parametrize("name", ["", "Jakarta", "../etc/passwd", "WIB "])
def test_other_zones_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no time zone"):
        zone(name)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00", "0001-01-01T00:00"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no time"):
        moment(text)


def test_a_receipt_without_a_zone_is_a_bug_of_the_caller() -> None:
    naive = datetime(2026, 11, 22)  # noqa: DTZ001 -- the point
    with pytest.raises(ValueError, match="time zone"):
        after_hours(naive)
    with pytest.raises(ValueError, match="before its receipt"):
        after_working_days(moment("2026-11-22T09:30"), -1, zone("WIB"))
