"""Working days against a count by hand, day after day, and what holds of every deadline."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.deadlines import after_hours, after_working_days, is_working_day, zone

ZONES = st.sampled_from(["WIB", "WITA", "WIT", "Asia/Riyadh", "America/New_York", "Europe/London"])
SECONDS = st.integers(1_704_067_200, 1_811_808_000)  # 2024 to mid-2027
MOMENTS = SECONDS.map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
DAYS = st.integers(1, 40)


@settings(max_examples=60)
@given(MOMENTS, DAYS, ZONES)
def test_as_many_working_days_lie_between_receipt_and_end(
    received: datetime, days: int, name: str
) -> None:
    where = zone(name)
    due = after_working_days(received, days, where).due.astimezone(where)
    assert (due.hour, due.minute, due.second) == (0, 0, 0)
    first, last = received.astimezone(where).date(), due.date() - timedelta(days=1)
    between = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    assert sum(map(is_working_day, between)) == days
    assert is_working_day(last)


@settings(max_examples=60)
@given(MOMENTS, MOMENTS, DAYS, ZONES)
def test_who_receives_later_is_due_no_earlier(
    one: datetime, other: datetime, days: int, name: str
) -> None:
    first, second = sorted([one, other])
    where = zone(name)
    assert after_working_days(first, days, where).due <= after_working_days(second, days, where).due
    assert after_hours(first).due <= after_hours(second).due


@settings(max_examples=60)
@given(MOMENTS, st.integers(1, 200), ZONES)
def test_hours_are_the_same_wherever_they_are_read(
    received: datetime, hours: int, name: str
) -> None:
    there = received.astimezone(zone(name))
    assert after_hours(there, hours).due - received == timedelta(hours=hours)
    assert after_hours(there, hours) == after_hours(received, hours)
