"""The lock of a matcher's data, and who only asks for it."""

import fcntl
import threading
from pathlib import Path

import pytest

from linkage.errors import ConfigError
from linkage.matcher.lock import is_locked, locked
from linkage.store.metadata import Metadata


def test_who_asks_disturbs_no_matcher(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    assert not path.exists()
    with locked(path):
        assert is_locked(path)
        with pytest.raises(ConfigError, match="another matcher runs"), locked(path):
            pass
    assert not is_locked(path)
    # A matcher that starts while somebody asks waits for the answer.
    with path.open("rb") as asked:
        fcntl.flock(asked, fcntl.LOCK_SH)
        answered = threading.Timer(0.15, fcntl.flock, (asked, fcntl.LOCK_UN))
        answered.start()
        with locked(path):
            assert is_locked(path)
        answered.join()


def test_an_empty_database_that_is_only_read_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "matcher.db"
    path.touch()
    with pytest.raises(ConfigError, match="is empty"):
        Metadata(f"sqlite:///{path}", as_it_is=True)
    assert path.stat().st_size == 0
