"""The trust file: which log, which witnesses, and how many of them are enough.

Auditors and agencies get it out of band and check every checkpoint against it.
A line names a log, a witness, a group or the quorum:

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>|none

Names are defined before they are used. Stricter than the format it follows: the
file is UTF-8, and no public key is both log and witness. `ConfigError` lists
every refused line.

Source: C2SP tlog-policy.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from linkage.errors import ConfigError, SignatureError
from linkage.log.vkey import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    ED25519,
    VerifierKey,
    format_vkey,
    parse_vkey,
)

NO_QUORUM = "none"
MAX_LINES = 1000
_MAX_BYTES = 1 << 20
_LOG_TYPES = frozenset({ED25519, COSIGNATURE_ML_DSA_44})
_WITNESS_TYPES = frozenset({COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44})
_SPACE = re.compile(r"[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class LogLine:
    """A log whose checkpoints are accepted; its key has the name of its origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class WitnessLine:
    """A witness, under the name that groups and the quorum use."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class GroupLine:
    """A group that counts as witnessing when `threshold` of its members do."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """A whole trust file.

    Args:
        logs: in the order of the file, as are the others.
        witnesses: each with a key of its own.
        groups: each after the groups it names.
        quorum: the name of a witness or group, or `NO_QUORUM`.
    """

    logs: tuple[LogLine, ...]
    witnesses: tuple[WitnessLine, ...] = ()
    groups: tuple[GroupLine, ...] = ()
    quorum: str = NO_QUORUM

    def log_keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """Return the keys of the log `origin`; none if it is not trusted."""
        return tuple(line.key for line in self.logs if line.key.name == origin)

    def witness_keys(self) -> tuple[VerifierKey, ...]:
        """Return the key of every witness."""
        return tuple(line.key for line in self.witnesses)

    def witness_names(self, keys: Iterable[VerifierKey]) -> frozenset[str]:
        """Return the names of the witnesses whose keys are among `keys`."""
        given = frozenset(keys)
        return frozenset(line.name for line in self.witnesses if line.key in given)

    def quorum_met(self, witnesses: AbstractSet[str]) -> bool:
        """Return whether the cosignatures of the named witnesses are enough."""
        return self.quorum in self.met_by(witnesses)

    def met_by(self, witnesses: AbstractSet[str]) -> frozenset[str]:
        """Return the names of all witnesses and groups that count as having cosigned.

        An agency with two keys is a group: whether it has cosigned is whether its
        name is among these.

        Args:
            witnesses: names of the witnesses whose cosignatures were verified.
        """
        # A group names only what stands before it, so one pass settles all.
        met = {NO_QUORUM} | {line.name for line in self.witnesses if line.name in witnesses}
        for group in self.groups:
            if len(met.intersection(group.members)) >= group.threshold:
                met.add(group.name)
        return frozenset(met)

    def witnesses_under(self, name: str) -> frozenset[str]:
        """Return the witnesses that a name stands for: itself, or those in its group.

        Raises:
            ValueError: no witness or group has that name.
        """
        members = {group.name: group.members for group in self.groups}
        if name in members:
            return frozenset().union(*(self.witnesses_under(member) for member in members[name]))
        if all(line.name != name for line in self.witnesses):
            raise ValueError(f"no witness or group {name} in the trust file")
        return frozenset({name})

    def missing(self, witnesses: AbstractSet[str]) -> frozenset[str]:
        """Return the witnesses whose cosignatures could still make up the quorum.

        Args:
            witnesses: names of the witnesses whose cosignatures were verified.

        Returns:
            None where the quorum is met or asks for nobody.
        """
        if self.quorum_met(witnesses):
            return frozenset()
        met = self.met_by(witnesses)
        members = {group.name: group.members for group in self.groups}
        unmet, found = [self.quorum], set()
        while unmet:
            name = unmet.pop()
            if name not in members:
                found.add(name)
            else:
                unmet += [member for member in members[name] if member not in met]
        return frozenset(found)


def format_policy(policy: Policy, comment: str = "") -> bytes:
    """Return the trust file, each line of `comment` above it behind a `#`.

    Raises:
        ConfigError: it would not parse, or parse differently.
    """
    lines = [f"# {line}".rstrip() for line in comment.split("\n")] if comment else []
    lines += [_join("log", format_vkey(log.key), log.url) for log in policy.logs]
    lines += [_join("witness", w.name, format_vkey(w.key), w.url) for w in policy.witnesses]
    lines += [_join("group", g.name, str(g.threshold), *g.members) for g in policy.groups]
    lines.append(_join("quorum", policy.quorum))
    data = "".join(f"{line}\n" for line in lines).encode()
    if parse_policy(data) != policy:
        raise ConfigError("trust file", ["it would be read differently"])
    return data


def parse_policy(data: bytes) -> Policy:
    """Return the trust file in `data`.

    Raises:
        ConfigError: with every line that is refused, by number: unknown,
            malformed, defined twice, or naming what is not defined before it.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("trust file", ["it is not UTF-8"]) from error
    lines = text.split("\n")
    if lines.pop() or len(data) > _MAX_BYTES or len(lines) > MAX_LINES:
        raise ConfigError(
            "trust file", [f"it has more than {MAX_LINES} lines, or its last line has no end"]
        )
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        words = [word for word in _SPACE.split(line) if word]
        if _CONTROL.search(line):
            reader.problems.append(f"line {number}: a control character")
        elif words and not words[0].startswith("#"):
            problem = reader.read(words)
            if problem:
                reader.problems.append(f"line {number}: {problem}")
    return reader.policy()


