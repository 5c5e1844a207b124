"""Counts, quotas, numbers and grades of lookups, without a server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from linkage.block.index import Found
from linkage.errors import QuotaExceededError, UnavailableError
from linkage.log.entry import parse_entry
from linkage.matcher.journal import Journal
from linkage.matcher.lookup_counts import LookupCounts, Route
from linkage.matcher.lookups import Grade, grade_of
from linkage.store.metadata import Metadata

ONE, OTHER = Route("PKS-1", "imigrasi", "dukcapil"), Route("PKS-2", "kemenlu", "dukcapil")
PER_MINUTE = {ONE: 3, OTHER: 3}


class Published:
    """A match log that only counts."""

    def __init__(self) -> None:
        self.times = 0

    def publish(self) -> bytes:
        self.times += 1
        return b""


class Clock:
    def __init__(self) -> None:
        self.now = 600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[Metadata]:
    database = Metadata(f"sqlite:///{tmp_path / 'matcher.db'}")
    yield database
    database.close()


@pytest.fixture
def make(metadata: Metadata, clock: Clock) -> Callable[[], LookupCounts]:
    """Makes the counts of a matcher, as it does at every start."""
    return lambda: LookupCounts(metadata, Journal(clock), Published(), PER_MINUTE)  # type: ignore[arg-type]


def bodies(metadata: Metadata) -> list[tuple[str, dict[str, object]]]:
    with metadata.read() as transaction:
        entries = transaction.entries(0, 100)
    assert all(parse_entry(entry.leaf).type == "lookup.minute" for entry in entries)
    assert all(parse_entry(entry.leaf).body is None for entry in entries)
    return [(str(e.agreement_id), json.loads(e.body or b"")) for e in entries]


def test_numbers_go_on_under_each_agreement(make: Callable[[], LookupCounts]) -> None:
    counts = make()
    assert counts.number([ONE, OTHER, ONE]) == [1, 1, 2]
    assert counts.number([OTHER]) == [2]
    assert make().number([ONE, OTHER]) == [3, 3]


def test_numbers_go_on_over_minutes(make: Callable[[], LookupCounts], clock: Clock) -> None:
    counts = make()
    counts.number([ONE])
    clock.now += 60
    assert counts.number([ONE]) == [2]
    assert make().number([ONE]) == [3]


def test_what_cannot_be_counted_has_no_number(
    make: Callable[[], LookupCounts], metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = make()
    counts.number([ONE])
    with monkeypatch.context() as patch:

        def refuses() -> None:
            raise UnavailableError("full")

        patch.setattr(metadata, "write", refuses)
        with pytest.raises(UnavailableError):
            counts.number([ONE])
    assert counts.number([ONE]) == [2]


def test_a_quota_is_for_a_minute_and_a_route(
    make: Callable[[], LookupCounts], clock: Clock
) -> None:
    counts = make()
    for _ in range(3):
        counts.admit(ONE)
    with pytest.raises(QuotaExceededError, match="3 lookups a minute"):
        counts.admit(ONE)
    counts.admit(OTHER)
    clock.now += 60
    counts.admit(ONE)


def test_a_restart_gives_no_second_quota(make: Callable[[], LookupCounts], clock: Clock) -> None:
    counts = make()
    for _ in range(3):
        counts.admit(ONE)
    counts.number([ONE] * 3)
    with pytest.raises(QuotaExceededError):
        make().admit(ONE)
    clock.now += 60
    make().admit(ONE)


def test_a_minute_is_logged_once_it_has_ended(
    make: Callable[[], LookupCounts], clock: Clock, metadata: Metadata
) -> None:
    counts = make()
    counts.number([ONE, ONE, OTHER])
    counts.refuse(ONE)
    assert counts.log_minutes() == 0
    clock.now += 60
    assert counts.log_minutes() == 2
    assert counts.log_minutes() == 0
    one = {"caller": "imigrasi", "register": "dukcapil", "answered": 2, "refused": 1}
    other = {"caller": "kemenlu", "register": "dukcapil", "answered": 1, "refused": 0}
    assert bodies(metadata) == [
        ("PKS-1", {"minute": 600, "counts": [one], "answered": 2, "last": 2}),
        ("PKS-2", {"minute": 600, "counts": [other], "answered": 1, "last": 1}),
    ]


def test_a_minute_that_ended_while_the_matcher_was_down_is_logged(
    make: Callable[[], LookupCounts], clock: Clock, metadata: Metadata
) -> None:
    make().number([ONE])
    clock.now += 3_600
    assert make().log_minutes() == 1
    assert make().log_minutes() == 0
    assert bodies(metadata)[0][1]["minute"] == 600


def test_a_minute_of_refusals_alone_is_logged_too(
    make: Callable[[], LookupCounts], clock: Clock, metadata: Metadata
) -> None:
    counts = make()
    counts.refuse(ONE)
    clock.now += 60
    assert counts.log_minutes() == 1
    assert bodies(metadata)[0][1]["last"] == 0


def found(*candidates: tuple[float, bool]) -> Found:
    n = len(candidates)
    return Found(
        np.zeros(n, "V16"),
        np.array([similarity for similarity, _ in candidates], np.float32),
        np.array([shared for _, shared in candidates], np.bool_),
    )


@pytest.mark.parametrize(
    ("candidates", "grade"),
    [
        ([], Grade.NO_MATCH),
        ([(0.56, False)], Grade.MATCH),
        ([(0.55, False)], Grade.MATCH),
        ([(0.545, False)], Grade.UNDETERMINED),
        ([(0.545, True)], Grade.MATCH),
        ([(0.50, True)], Grade.UNDETERMINED),
        ([(0.50, True), (0.545, False)], Grade.UNDETERMINED),
        ([(0.50, True), (0.56, False)], Grade.MATCH),
    ],
)
def test_a_grade_follows_from_code_and_token_together(
    candidates: list[tuple[float, bool]], grade: Grade
) -> None:
    assert grade_of(found(*candidates), floor=0.54, sure=0.55) is grade
