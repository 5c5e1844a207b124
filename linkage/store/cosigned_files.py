"""Cosigned checkpoints on disk: what parties have put their lines under, one file for each size.

They are not forced to disk: what a crash loses the parties cosign again. A file is whole or not
there all the same, and whether it is of this log is for the reader to check.
"""

import errno
from contextlib import suppress
from pathlib import Path

from linkage.errors import UnavailableError


class CosignedFiles:
    """The cosigned checkpoints of one log.

    Args:
        folder: where they are; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, size: int, note: bytes) -> None:
        """Keep a checkpoint, in the place of an earlier one of its size.

        Raises:
            UnavailableError: the disk takes no more.
            OSError: it fails otherwise.
        """
        temporary = self._folder / f"{size}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(note)
            temporary.replace(self._folder / str(size))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UnavailableError(f"cannot keep a cosignature: {error.strerror}") from error

    def read(self) -> dict[int, bytes]:
        """Return all that are there, by the size they are named by."""
        if not self._folder.is_dir():
            return {}
        names = (path.name for path in self._folder.iterdir())
        sizes = sorted(int(name) for name in names if name.isdecimal() and name.isascii())
        return {size: (self._folder / str(size)).read_bytes() for size in sizes}

    def remove(self, size: int) -> None:
        """Forget a checkpoint."""
        with suppress(FileNotFoundError):
            (self._folder / str(size)).unlink()
