"""The lookup benchmark: a standing register, asked at a steady rate over gRPC and TLS.

A matcher runs as a process of its own, and the register is uploaded to it like any other.
Its codes are random bits: to a hardened code, strangers are that. Half of the lookups are
of strangers, half of planted duplicates: codes of the register with a share of their bits
changed. They come at random moments of a given mean rate, whether or not earlier ones have
been answered; a lookup takes from the moment at which it should have left to its answer.
"""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import answered_within, shares_between, with_metrics
from benchmarks.processes import MemoryWatch
from benchmarks.schemes import Scheme
from keys.dsse import sign
from linkage.agent.client import MatcherClient
from linkage.agent.config import load_agent
from linkage.agent.lookup import LookupClient, code_id
from linkage.agent.session import Session
from linkage.agreement.payload import LookupGrant
from linkage.batch import MAX_CHUNK_BYTES
from linkage.block.sieve import stranger_floor
from linkage.cli.demo_data import DemoData, DemoParty
from linkage.cli.demo_site import AGREEMENT, DemoSite
from linkage.job import CodeId
from linkage.lookup import LOOKUP_METHOD, SALT_BYTES, LookupQuestion
from linkage.register import RegisterChunk, RegisterManifest
from linkage.rpc.channel import open_channel
from linkage.rpc.convert import lookup_to_proto
from linkage.rpc.limits import CLIENT_OPTIONS
from linkage.rpc.tls import channel_credentials
from linkage.v1 import lookup_pb2, lookup_pb2_grpc

RECORDS = 1_000_000
RATE_PER_S = 50.0
SECONDS = 30.0
# Milliseconds that half and 99 of 100 lookups may take, by records of the register.
BARS = {1_000_000: (5.0, 20.0), 5_000_000: (None, 50.0)}
_SEED = 1
OWNER, CALLER = "dukcapil", "imigrasi"
_PERSON = {"record_id": "1", "nama": "Siti Aminah", "tgl_lahir": "1980-02-01", "nik": ""}
# How much of a planted duplicate's code agrees with its record, in equal parts.
AGREEMENTS = (0.55, 0.56, 0.58, 0.62)
_WARM_UP = 20


@dataclass(frozen=True)
class LookupResult:
    """What the lookups of one register took and brought.

    Attributes:
        scheme: how long codes are, and how they are compared.
        records: records of the register.
        rate_per_s: mean rate at which lookups came.
        asked: number of lookups.
        upload_s: seconds from the first chunk to a register that answers.
        latency_ms: milliseconds by percentile.
        late_ms: by how much a lookup left late at most, for want of a free processor here.
        at_matcher: share of lookups that the matcher answered within so many milliseconds.
        overlooked: probability, as computed, that a record whose code is just a match is
            overlooked.
        planted: lookups of planted duplicates whose codes are a match, by the mean agreement.
        found: how many of these were answered with a match.
        strangers: lookups of strangers, and how many of these got another answer than no.
        peak_mib: largest resident memory of the matcher.
    """

    scheme: str
    records: int
    rate_per_s: float
    asked: int
    upload_s: float
    latency_ms: dict[str, float]
    late_ms: float
    at_matcher: dict[str, float]
    overlooked: float
    planted: dict[str, int]
    found: dict[str, int]
    strangers: tuple[int, int]
    peak_mib: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        planted = sum(self.planted.values())
        return {
            **asdict(self),
            "recall": sum(self.found.values()) / planted if planted else None,
            "bars_ms": BARS.get(self.records),
        }


@dataclass(frozen=True)
class _Lookup:
    """One lookup to be made: its code, and the agreement that was planted, or None."""

    code: bytes
    agreement: float | None
    observed: float


