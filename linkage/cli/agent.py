"""`padan agent`: request jobs and take part in them."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from linkage.cli.agent_trail import trail
from linkage.cli.connection import (
    connected,
    connected_without_key,
    open_matcher,
    with_agent_config,
)
from linkage.cli.files import read_file
from linkage.cli.incident import incident
from linkage.cli.progress import UploadBar, progress_bar
from linkage.cli.rights import rights
from linkage.job import MAX_COLLECT_S, PARTY_NAME

if TYPE_CHECKING:
    from keys.dsse import Signer
    from keys.providers import KeyProvider
    from keys.transcript import Step
    from linkage.agent.client import MatcherClient, Progress
    from linkage.agent.config import AgentConfig
    from linkage.agent.mirror import Mirror
    from linkage.agent.profile import SourceProfile
    from linkage.agent.rotation import Rotation
    from linkage.agent.session import Session
    from linkage.agreement.articles import Level
    from linkage.job import Job


_NO_EVIDENCE = (
    "no match is never evidence that a person is not a citizen: an official decides\n"
    "tidak ditemukan tidak pernah menjadi bukti bahwa seseorang bukan warga negara: "
    "pejabat yang memutus"
)
_Given = TypeVar("_Given", str, str | None, tuple[str, ...])


def _of_form(
    noun: str, form: re.Pattern[str]
) -> Callable[[click.Context, click.Parameter, _Given], _Given]:
    """Return a check that each value has a form in which it can be sent and shown."""

    def check(ctx: click.Context, param: click.Parameter, given: _Given) -> _Given:
        for text in (given,) if isinstance(given, str) else given or ():
            if not form.fullmatch(text):
                words = f"not a {noun}: one has the form {form.pattern}"
                raise click.BadParameter(words, ctx, param)
        return given

    return check


_JOB_ID = re.compile("[A-Za-z0-9-]{1,32}")
_JOB = click.option(
    "--job",
    "job_id",
    required=True,
    callback=_of_form("job id", _JOB_ID),
    help="Id of the job.",
)
_COSIGN_S = 1.0
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def agent() -> None:
    """Link a party's own records with those of others."""


agent.add_command(trail)
agent.add_command(rights)
agent.add_command(incident)


@agent.command()
@with_agent_config
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def submit(config_path: Path, paths: tuple[Path, ...]) -> None:
    """Put signed documents into the match log, in their order.

    What `padan agreement` and `padan enrol` write. A document that is in the log already
    stays as it is.
    """
    from linkage.agent.client import MatcherClient

    documents = [read_file(path) for path in paths]
    with connected_without_key(config_path) as (config, channel):
        client = MatcherClient(channel, config.patience_s)
        for path, content in zip(paths, documents, strict=True):
            click.echo(f"{path}: leaf {client.submit_document(content)}", err=True)


@agent.command()
@with_agent_config
@click.option("--follow", is_flag=True, help="Go on until it is stopped, every second.")
def cosign(config_path: Path, follow: bool) -> None:
    """Cosign all that the match log holds, after the party's own copy has grown to it.

    Grants of lookups count only under a checkpoint that all parties of the agreement have
    cosigned, and auditors whose trust file asks for witnesses see the log as far as these have
    cosigned it. A log that contradicts the own copy ends this with exit code 3.
    """
    from keys.door import open_provider
    from linkage.agent.client import MatcherClient
    from linkage.agent.cosigning import Witness
    from linkage.agent.session import load_trust, mirror_of, open_cosigners
    from linkage.errors import DeniedError, MalformedMessageError, UnavailableError

    with connected_without_key(config_path) as (config, channel):
        cosigners = open_cosigners(config, open_provider(config.keys.provider))
        witness = Witness(mirror_of(config, load_trust(config.trust)), cosigners)
        client = MatcherClient(channel, config.patience_s)
        witness.cosign_all(client)
        while follow:
            time.sleep(_COSIGN_S)
            try:
                witness.cosign_all(client)
            except (UnavailableError, DeniedError, MalformedMessageError) as error:
                # Only a log that contradicts the own copy ends it: what is refused now, as while
                # keys change, may be taken later.
                click.echo(f"{error}: trying again", err=True)


