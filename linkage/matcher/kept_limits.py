"""Limits that hold after a restart: bytes of the day, and suspensions after probing.

They are counted in memory; what has changed is written from time to time, and not with every
call. A matcher that is killed forgets of each account at most `STEP` bytes and what came in
the half second since it was looked at, of less than that what came in a minute, and the
suspensions of that half second. One that is stopped forgets nothing; one whose database was
lost (`padan matcher rebuild`) all of it, for the log does not have it.

A clock may be wrong at a start, and set right while the matcher runs. So a suspension is brought
back, and kept, for two more days than its grant would serve: under a grant that has ended nothing
is answered anyway. Bytes are kept of one day only: under a clock that is wrong by a day they begin
again.
"""

import time
from collections.abc import Callable

from linkage.matcher.journal import Clock
from linkage.matcher.probing import Probing
from linkage.rpc.rates import Volumes
from linkage.store.limits import LimitRows
from linkage.store.metadata import Metadata

STEP = 64 << 20
_WHOLE_S = 60.0
_LONGER_S = 2 * 86_400


class KeptLimits:
    """Brings limits back at a start, and keeps them; for one thread.

    Args:
        metadata: the database.
        volumes: bytes of the day.
        probing: knows which grants are suspended.
        clock: the matcher's clock.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        metadata: Metadata,
        volumes: Volumes,
        probing: Probing,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metadata, self._volumes, self._probing = metadata, volumes, probing
        self._clock, self._monotonic = clock, monotonic
        self._whole_at = monotonic()
        with metadata.write() as transaction:
            rows = LimitRows(transaction.connection)
            rows.forget(int(clock()) - _LONGER_S)
            self._day, self._sent = volumes.restore(rows.volumes)
            self._suspended = rows.suspended()
        probing.suspend(self._suspended)

    def save(self, *, whole: bool = False) -> None:
        """Write what has changed by more than may be forgotten.

        Args:
            whole: write all that has changed.

        Raises:
            UnavailableError: the database is gone; the next call tries again.
        """
        now = self._monotonic()
        whole = whole or now >= self._whole_at + _WHOLE_S
        day, sent = self._volumes.sent()
        if day != self._day:
            self._day, self._sent = day, {}
        least = 1 if whole else STEP
        grown = {who: n for who, n in sent.items() if n - self._sent.get(who, 0) >= least}
        suspended = self._probing.suspended
        new = {name: end for name, end in suspended.items() if name not in self._suspended}
        if grown or new:
            with self._metadata.write() as transaction:
                rows = LimitRows(transaction.connection)
                rows.set_volumes(day, grown)
                if new:
                    rows.suspend(new)
        self._sent |= grown
        self._suspended = suspended
        if whole:
            self._whole_at = now
