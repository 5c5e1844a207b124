"""One matcher on its data at a time."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkage.errors import ConfigError

_TRIES, _PAUSE_S = 5, 0.1


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a second matcher off the same data.

    Args:
        path: file in the folder of the data.

    Raises:
        ConfigError: another matcher runs on it.
    """
    with path.open("wb") as file:
        for tries_left in reversed(range(_TRIES)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if tries_left:
                    # Somebody may only be looking.
                    time.sleep(_PAUSE_S)
                    continue
                problem = "another matcher runs on this data: stop it"
                raise ConfigError(str(path.parent), [problem]) from error
        yield


def is_locked(path: Path) -> bool:
    """Return whether a matcher holds a lock; keeps no other process that asks from its answer."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
