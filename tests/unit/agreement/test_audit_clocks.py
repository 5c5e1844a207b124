"""What auditors read of clocks: of notices and incidents, done, open and overdue."""

from datetime import timedelta

from agreement_world import agreement, usual
from told_world import OTHER, Told, exempted

from linkage.audit.clocks import read_clocks
from linkage.audit.verify import Contents

HOURS = timedelta(hours=1)


def test_clocks_say_who_was_due_when_and_what_became_of_it() -> None:
    told = Told(*usual(agreement(exemptions=[exempted("Pasal 15")])))
    world = told.world
    told.notice()
    told.answer(outcome="refused", exemption=0)
    told.notice(id=OTHER, kind="rectify")
    told.processor()
    contents = Contents(world.entries, [b""] * len(world.entries), world.bodies)
    clocks = read_clocks(contents, world.now + 70 * HOURS)
    shown = [
        (one.what, one.party, one.done is not None, one.outcome, one.overdue) for one in clocks
    ]
    assert shown[:2] == [
        ("rights.object", "dukcapil", True, "refused: Pasal 15, SKET-1/2027", False),
        ("rights.rectify", "dukcapil", False, "", True),
    ]
    assert {(party, overdue) for _, party, _, _, overdue in shown[2:]} == {
        ("imigrasi", False), ("dukcapil", False), ("matcher", False),
    }  # fmt: skip
    assert read_clocks(Contents(world.entries, contents.leaf_hashes, {}), world.now) == []
