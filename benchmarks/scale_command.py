"""`python -m benchmarks scale`: large registers from codes and tokens to links."""

import os
from pathlib import Path

import click

from benchmarks.environment import read_environment
from benchmarks.report import as_json, print_table, write_result
from benchmarks.scale import SIZES, measure_scale, scale_table

_RESULTS = Path(__file__).parent / "results"
_SMALL = 500


@click.command()
@click.option("--scheme", default="saul:8192/5", show_default=True, help="How records are encoded.")
@click.option("--records", multiple=True, type=int, help="Records of each register; repeatable.")
@click.option("--threads", default=os.cpu_count() or 1, show_default="all cores")
@click.option("--small", is_flag=True, help="A tiny size, to try it out.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Folder of the result files; a full run writes to benchmarks/results by default.",
)
@click.option("--json", "json_out", is_flag=True, help="Print the figures as JSON.")
def scale(
    scheme: str,
    records: tuple[int, ...],
    threads: int,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Seconds and memory of a matcher, from 10,000 to 1,000,000 records a side."""
    environment = read_environment(f"python -m benchmarks scale --scheme {scheme}")
    sizes = (_SMALL,) if small else records or SIZES
    result = measure_scale(scheme, sizes, threads, lambda step: click.echo(step, err=True))
    table, figures = scale_table(result), result.to_dict()
    if json_out:
        click.echo(as_json(figures, environment))
    else:
        print_table(table)
    folder = results or (None if small or records else _RESULTS)
    if folder is not None:
        name = f"scale-{scheme.replace(':', '-').replace('/', '-')}"
        for path in write_result(folder, name, table, figures, environment):
            click.echo(f"written: {path.name}", err=True)