def measure_lookup(
    scheme: Scheme,
    n_records: int,
    rate_per_s: float,
    seconds: float,
    exhaustive: bool = False,
    on_step: Callable[[str], None] = lambda _step: None,
) -> LookupResult:
    """Upload a register of made-up codes, and look codes up in it.

    Args:
        scheme: how records are encoded; a hardened one.
        n_records: records of the register.
        rate_per_s: mean number of lookups a second.
        seconds: how long they come.
        exhaustive: read every code whole.
        on_step: told what is done before it starts.

    Raises:
        LinkageError: a process failed.
    """
    with tempfile.TemporaryDirectory(prefix="padan-lookup-") as folder:
        site = lookup_site(Path(folder), scheme)
        metrics = with_metrics(site)
        with MemoryWatch(lambda words: "matcher" if "serve" in words else None) as watch:
            try:
                site.start_matcher()
                owner = Session(load_agent(site.root / "agents" / OWNER / "agent.toml"))
                codes = code_id(owner)
                on_step(f"uploading {n_records:,} codes of {codes.code_bits:,} bits")
                started = time.monotonic()
                with open_channel(site.address, owner.tls) as channel:
                    upload_register(LookupClient(channel, 60.0), owner, codes, n_records)
                upload_s = time.monotonic() - started
                grant_lookups(site)
                on_step(f"{rate_per_s:.0f} lookups a second for {seconds:.0f} s")
                asked = _asked(codes, n_records, int(rate_per_s * seconds) + _WARM_UP)
                before = answered_within(metrics)
                answers, took, late = asyncio.run(_ask(site, codes, asked, rate_per_s, exhaustive))
                after = answered_within(metrics)
            finally:
                site.stop_matcher()
        counts = _counts(asked[_WARM_UP:], answers[_WARM_UP:], codes.code_bits, n_records)
        return LookupResult(
            scheme=scheme.text + (", exhaustive" if exhaustive else ""),
            records=n_records,
            rate_per_s=rate_per_s,
            asked=len(took),
            upload_s=upload_s,
            latency_ms={
                name: float(np.quantile(took, share)) * 1e3
                for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
            },
            late_ms=late * 1e3,
            at_matcher=shares_between(before, after),
            overlooked=answers[0].overlooked,
            planted=counts[0],
            found=counts[1],
            strangers=counts[2],
            peak_mib=watch.peak_mib.get("matcher", 0.0),
        )


def lookup_site(
    root: Path, scheme: Scheme, others: Sequence[str] = (), match: str = ""
) -> DemoSite:
    """Return a site whose parties are the owner of a register, who asks, and others."""
    encoding = "".join(f"{name} = {json.dumps(value)}\n" for name, value in scheme.settings.items())
    schema = (
        f'name = "lookup"\n[encoding]\n{encoding}{match}[exact]\nnames = ["nik"]\n'
        '[[attributes]]\nname = "nama"\ntype = "name"\n'
        '[[attributes]]\nname = "tgl_lahir"\ntype = "date"\n'
    )
    parties = {party: DemoParty([dict(_PERSON)]) for party in (OWNER, CALLER, *others)}
    site = DemoSite(root, DemoData(schema, parties))
    site.prepare()
    return site


def grant_lookups(site: DemoSite) -> None:
    """Give leave to look up, which owner and caller sign, and all parties cosign."""
    agreement, now = site.agreement, datetime.now(UTC).replace(microsecond=0)
    wanted = LookupGrant(
        log=agreement.log,
        agreement=agreement.id,
        digest=agreement.digest(),
        grant="0" * 32,
        caller=agreement.by_id[CALLER].principal,
        register_of=OWNER,
        purpose=agreement.purpose.code,
        number=1_000_000,
        per_minute=1_000_000,
        valid_from=now,
        valid_until=now + timedelta(hours=12),
    )
    envelope = sign(wanted.TYPE, wanted.to_bytes(), [site.signers[p] for p in (OWNER, CALLER)])
    path = site.root / "grant.json"
    path.write_bytes(envelope.to_bytes())
    for party in site.parties:
        config = str(site.root / "agents" / party / "agent.toml")
        if party == OWNER:
            site.padan("agent", "submit", "--config", config, str(path))
        site.padan("agent", "cosign", "--config", config)


