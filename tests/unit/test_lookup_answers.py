"""Counts, quotas, numbers and grades of lookups, without a server."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.dsse import pae
from linkage.agent.lookup import check_answer
from linkage.agreement.usage import Grant
from linkage.block.index import Found
from linkage.errors import NotFoundError, QuotaExceededError, SignatureError, UnavailableError
from linkage.log.entry import parse_entry
from linkage.log.hashing import leaf_hash
from linkage.log.tree import root_of
from linkage.log.vkey import ED25519, VerifierKey
from linkage.lookup import ANSWER_TYPE, Answer, Grade
from linkage.matcher.journal import Journal
from linkage.matcher.lookup_counts import Admitted, LookupCounts, Route
from linkage.matcher.lookups import grade_of
from linkage.store.metadata import Metadata, Transaction

START = datetime(2027, 3, 1, tzinfo=UTC)


def grant(name: str, agreement: str = "PKS-1", caller: str = "party/imigrasi") -> Grant:
    return Grant(
        name, agreement, caller, "dukcapil", number=100, per_minute=3, valid_from=START,
        valid_until=START + timedelta(days=1), leaf=7,
    )  # fmt: skip


ONE, OTHER = grant("g1"), grant("g2", "PKS-2", "office/kemenlu/tawau")
REFUSED = Route.of(ONE)


def asked(*grants: Grant) -> list[Admitted]:
    """Lookups under some grants, each with another request."""
    return [Admitted(one, "ab" * 32, 9, os.urandom(9), bytes(32)) for one in grants]


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
    return lambda: LookupCounts(metadata, Journal(clock), Published())  # type: ignore[arg-type]


def bodies(metadata: Metadata) -> list[tuple[str, dict[str, Any]]]:
    with metadata.read() as transaction:
        entries = transaction.entries(0, 100)
    assert all(parse_entry(entry.leaf).type == "lookup.minute" for entry in entries)
    assert all(parse_entry(entry.leaf).body is None for entry in entries)
    return [(str(e.agreement_id), json.loads(e.body or b"")) for e in entries]


def test_numbers_go_on_under_each_grant(make: Callable[[], LookupCounts]) -> None:
    counts = make()
    assert counts.number(asked(ONE, OTHER, ONE)) == [1, 1, 2]
    assert counts.number(asked(OTHER)) == [2]
    assert make().number(asked(ONE, OTHER)) == [3, 3]


def test_numbers_go_on_over_minutes(make: Callable[[], LookupCounts], clock: Clock) -> None:
    counts = make()
    counts.number(asked(ONE))
    clock.now += 60
    assert counts.number(asked(ONE)) == [2]
    assert make().number(asked(ONE)) == [3]


def test_what_cannot_be_counted_has_no_number(
    make: Callable[[], LookupCounts], metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = make()
    counts.number(asked(ONE))
    with monkeypatch.context() as patch:

        def refuses() -> None:
            raise UnavailableError("full")

        patch.setattr(metadata, "write", refuses)
        with pytest.raises(UnavailableError):
            counts.number(asked(ONE))
    assert counts.number(asked(ONE)) == [2]


def test_a_minute_that_is_logged_while_an_answer_waits_is_not_the_answers(
    make: Callable[[], LookupCounts],
    clock: Clock,
    metadata: Metadata,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts, write = make(), metadata.write
    counts.number(asked(ONE))
    clock.now += 59.9

    @contextmanager
    def late() -> Iterator[Transaction]:
        monkeypatch.setattr(metadata, "write", write)
        clock.now += 0.2
        assert counts.log_minutes() == 1
        with write() as transaction:
            yield transaction

    monkeypatch.setattr(metadata, "write", late)
    assert counts.number(asked(ONE)) == [2]
    clock.now += 60
    assert counts.log_minutes() == 1
    assert [body["answered"] for _, body in bodies(metadata)] == [1, 1]


def test_a_refusal_is_logged_once_the_database_is_back(
    make: Callable[[], LookupCounts],
    clock: Clock,
    metadata: Metadata,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = make()
    counts.refuse(REFUSED)
    clock.now += 60

    def gone() -> None:
        raise UnavailableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(metadata, "write", gone)
        with pytest.raises(UnavailableError):
            counts.log_minutes()
    assert counts.log_minutes() == 1
    clock.now += 60
    assert counts.log_minutes() == 0
    assert [body["counts"][0]["refused"] for _, body in bodies(metadata)] == [1]


def test_what_is_on_its_way_is_used_until_it_is_given_back(
    make: Callable[[], LookupCounts],
) -> None:
    counts = make()
    for _ in range(3):
        counts.admit(ONE)
    assert counts.used("g1") == 3
    counts.release(["g1"])
    assert counts.used("g1") == 2
    counts.number(asked(ONE, ONE))
    assert counts.used("g1") == 2
    assert make().used("g1") == 2


def test_a_quota_is_for_a_minute_and_a_grant(
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
    counts.number(asked(ONE, ONE, ONE))
    with pytest.raises(QuotaExceededError):
        make().admit(ONE)
    clock.now += 60
    make().admit(ONE)


def test_a_minute_is_logged_once_it_has_ended(
    make: Callable[[], LookupCounts], clock: Clock, metadata: Metadata
) -> None:
    counts = make()
    lookups = asked(ONE, OTHER, ONE)
    counts.number(lookups)
    counts.refuse(REFUSED)
    counts.refuse(Route("PKS-2", "party/setneg", "dukcapil"))
    assert counts.log_minutes() == 0
    clock.now += 60
    assert counts.log_minutes() == 2
    assert counts.log_minutes() == 0
    (_, first), (_, second) = bodies(metadata)
    row = {
        "grant": "g1", "caller": "party/imigrasi", "register": "dukcapil", "key": "ab" * 32,
        "cosigned": 9, "answered": 2, "refused": 1, "last": 2,
    }  # fmt: skip
    requests = [one.request for one in lookups if one.grant is ONE]
    root = root_of([leaf_hash(request) for request in requests]).hex()
    assert first == {"minute": 600, "counts": [row], "answered": 2, "root": root}
    assert [(row["grant"], row["answered"], row["refused"]) for row in second["counts"]] == [
        ("", 0, 1),
        ("g2", 1, 0),
    ]
    assert [row.request for row in counts.requests_of(0)] == requests
    with pytest.raises(NotFoundError):
        counts.requests_of(2)


def test_requests_are_kept_until_their_day(make: Callable[[], LookupCounts], clock: Clock) -> None:
    counts = make()
    counts.number(asked(ONE))
    clock.now += 60
    counts.log_minutes()
    counts.forget_requests(days=1)
    assert len(counts.requests_of(0)) == 1
    clock.now += 86_400
    counts.forget_requests(days=1)
    assert counts.requests_of(0) == []


def test_a_minute_with_many_callers_is_logged_in_several_leaves(
    make: Callable[[], LookupCounts], clock: Clock, metadata: Metadata
) -> None:
    counts = make()
    counts.number(asked(*(grant(f"{number:032}") for number in range(200))))
    clock.now += 60
    assert counts.log_minutes() == 2
    assert [len(body["counts"]) for _, body in bodies(metadata)] == [128, 72]
    assert len(counts.requests_of(0)) == 128


def test_a_minute_that_ended_while_the_matcher_was_down_is_logged(
    make: Callable[[], LookupCounts], clock: Clock, metadata: Metadata
) -> None:
    make().number(asked(ONE))
    clock.now += 3_600
    assert make().log_minutes() == 1
    assert make().log_minutes() == 0
    assert bodies(metadata)[0][1]["minute"] == 600


def test_a_minute_of_refusals_alone_is_logged_too(
    make: Callable[[], LookupCounts], clock: Clock, metadata: Metadata
) -> None:
    counts = make()
    counts.refuse(REFUSED)
    clock.now += 60
    assert counts.log_minutes() == 1
    assert bodies(metadata)[0][1]["counts"][0]["last"] == 0


def test_an_answer_counts_for_its_request_as_the_log_signed_it() -> None:
    private = Ed25519PrivateKey.generate()
    key = VerifierKey("padan.test/log", ED25519, private.public_key().public_bytes_raw())
    answer = Answer(Grade.MATCH, "g1", 3, 1, 0.02, "padan-lookup/2")
    payload = answer.to_bytes(key.name, b"\1" * 32)
    signature = private.sign(pae(ANSWER_TYPE, payload))
    check_answer(answer, signature, b"\1" * 32, [key])
    other = VerifierKey(
        key.name, ED25519, Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    )
    for wrong, request, keys in (
        (replace(answer, grade=Grade.NO_MATCH), b"\1" * 32, [key]),
        (replace(answer, sequence=4), b"\1" * 32, [key]),
        (replace(answer, grant="g2"), b"\1" * 32, [key]),
        (answer, b"\2" * 32, [key]),
        (answer, b"\1" * 32, [other]),
        (answer, b"\1" * 32, []),
    ):
        with pytest.raises(SignatureError):
            check_answer(wrong, signature, request, keys)


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
