"""How many calls each caller may make, and how many bytes send: by identity.

Counted by who calls, not from where: offices behind one address do not hinder each other,
and an identity gains nothing by many connections. Only who is admitted has a bucket, so
there are no more of them than principals.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from keys.identity import Identity
from linkage.errors import QuotaExceededError

PER_S, BURST = 200.0, 1_000.0
# A party of five million records sends some 14 GB for a job of two rounds.
PARTY_BYTES, OFFICE_BYTES, BYTES_AT_HAND = 64 << 30, 4 << 30, 64 << 20
# What one caller has at once, so many times a party and its offices have together.
PARTY_SHARE = 4
# How much of what a party has its offices may use together: the rest is its head office's alone,
# which has to end what an office does, and to revoke it.
OFFICES_SHARE = 0.75
_DAY_S = 86_400


@dataclass
class _Bucket:
    tokens: float
    at: float


class Rates:
    """The buckets of all callers.

    Args:
        per_s: calls that an identity may make a second, for ever.
        burst: how many more at once, after a pause.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        per_s: float = PER_S,
        burst: float = BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, who: str, share: float = 1.0) -> bool:
        """Count a call of somebody; return whether it may be made.

        Args:
            who: whose bucket; always with the same share.
            share: how many times as large it is as that of one identity.
        """
        now, burst = self._clock(), share * self._burst
        with self._lock:
            bucket = self._buckets.setdefault(who, _Bucket(burst, now))
            more = (now - bucket.at) * self._per_s * share
            bucket.tokens = min(burst, bucket.tokens + more)
            bucket.at = now
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            return True

    def take_call(self, who: Identity) -> bool:
        """Count a call of a caller, its own and in whose name it is; return whether it may be."""
        return self.take(who.uri) and all(
            self.take(name, share * PARTY_SHARE) for name, share in accounts_of(who).items()
        )


class Volumes:
    """The bytes that callers have sent on a day, and those that are being worked on.

    A party's count is of itself and its offices together; beside it are one of its offices
    together (`OFFICES_SHARE` of it) and one of each office. Counted in memory; whoever keeps the
    counts brings them back after a restart.

    Args:
        party_bytes: most that a party sends on a day (UTC), its offices included.
        office_bytes: most of these that come from one office.
        at_hand: most bytes of one identity that are in memory at once, of all its calls; a party
            and its offices have `PARTY_SHARE` times as many.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        party_bytes: int = PARTY_BYTES,
        office_bytes: int = OFFICE_BYTES,
        at_hand: int = BYTES_AT_HAND,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._party_bytes, self._office_bytes = party_bytes, office_bytes
        self._most_at_hand, self._clock = at_hand, clock
        self._day = 0
        self._sent: Counter[str] = Counter()
        self._at_hand: Counter[str] = Counter()
        # A message that nobody closed is given up by the collector of garbage, on whatever thread
        # it runs, also while that thread is in here: it must not wait for itself.
        self._lock = threading.RLock()

    def restore(self, sent_on: Callable[[int], Mapping[str, int]]) -> tuple[int, dict[str, int]]:
        """Bring back what was sent on this day before a restart; return both, as `sent`.

        Args:
            sent_on: returns the bytes of every account on a day (days since 1970).
        """
        with self._lock:
            self._day = int(self._clock()) // _DAY_S
            self._sent = Counter(sent_on(self._day))
            return self._day, dict(self._sent)

    def sent(self) -> tuple[int, dict[str, int]]:
        """Return a day, in days since 1970, and the bytes of every account on it so far."""
        with self._lock:
            return self._day, dict(self._sent)

    @contextmanager
    def taken(self, who: Identity, n_bytes: int, *, of_day: bool = True) -> Iterator[None]:
        """Count a message, for as long as it is worked on and for the day.

        Args:
            who: sent it.
            n_bytes: its length.
            of_day: whether it counts for the day.

        Raises:
            QuotaExceededError: it is too much; the text says of what, and when it ends.
        """
        with self._lock:
            if of_day:
                self._check_day(who, n_bytes)
            self._take(who, n_bytes)
            if of_day:
                self._sent.update(dict.fromkeys(_counted_on_days(who), n_bytes))
        try:
            yield
        finally:
            with self._lock:
                for name in (who.uri, *accounts_of(who)):
                    self._at_hand[name] -= n_bytes
                    if self._at_hand[name] <= 0:
                        del self._at_hand[name]

    def _check_day(self, who: Identity, n_bytes: int) -> None:
        day = int(self._clock()) // _DAY_S
        if day != self._day:
            self._day, self._sent = day, Counter()
        for name, share in accounts_of(who).items():
            most = int(share * self._party_bytes)
            if self._sent[name] + n_bytes > most:
                whose = "this party and its offices" if share == 1 else "the offices of this party"
                raise QuotaExceededError(
                    f"{whose} have sent the {most} bytes of a day: go on after midnight (UTC); an "
                    "upload goes on where it stopped"
                )
        if who.role == "office" and self._sent[who.uri] + n_bytes > self._office_bytes:
            raise QuotaExceededError(
                f"this office has sent the {self._office_bytes} bytes of a day: go on after "
                "midnight (UTC); an upload goes on where it stopped"
            )

    def _take(self, who: Identity, n_bytes: int) -> None:
        most, at_hand = self._most_at_hand, self._at_hand
        shares = {name: share * PARTY_SHARE for name, share in accounts_of(who).items()}
        for name, share in {who.uri: 1.0, **shares}.items():
            if at_hand[name] + n_bytes > share * most:
                raise QuotaExceededError(
                    f"more than {most} bytes at once, or {PARTY_SHARE} times as many of a party "
                    f"and its offices ({OFFICES_SHARE:.0%} of these of its offices): send with "
                    "fewer calls at a time"
                )
        at_hand.update(dict.fromkeys((who.uri, *shares), n_bytes))


def accounts_of(who: Identity) -> dict[str, float]:
    """Return in whose names somebody's use is counted beside its own, with the share of each.

    An office's is counted in that of its party's offices, and in its party's.
    """
    if who.role == "office":
        return {f"offices/{who.party}": OFFICES_SHARE, f"party/{who.party}": 1.0}
    return {who.path: 1.0}


def _counted_on_days(who: Identity) -> tuple[str, ...]:
    return (*accounts_of(who), *((who.uri,) if who.role == "office" else ()))
