"""`padan schema`: check a linkage schema, and show what it resolves to."""

import json
from pathlib import Path

import click


@click.group()
def schema() -> None:
    """Check linkage schemas, and compare them between parties."""


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
    click.echo(f"code       {loaded.encoding.scheme}, {loaded.encoding.bits} bits")
    click.echo(f"links      {loaded.match.cardinality}, threshold {loaded.match.threshold}")
    click.echo(f"{'attribute':20} {'type':14} {'weight':>6} {'positions':>9}  class")
    for attribute in resolved["attributes"]:
        click.echo(
            f"{attribute['name']:20} {attribute['type']:14} {attribute['weight']:6} "
            f"{resolved['positions_per_token'][attribute['name']]:9}  {attribute['class']}"
        )
