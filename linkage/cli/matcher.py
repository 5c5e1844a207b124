"""`padan matcher`: run the matcher, make the keys of its log, and its log again from mirrors."""

import asyncio
import json
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from linkage.cli.files import read_file
from linkage.cli.incident import JOBS, KNOWN, WHAT

# How long a thread runs on while another waits for the interpreter; 5 ms by default.
_SWITCH_S = 0.0005

_with_config = click.option(
    "--config",
    "config_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Settings (TOML).",
)


@click.group()
def matcher() -> None:
    """Run the matcher."""


@matcher.command()
@_with_config
@click.option(
    "--address-file",
    type=click.Path(path_type=Path),
    help="Write host and port there once calls are taken.",
)
def serve(config_path: Path, address_file: Path | None) -> None:
    """Serve until a SIGTERM or SIGINT, then finish the calls at hand."""
    from linkage.cli.log import configure_log
    from linkage.errors import UnavailableError
    from linkage.matcher.config import load_config
    from linkage.matcher.server import Matcher

    configure_log()
    config = load_config(config_path)
    # A lookup changes threads several times: what else runs here hands over sooner.
    sys.setswitchinterval(_SWITCH_S)

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await Matcher(config).serve(stop, address_file)

    try:
        asyncio.run(run())
    except RuntimeError as error:
        # The library has no class of its own for an address that it cannot have.
        if "failed to bind" not in str(error).lower():
            raise
        raise UnavailableError(
            f"{config.listen}: cannot listen there: the port is taken or not allowed, or the "
            "address is not this machine's"
        ) from error


@matcher.command()
@_with_config
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--check", is_flag=True, help="Exit with 1 if there is something to do.")
def status(config_path: Path, as_json: bool, check: bool) -> None:
    """Show how a matcher is, running or not: jobs, log, registers, disk, certificate."""
    from linkage.matcher.config import load_config
    from linkage.matcher.opened import read_metadata
    from linkage.matcher.status import runs, status_of

    config = load_config(config_path)
    with read_metadata(config) as metadata:
        found, running = status_of(config, metadata), runs(config)
    problems = found.problems(datetime.now(UTC))
    if as_json:
        facts = {"running": running, **found.to_json(), "problems": problems}
        click.echo(json.dumps(facts, indent=2))
    else:
        click.echo("running" if running else "not running")
        for name, value in found.to_json().items():
            click.echo(f"{name.replace('_', ' '):18} {_words(value)}")
        for problem in problems:
            click.echo(f"to do: {problem}")
    if check and (problems or not running):
        raise click.exceptions.Exit(1)


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items() if count) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value or "none")


@matcher.command("init-log")
@_with_config
@click.option(
    "--trust",
    required=True,
    type=click.Path(path_type=Path),
    help="Trust file to write, for agents and auditors.",
)
def init_log(config_path: Path, trust: Path) -> None:
    """Make the signing keys of a match log, and the trust file that names them.

    Two keys sign every checkpoint, Ed25519 and ML-DSA-44 (beside the other, with -ml-dsa in its
    name). A key that is there already is kept, so that a log with one key gets its second:
    whoever verifies needs the new trust file from then on.

    Bring the trust file to every agent and auditor by a way that the matcher's
    operator does not control: who holds it can tell this log from any other.
    """
    from linkage.errors import ConfigError
    from linkage.log.policy import LogLine, Policy, format_policy
    from linkage.matcher.config import load_config
    from linkage.matcher.log_keys import make_log_keys, open_log_signers

    config = load_config(config_path)
    if not trust.parent.is_dir():
        raise ConfigError(str(trust), [f"{trust.parent} is no folder: make it first"])
    if trust.is_dir():
        raise ConfigError(str(trust), ["is a folder: name the file to write"])
    for path, made in make_log_keys(config.log).items():
        click.echo(f"{path}: signing key {'made' if made else 'exists, and is kept'}", err=True)
    policy = Policy(tuple(LogLine(signer.key) for signer in open_log_signers(config.log)))
    try:
        trust.write_bytes(format_policy(policy, f"Trust file of the match log {config.log.origin}"))
    except OSError as error:
        problem = f"cannot be written: {error.strerror}: run the command again with another path"
        raise ConfigError(str(trust), [problem]) from error
    click.echo(f"{trust}: trust file of {config.log.origin}", err=True)


