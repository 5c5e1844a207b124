"""The monitor of a live log raises an alarm for each thing that a malicious one does."""

import json
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent / "agreement"))
sys.path.insert(0, str(Path(__file__).parent / "log"))
from agreement_world import World, usual
from log_site import START, Site

from linkage.audit.monitor import (
    COSIGNATURES_MISSING,
    FORK,
    POLICY_BREACH,
    REFUSED,
    ROLLBACK,
    STALLED,
    TIME_INVALID,
    UNSIGNED,
    UNVERIFIED,
    Alarm,
    Monitor,
)
from linkage.cli import padan
from linkage.errors import CheckpointError, DeniedError, LinkageError, UnavailableError
from linkage.log.builder import TileBuilder
from linkage.log.canonical import JsonObject, format_json
from linkage.log.checkpoint import Checkpoint, verify_checkpoint
from linkage.log.entry import Entry, commit_body, format_body, format_entry
from linkage.log.hashing import leaf_hash
from linkage.log.policy import Policy, format_policy
from linkage.log.tree import root_of
from linkage.store.log_copy import Logged
from linkage.store.log_files import LogFiles

SITE = Site()
ORIGIN = SITE.log_signers()[0].key.name
UNWITNESSED = Policy(SITE.policy.logs)


class Shown:
    """A log as its matcher shows it, truthful or not."""

    complete = True

    def __init__(self, logged: Sequence[Logged]) -> None:
        self.all, self.size, self.site = list(logged), len(logged), SITE
        self.there, self.without = True, tuple[str, ...]()
        self.cosigned_size: int | None = None

    def _note(self, size: int, without: Sequence[str]) -> bytes:
        root = root_of([leaf_hash(one.leaf) for one in self.all[:size]])
        return self.site.checkpoint(Checkpoint(ORIGIN, size, root), 0, without)

    def checkpoint(self) -> bytes:
        if not self.there:
            raise UnavailableError("nobody answers")
        return self._note(self.size, tuple(self.site.cosigners()))

    def cosigned(self, trust: Policy) -> bytes:
        del trust
        size = self.size if self.cosigned_size is None else self.cosigned_size
        return self._note(size, self.without) if size else b""

    def entries(self, start: int, end: int) -> list[Logged]:
        return self.all[start:end]


def public(number: int, minute: int = 0) -> Logged:
    body: JsonObject = {"number": number}
    time = START + timedelta(minutes=minute)
    return Logged(format_entry(Entry("anchor", time, "matcher", None, body=body)))


def secret(kind: str, body: JsonObject) -> Logged:
    opening, content = bytes(32), format_json(body)
    commitment = commit_body(opening, content)
    made = Entry(kind, START, "matcher", "PKS-1", commitment=commitment)
    return Logged(format_entry(made), opening, content)


class Watch:
    """A monitor that is started again for each look, and the log that it looks at."""

    def __init__(self, folder: Path, log: Shown) -> None:
        self.folder, self.log, self.now = folder, log, START.timestamp() + 60
        self.trust, self.expect_s, self.within_s = UNWITNESSED, None, None

    def monitor(self) -> Monitor:
        return Monitor(self.folder, self.trust, lambda: self.now, self.expect_s, self.within_s)

    def look(self) -> list[Alarm]:
        self.now += 60
        return self.monitor().poll(self.log)

    def codes(self) -> list[str]:
        return [alarm.code for alarm in self.look()]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    made = Watch(tmp_path / "monitor", Shown([public(i) for i in range(300)]))
    made.log.size = 200
    assert made.codes() == []
    return made


def test_a_log_that_grows_raises_no_alarm(watch: Watch) -> None:
    for size in (200, 201, 256, 300):
        watch.log.size = size
        assert watch.codes() == []
        head = watch.monitor().head
        assert head is not None
        assert head.size == size


