"""The monitor: follows a live log, and raises an alarm for whatever an honest one never does.

It keeps its own copy of the log and what it saw when, so a log that is shown otherwise later
contradicts what is on this disk. New leaves are replayed as they come. An alarm stands until
somebody has acknowledged it, also over restarts.

What it cannot see: a history that is shown to others and never to it. Against that the parties
cosign, and a trust file that asks for their lines makes the monitor ask, too.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from linkage.audit.replay import BODY_MISSING, Replay
from linkage.audit.verdict import Finding
from linkage.errors import (
    CheckpointError,
    LinkageError,
    MalformedMessageError,
    SignatureError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)
from linkage.log.builder import TileBuilder
from linkage.log.canonical import JsonObject, parse_json
from linkage.log.checkpoint import Checkpoint, verify_checkpoint
from linkage.log.cosigned import read_cosigned
from linkage.log.entry import Entry, parse_entry
from linkage.log.hashing import leaf_hash
from linkage.log.policy import NO_QUORUM, Policy
from linkage.store.log_copy import LogCopy, Logged, LogSource
from linkage.store.log_files import LogFiles

FORK = "FORK"
ROLLBACK = "ROLLBACK"
UNSIGNED = "SIGNATURE_INVALID"
UNVERIFIED = "NOT_VERIFIED"
TIME_INVALID = "TIME_INVALID"
POLICY_BREACH = "POLICY_BREACH"
STALLED = "STALLED"
COSIGNATURES_MISSING = "COSIGNATURES_MISSING"
REFUSED = "REFUSED"

MEANING = {
    FORK: "the log has signed two histories",
    ROLLBACK: "the log shows an older checkpoint than before",
    UNSIGNED: "a checkpoint that the log of the trust file has not signed",
    UNVERIFIED: "leaves or bodies that are not those of the checkpoint",
    TIME_INVALID: "a leaf claims a time at which it was not there, or that has not come",
    POLICY_BREACH: "a step that the agreements and rules in the log do not allow",
    STALLED: "no new checkpoint for longer than was promised",
    COSIGNATURES_MISSING: "too few witnesses have cosigned what is in the log",
    REFUSED: "the matcher does not answer what a monitor has to ask",
}
# Of one leaf each: told once, for all time. The others may end, and begin again.
_OF_LEAVES = frozenset({TIME_INVALID, POLICY_BREACH})
# What clocks that someone looks after may differ by.
_SKEW = timedelta(minutes=5)
# Enough to see what happened; whoever shows nothing but bad leaves fills neither disk nor screen.
_MAX_EVIDENCE, _MAX_ALARMS = 100, 20


class LiveLog(LogSource, Protocol):
    """A log that is read while it grows."""

    @property
    def complete(self) -> bool:
        """Whether every body is shown, as to an auditor."""

    def cosigned(self, trust: Policy) -> bytes:
        """Return the newest checkpoint with cosignatures, or nothing if there is none."""


@dataclass(frozen=True)
class Alarm:
    """Something that an honest log does not do.

    Attributes:
        code: one of `MEANING`.
        text: what happened.
        time: when the monitor saw it, in UTC.
        evidence: the file that proves it, beside the copy; "" for none.
        acknowledged: whether somebody has taken note.
    """

    code: str
    text: str
    time: str
    evidence: str = ""
    acknowledged: bool = False


@dataclass(frozen=True)
class _Memory:
    """What the monitor remembers beside its copy; times in seconds since 1970.

    Attributes:
        read_at: when the log was read last.
        judged: how many entries were judged then; None from before this was remembered.
        changed_at: when a new checkpoint was seen last.
        cosigned: size of the largest checkpoint that enough witnesses had cosigned.
        waiting_since: since when entries wait for cosignatures; None where none do.
        alarms: all there ever were.
        last: code and text of what the last look found, as far as it may end.
    """

    read_at: float | None = None
    judged: int | None = None
    changed_at: float | None = None
    cosigned: int = 0
    waiting_since: float | None = None
    alarms: tuple[Alarm, ...] = ()
    last: tuple[tuple[str, str], ...] = ()


class Monitor:
    """Follows one log.

    Args:
        folder: of its copy, its memory and its evidence.
        trust: the trust file.
        clock: seconds since 1970.
        expect_s: within how many seconds a new checkpoint is promised; None for no promise.
        cosigned_within_s: after how many seconds an entry that too few have cosigned is an alarm.

    Raises:
        VerificationError: what is on disk does not hold.
    """

    def __init__(
        self,
        folder: Path,
        trust: Policy,
        clock: Callable[[], float],
        expect_s: float | None = None,
        cosigned_within_s: float | None = None,
    ) -> None:
        self._folder, self._trust, self._clock = folder, trust, clock
        self._expect_s, self._cosigned_within_s = expect_s, cosigned_within_s
        self._keys = [line.key for line in trust.logs]
        self._copy = LogCopy(folder / "log", self._keys)
        self._memory = _read_memory(folder / "monitor.json")
        self._replay, self._blind = Replay(), False
        self._latest = datetime.fromtimestamp(0, UTC)
        bodies = self._copy.bodies()
        # Whether bodies are shown to this monitor turns out with the log that it follows.
        self._before: list[Finding] = []
        # Of leaves that came just before the monitor was killed nobody was told.
        self._untold: list[tuple[str, str, str]] = []
        judged = self._copy.size if self._memory.judged is None else self._memory.judged
        for index, leaf in enumerate(self._copy.leaves(self._copy.size)):
            entry = parse_entry(leaf)
            if index >= judged:
                self._untold += self._untimely(index, entry, clock())
            self._before += self._judged(leaf, entry, bodies.get(index))

    @property
    def head(self) -> Checkpoint | None:
        """The last checkpoint that was verified."""
        return self._copy.head

    @property
    def cosigned(self) -> int:
        """How many entries enough witnesses have cosigned."""
        return self._memory.cosigned

    @property
    def read_at(self) -> float | None:
        """When the log was read last, in seconds since 1970."""
        return self._memory.read_at

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """The alarms that nobody has acknowledged."""
        return tuple(alarm for alarm in self._memory.alarms if not alarm.acknowledged)

    @property
    def replays(self) -> bool:
        """Whether decisions are made again: not where bodies are not shown."""
        return not self._blind

    def acknowledge(self) -> int:
        """Take note of all alarms; return how many."""
        standing = self.standing
        alarms = tuple(replace(alarm, acknowledged=True) for alarm in self._memory.alarms)
        self._remember(alarms=alarms)
        return len(standing)

    def poll(self, log: LiveLog) -> list[Alarm]:
        """Look at the log once, and return the alarms that are new.

        Raises:
            UnavailableError: it cannot be read, and no promise is broken by that yet.
        """
        now, failed = self._clock(), None
        found: list[tuple[str, str, str]] = []
        fresh: list[Alarm] = []
        for look in (self._followed, self._unwitnessed):
            seen: list[tuple[str, str, str]] = []
            try:
                for one in look(log, now):
                    seen.append(one)  # noqa: PERF402 -- what came before an error counts, too
            except LinkageError as error:
                failed = error
                if not isinstance(error, UnavailableError):
                    doubted = isinstance(error, VerificationError | MalformedMessageError)
                    seen.append((UNVERIFIED if doubted else REFUSED, str(error), ""))
            finally:
                # The copy has moved on, and its leaves are not judged again: whatever the
                # matcher does next, their alarms stand.
                fresh += self._raised(seen, now)
            found += seen
            if failed is not None:
                break
            self._remember(read_at=now, judged=self._copy.size)
        stalled = list(self._stalled(now))
        fresh += self._raised(stalled, now)
        last = {(code, text) for code, text, _ in (*found, *stalled) if code not in _OF_LEAVES}
        # What could not be looked at has not ended.
        self._remember(
            last=tuple(sorted(last if failed is None else last.union(self._memory.last)))
        )
        if isinstance(failed, UnavailableError) and not fresh:
            raise failed
        return fresh

    def _followed(self, log: LiveLog, now: float) -> Iterator[tuple[str, str, str]]:
        """Move on to the newest checkpoint, and judge what is new under it."""
        note, size = log.checkpoint(), self._copy.size
        yield from self._untold
        for finding in self._before:
            yield from self._breach(finding, log)
        self._before, self._untold = [], []
        try:
            head = verify_checkpoint(note, self._keys)
        except (SignatureError, CheckpointError) as error:
            yield self._unsigned(note, error)
            return
        if head.size < size and self._copy.root_at(head.size) == head.root:
            text = f"{head.size} entries are shown, after {size}"
            yield ROLLBACK, text, self._evidence(ROLLBACK, note)
            return
        try:
            new = list[tuple[Logged, Entry]]()
            self._copy.follow(note, log, lambda one, entry: new.append((one, entry)))
        except SplitViewError as error:
            yield self._split(note, head, log, error)
            return
        except (VerificationError, MalformedMessageError) as error:
            yield UNVERIFIED, str(error), self._evidence(UNVERIFIED, note)
            return
        if new or self._memory.changed_at is None:
            self._remember(changed_at=now)
        for index, (logged, entry) in enumerate(new, size):
            yield from self._untimely(index, entry, now)
            body: Any = parse_json(logged.body) if logged.opening else None
            for finding in self._judged(logged.leaf, entry, body):
                yield from self._breach(finding, log)

    def _judged(self, leaf: bytes, entry: Entry, body: JsonObject | None) -> list[Finding]:
        self._latest = max(self._latest, entry.time)
        return self._replay.add(entry, leaf_hash(leaf), body)

    def _breach(self, finding: Finding, log: LiveLog) -> Iterator[tuple[str, str, str]]:
        # Without one body nothing that follows can be decided as it was.
        self._blind = self._blind or (finding.code == BODY_MISSING and not log.complete)
        if not self._blind:
            yield POLICY_BREACH, f"{finding.code}: {finding.text}", ""

    def _untimely(self, index: int, entry: Entry, now: float) -> Iterator[tuple[str, str, str]]:
        read_at = self._memory.read_at
        if entry.time + _SKEW < self._latest:
            yield TIME_INVALID, f"leaf {index}: long before a leaf before it", ""
        elif entry.time > _utc(now) + _SKEW:
            yield TIME_INVALID, f"leaf {index}: {entry.time:%Y-%m-%d %H:%M:%S}Z has not come", ""
        elif read_at is not None and entry.time + _SKEW < _utc(read_at):
            text = f"leaf {index}: of {entry.time:%Y-%m-%d %H:%M:%S}Z, and it was not there when "
            yield TIME_INVALID, f"{text}the log was read at {_utc(read_at):%Y-%m-%d %H:%M:%S}Z", ""

    def _unwitnessed(self, log: LiveLog, now: float) -> Iterator[tuple[str, str, str]]:
        """Check that what is in the log comes to be cosigned, and that nothing else is."""
        if self._trust.quorum == NO_QUORUM:
            return
        try:
            note, missing, failed = log.cosigned(self._trust), "all", None
        except VerificationError as error:
            yield UNSIGNED, str(error), ""
            return
        except LinkageError as error:
            # Time passes for a matcher that does not answer this one question, too.
            note, missing, failed = b"", "all", error
        if note:
            try:
                read = read_cosigned(note, self._trust)
            except (SignatureError, CheckpointError) as error:
                yield self._unsigned(note, error)
                return
            head = read.checkpoint
            if head.size <= self._copy.size and self._copy.root_at(head.size) != head.root:
                yield FORK, f"another root for {head.size} entries", self._evidence(FORK, note)
                return
            if self._trust.quorum in read.met:
                self._remember(cosigned=max(self._memory.cosigned, head.size))
            else:
                missing = ", ".join(sorted(self._trust.missing(read.times.keys())))
        if self._memory.cosigned >= self._copy.size:
            self._remember(waiting_since=None)
        elif self._memory.waiting_since is None:
            self._remember(waiting_since=now)
        elif (
            self._cosigned_within_s is not None
            and now - self._memory.waiting_since > self._cosigned_within_s
        ):
            text = f"{self._trust.quorum} have cosigned {self._memory.cosigned} entries of "
            yield COSIGNATURES_MISSING, f"{text}{self._copy.size}; missing: {missing}", ""
        if failed is not None:
            raise failed

    def _stalled(self, now: float) -> Iterator[tuple[str, str, str]]:
        if self._memory.changed_at is None:
            # The promise counts from the first look.
            self._remember(changed_at=now)
        elif self._expect_s is not None and now - self._memory.changed_at > self._expect_s:
            yield STALLED, f"no checkpoint of more than {self._copy.size} entries", ""

    def _unsigned(self, note: bytes, error: LinkageError) -> tuple[str, str, str]:
        # What is said to be signed is named, for the next one is another alarm.
        digest = hashlib.sha256(note.partition(b"\n\n")[0]).hexdigest()[:16]
        return UNSIGNED, f"{error} (checkpoint {digest})", self._evidence(UNSIGNED, note)

    def _split(
        self, note: bytes, head: Checkpoint, log: LiveLog, error: SplitViewError
    ) -> tuple[str, str, str]:
        """Tell a second history from leaves that belong to none, and keep what proves it."""
        if head.size <= self._copy.size:
            text = f"another root for {head.size} entries"
            return FORK, text, self._evidence(FORK, note)
        # The proof of a longer history is the history: it gives the root that the log signed,
        # and does not begin with what it signed before.
        builder = TileBuilder()
        tiles = []
        try:
            for one in log.entries(0, head.size):
                tiles += builder.append(one.leaf)
        except (LinkageError, ValueError):
            return UNVERIFIED, str(error), self._evidence(UNVERIFIED, note)
        if (builder.size, builder.root()) != (head.size, head.root):
            return UNVERIFIED, str(error), self._evidence(UNVERIFIED, note)
        path = self._evidence(FORK, note)
        files = LogFiles(self._folder / path.removesuffix(".json"))
        for tile, data in (*tiles, *builder.partial_tiles()):
            files.write_tile(tile, data)
        files.write_checkpoint(note)
        text = f"{head.size} entries do not begin with the {self._copy.size} that were shown before"
        return FORK, text, path

    def _evidence(self, code: str, shown: bytes) -> str:
        """Keep two checkpoints that do not go together; return where, below the folder."""
        kept = self._copy.note
        content = {
            "v": 1,
            "code": code,
            "kept": kept.decode("utf-8", "replace"),
            "shown": shown.decode("utf-8", "replace"),
        }
        data = json.dumps(content, indent=1)
        folder = self._folder / "evidence"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(_MAX_EVIDENCE):
            path = folder / f"{code.lower()}-{number}.json"
            if not path.exists() or path.read_text("utf-8") == data:
                path.write_text(data, "utf-8")
                return f"evidence/{path.name}"
        return f"evidence/{code.lower()}-{_MAX_EVIDENCE - 1}.json"

    def _raised(self, found: list[tuple[str, str, str]], now: float) -> list[Alarm]:
        known = {
            (alarm.code, alarm.text)
            for alarm in self._memory.alarms
            if not alarm.acknowledged or alarm.code in _OF_LEAVES
        }.union(self._memory.last)
        # What may change at every look counts with what stands of it already.
        standing = Counter(a.code for a in self.standing if a.code not in _OF_LEAVES)
        per_code: Counter[str] = Counter()
        fresh = []
        for code, text, evidence in dict.fromkeys(found):
            if (code, text) in known:
                continue
            per_code[code] += 1
            if per_code[code] + standing[code] <= _MAX_ALARMS:
                fresh.append(Alarm(code, text, f"{_utc(now):%Y-%m-%dT%H:%M:%SZ}", evidence))
        for code, count in per_code.items():
            more = min(count, count + standing[code] - _MAX_ALARMS)
            text = f"and {more} more up to {self._copy.size} entries"
            if more > 0 and (code, text) not in known:
                fresh.append(Alarm(code, text, f"{_utc(now):%Y-%m-%dT%H:%M:%SZ}"))
        self._remember(alarms=(*self._memory.alarms, *fresh))
        return fresh

    def _remember(self, **values: Any) -> None:
        self._memory = replace(self._memory, **values)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / "monitor.json"
        temporary = path.with_suffix(".part")
        alarms = [vars(alarm) for alarm in self._memory.alarms]
        temporary.write_text(json.dumps({**vars(self._memory), "alarms": alarms}), "utf-8")
        temporary.replace(path)


def _read_memory(path: Path) -> _Memory:
    try:
        fields = json.loads(path.read_text("utf-8"))
        alarms = tuple(Alarm(**alarm) for alarm in fields.pop("alarms"))
        last = tuple((str(code), str(text)) for code, text in fields.pop("last", ()))
        return _Memory(**fields, alarms=alarms, last=last)
    except FileNotFoundError:
        return _Memory()
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: the memory of the monitor is damaged: keep it, and begin with an empty folder"
        ) from error


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
