"""A matcher and agents in one process, for tests: real gRPC and TLS on 127.0.0.1."""

import asyncio
import csv
import random
import string
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from keys.exchange import Exchange
from keys.keystore import new_header, write_keystore
from keys.providers import FileProvider
from keys.transcript import Transcript
from linkage.agent.client import MatcherClient, Progress
from linkage.agent.config import load_agent
from linkage.agent.profile import SourceProfile
from linkage.agent.run import Outcome, request_job, run_job
from linkage.agent.session import Session
from linkage.agreement.articles import Level
from linkage.agreement.terms import STEP_TIME, terms_of
from linkage.cli.demo_data import DemoData, DemoParty
from linkage.cli.demo_site import DemoSite
from linkage.errors import LinkageError
from linkage.matcher.config import load_config
from linkage.matcher.offline import offline_documents
from linkage.matcher.server import Matcher
from linkage.rpc.channel import open_channel

_SCHEMA = """
name = "test"
[match]
cardinality = "one-to-one"
rounds = 1
threshold = 0.7
[[attributes]]
name = "nama"
type = "name"
[[attributes]]
name = "tgl_lahir"
type = "date"
[[attributes]]
name = "tempat_lahir"
type = "place"
"""
# Links by codes, and with block entries: of one round a schema has none but those it names.
SCHEMA = f"""{_SCHEMA}
[[block]]
on = ["phonetic(nama)", "tgl_lahir"]
[[block]]
on = ["word(nama)", "year(tgl_lahir)"]
[[block]]
on = ["tgl_lahir", "tempat_lahir"]
"""
# The same attributes, and links by probability after a second round.
TWO_ROUNDS = _SCHEMA.replace("rounds = 1\nthreshold = 0.7", "rounds = 2")
PLACES = ("Bandung", "Makassar", "Kupang", "Jayapura", "Denpasar", "Medan", "Ambon")


def person(number: int) -> dict[str, str]:
    """Return a person who does not exist, unlike all others, the same on every call."""
    draw = random.Random(number)
    words = ("".join(draw.choices(string.ascii_lowercase, k=7)).capitalize() for _ in range(3))
    return {
        "record_id": f"{number:05}",
        "nama": " ".join(words),
        "tgl_lahir": str(date(1940, 1, 1) + timedelta(draw.randrange(29_000))),
        "tempat_lahir": draw.choice(PLACES),
    }


def people(n: int, skip: int = 0) -> list[dict[str, str]]:
    """Return the persons of n numbers in a row."""
    return [person(number) for number in range(skip, skip + n)]


def demo_data(schema: str = SCHEMA, **records: list[dict[str, str]]) -> DemoData:
    return DemoData(schema, {party: DemoParty(rows) for party, rows in records.items()})


def told_links(*parties: str) -> tuple[tuple[str, str, str], ...]:
    """Return the results of a job that gives link ids to all of its parties."""
    return tuple((a, b, "R3") for a in parties for b in parties if a != b)


class Quiet:
    """A reporter that tells nobody."""

    def encoding(self, n_records: int, n_all: int | None = None) -> None: ...
    def changed(self, n_records: int) -> None: ...
    def quality(self, profile: SourceProfile) -> None: ...
    def uploading(self, chunk: int, n_chunks: int) -> None: ...
    def answering(self, n_pairs: int) -> None: ...
    def waiting(self, progress: Progress) -> None: ...
    def not_cosigned(self, reason: str) -> None: ...
    def away(self, away_s: float, pause_s: float, left_s: float) -> None: ...