def test_two_roots_for_one_size_are_a_fork_and_both_are_kept(watch: Watch) -> None:
    watch.log.all[7] = public(-7)
    (alarm,) = watch.look()
    assert alarm.code == FORK
    proof = json.loads((watch.folder / alarm.evidence).read_text())
    keys = [line.key for line in watch.trust.logs]
    kept, shown = (verify_checkpoint(proof[name].encode(), keys) for name in ("kept", "shown"))
    assert (kept.size, kept.root) != (shown.size, shown.root)
    assert kept.size == shown.size == 200
    # It stands, and is not told twice.
    assert watch.codes() == []
    assert watch.monitor().standing == (alarm,)


def test_a_longer_second_history_is_kept_whole(watch: Watch) -> None:
    watch.log.all[7], watch.log.size = public(-7), 290
    (alarm,) = watch.look()
    assert alarm.code == FORK
    files = LogFiles(watch.folder / alarm.evidence.removesuffix(".json"))
    builder = TileBuilder()
    for leaf in files.read_entries(290):
        builder.append(leaf)
    note = files.read_checkpoint()
    assert note is not None
    assert verify_checkpoint(note, [line.key for line in watch.trust.logs]).root == builder.root()


def test_an_older_checkpoint_is_a_rollback_and_an_older_fork_a_fork(watch: Watch) -> None:
    watch.log.size = 150
    assert watch.codes() == [ROLLBACK]
    watch.log.all[7] = public(-7)
    assert watch.codes() == [FORK]


def test_leaves_that_are_not_those_of_the_checkpoint(watch: Watch) -> None:
    class Lies(Shown):
        def entries(self, start: int, end: int) -> list[Logged]:
            return [*super().entries(start, end)[:-1], public(-1)]

    lies = Lies(watch.log.all)
    watch.log = lies
    assert watch.codes() == [UNVERIFIED]


def test_a_checkpoint_of_another_key(watch: Watch) -> None:
    watch.log.site, watch.log.size = Site(seed=9), 250
    assert watch.codes() == [UNSIGNED]


def test_a_body_that_is_another(watch: Watch) -> None:
    true = secret("lookup.minute", {"answered": 3})
    watch.log.all[200] = true._replace(body=b'{"answered":2}')
    watch.log.size = 201
    assert watch.codes() == [UNVERIFIED]


@pytest.mark.parametrize("minute", [-20, 600])
def test_a_leaf_that_is_dated_back_or_ahead(watch: Watch, minute: int) -> None:
    watch.now += 3600
    watch.look()
    watch.log.all[200:] = [public(200, minute)]
    watch.log.size = 201
    assert TIME_INVALID in watch.codes()


def test_a_flood_of_bad_leaves_is_summed_up(watch: Watch) -> None:
    watch.log.all[200:] = [secret("result", {"job": f"j{i}"}) for i in range(100)]
    watch.log.size = 300
    alarms = watch.look()
    assert len(alarms) == 21
    assert alarms[-1].text.endswith("and 80 more up to 300 entries")


def test_a_leaf_that_was_not_there_when_it_claims_to_be(watch: Watch) -> None:
    watch.now += 3600
    watch.look()
    # Not before its neighbour, but long before the log was read without it.
    watch.log.all[200:] = [public(200, 30)]
    watch.log.size = 201
    assert watch.codes() == [TIME_INVALID]


def test_steps_that_nobody_may_take_are_breaches(watch: Watch) -> None:
    watch.log.all[200:] = [secret("result", {"job": "j9"})]
    watch.log.size = 201
    (alarm,) = watch.look()
    assert (alarm.code, alarm.text[:25]) == (POLICY_BREACH, "NOT_AUTHORISED: leaf 200:")
    # A monitor that was stopped before it could tell finds it again.
    (watch.folder / "monitor.json").unlink()
    assert watch.codes() == [POLICY_BREACH]


