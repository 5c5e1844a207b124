"""`padan schema`: draft a linkage schema, check it, and show what it resolves to."""

import json
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from linkage.schema import LinkageSchema


@click.group()
def schema() -> None:
    """Draft linkage schemas, check them, and compare them between parties."""


@schema.command()
@click.argument("path", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Check a schema as a whole; exit 2 with every problem that it has."""
    from linkage.agent.config import load_schema

    loaded = load_schema(path)
    click.echo(f"{path}: {len(loaded.attributes)} attributes, scheme {loaded.encoding.scheme}: ok")


@schema.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the resolved schema itself.")
def show(path: Path, as_json: bool) -> None:
    """Show a schema with every default filled in, and its id.

    Parties whose ids are equal encode alike; an upload under another id is refused.
    """
    from linkage.agent.config import load_schema
    from linkage.encode.encoder import resolve_schema, schema_id

    loaded = load_schema(path)
    resolved = resolve_schema(loaded)
    if as_json:
        click.echo(json.dumps({"schema_id": schema_id(loaded).hex(), "schema": resolved}))
        return
    click.echo(f"schema id  {schema_id(loaded).hex()}")
    click.echo(f"code       {loaded.encoding.scheme}, {loaded.encoding.code_bits} bits")
    click.echo(f"links      {loaded.match.cardinality}, threshold {loaded.threshold:.4f}")
    for line in _costs(loaded):
        click.echo(line)
    click.echo(f"{'attribute':20} {'type':14} {'weight':>6} {'positions':>9}  class")
    for attribute in resolved["attributes"]:
        click.echo(
            f"{attribute['name']:20} {attribute['type']:14} {attribute['weight']:6} "
            f"{resolved['positions_per_token'].get(attribute['name'], 'exact'):>9}  "
            f"{attribute['class']}"
        )


def _costs(loaded: "LinkageSchema") -> list[str]:
    """Return what is sent of each record in either round."""
    from linkage.agent.session import block_form, refinement_of
    from linkage.fieldrow import RowForm
    from linkage.namerow import NameForm
    from linkage.ticket import ticket_bytes

    form, refinement = block_form(loaded), refinement_of(loaded)
    n_tokens = form["block_entries"] * form["block_copies"]
    if refinement is None:
        code = loaded.encoding.code_bits // 8 + 16 * form["exact_slots"]
        tokens = n_tokens * form["block_bytes"]
        return [f"sent       {code:,} bytes a record; to each other party {tokens:,} of tokens"]
    tickets = n_tokens * ticket_bytes(form["block_bytes"])
    width = RowForm(len(refinement.types), len(refinement.identifiers)).n_bytes
    most, named = refinement.pairs_per_record, refinement.candidates
    up_to = "" if refinement.decoys else "up to "
    name = NameForm().row.itemsize
    return [
        f"round 1    to each other party up to {n_tokens} tickets a record, {tickets:,} bytes",
        f"round 2    {up_to}{most} pairs a record and party of {width} bytes: {most * width:,}",
        f"           and {up_to}{named} rows of {name} bytes in which names open: {named * name:,}",
    ]


@schema.command()
@click.argument("left", type=click.Path(path_type=Path))
@click.argument("right", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def diff(left: Path, right: Path, as_json: bool) -> None:
    """Print what differs between two schemas once every default is filled in.

    Exit 0 when they have the same id, 1 when they do not.
    """
    from linkage.agent.config import load_schema
    from linkage.agent.difference import differences
    from linkage.cli import REFUSED
    from linkage.encode.encoder import resolve_schema

    found = differences(resolve_schema(load_schema(left)), resolve_schema(load_schema(right)))
    if as_json:
        click.echo(json.dumps([asdict(difference) for difference in found]))
    else:
        for difference in found:
            click.echo(f"{difference.where}: {difference.left} -> {difference.right}")
    if found:
        sys.exit(REFUSED)
    click.echo("the same schema", err=True)


@schema.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the schema; that of the file if absent.")
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of a CSV file.")
@click.option("--delimiter", default=",", show_default=True, help="What parts its columns.")
def suggest(path: Path, name: str | None, encoding: str, delimiter: str) -> None:
    """Propose a schema from the columns and first records of a CSV or Parquet file.

    Prints it with a reason on every line, and what belongs in the source file. It is
    a draft: look at every line. No value of a record is in it.
    """
    from linkage.agent.config import SourceConfig
    from linkage.agent.draft import format_suggestion
    from linkage.agent.suggest import suggest as run

    if len(delimiter) != 1:
        raise click.UsageError("--delimiter is one character")
    suggestion = run(SourceConfig(path=path, encoding=encoding, delimiter=delimiter))
    given = name if name is not None else path.name.split(".")[0]
    slug = re.sub(r"[^a-z0-9]+", "-", given.lower()).strip("-")[:64].strip("-") or "schema"
    click.echo(format_suggestion(suggestion, path.name, slug), nl=False)


@schema.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Labelled CSV(.gz) or Parquet file; without any, people who do not exist are drawn.",
)
@click.option("--truth", help="Column of the labelled files that names the person.")
@click.option(
    "--id",
    "record_id",
    default="record_id",
    show_default=True,
    help="Column of record numbers.",
)
@click.option("--seed", default=1, show_default=True, help="Equal seeds give equal weights.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def tune(
    path: Path,
    inputs: tuple[Path, ...],
    truth: str | None,
    record_id: str,
    seed: int,
    as_json: bool,
) -> None:
    """Learn the weights of a schema from records whose persons are known, and print it.

    m is the share of an attribute's tokens that two records of one person have in
    common, u the same for strangers: at random, or with another attribute in common.
    Half of the persons teach, the other half is linked with the default weights, the
    learned ones and some between; the defaults stay where nothing links better. Weights
    serve codes: a job of two rounds learns what agreement is worth by itself.
    """
    from linkage.agent.config import load_schema
    from linkage.agent.evaluate import input_of
    from linkage.agent.heldout import with_weights
    from linkage.agent.labelled import labelled_files, labelled_synthetic
    from linkage.agent.schematext import format_schema
    from linkage.agent.tune import tune as run
    from linkage.cli.progress import stderr_console

    if bool(inputs) != (truth is not None):
        raise click.UsageError("--input and --truth go together")
    if seed < 0:
        raise click.UsageError("--seed is 0 or more")
    loaded = load_schema(path)
    with stderr_console().status("comparing records of known persons"):
        if inputs:
            sources = [input_of(file, record_id) for file in inputs]
            records = labelled_files(loaded, sources, truth or "", seed)
        else:
            records = labelled_synthetic(loaded, seed)
        tuned = run(loaded, records, seed, os.cpu_count() or 1)
    if as_json:
        click.echo(json.dumps(asdict(tuned)))
        return
    click.echo(f"# Weights learned from {len(records):,} records, seed {seed}.")
    for trial in tuned.trials:
        chosen = "  <- taken" if trial.step == tuned.step else ""
        shown = ", ".join(f"{f1:.4f}" for f1 in trial.best_f1)
        click.echo(f"# {trial.step:4.0%} of the way to learned weights: best F1 {shown}{chosen}")
    click.echo(
        f"# {'attribute':20} {'m':>6} {'u':>6}  weight learned default  greatest u among strangers"
    )
    for entry in tuned.attributes:
        m, u = (f"{share:6.3f}" if share is not None else "     -" for share in (entry.m, entry.u))
        who = (
            entry.strangers if entry.strangers in {"", "at random"} else f"of one {entry.strangers}"
        )
        weights = f"{entry.weight:6.2f} {entry.learned:7.2f} {entry.default:7.2f}"
        click.echo(f"# {entry.name:20} {m} {u}  {weights}  {who}".rstrip())
    weights_of = {entry.name: entry.weight for entry in tuned.attributes}
    click.echo(format_schema(with_weights(loaded, weights_of)), nl=False)
