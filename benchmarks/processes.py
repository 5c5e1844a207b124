"""Memory of the processes that this one has started, watched while they run."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
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
        seen_mib: resident memory by name at each look, with the moment (`time.monotonic`).
    """

    def __init__(self, name_of: Callable[[list[str]], str | None]) -> None:
        self.peak_mib: dict[str, float] = {}
        self.seen_mib: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
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
            # Named by the thread that started them; to look through all processes of a busy
            # machine takes milliseconds of what is being measured.
            for task in Path("/proc/self/task").glob("*/children"):
                with suppress(OSError):  # a thread that has just ended
                    for child in task.read_text("ascii").split():
                        self._look_at(Path("/proc", child))

    def _look_at(self, folder: Path) -> None:
        try:
            status = dict(
                line.split(":", 1) for line in (folder / "status").read_text("utf-8").splitlines()
            )
            if "VmHWM" not in status:
                return
            words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except (OSError, KeyError, ValueError):
            return  # it has just ended
        name = self._name_of(words)
        if name is not None:
            # The high-water mark, so that what rose and fell between two looks counts.
            peak = int(status["VmHWM"].split()[0]) / _KIB_PER_MIB
            self.peak_mib[name] = max(self.peak_mib.get(name, 0.0), peak)
            now_mib = int(status["VmRSS"].split()[0]) / _KIB_PER_MIB
            self.seen_mib[name].append((time.monotonic(), now_mib))
