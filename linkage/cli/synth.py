"""`padan synth`: registers of Indonesian people who do not exist."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.progress import Progress

    from linkage.synthetic import Registers

_ROWS_PER_CHUNK = 65_536

_README = """\
Nobody in these files exists.

Every name, date, place, address and number was drawn by a program, for tests and
demonstrations. NIK and KK numbers begin with the province code 00, which no province
has; whoever seems to resemble a real person does so by chance.

Made by: {made_by}

REGISTER      One file for each agency, with its own columns, date order and codes.
              record_id is its own number. entity_id is the truth: two records are
              of one person if and only if it is the same. Take it away before a
              linkage sees the file.
ledger        What was done to whom: one row for each cell and error.
groups        For each person whether he or she is, for example, abroad or a twin.
"""


@click.command()
@click.option("--persons", required=True, type=int, help="How many people to draw.")
@click.option("--seed", default=1, show_default=True, help="Equal seeds give equal files.")
@click.option(
    "--grade",
    default="ordinary",
    show_default=True,
    metavar="clean|ordinary|dirty|off",
    help="How many errors the registers have; off: none.",
)
@click.option(
    "--register",
    "names",
    multiple=True,
    default=("dukcapil", "imigrasi", "kemenlu"),
    show_default=True,
    metavar="dukcapil|imigrasi|kemenlu|ahu",
    help="A register to write; repeat it for several.",
)
@click.option(
    "--overlap",
    type=float,
    help="Share of the persons of two or more registers who stay in all of these.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Empty folder for the files."
)
@click.option("--parquet", is_flag=True, help="Write Parquet files and not CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def synth(
    persons: int,
    seed: int,
    grade: str,
    names: tuple[str, ...],
    overlap: float | None,
    out: Path,
    parquet: bool,
    as_json: bool,
) -> None:
    """Write registers of people who do not exist, with errors and the truth.

    Each register has its agency's own columns and way of writing. `entity_id` is the
    truth: take it away before a linkage sees a file. The ledger says what was done to
    whom, the groups say who is, for example, abroad or has one name only.
    """
    from linkage.cli.folders import empty_folder
    from linkage.cli.progress import progress_bar
    from linkage.synthetic import generate_population, make_registers

    started = time.monotonic()
    folder = empty_folder(out)
    with progress_bar() as bar:
        task = bar.add_task("drawing persons", total=None)
        try:
            population = generate_population(persons, seed)
            bar.update(task, description="making registers")
            registers = make_registers(population, names, grade, seed, overlap)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        made_by = f"padan synth --persons {persons} --seed {seed} --grade {grade}"
        made_by += "".join(f" --register {name}" for name in names)
        made_by += "" if overlap is None else f" --overlap {overlap}"
        bar.remove_task(task)
        files = _write_all(registers, folder, "parquet" if parquet else "csv", bar)
        (folder / "README.txt").write_text(_README.format(made_by=made_by), "utf-8")
    result = {
        "persons": persons,
        "records": {name: table.num_rows for name, table in registers.tables.items()},
        "changes": registers.ledger.num_rows,
        "files": {name: str(path) for name, path in files.items()},
        "out": str(folder),
        "seconds": round(time.monotonic() - started, 2),
    }
    if as_json:
        click.echo(json.dumps(result))
        return
    for name, table in registers.tables.items():
        click.echo(f"{name:10} {table.num_rows:>11,} records  {files[name]}")
    for name, table, unit in (
        ("ledger", registers.ledger, "changes"),
        ("groups", registers.groups, "persons"),
    ):
        click.echo(f"{name:10} {table.num_rows:>11,} {unit}  {files[name]}")


def _write_all(
    registers: "Registers", folder: Path, ending: str, bar: "Progress"
) -> dict[str, Path]:
    tables = {**registers.tables, "ledger": registers.ledger, "groups": registers.groups}
    files = {}
    for name, table in tables.items():
        files[name] = folder / f"{name}.{ending}"
        task = bar.add_task(f"writing {name}", total=table.num_rows)
        write = _write_parquet if ending == "parquet" else _write_csv
        for n_rows in write(table, files[name]):
            bar.update(task, advance=n_rows)
    return files


def _write_csv(table: "pa.Table", path: Path) -> Iterator[int]:
    """Write a table, and yield how many rows each part had."""
    from linkage.synthetic import register_csv_chunks

    left = table.num_rows
    with path.open("wb") as file:
        chunks = register_csv_chunks(table, _ROWS_PER_CHUNK)
        file.write(next(chunks))
        for chunk in chunks:
            file.write(chunk)
            yield min(left, _ROWS_PER_CHUNK)
            left -= _ROWS_PER_CHUNK


def _write_parquet(table: "pa.Table", path: Path) -> Iterator[int]:
    """Write a table, and yield how many rows each part had."""
    import pyarrow.parquet as pa_parquet

    with pa_parquet.ParquetWriter(path, table.schema) as writer:
        for start in range(0, table.num_rows, _ROWS_PER_CHUNK):
            part = table.slice(start, _ROWS_PER_CHUNK)
            writer.write_table(part)
            yield part.num_rows
