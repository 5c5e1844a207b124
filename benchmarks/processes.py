"""Peak memory of the processes that this one has started, watched while they run."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERY_S = 0.2
_KIB_PER_MIB = 1_024


class MemoryWatch:
    """Watches the children of this process between entering and leaving.

    Args:
        name_of: says by its command line what a child is called; None to leave it out.

    Attributes:
        peak_mib: largest resident memory by name; of several of one name the largest.
    """

    def __init__(self, name_of: Callable[[list[str]], str | None]) -> None:
        self.peak_mib: dict[str, float] = {}
        self._name_of = name_of
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Start to watch."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to watch."""
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_EVERY_S):
            for folder in Path("/proc").glob("[0-9]*"):
                self._look_at(folder)

    def _look_at(self, folder: Path) -> None:
        try:
            status = dict(
                line.split(":", 1) for line in (folder / "status").read_text("utf-8").splitlines()
            )
            if int(status["PPid"]) != os.getpid() or "VmHWM" not in status:
                return
            words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except (OSError, KeyError, ValueError):
            return  # it has just ended
        name = self._name_of(words)
        if name is not None:
            # The high-water mark, so that what rose and fell between two looks counts.
            peak = int(status["VmHWM"].split()[0]) / _KIB_PER_MIB
            self.peak_mib[name] = max(self.peak_mib.get(name, 0.0), peak)
