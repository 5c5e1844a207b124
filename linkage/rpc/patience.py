"""How a call is made again and again while the other side cannot be reached.

Pauses grow and differ by chance, so that many agents do not come back in one moment. Patience
is for an outage: it begins anew with whatever gets through, for a line that fails every other
minute still brings a batch over in the end.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from linkage.errors import UnavailableError

T = TypeVar("T")
# Told for how many seconds nothing has got through, those until the next try, and those after
# which there is none.
OnAway = Callable[[float, float, float], None]

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0


def _nobody(_away_s: float, _pause_s: float, _left_s: float) -> None:
    """Tell nobody."""


_told: ContextVar[OnAway] = ContextVar("_told", default=_nobody)


@contextmanager
def telling(on_away: OnAway) -> Iterator[None]:
    """Have `on_away` told by every `Patience` that is made inside."""
    before = _told.set(on_away)
    try:
        yield
    finally:
        _told.reset(before)


class Patience:
    """The patience of one client.

    Args:
        longest_s: give up when nothing has got through for so long.
        sleep: waits between two tries.
        clock: seconds that only grow.

    Attributes:
        on_away: told of every pause; at first whoever is told here (`telling`).
    """

    def __init__(
        self,
        longest_s: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._longest_s, self._sleep, self._clock = longest_s, sleep, clock
        self.on_away = _told.get()
        self._since: float | None = None
        self._pause_s = _FIRST_PAUSE_S

    def call(self, call: Callable[[], T]) -> T:
        """Make a call, and again while it fails for want of a line.

        Args:
            call: may be made any number of times; raises `UnavailableError` for want of a line.

        Raises:
            LinkageError: what the last try failed with.
        """
        while True:
            try:
                done = call()
            except UnavailableError as error:
                self.wait(error)
            else:
                self.reached()
                return done

    def reached(self) -> None:
        """Something got through."""
        self._since, self._pause_s = None, _FIRST_PAUSE_S

    def wait(self, error: UnavailableError) -> None:
        """Pause before the next try.

        Raises:
            UnavailableError: this one, when patience is at its end.
        """
        now = self._clock()
        if self._since is None:
            self._since = now
        away_s = now - self._since
        if away_s >= self._longest_s:
            raise error
        drawn = self._pause_s * random.uniform(0.75, 1.0)  # noqa: S311 -- nobody gains by guessing it
        pause_s = min(drawn, self._longest_s - away_s)
        self.on_away(away_s, pause_s, self._longest_s - away_s)
        self._sleep(pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
