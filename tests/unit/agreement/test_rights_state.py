"""Notices of rights in the log: what counts, whose clock runs, what an exemption lifts."""

from datetime import timedelta
from typing import Any

import pytest
from agreement_world import agreement, usual
from told_world import ID, OTHER, Told, exempted

from linkage.agreement import said
from linkage.agreement.state import replay

HOURS = timedelta(hours=1)


@pytest.fixture
def told() -> Told:
    return Told(*usual())


def test_the_clock_runs_from_the_receipt_and_stops_with_the_answer(told: Told) -> None:
    assert told.notice() is None
    received = told.world.now - 5 * HOURS
    assert told.noticed.deadline.due == received + 72 * HOURS
    assert not told.noticed.overdue(received + 71 * HOURS)
    assert told.noticed.overdue(received + 72 * HOURS)
    told.world.now += 60 * HOURS
    assert told.answer() is None
    answer = told.noticed.answer
    assert answer is not None
    assert (answer.outcome, answer.exemption) == ("done", None)
    assert not told.noticed.overdue(received + 1_000 * HOURS)


def test_an_answer_after_the_deadline_stays_late(told: Told) -> None:
    told.notice()
    told.world.now += 80 * HOURS
    told.answer()
    assert told.noticed.overdue(told.world.now)


@pytest.mark.parametrize(
    ("own", "code"),
    [
        ({"by": "party/dukcapil"}, "NOT_SIGNED"),
        ({"by": "nobody"}, "NOT_SIGNED"),
        ({"log": "other/log"}, "OTHER_LOG"),
        ({"agreement": "PKS-2"}, "OTHER_AGREEMENT"),
        ({"agreement": "PKS-2", "entry_agreement": "PKS-2"}, "NOT_IN_FORCE"),
        ({"to": "imigrasi"}, "NOT_A_PARTY"),
        ({"to": "kemenlu"}, "NOT_A_PARTY"),
        ({"party": "kemenlu"}, "NOT_A_PARTY"),
        ({"kind": "lift"}, "MALFORMED"),
        ({"lifts": OTHER}, "MALFORMED"),
        ({"kind": "lift", "lifts": OTHER}, "NO_SUCH_NOTICE"),
    ],
)
def test_notices_that_do_not_count(told: Told, own: dict[str, Any], code: str) -> None:
    assert told.notice(**own) == code
    assert not told.world.state.rights.notices


def test_a_receipt_in_the_future_would_give_time_away(told: Told) -> None:
    assert told.notice(received=told.world.now + HOURS) == "NOT_YET_RECEIVED"


def test_a_party_brings_so_many_notices_on_a_day(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(said, "PER_DAY", 2)
    brought = [told.notice(id=digit * 32) for digit in "abc"]
    assert brought == [None, None, "TOO_MANY_TODAY"]
    told.world.now += 24 * HOURS
    assert told.notice(id="c" * 32) is None
    assert len(told.world.state.rights.notices) == 3


def test_nothing_counts_twice(told: Told) -> None:
    told.notice()
    assert told.notice() == "REPLAYED"
    told.answer()
    assert told.answer(outcome="done") == "REPLAYED"


@pytest.mark.parametrize(
    ("own", "code"),
    [
        ({"party": "imigrasi"}, "NO_SUCH_NOTICE"),  # its own notice
        ({"notice": OTHER}, "NO_SUCH_NOTICE"),
        ({"by": "party/imigrasi"}, "NOT_SIGNED"),
        ({"exemption": 0}, "MALFORMED"),
        ({"outcome": "refused"}, "EXEMPTION_UNKNOWN"),
        ({"outcome": "refused", "exemption": 0}, "EXEMPTION_UNKNOWN"),
    ],
)
def test_answers_that_do_not_count(told: Told, own: dict[str, Any], code: str) -> None:
    told.notice()
    assert told.answer(**own) == code
    assert told.noticed.answer is None


def test_a_lift_ends_one_notice_once(told: Told) -> None:
    told.notice()
    assert told.notice(id=OTHER, kind="lift", lifts=ID) is None
    assert told.noticed.lifted == told.world.state.size - 1
    assert told.notice(id="2" * 32, kind="lift", lifts=ID) == "NO_CHANGE"
    assert told.notice(id="3" * 32, kind="lift", lifts=ID, party="dukcapil", to="imigrasi") == (
        "NO_SUCH_NOTICE"
    )


@pytest.mark.parametrize(
    ("exemption", "kind", "code"),
    [
        (exempted("Pasal 50 ayat (1) huruf a"), "rectify", None),
        (exempted("Pasal 15"), "object", None),
        (exempted("15"), "restrict", None),
        (exempted("Pasal 15"), "rectify", "EXEMPTION_OTHER_DUTY"),  # art. 6 is not lifted by 15
        (exempted("Pasal 50"), "object", "EXEMPTION_OTHER_DUTY"),
        (exempted("Pasal 150"), "erase", "EXEMPTION_OTHER_DUTY"),
        (exempted("tanpa pasal"), "erase", "EXEMPTION_OTHER_DUTY"),
    ],
)
def test_a_refusal_points_to_an_exemption_that_lifts_the_duty(
    exemption: dict[str, Any], kind: str, code: str | None
) -> None:
    told = Told(*usual(agreement(exemptions=[exemption])))
    told.notice(kind=kind)
    assert told.answer(outcome="refused", exemption=0) == code
    if code is None:
        assert told.noticed.answer is not None
        assert told.noticed.answer.exemption == told.document.exemptions[0]


def test_an_exemption_that_has_expired_lifts_nothing() -> None:
    told = Told(*usual(agreement(exemptions=[exempted(until="2027-12-31")])))
    told.notice(kind="rectify")
    told.world.now = told.world.now.replace(year=2028)
    assert told.answer(outcome="refused", exemption=0) == "EXEMPTION_EXPIRED"
    assert told.answer() is None


def test_rights_do_not_end_with_the_agreement(told: Told) -> None:
    told.notice()
    told.world.terminate(told.document, ["party/imigrasi"])
    assert told.answer() is None
    assert told.notice(id=OTHER) is None


def test_without_bodies_nothing_is_known_and_nothing_fails(told: Told) -> None:
    told.notice()
    state = replay(told.world.entries)
    assert not state.rights.notices
    assert not state.rejected
    assert replay(told.world.entries, told.world.bodies).rights == told.world.state.rights
