"""Lookups before uploads: who stands at a counter waits, an upload has hours.

Uploads come in pieces of a MiB, each of which takes processors, the disk and the database. A
few are stored at once; while lookups come, one at a time, none of which begins while a lookup is
at hand. So a lookup waits for one piece at most, and finds a processor free. A piece
waits for its turn and then a moment: lookups without end slow uploads down, and do not stop
them. A piece that waits keeps the next one from being read from its connection, so the flow
control of gRPC holds up who sends.

All of it happens on the server's event loop: no locks, and no threads that wait.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

# Pieces that are stored at once where nobody looks anything up.
_AT_ONCE = 4
# So long after the last lookup the next one is expected.
_SOON_S = 1.0
# Longest time that a piece waits for lookups once it is its turn.
_LONGEST_S = 0.05


class Precedence:
    """Says when a piece of an upload may be stored; on one event loop.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at_hand = 0
        self._last = float("-inf")
        self._none_at_hand = asyncio.Event()
        self._none_at_hand.set()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._alone = asyncio.Lock()

    def lookup(self, answer: "asyncio.Future[Any]") -> None:
        """Take a lookup; it goes first until it is answered, or given up."""
        self._at_hand += 1
        self._none_at_hand.clear()
        answer.add_done_callback(self._answered)

    def _answered(self, _answer: "asyncio.Future[Any]") -> None:
        self._at_hand -= 1
        self._last = self._clock()
        if not self._at_hand:
            self._none_at_hand.set()

    @asynccontextmanager
    async def piece(self) -> AsyncIterator[None]:
        """Wait until a piece of an upload may be stored, which is done inside."""
        async with self._places:
            if not self._at_hand and self._clock() - self._last > _SOON_S:
                yield
                return
            async with self._alone:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LONGEST_S):
                        await self._none_at_hand.wait()
                yield