class _Reader:
    """What the lines so far define; each method returns the problem with a line, or nothing."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._logs: list[LogLine] = []
        self._witnesses: list[WitnessLine] = []
        self._groups: list[GroupLine] = []
        self._quorum: str | None = None
        self._keys: set[bytes] = set()
        self._names = {NO_QUORUM}
        self._members = {NO_QUORUM}

    def read(self, words: Sequence[str]) -> str:
        kind, *rest = words
        if kind == "log" and len(rest) in (1, 2):
            return self._log(*rest)
        if kind == "witness" and len(rest) in (2, 3):
            return self._witness(*rest)
        if kind == "group" and len(rest) >= 3:
            return self._group(rest[0], rest[1], rest[2:])
        if kind == "quorum" and len(rest) == 1:
            return self._read_quorum(rest[0])
        return "not a log, witness, group or quorum line"

    def policy(self) -> Policy:
        if self._quorum is None:
            self.problems.append("there is no quorum line")
        if self.problems or self._quorum is None:
            raise ConfigError("trust file", self.problems)
        return Policy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _log(self, vkey: str, url: str | None = None) -> str:
        key = self._key(vkey, _LOG_TYPES)
        if isinstance(key, str):
            return key
        self._logs.append(LogLine(key, url))
        return ""

    def _witness(self, name: str, vkey: str, url: str | None = None) -> str:
        key = self._key(vkey, _WITNESS_TYPES)
        if isinstance(key, str):
            return key
        self._witnesses.append(WitnessLine(name, key, url))
        return self._define(name)

    def _group(self, name: str, threshold: str, members: Sequence[str]) -> str:
        if threshold in ("any", "all"):
            needed = 1 if threshold == "any" else len(members)
        elif _THRESHOLD.fullmatch(threshold) and int(threshold) <= len(members):
            needed = int(threshold)
        else:
            return "a threshold is any, all, or a number from 1 to the number of members"
        if not self._names.issuperset(members):
            return "a group of names that are not defined before it"
        # A witness that counts in two places could make up a quorum alone.
        if len(set(members)) < len(members) or not self._members.isdisjoint(members):
            return "a member listed twice, or `none`"
        self._members.update(members)
        self._groups.append(GroupLine(name, needed, tuple(members)))
        return self._define(name)

    def _read_quorum(self, name: str) -> str:
        if self._quorum is not None:
            return "a second quorum line"
        self._quorum = name
        return "" if name in self._names else "a quorum that is not defined before it"

    def _define(self, name: str) -> str:
        if name in self._names:
            return "a name defined twice, or `none`"
        self._names.add(name)
        return ""

    def _key(self, vkey: str, types: AbstractSet[int]) -> VerifierKey | str:
        try:
            key = parse_vkey(vkey)
        except SignatureError as error:
            return str(error)
        if key.algorithm not in types:
            return f"a key of type {key.algorithm:#04x} cannot sign here"
        # One key under two names would count twice.
        if key.public in self._keys:
            return "a public key listed twice"
        self._keys.add(key.public)
        return key


def _join(*words: str | None) -> str:
    return " ".join(word for word in words if word is not None)