def test_a_log_without_bodies_is_followed_and_not_replayed(watch: Watch) -> None:
    shown = secret("result", {"job": "j9"})
    watch.log.all[200:] = [Logged(shown.leaf)]
    watch.log.size = 201
    assert watch.codes() == [POLICY_BREACH]  # to an auditor every body has to be shown
    (watch.folder / "monitor.json").unlink()
    watch.log.complete = False
    monitor = watch.monitor()
    assert monitor.poll(watch.log) == []
    assert not monitor.replays


def test_a_log_that_stands_still_against_its_promise(watch: Watch) -> None:
    watch.expect_s = 600
    assert watch.codes() == []
    watch.now += 600
    assert watch.codes() == [STALLED]
    watch.log.all[200:], watch.log.size = [public(200, 15)], 201
    assert watch.codes() == []
    watch.log.there = False
    with pytest.raises(UnavailableError):
        watch.look()
    watch.now += 600
    assert watch.codes() == [STALLED]


def test_witnesses_that_do_not_cosign_are_named(watch: Watch) -> None:
    watch.trust, watch.within_s = SITE.policy, 600
    assert watch.codes() == []
    assert watch.monitor().cosigned == 200
    watch.log.size, watch.log.without = 210, ("imigrasi-pq",)
    assert watch.codes() == []
    watch.now += 600
    (alarm,) = watch.look()
    assert alarm.code == COSIGNATURES_MISSING
    assert alarm.text.endswith("200 entries of 210; missing: imigrasi-pq")
    watch.log.without = ()
    assert watch.codes() == []
    assert watch.monitor().cosigned == 210


def test_a_history_that_others_were_made_to_cosign(watch: Watch) -> None:
    watch.trust = SITE.policy
    other = Shown([*watch.log.all[:7], public(-7), *watch.log.all[8:]])
    watch.log.cosigned_size = 180
    watch.log._note = other._note  # type: ignore[method-assign]
    watch.log.checkpoint = Shown(watch.log.all[:200]).checkpoint  # type: ignore[method-assign]
    assert watch.codes() == [FORK]


def test_an_honest_world_of_agreements_is_replayed(tmp_path: Path) -> None:
    world: World = usual()[0]
    logged = [
        Logged(
            format_entry(entry),
            *((bytes(32), format_json(world.bodies[at])) if at in world.bodies else ()),
        )
        for at, entry in enumerate(world.entries)
    ]
    watch = Watch(tmp_path, Shown(logged))
    watch.now = world.now.timestamp()
    assert watch.codes() == []


@pytest.mark.parametrize(
    ("error", "told"),
    [(DeniedError("NOT_ADMITTED", "no"), [REFUSED]), (UnavailableError("later"), [])],
)
def test_a_question_that_is_not_answered_hides_no_alarm(
    watch: Watch, error: LinkageError, told: list[str]
) -> None:
    def refuse(trust: Policy) -> bytes:
        del trust
        raise error

    watch.trust, watch.within_s = SITE.policy, 600
    watch.now += 3600
    watch.look()
    watch.log.all[200:], watch.log.size = [public(200, 30)], 201
    watch.log.cosigned = refuse  # type: ignore[method-assign]
    assert watch.codes() == [TIME_INVALID, *told]
    watch.now += 600
    assert watch.codes() == [COSIGNATURES_MISSING]
    assert len(watch.monitor().standing) == 2 + len(told)


