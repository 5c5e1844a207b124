"""Deadlines of the law: clock hours, and working days of Indonesia.

"3x24 jam" (UU 27/2022) are 72 hours of the clock, on holidays as on others. A "Hari" of PP
33/2026 is a working day (art. 1(19)): not Saturday or Sunday, not a public holiday, and not a
day of joint leave (cuti bersama), on which offices are closed. Both run from the receipt of a
request (UU 27/2022 art. 14), whenever it is verified.

Holidays are those that the package `holidays` knows: of past years from the joint decrees (SKB
3 Menteri), of later years what can be computed. `Deadline.provisional` says where a deadline
rests on a year of the second kind; computed again after the decree it may be another day.

No clock here: times are arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from linkage.errors import ConfigError

RIGHTS_HOURS = 72
_SATURDAY = 5
# The marks of the package: what was computed, and what only a decree can say.
_COMPUTED, _JOINT_LEAVE = "estimated", "Joint Holiday"
_ZONES = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}


@dataclass(frozen=True)
class Deadline:
    """When something must have been done.

    Attributes:
        due: the moment, in UTC; what is done at it is late.
        provisional: whether it rests on holidays that no decree has fixed yet.
    """

    due: datetime
    provisional: bool = False

    def late(self, now: datetime) -> bool:
        """Return whether the time is over."""
        return now >= self.due


def zone(name: str) -> tzinfo:
    """Return a time zone: WIB, WITA, WIT, or that of a mission, such as `Asia/Riyadh`.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        return ZoneInfo(_ZONES.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        problem = "no time zone: name WIB, WITA, WIT, or one such as Asia/Riyadh"
        raise ConfigError(name, [problem]) from error


def parse_moment(text: str, where: tzinfo) -> datetime:
    """Return a moment in UTC and whole seconds.

    Args:
        text: such as 2026-11-22T09:30, or with its own offset as 2026-11-22T09:30+07:00.
        where: the zone of a time without offset. Of an hour that comes twice, as clocks are set
            back, the first is taken: no deadline ends too late for it.

    Raises:
        ConfigError: it is no time.
    """
    try:
        moment = datetime.fromisoformat(text)
        placed = moment if moment.tzinfo else moment.replace(tzinfo=where)
        return placed.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        problem = "no time: write it as 2026-11-22T09:30 or 2026-11-22T09:30+07:00"
        raise ConfigError(text, [problem]) from error


def after_hours(receipt: datetime, hours: int = RIGHTS_HOURS) -> Deadline:
    """Return the end of some clock hours.

    Args:
        receipt: when they begin, with its zone; clocks that are set meanwhile change nothing.
        hours: how many.
    """
    _check(receipt, hours)
    try:
        return Deadline(receipt.astimezone(UTC) + timedelta(hours=hours))
    except OverflowError:  # the last hours that can be written
        return Deadline(datetime.max.replace(tzinfo=UTC))


def after_working_days(receipt: datetime, days: int, where: tzinfo) -> Deadline:
    """Return the end of some working days.

    The day of the receipt does not count; the last one counts to its end.

    Args:
        receipt: when the request came, with its zone.
        days: how many working days.
        where: zone of the office that received it: its days are meant.
    """
    _check(receipt, days)
    day, left, provisional = receipt.astimezone(where).date(), days, False
    while left:
        day += timedelta(days=1)
        left -= is_working_day(day)
        provisional = provisional or not is_decreed(day.year)
    end = datetime.combine(day + timedelta(days=1), time(), where)
    return Deadline(end.astimezone(UTC), provisional)


def is_working_day(day: date) -> bool:
    """Return whether offices of the Indonesian state work on a day."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year)


def is_decreed(year: int) -> bool:
    """Return whether the holidays of a year are those of a decree, and not computed alone."""
    names = _holidays(year).values()
    decreed = any(_JOINT_LEAVE in name for name in names)
    return decreed and not any(_COMPUTED in name for name in names)


@cache
def _holidays(year: int) -> Mapping[date, str]:
    from holidays import country_holidays  # noqa: PLC0415 -- most commands need no calendar

    # Days of joint leave are of the category `government`.
    categories = ("public", "government")
    return dict(country_holidays("ID", years=year, categories=categories, language="en_US"))


def _check(receipt: datetime, number: int) -> None:
    if receipt.utcoffset() is None:
        raise ValueError("a receipt has a time zone")
    if number < 0:
        raise ValueError("a deadline does not lie before its receipt")