def _words(chunk: int, n: int, codes: CodeId) -> NDArray[np.uint64]:
    """Return the codes of one chunk, the same on every call."""
    rng = np.random.default_rng([_SEED, chunk])
    return rng.integers(0, 2**64, (n, codes.code_bits // 64), dtype=np.uint64)


def _chunk_sizes(codes: CodeId, n_records: int) -> list[int]:
    step = MAX_CHUNK_BYTES // codes.record_bytes
    return [min(step, n_records - start) for start in range(0, n_records, step)]


def upload_register(client: LookupClient, owner: Session, codes: CodeId, n_records: int) -> None:
    """Upload a register of random codes."""
    sizes = _chunk_sizes(codes, n_records)

    def chunk(number: int) -> RegisterChunk:
        n = sizes[number]
        rng = np.random.default_rng([_SEED, number, 1])
        return RegisterChunk(
            rng.bytes(16 * n), _words(number, n, codes).tobytes(), rng.bytes(16 * n)
        )

    manifest = RegisterManifest(
        agreement_id=AGREEMENT,
        codes=codes,
        threshold=owner.schema.with_rounds(1).threshold,
        base_revision=0,
        n_records=n_records,
        n_removed=0,
        n_record_chunks=len(sizes),
        chunk_sha256=tuple(chunk(number).digest() for number in range(len(sizes))),
    )
    client.upload(manifest, chunk)


def _asked(codes: CodeId, n_records: int, n: int) -> list[_Lookup]:
    """Return the lookups: every second one a duplicate, in turn of each agreement."""
    rng = np.random.default_rng([_SEED, 1 << 40])
    sizes = _chunk_sizes(codes, n_records)
    made = []
    for number in range(n):
        if number % 2:
            agreement = AGREEMENTS[number // 2 % len(AGREEMENTS)]
            chunk = int(rng.integers(len(sizes)))
            row = _words(chunk, sizes[chunk], codes)[int(rng.integers(sizes[chunk]))]
            changed = np.packbits(rng.random(codes.code_bits) >= agreement).view(np.uint64)
            observed = 1 - float(np.bitwise_count(changed).sum()) / codes.code_bits
            made.append(_Lookup((row ^ changed).tobytes(), agreement, observed))
        else:
            made.append(_Lookup(rng.bytes(codes.code_bits // 8), None, 0.0))
    return made


async def _ask(
    site: DemoSite, codes: CodeId, lookups: list[_Lookup], rate_per_s: float, exhaustive: bool
) -> tuple[list[lookup_pb2.LookupResponse], NDArray[np.float64], float]:
    """Send every lookup at its moment; return answers, seconds, and the greatest delay."""
    session = Session(load_agent(site.root / "agents" / CALLER / "agent.toml"))
    rng = np.random.default_rng([_SEED, 2 << 40])
    questions = [
        LookupQuestion(
            agreement_id=AGREEMENT,
            register=OWNER,
            codes=codes,
            code=lookup.code,
            exact=rng.bytes(16 * codes.exact_slots),
            salt=rng.bytes(SALT_BYTES),
            exhaustive=exhaustive,
        )
        for lookup in lookups
    ]
    # Signed before: the caller's time is not the matcher's, and a counter asks one at a time.
    with open_channel(site.address, session.tls) as channel:
        log = MatcherClient(channel, 60.0)
        messages = [
            lookup_to_proto(
                question, session.requests.sign(log, LOOKUP_METHOD, question.to_bytes(), 60.0)
            )
            for question in questions
        ]
    gaps = rng.exponential(1 / rate_per_s, len(lookups) - _WARM_UP)
    took, late = np.zeros(len(gaps)), 0.0
    async with grpc.aio.secure_channel(
        site.address, channel_credentials(session.tls), options=CLIENT_OPTIONS
    ) as channel:
        stub: Any = lookup_pb2_grpc.LookupServiceStub(channel)
        first = [await stub.Lookup(message) for message in messages[:_WARM_UP]]
        begin = time.monotonic()
        moments = begin + np.cumsum(gaps)

        async def one(number: int) -> lookup_pb2.LookupResponse:
            response = await stub.Lookup(messages[_WARM_UP + number])
            took[number] = time.monotonic() - moments[number]
            return response

        waiting = []
        for number, moment in enumerate(moments):
            await asyncio.sleep(max(moment - time.monotonic(), 0.0))
            late = max(late, time.monotonic() - moment)
            waiting.append(asyncio.create_task(one(number)))
        return [*first, *(await asyncio.gather(*waiting))], took, late


def _counts(
    lookups: list[_Lookup], answers: list[Any], code_bits: int, n_records: int
) -> tuple[dict[str, int], dict[str, int], tuple[int, int]]:
    """Return what was planted and found by agreement, and the strangers and false answers."""
    # As far as nothing else is agreed, what the matcher takes for a match.
    sure = max(0.5 + 6.4 * 0.5 / code_bits**0.5, stranger_floor(code_bits, n_records, 1e-4))
    planted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    strangers = [0, 0]
    for lookup, answer in zip(lookups, answers, strict=True):
        if lookup.agreement is None:
            strangers[0] += 1
            strangers[1] += answer.grade != lookup_pb2.GRADE_NO_MATCH
        elif lookup.observed >= sure:
            planted[str(lookup.agreement)] += 1
            found[str(lookup.agreement)] += answer.grade == lookup_pb2.GRADE_MATCH
    return dict(sorted(planted.items())), dict(sorted(found.items())), (strangers[0], strangers[1])
