"""`padan lookup`: keep the own register at the matcher, and look a person up in another's."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linkage.cli.connection import connected
from linkage.cli.files import read_file
from linkage.cli.progress import UploadBar, progress_bar
from linkage.errors import KeyMismatchError
from linkage.job import PARTY_NAME

if TYPE_CHECKING:
    from linkage.agent.lookup import LookupClient
    from linkage.agent.session import Session

_MAX_INPUT = 1 << 16
_SETTINGS = click.option(
    "--settings",
    "--config",
    "settings",
    required=True,
    type=click.Path(path_type=Path),
    help="Settings of the agent (TOML).",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_NEVER = (
    "needs human decision: an official decides; no match is never evidence that a person is not "
    "a citizen\nperlu keputusan manusia: pejabat yang memutus; tidak ditemukan tidak pernah "
    "menjadi bukti bahwa seseorang bukan warga negara"
)


@click.group()
def lookup() -> None:
    """Look up one person, answered in milliseconds."""


@lookup.command()
@_SETTINGS
@click.option("--whole", is_flag=True, help="Send everything, whatever was sent before.")
@_JSON
def register(settings: Path, whole: bool, as_json: bool) -> None:
    """Bring the own register at the matcher up to date with the source.

    Sends what has changed since the last time. Stop it at any time: run again, it goes
    on where it was.
    """
    from linkage.agent.register import RegisterUpload

    with _connected(settings) as (session, client), progress_bar() as bar:
        today = datetime.now(UTC).date()
        done = RegisterUpload(session, client, today).refresh(UploadBar(bar), whole)
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    click.echo(
        f"revision {done.revision}: {done.n_records} records, {done.n_sent} sent, "
        f"{done.n_removed} removed"
    )


def _a_party(ctx: click.Context, param: click.Parameter, name: str) -> str:
    if not PARTY_NAME.fullmatch(name):
        raise click.BadParameter(f"not a party: one has the form {PARTY_NAME.pattern}", ctx, param)
    return name


@lookup.command()
@_SETTINGS
@click.option(
    "--register",
    "party",
    required=True,
    callback=_a_party,
    help="The party whose register is looked up.",
)
@click.option(
    "--input",
    "input_path",
    type=click.Path(path_type=Path),
    help="File with the values; standard input where absent.",
)
@click.option("--exhaustive", is_flag=True, help="Read every code whole: slower, overlooks none.")
@_JSON
@click.argument("refused", nargs=-1, metavar="")
def find(
    settings: Path,
    party: str,
    input_path: Path | None,
    exhaustive: bool,
    as_json: bool,
    refused: tuple[str, ...],
) -> None:
    """Ask whether another party's register has a person.

    The values are read from standard input or a file: one `attribute=value` a line, a JSON
    object, or a line of a CSV file under the line of its column names; and never from the
    command line: other users of this machine see that, and the shell keeps it.
    """
    from linkage.agent.lookup import Lookup

    if refused:
        # Not quoted: they may be values.
        raise click.UsageError(
            "values are not taken from the command line, where others can see them: give them "
            "on standard input, one attribute=value a line"
        )
    values = _values_in(_text_of(input_path))
    try:
        with _connected(settings) as (session, client):
            answer = client.find(Lookup(session).question(party, values, exhaustive))
    except KeyMismatchError:
        # After a rotation: the register may still be the one under the key before.
        config = session.config.at(session.config.agreement.epoch - 1)
        if config.agreement.epoch < 1 or not config.linkage_key.exists():
            raise
        with _connected(settings, config.agreement.epoch) as (session, client):
            answer = client.find(Lookup(session).question(party, values, exhaustive))
    if as_json:
        click.echo(json.dumps({"register": party, **asdict(answer)}))
        return
    click.echo(f"{answer.answer}")
    number = f"answer {answer.sequence} under grant {answer.grant[:8]}"
    click.echo(f"{number} by {answer.method}\n{_NEVER}", err=True)


def _text_of(path: Path | None) -> str:
    if path is not None:
        content = read_file(path)
    else:
        if sys.stdin.isatty():
            click.echo("one attribute=value a line, then Ctrl-D:", err=True)
        content = sys.stdin.buffer.read(_MAX_INPUT + 1)
    if len(content) > _MAX_INPUT:
        raise click.UsageError(f"the values are longer than {_MAX_INPUT} bytes: give one person's")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError("the values are not written in UTF-8") from error


def _values_in(text: str) -> dict[str, str]:
    """Return the value of each attribute; what is wrong is said without showing any."""
    if text.lstrip().startswith("{"):
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            raise click.UsageError("the values begin like JSON, and are no JSON object") from None
        if any(not isinstance(value, str) for value in parsed.values()):
            raise click.UsageError("every value of the JSON object is a text")
        return {str(name): value for name, value in parsed.items()}
    if "," in text.partition("\n")[0] and "=" not in text.partition("\n")[0]:
        return _of_csv(text)
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, sign, value = line.partition("=")
        name = name.strip()
        if not sign or not name.replace("_", "").isalnum():
            raise click.UsageError(f"line {number} is not of the form attribute=value")
        if name in values:
            raise click.UsageError(f"line {number}: {name} is there twice")
        values[name] = value.strip()
    if not values:
        raise click.UsageError("no values came: give one attribute=value a line")
    return values


def _of_csv(text: str) -> dict[str, str]:
    try:
        names, *rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error:
        raise click.UsageError("the line of CSV cannot be read: check its quotes") from None
    if len(rows) != 1:
        raise click.UsageError(f"{len(rows)} lines follow the column names: give one person's")
    if len(rows[0]) != len(names) or len(set(names)) != len(names):
        raise click.UsageError("the line has more or fewer values than there are column names")
    return dict(zip(names, rows[0], strict=True))


@contextmanager
def _connected(
    settings: Path, epoch: int | None = None
) -> Iterator[tuple["Session", "LookupClient"]]:
    from linkage.agent.lookup import LookupClient

    with connected(settings, epoch) as (session, channel):
        log_keys = [line.key for line in session.trust.logs]
        yield session, LookupClient(channel, session.config.patience_s, session.requests, log_keys)
