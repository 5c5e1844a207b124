"""One matcher on its data at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkage.errors import ConfigError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a second matcher off the same data.

    Args:
        path: file in the folder of the data.

    Raises:
        ConfigError: another matcher runs on it.
    """
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            problem = "another matcher runs on this data: stop it"
            raise ConfigError(str(path.parent), [problem]) from error
        yield
