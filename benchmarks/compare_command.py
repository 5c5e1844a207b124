"""`python -m benchmarks compare`: kernels and solver beside anonlink's."""

from pathlib import Path

import click

from benchmarks.compare import SMALL, Sizes, measure_compare
from benchmarks.compare_table import compare_table
from benchmarks.environment import read_environment
from benchmarks.peer_env import MissingPeerError
from benchmarks.report import as_json, print_table, write_result

_RESULTS = Path(__file__).parent / "results"


@click.command()
@click.option("--small", is_flag=True, help="A tiny size, to try it out.")
@click.option(
    "--install/--no-install",
    default=True,
    help="Make the peers' environment on first use, or refuse where it is not there.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Folder of the result files; a full run writes to benchmarks/results by default.",
)
@click.option("--json", "json_out", is_flag=True, help="Print the figures as JSON.")
def compare(small: bool, install: bool, results: Path | None, json_out: bool) -> None:
    """Comparisons and solved pairs per second against anonlink, and all pairs at 100,000."""
    environment = read_environment("python -m benchmarks compare" + " --small" * small)
    try:
        result = measure_compare(
            SMALL if small else Sizes(), install, lambda name: click.echo(name, err=True)
        )
    except MissingPeerError as error:
        raise click.ClickException(f"the peer, anonlink, is not here: {error}") from error
    table, figures = compare_table(result), result.to_dict()
    if json_out:
        click.echo(as_json(figures, environment))
    else:
        print_table(table)
    folder = results or (None if small else _RESULTS)
    if folder is not None:
        for path in write_result(folder, "compare", table, figures, environment):
            click.echo(f"written: {path.name}", err=True)


if __name__ == "__main__":
    compare()
