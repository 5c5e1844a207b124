"""Lookups that look like probing: few hits among many questions, or many questions nearly alike.

A counter asks about the person who stands there: nearly all are found, and whoever is not is
asked for again under another spelling, a few times. Who fishes for members, or tries values out,
asks otherwise. What is watched is the last questions of a caller in a register, as codes that
the matcher has in any case, in memory alone; what is told is who asked and which sign it was.

Thresholds, of the last 64 different questions:
    FEW_HITS      at least 50, of which at most one in ten was a match
    NEAR_EQUAL    16 that are nearly an earlier one: a code that is alike, or the same code
                  with another identifier
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from linkage.agreement.usage import Grant

FEW_HITS, NEAR_EQUAL = "FEW_HITS", "NEAR_EQUAL"
_WINDOW = 64
_FEWEST, _HIT_RATE = 50, 0.1
_NEAR = 16
# Callers and registers that are watched at once; the longest silent ones are forgotten.
_MOST = 4_096


@dataclass(frozen=True)
class Asked:
    """A question that was answered.

    Attributes:
        code: packed words of its code.
        exact: its exact tokens.
        hit: whether it was a match.
    """

    code: NDArray[np.uint64]
    exact: bytes
    hit: bool


@dataclass
class _Watched:
    asked: deque[tuple[Asked, bool]] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    signs: frozenset[str] = frozenset()


class Probing:
    """Watches the lookups of a matcher; for one thread, but for what is suspended.

    Args:
        on_alarm: told a grant and a sign when it appears.
    """

    def __init__(self, on_alarm: Callable[[Grant, str], None]) -> None:
        self._on_alarm = on_alarm
        self._watched: dict[tuple[str, str, str], _Watched] = {}
        self._suspended: dict[str, int] = {}

    def suspends(self, grant: Grant) -> bool:
        """Return whether nothing more is answered under a grant."""
        return grant.id in self._suspended

    @property
    def suspended(self) -> dict[str, int]:
        """Until when each suspended grant would serve, in seconds since 1970; for any thread."""
        return dict(self._suspended)

    def suspend(self, grants: Mapping[str, int]) -> None:
        """Suspend grants as before a restart; before any question is watched."""
        self._suspended.update(grants)

    def watch(self, grant: Grant, asked: Asked, alike: float) -> None:
        """Take a question that was answered.

        Args:
            grant: under which grant.
            asked: the question.
            alike: share of equal bits from which on two codes are of one person.
        """
        # A new grant for the same is no new beginning.
        route = grant.caller, grant.agreement, grant.register
        watched = self._watched.pop(route, None) or _Watched()
        self._watched[route] = watched
        if len(self._watched) > _MOST:
            del self._watched[next(iter(self._watched))]
        before = [one for one, _ in watched.asked]
        if any(_same(one, asked) for one in before):
            return
        watched.asked.append((asked, _is_near(before, asked, alike)))
        signs = _signs(watched.asked)
        for sign in sorted(signs - watched.signs):
            self._on_alarm(grant, sign)
        watched.signs = signs
        if signs and grant.on_probing == "refuse":
            self._suspended[grant.id] = int(grant.valid_until.timestamp())


def _signs(asked: deque[tuple[Asked, bool]]) -> frozenset[str]:
    n, hits = len(asked), sum(one.hit for one, _ in asked)
    signs = set()
    if n >= _FEWEST and hits <= _HIT_RATE * n:
        signs.add(FEW_HITS)
    if sum(near for _, near in asked) >= _NEAR:
        signs.add(NEAR_EQUAL)
    return frozenset(signs)


def _same(one: Asked, other: Asked) -> bool:
    return one.exact == other.exact and np.array_equal(one.code, other.code)


def _is_near(before: list[Asked], asked: Asked, alike: float) -> bool:
    if not before:
        return False
    # Joined as bytes: `np.stack` takes longer than all the rest of it.
    joined = np.frombuffer(b"".join(one.code.data for one in before), np.uint64)
    codes = joined.reshape(len(before), asked.code.size)
    unlike = np.bitwise_count(codes ^ asked.code).sum(axis=1, dtype=np.int64)
    return bool((1 - unlike / (64 * asked.code.size) >= alike).any())
