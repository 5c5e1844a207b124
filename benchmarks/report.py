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
_WIDTH = 200


@dataclass(frozen=True)
class Table:
    """A table of a result.

    Attributes:
        title: what it shows.
        header: names of the columns; the first is text, the others figures.
        rows: cells as shown.
        notes: what a reader must know, one sentence or list each.
        next: a table that belongs to it, shown below.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    next: "Table | None" = None


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
    if table.next is not None:
        console.print()
        print_table(table.next)


def as_markdown(table: Table, environment: Environment, picture: str | None = None) -> str:
    """Return a table with its notes, its picture, and what it was measured with."""
    lines = _markdown_table(table, "#")
    if picture is not None:
        lines += ["", f"![{table.title}]({picture})"]
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


def _markdown_table(table: Table, heading: str) -> list[str]:
    lines = [f"{heading} {table.title}", "", _markdown_row(table.header)]
    lines.append(_markdown_row(["---", *["---:"] * (len(table.header) - 1)]))
    lines += [_markdown_row(row) for row in table.rows]
    lines += ["", *[f"- {note}" for note in table.notes]]
    return lines if table.next is None else [*lines, "", *_markdown_table(table.next, "##")]


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_json(figures: dict[str, Any], environment: Environment) -> str:
    """Return all figures and what they were measured with as JSON."""
    return json.dumps({"environment": asdict(environment), **figures}, indent=2)


def write_result(
    folder: Path,
    name: str,
    table: Table,
    figures: dict[str, Any],
    environment: Environment,
    picture: str | None = None,
) -> list[Path]:
    """Write `NAME-<date>.json`, `.md` and `.svg` into a folder and return their paths.

    Args:
        folder: made if it is not there.
        name: of the benchmark.
        table: what people read.
        figures: what programs read.
        environment: what it was measured with.
        picture: SVG, if there is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{environment.date}"
    shown = None if picture is None else f"{stem}.svg"
    contents = {
        f"{stem}.json": as_json(figures, environment) + "\n",
        f"{stem}.md": as_markdown(table, environment, shown),
    }
    if shown is not None and picture is not None:
        contents[shown] = picture
    paths = []
    for file, content in contents.items():
        path = folder / file
        path.write_text(content, "utf-8")
        paths.append(path)
    return paths
