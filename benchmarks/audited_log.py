"""A long match log for auditors to verify: made by the matcher's own parts, decision by decision.

Parties that are enrolled and have signed an agreement ask for jobs with signed requests, upload,
have their results cosigned and released; they look each other's persons up under grants, ask for
what they may not have, and give jobs up. All of it goes through the parts that serve in a matcher,
in this process and without gRPC; its clock runs ahead, so that weeks pass in minutes. The records
are random codes of nobody: what is compared is not what an auditor sees.

A bundle is kept under `.cache/logs` and made once for each size.
"""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from benchmarks.peer_env import ROOT
from keys.dsse import sign
from keys.identity import identity_in, key_digest
from keys.keystore import open_keystore
from keys.kinds import WITNESS, WITNESS_ML_DSA
from keys.providers import FileProvider
from linkage.agent.config import load_agent
from linkage.agent.run import attributes_of, results_of
from linkage.agent.session import Session, cosigner_of
from linkage.agreement.payload import LookupGrant
from linkage.agreement.request import (
    LONGEST,
    RANDOM_BYTES,
    Seen,
    SignedRequest,
    request_id,
    sign_request,
)
from linkage.audit.bundle_files import write_bundle
from linkage.batch import Chunk, Manifest
from linkage.cli.demo_data import DemoData, DemoParty
from linkage.cli.demo_site import DOMAIN, DemoSite
from linkage.engine.executor import LocalExecutor
from linkage.errors import DeniedError
from linkage.job import Job, JobSpec
from linkage.log.bundle import CHECKPOINT, body_path, build_bundle
from linkage.log.checkpoint import add_cosignatures, parse_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.entry import format_body
from linkage.log.note import format_lines, parse_note, signed_line
from linkage.lookup import LOOKUP_METHOD, SALT_BYTES, LookupQuestion
from linkage.matcher.batches import Batches
from linkage.matcher.config import MatcherConfig, load_config
from linkage.matcher.cosignatures import Cosignatures
from linkage.matcher.decisions import Decisions
from linkage.matcher.documents import Documents
from linkage.matcher.grants import Grants
from linkage.matcher.jobs import Jobs
from linkage.matcher.journal import Journal
from linkage.matcher.ledger import Ledger
from linkage.matcher.lookup_admission import LookupAdmission
from linkage.matcher.lookup_counts import LookupCounts
from linkage.matcher.match_log import MatchLog
from linkage.matcher.offline import open_log
from linkage.matcher.opened import opened_metadata
from linkage.matcher.pair_keys import PairKeys
from linkage.matcher.probing import Probing
from linkage.matcher.refinements import Refinements
from linkage.matcher.refusals import Refusals
from linkage.matcher.retention import Destroyer, Retention
from linkage.matcher.worker import Worker
from linkage.rpc.peer import Peer
from linkage.store.artefacts import ArtefactStore
from linkage.store.cosigned_files import CosignedFiles
from linkage.store.metadata import Metadata

FOLDER = ROOT / ".cache" / "logs"
PARTIES = ("dukcapil", "imigrasi")
SCHEMA = """\
name = "audited"
[encoding]
scheme = "clk"
[match]
rounds = 1
threshold = 0.8
[[attributes]]
name = "nama"
type = "name"
[[attributes]]
name = "tgl_lahir"
type = "date"
"""
_VERSION = 1
_JOBS, _DENIED, _MINUTES = 25, 3, 60
_COLLECT_S, _GRANT_S = 1_800, 8 * 3_600
_WAVES_TOLD = 20
_CHANGES: tuple[dict[str, Any], ...] = (
    {"purpose": "something-else"},
    {"attributes": (("nik", "nik"),)},
    {"agreement_id": "PKS-NONE"},
)


@dataclass(frozen=True)
class AuditedLog:
    """A log to verify, on disk.

    Attributes:
        bundle: the archive.
        trust: the trust file: both keys of the log, and all parties as witnesses.
        made_s: seconds that it took to make; None if it was there.
    """

    bundle: Path
    trust: Path
    made_s: float | None = None