@matcher.command()
@_with_config
@click.option("--agreement", required=True, help="Agreement whose data are concerned.")
@KNOWN
@JOBS
@WHAT
@click.option("--wait", default=10.0, show_default=True, help="Seconds to wait for the log.")
def incident(
    config_path: Path,
    agreement: str,
    known: datetime,
    jobs: tuple[str, ...],
    what: str,
    wait: float,
) -> None:
    """Report an incident to the parties of an agreement, at the first chance; print its id.

    A matcher that runs puts it into the log within a second; one that does not, at its start.
    """
    from linkage.cli import REFUSED
    from linkage.matcher.config import load_config
    from linkage.matcher.incidents import leave_report

    config = load_config(config_path)
    path = leave_report(
        config.data, config.log.origin, agreement, known.replace(microsecond=0), jobs, what
    )
    click.echo(path.stem)
    until = time.monotonic() + wait
    while path.exists() and time.monotonic() < until:
        time.sleep(0.1)
    if path.with_suffix(".refused").exists():
        click.echo("refused: no such agreement, or known later than now; see its log", err=True)
        sys.exit(REFUSED)
    if path.exists():
        click.echo("it waits for the matcher to run", err=True)
    else:
        click.echo("in the log", err=True)


@matcher.command()
@_with_config
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def submit(config_path: Path, paths: tuple[Path, ...]) -> None:
    """Put signed documents into the log of a matcher that does not run, in their order.

    So are the first parties enrolled. While it runs, whoever is enrolled brings
    documents: `padan agent submit`.
    """
    from linkage.matcher.config import load_config
    from linkage.matcher.offline import offline_documents

    config = load_config(config_path)
    documents = [read_file(path) for path in paths]
    with offline_documents(config) as taken:
        for path, content in zip(paths, documents, strict=True):
            click.echo(f"{path}: leaf {taken.submit('matcher', content)}", err=True)


@matcher.command()
@_with_config
@click.option(
    "--from-mirror",
    "mirrors",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="An agent's copy of the log (the folder log of its work folder), or an auditor's "
    "bundle; repeat it for several.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A checkpoint that somebody has seen, which the copies have to reach; may be repeated.",
)
@click.option(
    "--all-asked",
    is_flag=True,
    help="Every party and auditor was asked for its copy: what these lack, nobody saw.",
)
@click.option(
    "--without-bodies",
    is_flag=True,
    help="Go on without confidential bodies that are in no copy: use is counted without them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def rebuild(
    config_path: Path,
    mirrors: tuple[Path, ...],
    checkpoints: tuple[Path, ...],
    all_asked: bool,
    without_bodies: bool,
    as_json: bool,
) -> None:
    """Make the log of a matcher again, from copies of it, after its data were lost or restored.

    Everything in the copies is verified first. The old data are kept under another name.
    Jobs that ran are ended by name; results that were not fetched do not come back.
    """
    from linkage.audit.bundle_files import read_bundle, write_bundle
    from linkage.matcher.config import load_config
    from linkage.matcher.rebuild import rebuild as make_again

    config = load_config(config_path)
    with tempfile.TemporaryDirectory(prefix="padan-") as unpacked:
        folders = []
        for number, path in enumerate(mirrors):
            if path.is_file():
                folders.append(Path(unpacked) / f"{number}-{path.stem}")
                write_bundle(folders[-1], read_bundle(path))
            else:
                folders.append(path)
        made = make_again(
            config,
            folders,
            seen={str(path): path.read_bytes() for path in checkpoints},
            all_asked=all_asked,
            without_bodies=without_bodies,
        )
    if as_json:
        click.echo(json.dumps(asdict(made), default=str))
        return
    click.echo(f"{config.data}: {made.size} entries, root {made.root}, {made.jobs} jobs")
    for name in made.ended:
        click.echo(f"  job {name} ran, and was ended: MATCHER_REBUILT")
    for agreement, n_bodies in sorted(made.missing.items()):
        click.echo(f"  {n_bodies} bodies of {agreement or 'no agreement'} are in no copy")
    for name in made.lost:
        click.echo(f"  {name}: nothing was there to carry over")
    if made.kept is not None:
        click.echo(f"the old data are kept: {made.kept}", err=True)