def test_a_monitor_that_is_killed_as_leaves_come_judges_them_at_its_next_start(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.now += 3600
    watch.look()
    watch.log.all[200:], watch.log.size = [public(200, 30)], 201
    with monkeypatch.context() as killed:
        killed.setattr(Monitor, "_raised", lambda *_: exit(137))
        with pytest.raises(SystemExit):
            watch.look()
    assert watch.codes() == [TIME_INVALID]
    watch.monitor().acknowledge()
    assert watch.codes() == []


def test_a_refusal_of_the_log_is_an_alarm_and_no_look_at_it(watch: Watch) -> None:
    def refuse() -> bytes:
        raise DeniedError("NOT_ADMITTED", "this certificate may not make this call")

    before, watch.log.checkpoint = watch.monitor().read_at, refuse  # type: ignore[method-assign]
    (alarm,) = watch.look()
    assert (alarm.code, alarm.text[:12]) == (REFUSED, "NOT_ADMITTED")
    assert watch.monitor().read_at == before


def test_a_flood_of_badly_signed_checkpoints_is_summed_up(watch: Watch) -> None:
    watch.log.site, monitor = Site(seed=9), watch.monitor()
    for size in range(30):
        watch.log.size = size
        monitor.poll(watch.log)
    assert len(monitor.standing) == 21
    assert monitor.standing[-1].text == "and 1 more up to 200 entries"


def test_what_ended_and_begins_again_is_a_new_alarm(watch: Watch) -> None:
    watch.log.site = Site(seed=9)
    assert watch.codes() == [UNSIGNED]
    assert watch.monitor().acknowledge() == 1
    # Somebody has taken note, and it goes on, also after looks that told nothing.
    assert watch.codes() == []
    watch.log.there = False
    with pytest.raises(UnavailableError):
        watch.look()
    watch.log.there = True
    assert watch.codes() == []
    watch.log.site = SITE
    assert watch.codes() == []
    watch.log.site = Site(seed=8)
    assert watch.codes() == [UNSIGNED]
    # Another one is new, though none was good between them.
    watch.monitor().acknowledge()
    watch.log.size = 199
    assert watch.codes() == [UNSIGNED]
    # A leaf is told once, though every start finds it again.
    watch.log.site = SITE
    watch.log.all[200:], watch.log.size = [secret("result", {"job": "j9"})], 201
    assert watch.codes() == [TIME_INVALID, POLICY_BREACH]
    watch.monitor().acknowledge()
    assert watch.codes() == []


def test_a_damaged_memory_is_no_empty_one(watch: Watch) -> None:
    (watch.folder / "monitor.json").write_text("{}")
    with pytest.raises(CheckpointError, match="damaged"):
        watch.monitor()


# The command


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Result]:
    (tmp_path / "trust").write_bytes(format_policy(UNWITNESSED))

    def run(*options: str) -> Result:
        arguments = ("audit", "monitor", "--trust", str(tmp_path / "trust"), "--once")
        state = ("--state", str(tmp_path / "state"))
        return CliRunner().invoke(padan, [*arguments, *state, *options])

    return run


def _publish(folder: Path, shown: Shown) -> None:
    files, builder = LogFiles(folder), TileBuilder()
    tiles = [tile for one in shown.all[: shown.size] for tile in builder.append(one.leaf)]
    for tile, data in (*tiles, *builder.partial_tiles()):
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for index, one in enumerate(shown.all):
        if one.opening:
            files.write_body(index, format_body(one.opening, one.body))
    files.write_checkpoint(shown.checkpoint())


def test_the_command_follows_a_published_folder(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    shown = Shown([public(i) for i in range(30)])
    _publish(tmp_path / "log", shown)
    here = ("--log", str(tmp_path / "log"))
    metrics = tmp_path / "padan.prom"
    done = command(*here, "--json", "--metrics", str(metrics))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["size"] == 30
    assert "padan_monitor_log_size 30.0" in metrics.read_text()
    shown.all[3] = public(-3)
    _publish(tmp_path / "log", shown)
    done = command(*here, "--json", "--metrics", str(metrics))
    assert (done.exit_code, json.loads(done.stdout.splitlines()[0])["code"]) == (3, FORK)
    assert 'padan_monitor_alarms{code="FORK"} 1.0' in metrics.read_text()
    # It stands until somebody takes note.
    assert command(*here).exit_code == 3
    assert "1 alarms" in command(*here, "--acknowledge").stderr
    assert command(*here).exit_code == 0


def test_the_command_needs_one_log(command: Callable[..., Result], tmp_path: Path) -> None:
    assert command().exit_code == 2
    assert command("--matcher", "127.0.0.1:1").exit_code == 2
    done = command("--log", str(tmp_path))
    assert isinstance(done.exception, UnavailableError)
