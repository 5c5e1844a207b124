"""What a matcher remembers of limits across restarts, and how often it writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_lookup_probing import Watch, grant

from keys.identity import parse_identity
from linkage.matcher.kept_limits import STEP, KeptLimits
from linkage.matcher.probing import Probing
from linkage.rpc.rates import Volumes
from linkage.store.limits import LimitRows
from linkage.store.metadata import Metadata

OFFICE = parse_identity("spiffe://x.test/office/a/b")
DAY_S = 86_400
END = int(grant().valid_until.timestamp())


class Time:
    def __init__(self) -> None:
        self.now = END - 10.0 * DAY_S

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[Metadata]:
    made = Metadata(f"sqlite:///{tmp_path / 'matcher.db'}")
    yield made
    made.close()


def started(
    metadata: Metadata, time: Time, probing: Probing | None = None
) -> tuple[Volumes, KeptLimits, Probing]:
    volumes = Volumes(2**50, 2**50, 2**50, time)
    probing = probing or Probing(lambda *_: None)
    return volumes, KeptLimits(metadata, volumes, probing, time, time), probing


def send(volumes: Volumes, n_bytes: int) -> None:
    with volumes.taken(OFFICE, n_bytes):
        pass


def kept(metadata: Metadata, day: int) -> dict[str, int]:
    with metadata.read() as transaction:
        return LimitRows(transaction.connection).volumes(day)


def test_bytes_are_written_by_steps_and_minutes_and_brought_back(metadata: Metadata) -> None:
    time = Time()
    day = int(time.now) // DAY_S
    volumes, limits, _ = started(metadata, time)
    accounts = ("party/a", "offices/a", OFFICE.uri)
    send(volumes, STEP - 1)
    limits.save()
    assert kept(metadata, day) == {}
    send(volumes, 1)
    limits.save()
    assert kept(metadata, day) == dict.fromkeys(accounts, STEP)
    send(volumes, 5)
    limits.save()
    time.now += 59
    limits.save()
    assert kept(metadata, day) == dict.fromkeys(accounts, STEP)
    time.now += 1
    limits.save()
    assert kept(metadata, day) == dict.fromkeys(accounts, STEP + 5)
    send(volumes, 7)
    limits.save(whole=True)
    again, _, _ = started(metadata, time)
    assert again.sent() == (day, dict.fromkeys(accounts, STEP + 12))


def test_another_day_begins_with_nothing(metadata: Metadata) -> None:
    time = Time()
    volumes, limits, _ = started(metadata, time)
    send(volumes, 100)
    limits.save(whole=True)
    time.now += DAY_S
    send(volumes, 100)
    limits.save(whole=True)
    day = int(time.now) // DAY_S
    assert kept(metadata, day) == {"party/a": 100, "offices/a": 100, OFFICE.uri: 100}
    assert kept(metadata, day - 1) == {}
    time.now += DAY_S
    volumes, _, _ = started(metadata, time)
    assert volumes.sent() == (day + 1, {})


def test_what_was_suspended_stays_so_until_its_grant_ends(metadata: Metadata) -> None:
    time, watch, strict = Time(), Watch(), grant("g2", "refuse")
    _, limits, _ = started(metadata, time, watch.probing)
    for _ in range(50):
        watch.ask(watch.stranger(), hit=False, under=strict)
    limits.save()
    limits.save()
    _, limits, probing = started(metadata, time)
    assert probing.suspends(strict)
    assert not probing.suspends(grant("g3", "refuse"))
    limits.save(whole=True)
    time.now = END + 2.0 * DAY_S + 1.0
    _, _, probing = started(metadata, time)
    assert not probing.suspended


def suspended(metadata: Metadata) -> dict[str, int]:
    with metadata.read() as transaction:
        return LimitRows(transaction.connection).suspended()


def test_a_start_with_the_clock_ahead_forgets_no_suspension(metadata: Metadata) -> None:
    time, strict = Time(), grant("g2", "refuse")
    with metadata.write() as transaction:
        LimitRows(transaction.connection).suspend({strict.id: END})
    for days in (12.0, -5.0):
        time.now = END - 10.0 * DAY_S + days * DAY_S
        _, _, probing = started(metadata, time)
        # The same matcher goes on when its clock is set right.
        assert probing.suspends(strict)
    assert suspended(metadata) == {strict.id: END}


def test_what_was_kept_though_the_answer_was_lost_is_kept_once_more(metadata: Metadata) -> None:
    time, watch, strict = Time(), Watch(), grant("g2", "refuse")
    volumes, limits, probing = started(metadata, time, watch.probing)
    for _ in range(50):
        watch.ask(watch.stranger(), hit=False, under=strict)
    # A commit that took, and whose answer did not come: `save` does not know of it.
    with metadata.write() as transaction:
        LimitRows(transaction.connection).suspend(probing.suspended)
    send(volumes, STEP)
    limits.save()
    assert suspended(metadata) == {strict.id: END}
    day = int(time.now) // DAY_S
    assert kept(metadata, day) == dict.fromkeys(("party/a", "offices/a", OFFICE.uri), STEP)