@matcher.command()
@_with_config
@click.option("--json", "as_json", is_flag=True, help="Print the versions as JSON.")
def migrate(config_path: Path, as_json: bool) -> None:
    """Bring the database of a matcher that does not run to this program's version.

    There is no way back but a backup of database and log files, taken together while
    the matcher did not run: make one first.
    """
    from linkage.matcher.config import load_config
    from linkage.matcher.opened import opened_database
    from linkage.store.migrations import VERSION
    from linkage.store.migrations import migrate as run_steps

    with opened_database(load_config(config_path)) as database:
        reached = run_steps(database)
        name = database.name
    if as_json:
        click.echo(json.dumps({"database": name, "version": VERSION, "reached": reached}))
    elif reached:
        click.echo(f"{name}: brought to version {VERSION}", err=True)
    else:
        click.echo(f"{name}: there was nothing to do", err=True)


@matcher.command()
@_with_config
@click.option(
    "--query",
    type=click.Path(path_type=Path),
    help="Only write the request, to be carried by hand.",
)
@click.option(
    "--tst", type=click.Path(path_type=Path), help="Log the response that was brought by hand."
)
def anchor(config_path: Path, query: Path | None, tst: Path | None) -> None:
    """Have the log of a matcher that does not run timestamped (RFC 3161).

    The settings need [anchors]. While the matcher runs, it does so itself, as often as these say.
    The authority sees a hash.
    """
    from linkage.matcher.anchors import asking
    from linkage.matcher.config import load_config
    from linkage.matcher.offline import offline_anchors

    if query is not None and tst is not None:
        raise click.UsageError("--query first, --tst with the response to it")
    config = load_config(config_path)
    with offline_anchors(config) as anchors:
        if query is not None:
            query.write_bytes(anchors.query())
            click.echo(f"{query}: bring it to the timestamp authority", err=True)
        elif tst is not None:
            click.echo(f"leaf {anchors.take(read_file(tst))}", err=True)
        elif config.anchors is not None:
            click.echo(f"leaf {anchors.anchor(asking(config.anchors.tsa))}", err=True)


@matcher.command()
@_with_config
@click.option(
    "--restored",
    "restored_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Settings whose data and [store] are the restored copy (TOML).",
)
@click.option(
    "--trust",
    "trust_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Trust file of the log.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def drill(config_path: Path, restored_path: Path, trust_path: Path, as_json: bool) -> None:
    """Look through a restored backup: log and jobs whole, nothing destroyed readable.

    --config names the settings of the matcher that goes on.

    Exits with 3 where something that was destroyed can be read, or where keys lie in the
    backup. Nothing in the copy is changed, and no matcher may be started on it.
    """
    from linkage.errors import VerificationError
    from linkage.log.policy import parse_policy
    from linkage.matcher.config import load_config
    from linkage.matcher.drill import drill as look_through

    config = load_config(config_path)
    keys = parse_policy(read_file(trust_path)).log_keys(config.log.origin)
    found = look_through(config, load_config(restored_path), keys)
    if as_json:
        click.echo(json.dumps({**asdict(found), "passed": found.passed}))
    else:
        click.echo(f"log: {found.entries} entries, root {found.root}, verified")
        click.echo(f"database: {found.jobs} jobs, {found.bodies} confidential bodies")
        click.echo(
            f"artefacts: {found.files} files in {found.datasets} datasets; {found.readable} "
            f"readable with the matcher's keys; of {found.destroyed} destroyed files none"
            if found.passed
            else f"readable though destroyed: {', '.join(found.survivors) or 'none'}; keys in the "
            f"copy: {', '.join(found.keys) or 'none'}"
        )
    if not found.passed:
        raise VerificationError(
            "the backup gives back what must be gone: leave the keystore out of backups, and "
            "destroy this copy"
        )
