"""Numbers of documents, none of which can be a real one.

NIK and family card numbers are built as the real ones are, but their province is
always 00, which is assigned to none. Passport numbers take their letters from
series that are not in use, and permits and certificates carry a form of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from linkage.synthetic.columns import (
    Ints,
    Mask,
    Text,
    calendar,
    day_number,
    digits,
    join,
    pick,
    rank_within,
    text,
)

# Series by the year of issue. Real booklets are A, B, C, E and X so far.
_SERIES = ((2014, "Q"), (2018, "U"), (2022, "V"), (9999, "Z"))
_CAPACITY = 10_000_000  # seven digits
_SPREAD = 7_654_321  # coprime to the capacity, so that consecutive numbers look unrelated


Numbering: TypeAlias = Callable[[np.random.Generator, int], Text]
"""Gives a number of distinct document numbers."""


@dataclass(frozen=True)
class Passports:
    """Passports as columns, sorted by person, then by age.

    Attributes:
        person: the holder.
        number: distinct.
        issued: day number.
        expires: day number.
        age: 0 for the latest passport of the person, 1 for the one before.
    """

    person: Ints
    number: Text
    issued: Ints
    expires: Ints
    age: Ints


def niks(rng: np.random.Generator, districts: Ints, birth: Ints, female: Mask) -> Text:
    """Return one NIK each: 00, four digits of district, DDMMYY (women DD + 40), serial.

    Args:
        rng: source of randomness, for the order in which serials were given.
        districts: the last four digits of the district's code.
        birth: birth dates as day numbers.
        female: sex.

    Raises:
        ValueError: more than 9999 persons of one sex, district and birth date.
    """
    return _dated_numbers(rng, districts, birth, np.where(female, 40, 0))


def family_cards(rng: np.random.Generator, districts: Ints, issued: Ints) -> Text:
    """Return one family card number each: as a NIK, with the date of issue.

    Raises:
        ValueError: more than 9999 cards of one district and day.
    """
    return _dated_numbers(rng, districts, issued, np.zeros(len(issued), dtype=np.int64))


def _dated_numbers(rng: np.random.Generator, districts: Ints, date: Ints, extra_days: Ints) -> Text:
    year, month, day = calendar(date)
    prefix = districts * 10**6 + (day + extra_days) * 10**4 + month * 100 + year % 100
    shuffled = rng.permutation(len(prefix))
    order = shuffled[np.argsort(prefix[shuffled], kind="stable")]
    serial = rank_within(prefix, order)
    if len(serial) and serial.max() >= 9999:
        raise ValueError("more numbers of one district and date than serials of four digits")
    return digits(prefix * 10**4 + serial + 1, 16)


def passports(rng: np.random.Generator, holders: Ints, birth: Ints, today: int) -> Passports:
    """Return the passports of `holders`, up to three each, a new number at every renewal.

    Args:
        rng: source of randomness.
        holders: persons.
        birth: their birth dates.
        today: the reference date.
    """
    n = len(holders)
    latest = today - rng.integers(30, 5 * 365, n)
    renewals = rng.integers(0, 3, n)
    issued = latest[:, None] - np.arange(3) * 5 * 365 - rng.integers(0, 300, (n, 3)) * np.arange(3)
    held = (np.arange(3) <= renewals[:, None]) & (issued > birth[:, None])
    held[:, 0] = True
    issued[:, 0] = np.maximum(issued[:, 0], np.minimum(birth + 20, today))
    row, age = np.nonzero(held)
    dates = issued[row, age]
    # Ten years' validity since October 2022, five before; five for children.
    grown = dates - birth[row] > 17 * 365
    long = (dates > day_number(*(np.array([part]) for part in (2022, 10, 12)))[0]) & grown
    expires = dates + np.where(long, 10, 5) * 365
    return Passports(
        person=holders[row],
        number=passport_numbers(rng, dates),
        issued=dates,
        expires=expires,
        age=age,
    )


def passport_numbers(rng: np.random.Generator, issued: Ints) -> Text:
    """Return distinct passport numbers, one letter and seven digits, for dates of issue.

    Raises:
        ValueError: more passports of one series than there are numbers.
    """
    years = calendar(issued)[0]
    series = np.searchsorted([year for year, _ in _SERIES], years, side="right")
    order = np.argsort(series, kind="stable")
    count = rank_within(series, order)
    if len(count) and count.max() >= _CAPACITY:
        raise ValueError("more passports of one series than numbers of seven digits")
    offset = rng.integers(0, _CAPACITY, len(_SERIES))[series]
    serial = (count * _SPREAD + offset) % _CAPACITY
    return join([pick(text([letter for _, letter in _SERIES]), series), digits(serial, 7)])


def foreign_passports(rng: np.random.Generator, n: int) -> Text:
    """Return `n` distinct passport numbers of other countries: QZ and seven digits."""
    return _prefixed(rng, "QZ", n)


def stay_permits(rng: np.random.Generator, n: int) -> Text:
    """Return `n` distinct numbers of stay permits."""
    return _prefixed(rng, "ITAP-00-", n)


def certificates(rng: np.random.Generator, n: int) -> Text:
    """Return `n` distinct numbers of certificates of dual-national children."""
    return _prefixed(rng, "ABG-00-", n)


def _prefixed(rng: np.random.Generator, prefix: str, n: int) -> Text:
    if n > _CAPACITY:
        raise ValueError("more documents than numbers of seven digits")
    serial = (np.arange(n) * _SPREAD + rng.integers(0, _CAPACITY)) % _CAPACITY
    return join([pa.array([prefix] * n, type=pa.string()), digits(serial, 7)])
