"""When the time of an exchange begins: with the last commit, as an agent reads the log."""

from datetime import datetime
from types import SimpleNamespace
from typing import cast

from exchange_world import DAY, OPENS, World, terms_of

from keys.blame import Fault
from keys.transcript import Step, Transcript
from linkage.agent.exchange import transcript_of
from linkage.agent.mirror import Mirror
from linkage.agreement.payload import leaf_body
from linkage.agreement.terms import STEP_TIME
from linkage.log.entry import Entry

MONTH = 30 * DAY


def read(world: World, times: list[datetime], now: datetime, size: int | None = None) -> Transcript:
    """What an agent makes of a log with the messages of a world, at some times."""
    entries = [
        Entry("epoch.commit", at, "party/x", world.terms.agreement_id, body=leaf_body(envelope))
        for envelope, at in zip(world.log, times, strict=True)
    ]
    mirror = cast("Mirror", SimpleNamespace(documents=dict(enumerate(entries, 100))))
    return transcript_of(mirror, world.terms, now, size)


def test_who_begins_early_makes_nobody_late() -> None:
    world = World(terms_of(3))
    world.turn("ahu")
    alone = read(world, [OPENS], OPENS + MONTH)
    assert alone.step is Step.COMMIT
    assert alone.blame(OPENS + MONTH) == []
    world.turn("dukcapil")
    world.turn("imigrasi")
    last = OPENS + MONTH
    whole = read(world, [OPENS, OPENS + DAY, last], last)
    assert whole.step is Step.SEAL
    assert whole.closes(Step.SEAL) == last + 2 * STEP_TIME
    assert whole.blame(last + 2 * STEP_TIME - DAY) == []
    late = whole.blame(last + 2 * STEP_TIME)
    assert {(one.party, one.fault) for one in late} == {
        (party, Fault.ABSENT) for party in world.terms.names
    }


def test_what_is_cosigned_has_the_times_of_all_that_is_there() -> None:
    world = World(terms_of(2))
    world.round()
    seen = [read(world, [OPENS, OPENS + MONTH], OPENS + 2 * MONTH, size) for size in (None, 101)]
    assert [one.step for one in seen] == [Step.SEAL, Step.COMMIT]
    assert seen[0].closes(Step.SEAL) == seen[1].closes(Step.SEAL)
