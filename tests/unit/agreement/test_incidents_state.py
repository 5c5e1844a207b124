"""Incidents in the log: two clocks, and who let which of them run out."""

from datetime import timedelta
from typing import Any

import pytest
from agreement_world import usual
from told_world import OTHER, Told

HOURS = timedelta(hours=1)


@pytest.fixture
def told() -> Told:
    return Told(*usual())


def test_each_party_has_72_hours_from_when_it_knew(told: Told) -> None:
    assert told.incident() is None
    logged = told.world.now
    dues = {party: deadline.due for party, deadline in told.happened.by_party.items()}
    assert dues["imigrasi"] == logged - 5 * HOURS + 72 * HOURS
    assert dues["dukcapil"] == logged + 72 * HOURS
    assert told.happened.by_processor is None
    assert told.happened.overdue(logged + 70 * HOURS) == ("imigrasi",)
    assert set(told.happened.overdue(logged + 72 * HOURS)) == set(dues)


def test_a_party_is_done_when_persons_and_authority_were_told(told: Told) -> None:
    told.incident()
    assert told.step("imigrasi", "subjects") is None
    assert told.happened.done("imigrasi") is None
    told.world.now += HOURS
    assert told.step("imigrasi", "authority") is None
    assert told.happened.done("imigrasi") == told.world.now
    assert told.step("dukcapil", "unaffected") is None
    assert told.happened.overdue(told.world.now + 1_000 * HOURS) == ()


def test_who_tells_late_stays_late(told: Told) -> None:
    told.incident()
    told.world.now += 100 * HOURS
    told.step("dukcapil", "subjects")
    told.step("dukcapil", "authority")
    assert "dukcapil" in told.happened.overdue(told.world.now)


def test_the_processor_reports_within_its_hours(told: Told) -> None:
    hours = told.document.incident.processor_hours
    assert told.processor() is None
    assert told.happened.by_processor is not None
    assert "matcher" not in told.happened.overdue(told.world.now)
    assert told.processor(id=OTHER, known=told.world.now - hours * HOURS) is None
    late = told.world.state.incidents.by_id[OTHER]
    assert "matcher" in late.overdue(told.world.now)


@pytest.mark.parametrize(
    ("own", "code"),
    [
        ({"actor": "party/imigrasi"}, "NOT_SIGNED"),
        ({"party": "imigrasi"}, "NOT_SIGNED"),
        ({"log": "other/log"}, "OTHER_LOG"),
        ({"agreement": "PKS-2"}, "OTHER_AGREEMENT"),
    ],
)
def test_nobody_speaks_as_the_processor(told: Told, own: dict[str, Any], code: str) -> None:
    assert told.processor(**own) == code


@pytest.mark.parametrize(
    ("own", "code"),
    [
        ({"by": "party/dukcapil"}, "NOT_SIGNED"),
        ({"party": "matcher", "by": "party/imigrasi"}, "NOT_A_PARTY"),
        ({"agreement": "PKS-2"}, "OTHER_AGREEMENT"),
    ],
)
def test_reports_that_do_not_count(told: Told, own: dict[str, Any], code: str) -> None:
    assert told.incident(**own) == code
    assert told.incident(known=told.world.now + HOURS) == "NOT_YET_RECEIVED"
    assert told.incident() is None
    assert told.incident() == "REPLAYED"


def test_steps_that_do_not_count(told: Told) -> None:
    assert told.step("dukcapil", "subjects") == "NO_SUCH_INCIDENT"
    told.incident()
    assert told.step("dukcapil", "subjects", by="party/imigrasi") == "NOT_SIGNED"
    assert told.step("kemenlu", "subjects") == "NOT_A_PARTY"
    assert told.step("dukcapil", "subjects") is None
    assert told.step("dukcapil", "subjects", text="again") == "REPLAYED"