def audited_log(n_leaves: int, on_step: Callable[[str], None] = lambda _name: None) -> AuditedLog:
    """Return a log of at least so many leaves; made if it is not there.

    Args:
        n_leaves: the fewest it has; at most those of one wave more.
        on_step: told what is done before it starts.
    """
    folder = FOLDER / f"{n_leaves}-{_VERSION}"
    if folder.is_dir():
        return AuditedLog(folder / "bundle.tar", folder / "trust.txt")
    started = time.monotonic()
    # Of a matcher's disk nothing is measured here.
    memory = Path("/dev/shm")  # noqa: S108 -- a folder of its own in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        root = Path(name)
        on_step("enrolling parties, signing an agreement, making keys")
        site = _site(root)
        with _opened(site) as made:
            while made.size < n_leaves:
                made.wave()
                if made.waves % _WAVES_TOLD == 0:
                    on_step(f"{made.size:,} leaves")
            made.settle()
            files = made.bundle()
        shutil.copy(site.trust, root / "trust.txt")
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as part:
            kept = Path(part) / "log"
            kept.mkdir()
            write_bundle(kept / "bundle.tar", files)
            shutil.copy(site.trust, kept / "trust.txt")
            kept.rename(folder)
    return AuditedLog(folder / "bundle.tar", folder / "trust.txt", time.monotonic() - started)


def _site(root: Path) -> DemoSite:
    """Return a site with enrolments, an agreement and a key in its log; nothing of it runs."""
    rows = [{"record_id": "1", "nama": "Siti Aminah", "tgl_lahir": "1990-08-17"}]
    site = DemoSite(root / "site", DemoData(SCHEMA, dict.fromkeys(PARTIES, DemoParty(rows))))
    site.prepare()
    try:
        site.start_matcher()
    finally:
        site.stop_matcher()
    return site


class _Clock:
    """The time of the matcher and of all who call it; it stands until it is moved."""

    def __init__(self) -> None:
        self._now = float(int(time.time()) + 1)

    def __call__(self) -> float:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += seconds


