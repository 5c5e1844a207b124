"""Folders that a command writes into."""

from pathlib import Path

from linkage.errors import ConfigError


def empty_folder(path: Path) -> Path:
    """Make a folder, if it is not there yet, and return its absolute path.

    Raises:
        ConfigError: something is in it; or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        filled = any(path.iterdir())
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be used as a folder: {error.strerror}"]) from error
    if filled:
        raise ConfigError(str(path), ["is not empty: name a new folder, nothing is overwritten"])
    return path.resolve()