@agent.command()
@with_agent_config
@click.option("--reason", required=True, help="Why; it stands in the log.")
def stop(config_path: Path, reason: str) -> None:
    """Stop the agreement at once: running jobs are cancelled, nothing is given out any more.

    For an emergency, or an order of the authority. One party is enough; to go on, all sign
    (`padan agreement stop --resume`).
    """
    from keys.door import open_provider
    from linkage.agent.client import MatcherClient
    from linkage.agent.session import load_trust, mirror_of, open_signer
    from linkage.agent.stopping import stop_agreement

    with connected_without_key(config_path) as (config, channel):
        client = MatcherClient(channel, config.patience_s)
        mirror = mirror_of(config, load_trust(config.trust))
        signer = open_signer(config, open_provider(config.keys.provider))
        leaf = stop_agreement(config.agreement.id, reason, client, mirror, signer)
    click.echo(f"{config.agreement.id}: stopped, leaf {leaf}", err=True)


@agent.command("make-key")
@with_agent_config
def make_key(config_path: Path) -> None:
    """Make the linkage key of the agreement and epoch together with the other parties.

    Runs until all parties have confirmed it. Stop it at any time: run again, it goes on
    where it was. Nobody but the parties has the key then, and nobody chose it.
    """
    from linkage.agent.exchange import KeyMaking

    with _holder(config_path) as held:
        parts = (held.config, held.client, held.mirror, held.signer(), held.provider)
        KeyMaking(*parts, _tell_step).run()
        config = held.config
    _tell_key(config)


@agent.command("give-key")
@with_agent_config
@click.option("--office", required=True, help="spiffe://DOMAIN/office/PARTY/NAME")
def give_key(config_path: Path, office: str) -> None:
    """Give the linkage key to an office of the own party, which is enrolled with a seal key."""
    from linkage.agent import delegating

    with _holder(config_path) as held:
        leaf = delegating.give_key(
            held.config, held.client, held.mirror, held.signer(), held.provider, office
        )
    click.echo(f"{office}: given, leaf {leaf}", err=True)


@agent.command("take-key")
@with_agent_config
def take_key(config_path: Path) -> None:
    """Take the linkage key that the head office gave to this office."""
    from linkage.agent import delegating

    with _holder(config_path) as held:
        delegating.take_key(held.config, held.client, held.mirror, held.provider)
        config = held.config
    _tell_key(config)


@agent.command()
@with_agent_config
@_JSON
def status(config_path: Path, as_json: bool) -> None:
    """Show the linkage keys of the agreement: their states and dates, and what is due."""
    from linkage.cli.rotation import outlook_lines, outlook_to_dict

    with _holder(config_path) as held:
        outlook = held.rotation(_tell_step).outlook()
    if as_json:
        click.echo(json.dumps(outlook_to_dict(outlook)))
        return
    for line in outlook_lines(outlook):
        click.echo(line)


