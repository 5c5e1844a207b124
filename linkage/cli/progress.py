"""Progress on stderr, with rate and time left: a bar on a terminal, else a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# Where nobody looks on, as in a journal: once for each stage, and then not too often.
_LINE_EVERY_S = 60.0
# A line that breaks off for a moment is none of an operator's business.
_AWAY_S = 5.0
_WONDER_S, _AWAY_EVERY_S = 2.0, 10.0


def stderr_console() -> Console:
    """Return a console that writes to stderr."""
    return Console(stderr=True, highlight=False)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_rate(task))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show progress until the end of the block."""
    console = stderr_console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield progress


class StageBar:
    """Shows the stages of some work, one after the other, each with a rate of its own.

    Args:
        bar: where they are shown.
    """

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None)
        self._stage, self._told_at = "", 0.0
        self._said: set[str] = set()

    def show(self, stage: str, done: int, total: int | None) -> None:
        """Show how far a stage is.

        Args:
            stage: what is done.
            done: how much of it.
            total: of how much, None where nobody knows.
        """
        begins = stage != self._stage
        if begins:
            self._stage = stage
            self._bar.reset(self._task, description=stage, total=total)
        self._bar.update(self._task, completed=done, total=max(total, done) if total else None)
        now = time.monotonic()
        if not self._bar.console.is_terminal and (begins or now >= self._told_at + _LINE_EVERY_S):
            self._told_at = now
            self._bar.console.print(_line(self._bar.tasks[self._task]), soft_wrap=True)

    def say(self, words: str) -> None:
        """Say something beside the bar."""
        self._bar.console.print(words, soft_wrap=True, markup=False)


class UploadBar(StageBar):
    """Shows encoding and uploading."""

    def encoding(self, n_records: int, n_all: int | None = None) -> None:
        """`n_records` have been encoded so far, of `n_all` where that is known."""
        self.show("encoding", n_records, n_all)

    def uploading(self, chunk: int, n_chunks: int) -> None:
        """A chunk is being sent."""
        self.show("uploading", chunk + 1, n_chunks)

    def not_cosigned(self, reason: str) -> None:
        """The matcher has not taken this party's cosignature; said once for each reason."""
        if reason not in self._said:
            self._said.add(reason)
            self.say(f"the matcher did not take this party's cosignature, trying again: {reason}")

    def away(self, away_s: float, pause_s: float, left_s: float) -> None:
        """Nothing has got through for `away_s`; the next try is in `pause_s`, the last `left_s`."""
        if away_s >= _AWAY_S:
            self.say(
                f"the matcher cannot be reached for {_duration(away_s)}: trying again in "
                f"{_duration(pause_s)}, and for {_duration(left_s)}; nothing is lost"
            )


class AwayLines:
    """Says on stderr that a matcher does not answer, and until when it is tried.

    Args:
        address: of the matcher.
    """

    def __init__(self, address: str) -> None:
        self._address, self._told_at = address, -_AWAY_EVERY_S

    def __call__(self, away_s: float, pause_s: float, left_s: float) -> None:
        """Say it before a pause in which somebody would begin to wonder; not too often."""
        if away_s + pause_s < _WONDER_S:
            return
        now = time.monotonic()
        if now >= self._told_at + _AWAY_EVERY_S:
            self._told_at = now
            until = datetime.now().astimezone() + timedelta(seconds=left_s)
            click.echo(
                f"the matcher at {self._address} does not answer: it will be tried until "
                f"{until:%H:%M:%S}",
                err=True,
            )


def _line(task: Task) -> str:
    words = f"{task.description}: {task.completed:,.0f}"
    if task.total:
        words += f" of {task.total:,.0f}"
    if rate := _rate(task):
        words += f", {rate}"
    if task.time_remaining is not None and not task.finished:
        words += f", {_duration(task.time_remaining)} left"
    return words


def _rate(task: Task) -> str:
    speed = task.finished_speed or task.speed
    if not speed:
        return ""
    return f"{speed:,.0f}/s" if speed >= 1 else f"{speed * 60:,.0f}/min"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h {whole // 60 % 60} min"