class _Seldom:
    """The log of a matcher, published when it is asked for, and not after every change.

    Args:
        log: the log.
    """

    def __init__(self, log: MatchLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        """Return what the log itself has."""
        return getattr(self._log, name)

    def publish(self) -> bytes:
        """Leave it for later."""
        return b""


@contextmanager
def _opened(site: DemoSite) -> Iterator["_Work"]:
    """Open the matcher of a site, without its server."""
    config = load_config(site.root / "matcher" / "matcher.toml")
    with opened_metadata(config) as metadata:
        yield _Work(site, config, metadata)


class _Work:
    """Parties and a matcher at work, wave by wave."""

    def __init__(self, site: DemoSite, config: MatcherConfig, metadata: Metadata) -> None:
        clock = self._clock = _Clock()
        self._draw, self.waves = random.Random(1), 0
        self._metadata = metadata
        self._peers, self._signers = dict[str, Peer](), site.signers
        for party in PARTIES:
            certificate = (site.root / "agents" / party / "certificate.pem").read_bytes()
            self._peers[party] = Peer(identity_in(certificate), key_digest(certificate))
        self._cosigners = {party: _cosigners_of(site, party, clock) for party in PARTIES}
        self._agreement, self._digest = site.agreement, site.agreement.digest()
        self._spec, self._batch = _form(site)

        journal, self._log = Journal(clock), open_log(config, metadata, Journal(clock))
        log = cast("MatchLog", _Seldom(self._log))
        artefacts = ArtefactStore(config.data / "artefacts", config.keystore / "artefacts")
        ledger = self._ledger = Ledger(metadata, clock)
        ledger.refresh()
        retention = Retention(artefacts, ledger, clock, config.artefact_days)
        decisions = Decisions(ledger, log, config.log.origin, clock)
        self._refusals = Refusals(journal, clock)
        self._documents = Documents(metadata, artefacts, ledger, log, clock, retention)
        self._cosignatures = Cosignatures(
            log,
            ledger,
            CosignedFiles(config.data / "cosigned"),
            clock,
            lambda: None,
            monotonic=clock,
        )
        self._grants = Grants(metadata, ledger, self._cosignatures, clock)
        self._jobs = Jobs(
            metadata, journal, log, decisions, self._cosignatures, self._refusals, lambda _: None
        )
        self._batches = Batches(
            metadata,
            artefacts,
            journal,
            log,
            retention=retention,
            max_records=config.max_records,
            decisions=decisions,
            ledger=ledger,
            refusals=self._refusals,
            on_ready=lambda: None,
        )
        self._worker = Worker(
            metadata,
            artefacts,
            journal,
            log,
            self._jobs,
            Refinements(metadata, artefacts, journal, log, lambda: None),
            decisions,
            self._cosignatures,
            PairKeys(config.data / "pair-keys", FileProvider(config.log.key_encryption_key), clock),
            executor=LocalExecutor(1),
            retention=retention,
            max_candidates=config.max_candidates,
            max_comparisons=config.max_comparisons,
            screen_loss=config.screen_loss,
        )
        self._counts = LookupCounts(metadata, journal, log)
        probing = Probing(lambda _grant, _sign: None)
        self._admission = LookupAdmission(decisions, self._grants, self._counts, probing)
        self._destroyer = Destroyer(metadata, artefacts, ledger, journal, log)
        self._granted_until = 0.0

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._metadata.entry_count()

    def wave(self) -> None:
        """Let some jobs run, some not, and minutes of lookups pass: an hour."""
        self._give_grant()
        asked = [self._request(self._one_of(PARTIES)) for _ in range(_JOBS)]
        for job in asked:
            for party in PARTIES:
                self._upload(party, job)
        for job in asked:
            self._worker.run_job(job.job_id)
        self._cosign()
        for job in asked:
            self._worker.run_job(job.job_id)
        for _ in range(_DENIED):
            changed = self._draw.choice(_CHANGES)
            self._request(self._one_of(PARTIES), replace(self._spec, **changed))
        given_up = self._request(PARTIES[0])
        self._jobs.cancel(self._peers[PARTIES[0]].identity, given_up.job_id)
        left_alone = self._request(PARTIES[1])
        self._upload(PARTIES[1], left_alone)
        self._misuse(PARTIES[0])
        for _ in range(_MINUTES):
            self._look_up()
            self._clock.move(60)
            self._counts.log_minutes()
            self._refusals.log_minutes(self._metadata)
        self._jobs.expire()
        self._destroyer.run()
        self.waves += 1

    def settle(self) -> None:
        """Have the last checkpoint cosigned by all."""
        self._clock.move(60)
        self._cosign()

    def bundle(self) -> dict[str, bytes]:
        """Return the whole log with all bodies, as an auditor gets it."""
        files = self._log.bundle_files()
        note = self._cosignatures.before(self.size + 1)
        with self._metadata.read() as transaction:
            for entry in transaction.entries(0, self.size):
                if entry.opening is not None and entry.body is not None:
                    files[body_path(entry.index)] = format_body(entry.opening, entry.body)
        return build_bundle({**files, CHECKPOINT: note})

    def _one_of(self, parties: Sequence[str]) -> str:
        return self._draw.choice(parties)

    def _request(self, party: str, spec: JobSpec | None = None) -> Job:
        wanted = spec or self._spec
        content = self._signed(party, "/linkage.v1.JobService/RequestJob", wanted.to_bytes())
        job = self._jobs.request(self._peers[party], content, wanted)
        self._ledger.refresh()
        return job

    def _upload(self, party: str, job: Job) -> None:
        manifest, chunks = self._batch
        body = job.job_id.encode() + manifest.digest()
        content = self._signed(party, "/linkage.v1.BatchService/OpenBatch", body)
        batch, _ = self._batches.open(self._peers[party], job.job_id, manifest, content)
        who = self._peers[party].identity
        for index, chunk in enumerate(chunks):
            self._batches.put_chunk(who, batch, index, chunk)
        self._batches.commit(who, batch)
        self._ledger.refresh()

    def _misuse(self, party: str) -> None:
        """Send a request that was signed for something else."""
        content = self._signed(party, "/linkage.v1.JobService/RequestJob", b"something else")
        with suppress(DeniedError):
            self._jobs.request(self._peers[party], content, self._spec)

    def _cosign(self) -> None:
        self._clock.move(3)  # the turn of an earlier checkpoint is over
        self._log.publish()
        note = self._cosignatures.head()
        text = parse_note(note).text.encode()
        for party, cosigners in self._cosigners.items():
            lines = format_lines([signed_line(text, one) for one in cosigners])
            signed = add_cosignatures(note, lines, [one.key for one in cosigners])
            self._cosignatures.add(self._peers[party].identity, signed)

    def _give_grant(self) -> None:
        """Give leave to look up for some hours, once it is over."""
        now = self._clock()
        if now < self._granted_until:
            return
        self._granted_until = now + _GRANT_S
        begin = datetime.fromtimestamp(now, UTC)
        owner, caller = PARTIES
        grant = LookupGrant(
            log=self._agreement.log,
            agreement=self._agreement.id,
            digest=self._agreement.digest(),
            grant=os.urandom(16).hex(),
            caller=f"spiffe://{DOMAIN}/party/{caller}",
            register_of=owner,
            purpose=self._agreement.purpose.code,
            number=100_000,
            per_minute=1_000,
            valid_from=begin,
            valid_until=begin + timedelta(seconds=_GRANT_S),
        )
        signers = [self._signers[party] for party in PARTIES]
        envelope = sign(grant.TYPE, grant.to_bytes(), signers)
        self._documents.submit(f"party/{owner}", envelope.to_bytes())
        self._cosign()
        self._grants.cover()

    def _look_up(self) -> None:
        owner, caller = PARTIES
        codes = self._spec.codes
        question = LookupQuestion(
            self._agreement.id,
            owner,
            codes,
            os.urandom(codes.code_bits // 8),
            b"",
            os.urandom(SALT_BYTES),
        )
        content = self._signed(caller, LOOKUP_METHOD, question.to_bytes())
        peer = self._peers[caller]
        self._counts.number([self._admission.admit(peer, question, content, lambda: None)])

    def _signed(self, party: str, method: str, body: bytes) -> bytes:
        now, head = int(self._clock()), parse_checkpoint(parse_note(self._log.checkpoint()).text)
        request = SignedRequest(
            aud=self._agreement.log,
            method=method,
            agreement=self._digest,
            epoch=self._spec.codes.epoch,
            id=request_id(datetime.fromtimestamp(now, UTC), os.urandom(RANDOM_BYTES)),
            iat=now,
            exp=now + int(LONGEST.total_seconds()),
            body=sha256(body).hexdigest(),
            seen=Seen(size=head.size, root=head.root.hex()),
        )
        return sign_request(request, self._signers[party]).to_bytes()


def _cosigners_of(site: DemoSite, party: str, clock: Callable[[], float]) -> list[Cosigner]:
    """Return a party's witness, with the keys of its agent and the clock of the matcher."""
    folder = site.root / "agents" / party / "keystore"
    provider = FileProvider(folder / "kek")
    return [
        cosigner_of(party, kind, open_keystore(folder / f"{kind}.key", provider)[1], clock)
        for kind in (WITNESS, WITNESS_ML_DSA)
    ]


def _form(site: DemoSite) -> tuple[JobSpec, tuple[Manifest, list[Chunk]]]:
    """Return what is asked for, and what everybody uploads."""
    session = Session(load_agent(site.root / "agents" / PARTIES[0] / "agent.toml"))
    schema, codes = session.schema, session.codes
    spec = JobSpec(
        agreement_id=site.agreement.id,
        agreement_sha256=bytes.fromhex(site.agreement.digest()),
        purpose=site.agreement.purpose.code,
        attributes=attributes_of(schema),
        parties=PARTIES,
        codes=codes,
        threshold=schema.threshold,
        cardinality=schema.match.cardinality,
        collect_timeout_s=_COLLECT_S,
        refinement=None,
        results=results_of(site.agreement, PARTIES, "R3", two_rounds=False),
    )
    record = Chunk(os.urandom(16), os.urandom(codes.code_bits // 8))
    tokens = os.urandom(codes.block_copies * codes.block_bytes)
    chunks = [record, *(Chunk(tokens=tokens) for _ in range(codes.block_entries))]
    digests = tuple(chunk.digest() for chunk in chunks)
    return spec, (Manifest(codes, 1, 1, digests), chunks)