@agent.command()
@with_agent_config
@click.option("--early", is_flag=True, help="Make the next key although it is not due.")
@click.option("--dry-run", is_flag=True, help="Say what is due and what it costs; change nothing.")
@click.option("--lost", is_flag=True, help="The key may be known to others: give it up at once.")
@click.option("--withdraw", is_flag=True, help="End the making of a key whose state is lost here.")
@click.option("--yes", is_flag=True, help="Do not ask before a key is given up.")
@_JSON
def rotate(
    config_path: Path,
    early: bool,
    dry_run: bool,
    lost: bool,
    withdraw: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring the linkage keys of the agreement up to date; run it every day.

    Makes the next key with the other parties when it is due or they have begun, gives it to
    the offices that had the one before (an office takes it), encodes a register for lookups
    anew, and gives up and destroys the keys that have had their time. Stop it at any time:
    run again, it goes on where it was.
    """
    from linkage.cli.rotation import cost_lines, outlook_to_dict

    if dry_run + lost + withdraw > 1:
        raise click.UsageError(
            "--lost gives up a key that is made, --withdraw the making of one, --dry-run neither"
        )
    if lost and not yes:
        words = "Give up this key for ever? Running jobs end, and all parties make a new one"
        click.confirm(words, abort=True, err=True)
    with _holder(config_path) as held:
        rotation = held.rotation(_tell_step)
        if lost:
            leaf = rotation.lose()
            click.echo(f"given up, leaf {leaf}: nothing more is done under this key", err=True)
        if withdraw:
            leaf = rotation.withdraw()
            click.echo(f"withdrawn, leaf {leaf}: the next key has the next number", err=True)
        before = rotation.outlook()
        for line in cost_lines(before):
            click.echo(line, err=True)
        ends = dry_run or lost or withdraw
        epoch = None if ends else rotation.renew(early=early)
        changed = [] if dry_run else rotation.tend()
        config = held.config.at(epoch) if epoch else held.config.newest()
    for one in changed:
        click.echo(f"key {one.key_id} of epoch {one.epoch}: {one.before} -> {one.after}", err=True)
    if epoch:
        _tell_key(config)
    if not ends:
        _renew_register(config)
    if as_json:
        states = [one.to_json() for one in changed]
        click.echo(json.dumps({"epoch": epoch, "changed": states, **outlook_to_dict(before)}))


def _renew_register(config: "AgentConfig") -> None:
    """Encode the register under a new key, if the matcher has one under an older."""
    from linkage.agent.lookup import LookupClient
    from linkage.agent.register import RegisterUpload, is_kept
    from linkage.agent.session import Session
    from linkage.store.artefacts import ArtefactStore

    store = ArtefactStore(config.work / "artefacts", config.work / "keystore")
    numbers = range(1, config.agreement.epoch)
    older = any(is_kept(store, config.at(number).agreement) for number in numbers)
    if not config.linkage_key.exists() or not older or is_kept(store, config.agreement):
        return
    session = Session(config)
    try:
        with open_matcher(config.matcher, session.tls) as channel, progress_bar() as bar:
            client = LookupClient(channel, config.patience_s)
            done = RegisterUpload(session, client, datetime.now(UTC).date()).refresh(UploadBar(bar))
    finally:
        session.key.wipe()
    click.echo(f"register: revision {done.revision}, {done.n_sent} records encoded", err=True)


def _tell_key(config: "AgentConfig") -> None:
    own = config.agreement
    click.echo(f"{config.linkage_key}: linkage key of {own.id}, epoch {own.epoch}", err=True)


def _tell_step(step: "Step", awaited: tuple[str, ...]) -> None:
    click.echo(f"{step.name.lower()}: waiting for {', '.join(awaited) or 'the log'}", err=True)


@agent.command()
@with_agent_config
@click.option(
    "--party",
    "others",
    multiple=True,
    required=True,
    callback=_of_form("party", PARTY_NAME),
    help="Another party of the job; repeat it for several.",
)
@click.option(
    "--collect-timeout",
    type=click.IntRange(1, MAX_COLLECT_S),
    default=86_400,
    show_default=True,
    help="Seconds that the parties have to upload.",
)
@click.option(
    "--level",
    type=click.Choice(["R0", "R1", "R2", "R3"]),
    default="R0",
    show_default=True,
    help="The most that anybody is told, where the agreement gives so much: R0 counts, R1 yes, "
    "no or undetermined, R2 how each attribute compares, R3 link ids.",
)
@_JSON
def request(
    config_path: Path, others: tuple[str, ...], collect_timeout: int, level: "Level", as_json: bool
) -> None:
    """Ask the matcher for a job, and print its id."""
    from linkage.agent.run import request_job

    with _connected(config_path) as (session, client):
        parties = (session.config.party, *others)
        job = request_job(session, client, parties, collect_timeout, level)
    for source, recipient, told in job.spec.results:
        click.echo(f"{recipient} is told {told} of the records of {source}", err=True)
    click.echo(json.dumps(_job_to_dict(job)) if as_json else job.job_id)


@agent.command()
@with_agent_config
@click.option(
    "--job",
    "job_id",
    callback=_of_form("job id", _JOB_ID),
    help="Id of the job.",
)
@click.option("--all", "every", is_flag=True, help="Every job that waits for this agent.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV or Parquet file for the result, beside what [result] says.",
)
@_JSON
def run(
    config_path: Path, job_id: str | None, every: bool, out: Path | None, as_json: bool
) -> None:
    """Take part in a job: encode, upload, wait, fetch and verify the own result.

    Stop it at any time: run again, it goes on where it was. Where the line to the matcher is
    down it tries again, for a day unless [outage_s] says otherwise. With --all one job that
    fails stops no other.
    """
    from linkage.errors import LinkageError, VerificationError

    # As Ctrl-C does: the linkage key is overwritten before the end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if every == (job_id is not None) or (every and out is not None):
        raise click.UsageError("name a --job, or --all of them and no --out")
    if job_id is not None:
        _take_part(config_path, job_id, out, as_json)
        return
    failed: list[str] = []
    for waiting in _waiting_jobs(config_path):
        try:
            _take_part(config_path, waiting, None, as_json)
        except VerificationError:
            raise  # whatever else waits: the log or a result does not hold
        except LinkageError as error:
            click.echo(f"job {waiting}: {error}", err=True)
            failed.append(waiting)
    if failed:
        raise LinkageError(f"{len(failed)} of the jobs failed: {', '.join(failed)}")


def _waiting_jobs(config_path: Path) -> list[str]:
    """Return the jobs that wait for this agent, oldest first, and those that ended meanwhile.

    Those of its offices do not: they take part in them themselves.
    """
    from keys.identity import identity_in
    from linkage.agent.client import MatcherClient
    from linkage.rpc.patience import Patience

    with connected_without_key(config_path) as (config, channel):
        found = MatcherClient(channel, Patience(config.outage_s)).jobs()
        own = identity_in(config.tls.certificate.read_bytes()).path

    def waits(job: "Job") -> bool:
        if (job.spec.agreement_id, job.actor_of(config.party)) != (config.agreement.id, own):
            return False
        # Of a job that this agent has done with, the spool has no part of the batch any more.
        spool = config.work / "artefacts" / f"spool-{job.job_id}"
        left = (path.name for path in spool.glob("*-*"))
        return not job.state.final or any(left)

    return [job.job_id for job in reversed(found) if waits(job)]


def _take_part(config_path: Path, job_id: str, out: Path | None, as_json: bool) -> None:
    from linkage.agent.delivery import deliver, places_of
    from linkage.agent.run import run_job
    from linkage.agent.spool import forget_spools

    with _connected(config_path, job_id, outage=True) as (session, client), progress_bar() as bar:
        today = datetime.now(UTC).date()
        forget_spools(session.store, today)
        outcome = run_job(session, client, job_id, _Bars(bar), today)
        places = [] if out is None else deliver(out, job_id, outcome.files)
        # The run itself has brought it there.
        places += places_of(session.config.result, job_id, outcome.files)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "job": _job_to_dict(outcome.job),
                    "records": outcome.n_records,
                    "links": outcome.n_links,
                    "path": str(outcome.path) if outcome.files else None,
                    "files": {level: str(path) for level, path in outcome.files.items()},
                    "delivered": places,
                    "notes": list(outcome.notes),
                    "refused": None if outcome.refused is None else str(outcome.refused),
                    "receipt": None if outcome.receipt is None else str(outcome.receipt),
                }
            )
        )
        return
    for note in outcome.notes:
        click.echo(f"doubtful: {note}", err=True)
    if outcome.refused is not None:
        click.echo(f"records left out, as the schema says: {outcome.refused}", err=True)
    if not outcome.files:
        click.echo("released: the job tells this party nothing", err=True)
        return
    click.echo(_NO_EVIDENCE, err=True)
    for level, path in outcome.files.items():
        click.echo(f"{level}: {path}" if level == "R0" else f"{outcome.n_links} links: {path}")
    for place in places:
        click.echo(f"also: {place}")
    click.echo(f"receipt: {outcome.receipt}", err=True)


@agent.command()
@with_agent_config
@_JSON
def jobs(config_path: Path, as_json: bool) -> None:
    """List the jobs that the party takes part in, newest first; an office sees its own."""
    with _connected(config_path) as (_, client):
        found = client.jobs()
    if as_json:
        click.echo(json.dumps([_job_to_dict(job) for job in found]))
        return
    for job in found:
        when = datetime.fromtimestamp(job.requested_at, UTC).isoformat(timespec="minutes")
        by = f"  by {job.actor_of(job.requester)}" if job.office else ""
        click.echo(f"{job.job_id}  {when}  {job.state.value:12} {', '.join(job.spec.parties)}{by}")


@agent.command()
@with_agent_config
@_JOB
def cancel(config_path: Path, job_id: str) -> None:
    """End a job before its release."""
    with _connected(config_path) as (_, client):
        job = client.cancel(job_id)
    click.echo(f"{job.job_id}: {job.state.value}", err=True)


@agent.command("key-check")
@with_agent_config
def key_check(config_path: Path) -> None:
    """Print the key check value and schema id, to compare with the other parties."""
    from linkage.agent.config import load_agent
    from linkage.agent.session import Session

    session = Session(load_agent(config_path))
    click.echo(f"key check  {session.codes.key_check.hex(' ', 2)}")
    click.echo(f"schema id  {session.codes.schema_id.hex()}")


@agent.command()
@with_agent_config
@_JSON
def profile(config_path: Path, as_json: bool) -> None:
    """Look at the quality of the own records before they are encoded.

    Counts, per column, what is missing, rejected or doubtful, with the numbers of
    some of the records; prints no value of any. Needs neither key nor matcher.
    """
    from linkage.agent.config import load_agent, load_schema, load_source
    from linkage.agent.profile import profile_source
    from linkage.cli.profile_table import profile_lines

    config = load_agent(config_path)
    schema, source = load_schema(config.schema_file), load_source(config.source)
    with progress_bar() as bar:
        task = bar.add_task("reading", total=None)
        found = profile_source(source, schema, lambda n: bar.update(task, completed=n))
    if as_json:
        click.echo(json.dumps(found.to_dict()))
        return
    for line in profile_lines(found):
        click.echo(line)


class _Bars(UploadBar):
    """Shows an agent's run."""

    def changed(self, n_records: int) -> None:
        self.say(
            f"the source is not what it was when a run before this one encoded it: the first "
            f"{n_records:,} records are taken from there, all others are encoded anew"
        )

    def quality(self, profile: "SourceProfile") -> None:
        from linkage.cli.profile_table import grave_lines

        lines = list(grave_lines(profile))
        if lines:
            self.say("\n".join([*lines, "look at them with `padan agent profile`"]))

    def answering(self, n_pairs: int) -> None:
        self.show("answering", n_pairs, None)

    def waiting(self, progress: "Progress") -> None:
        words = progress.state.value
        if progress.waiting_for:
            words = f"{words}, waiting for {', '.join(progress.waiting_for)}"
        self.show(words, progress.done, progress.total or None)


@contextmanager
def _connected(
    config_path: Path, job_id: str | None = None, *, outage: bool = False
) -> Iterator[tuple["Session", "MatcherClient"]]:
    """Open a session, under the key of a job where one is named.

    With `outage` calls wait through hours without a line.
    """
    from linkage.agent.client import MatcherClient

    def patience_s(config: "AgentConfig") -> float:
        return max(config.outage_s, config.patience_s) if outage else config.patience_s

    epoch = None
    if job_id is not None:
        with connected_without_key(config_path) as (config, channel):
            job = MatcherClient(channel, patience_s(config)).job(job_id)
            epoch = job.spec.codes.epoch
    with connected(config_path, epoch) as (session, channel):
        yield session, MatcherClient(channel, patience_s(session.config), session.requests)


@dataclass(frozen=True)
class _Holder:
    """What works with the keys of an agreement themselves."""

    config: "AgentConfig"
    client: "MatcherClient"
    mirror: "Mirror"
    provider: "KeyProvider"

    def signer(self) -> "Signer":
        """Open the signing key; an office that only takes a key needs none."""
        from linkage.agent.session import open_signer

        return open_signer(self.config, self.provider)

    def rotation(self, on_step: Callable[["Step", tuple[str, ...]], None]) -> "Rotation":
        from linkage.agent.rotation import Rotation

        return Rotation(
            self.config, self.client, self.mirror, self.signer(), self.provider, on_step
        )


@contextmanager
def _holder(config_path: Path) -> Iterator[_Holder]:
    from keys.door import open_provider
    from linkage.agent.client import MatcherClient
    from linkage.agent.session import load_trust, mirror_of

    with connected_without_key(config_path) as (config, channel):
        provider = open_provider(config.keys.provider)
        client = MatcherClient(channel, config.patience_s)
        yield _Holder(config, client, mirror_of(config, load_trust(config.trust)), provider)


def _job_to_dict(job: "Job") -> dict[str, object]:
    return {
        "job_id": job.job_id,
        "state": job.state.value,
        "requester": job.requester,
        "office": job.office,
        "parties": list(job.spec.parties),
        "results": [list(result) for result in job.spec.results],
        "uploaded": list(job.uploaded),
        "reason_code": job.reason_code,
        "reason": job.reason,
        "comparisons": job.counts.comparisons_done,
        "comparing_s": job.counts.comparing_s,
    }
