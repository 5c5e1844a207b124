"""Progress bars on stderr, with rate and time left; silent where stderr is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


def stderr_console() -> Console:
    """Return a console that writes to stderr."""
    return Console(stderr=True, highlight=False)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show progress until the end of the block."""
    console = stderr_console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield progress


class UploadBar:
    """Shows encoding and uploading as one bar.

    Args:
        bar: where it is shown.
    """

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("encoding", total=None)

    def encoding(self, n_records: int) -> None:
        """`n_records` have been encoded so far."""
        self._bar.update(self._task, completed=n_records)

    def uploading(self, chunk: int, n_chunks: int) -> None:
        """A chunk is being sent."""
        self._bar.update(self._task, description="uploading", completed=chunk + 1, total=n_chunks)
