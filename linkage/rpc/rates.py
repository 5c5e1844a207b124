"""How many calls each caller may make: a bucket of tokens for every identity.

Counted by who calls, not from where: offices behind one address do not hinder each other,
and an identity gains nothing by many connections. Only who is admitted has a bucket, so
there are no more of them than principals.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

PER_S, BURST = 200.0, 1_000.0


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

    def take(self, who: str) -> bool:
        """Count a call of somebody; return whether it may be made."""
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault(who, _Bucket(self._burst, now))
            bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_s)
            bucket.at = now
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            return True