def make_linkage_keys(site: DemoSite, epoch: int = 1) -> None:
    """Make the linkage key of a site's parties as they do, but in one process.

    The matcher must not run; the log has the same entries afterwards.
    """
    terms = terms_of(site.agreement, epoch)
    exchanges = {p: Exchange.begin(terms, p, signer) for p, signer in site.signers.items()}
    transcript, sealed = Transcript(terms, datetime.now(UTC), STEP_TIME), list[bytes]()
    config = load_config(site.root / "matcher" / "matcher.toml")
    with offline_documents(config) as documents:
        while not all(exchange.done for exchange in exchanges.values()):
            for party, exchange in exchanges.items():
                posting = exchange.advance(transcript, transcript, sealed)
                if posting is None:
                    continue
                sealed += posting.ciphertexts
                envelope = posting.envelope
                documents.submit(f"party/{party}", envelope.to_bytes(), posting.ciphertexts)
                transcript.add(envelope, datetime.now(UTC))
    for party, exchange in exchanges.items():
        path = site.linkage_key(party)
        if epoch > 1:
            path = path.with_name(f"{path.stem}-{epoch}{path.suffix}")
        provider = FileProvider(path.parent / "kek")
        header = new_header("linkage", provider, site.agreement.id, epoch)
        write_keystore(path, exchange.linkage_secret(), header, provider)


class Service:
    """A matcher in this process, agents in this process, TLS between them."""

    def __init__(self, site: DemoSite) -> None:
        self.site = site
        self.now = 0.0
        self.patience_s = 5.0
        self.makes_keys = True
        self._stack = ExitStack()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the matcher until the end of the block; may be done again and again."""
        made = all(self.site.linkage_key(party).exists() for party in self.site.agreement.by_id)
        if self.makes_keys and not made:
            make_linkage_keys(self.site)
        config = load_config(self.site.root / "matcher" / "matcher.toml")
        address_file = self.site.root / "matcher" / "address"
        address_file.unlink(missing_ok=True)
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()
        failures: list[BaseException] = []

        def serve() -> None:
            try:
                matcher = Matcher(config, lambda: datetime.now(UTC).timestamp() + self.now)
                loop.run_until_complete(matcher.serve(stop, address_file))
            except BaseException as error:
                failures.append(error)
                raise
            finally:
                loop.close()

        thread = threading.Thread(target=serve)
        thread.start()
        while not address_file.exists():
            assert not failures, failures
            thread.join(0.02)
        self.site.address = address_file.read_text()
        self.site.configure_agents()
        try:
            yield
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stop.set)
            thread.join()

    def session(self, party: str, epoch: int | None = None) -> Session:
        config = load_agent(self.folder(party) / "agent.toml")
        return Session(config.at(epoch) if epoch else config)

    def folder(self, party: str) -> Path:
        return self.site.root / "agents" / party

    @contextmanager
    def client(self, party: str, epoch: int | None = None) -> Iterator[MatcherClient]:
        session = self.session(party, epoch)
        with open_channel(self.site.address, session.tls) as channel:
            yield MatcherClient(channel, self.patience_s, session.requests)

    def request(self, party: str, timeout_s: int = 600, level: Level = "R3") -> str:
        others = tuple(p for p in self.site.parties if p != party)
        with self.client(party) as client:
            session = self.session(party)
            return request_job(session, client, (party, *others), timeout_s, level).job_id

    def run(self, party: str, job_id: str) -> Outcome:
        with self.client(party) as client:
            epoch = client.job(job_id).spec.codes.epoch
        with self.client(party, epoch) as client:
            today = datetime.now(UTC).date()
            return run_job(self.session(party, epoch), client, job_id, Quiet(), today)

    def run_all(self, job_id: str, *parties: str) -> dict[str, Outcome]:
        """Let parties take part in a job at once, all if none are named; raise what one raised."""
        with ThreadPoolExecutor() as pool:
            runs = {p: pool.submit(self.run, p, job_id) for p in parties or self.site.parties}
            done, waiting = wait(runs.values(), return_when=FIRST_EXCEPTION)
            if waiting:
                # They would wait for the one that failed as long as the job may take.
                with suppress(LinkageError), self.client(next(iter(runs))) as client:
                    client.cancel(job_id)
            for run in done:
                run.result()
            return {party: run.result() for party, run in runs.items()}


def links(outcome: Outcome) -> list[dict[str, str]]:
    with outcome.path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
