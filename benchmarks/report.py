"""Tables of results: on the console, as Markdown, and with all figures as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.environment import Environment

# Of tables that go to a file or a pipe, in characters.
_WIDTH = 150


@dataclass(frozen=True)
class Table:
    """A table of a result.

    Attributes:
        title: what it shows.
        header: names of the columns; the first is text, the others figures.
        rows: cells as shown.
        notes: what a reader must know, one sentence or list each.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number as shown in a table, a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def print_table(table: Table) -> None:
    """Print a table and its notes to stdout."""
    shown = RichTable(title=table.title, title_justify="left", box=box.SIMPLE)
    for at, name in enumerate(table.header):
        shown.add_column(name, justify="right" if at else "left", no_wrap=True)
    for row in table.rows:
        shown.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_WIDTH)
    console.print(shown)
    for note in table.notes:
        console.print(f"- {note}")


def as_markdown(table: Table, environment: Environment) -> str:
    """Return a table with its notes and what it was measured with."""
    lines = [f"# {table.title}", "", _markdown_row(table.header)]
    lines.append(_markdown_row(["---", *["---:"] * (len(table.header) - 1)]))
    lines += [_markdown_row(row) for row in table.rows]
    lines += ["", *[f"- {note}" for note in table.notes]]
    versions = ", ".join(f"{name} {number}" for name, number in environment.versions.items())
    lines += [
        "",
        (
            f"{environment.date}, commit {environment.commit}, {environment.cpu}, "
            f"{environment.cores} cores, Python {environment.python}, {versions}."
        ),
        "",
        f"    {environment.command}",
        "",
    ]
    return "\n".join(lines)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_json(figures: dict[str, Any], environment: Environment) -> str:
    """Return all figures and what they were measured with as JSON."""
    return json.dumps({"environment": asdict(environment), **figures}, indent=2)


def write_result(
    folder: Path, name: str, table: Table, figures: dict[str, Any], environment: Environment
) -> tuple[Path, Path]:
    """Write `NAME-<date>.json` and `.md` into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{environment.date}"
    paths = folder / f"{stem}.json", folder / f"{stem}.md"
    paths[0].write_text(as_json(figures, environment) + "\n", "utf-8")
    paths[1].write_text(as_markdown(table, environment), "utf-8")
    return paths
