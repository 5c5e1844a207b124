"""`python -m benchmarks scale`: large registers from codes and tokens to links."""

import os
from pathlib import Path

import click

from benchmarks.environment import read_environment
from benchmarks.options import (
    command_line,
    progress,
    publish,
    with_as_json,
    with_results,
    with_small,
    with_threads,
)
from benchmarks.scale import CURVE, SIZES, measure_scale, scale_picture, scale_table

_SMALL = 500


@click.command()
@click.option("--scheme", default="saul:8192/5", show_default=True, help="How records are encoded.")
@click.option("--records", multiple=True, type=int, help="Records of each register; repeatable.")
@with_threads
@click.option("--curve", is_flag=True, help="Up to 2,000,000 records, and a picture of the costs.")
@with_small
@with_results
@with_as_json
def scale(
    scheme: str,
    records: tuple[int, ...],
    threads: int,
    curve: bool,
    small: bool,
    results: Path | None,
    json_out: bool,
) -> None:
    """Seconds and memory of a matcher, from 10,000 to 1,000,000 records a side."""
    environment = read_environment(command_line("scale"))
    sizes = (_SMALL, 2 * _SMALL) if small else records or (CURVE if curve else SIZES)
    result = measure_scale(scheme, sizes, threads, progress)
    name = f"scale-{scheme.replace(':', '-').replace('/', '-')}"
    partial = small or bool(records) or threads != (os.cpu_count() or 1)
    publish(
        f"{name}-curve" if curve else name,
        scale_table(result),
        result.to_dict(),
        json_out,
        results,
        partial,
        environment,
        scale_picture(result),
    )
