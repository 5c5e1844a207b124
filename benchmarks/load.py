"""The load benchmark: eight agents upload at once while a counter looks people up.

A matcher runs as a process of its own, and so does every agent. All agents send a batch of
made-up codes to one job, as fast as the matcher takes them, again and again in new jobs until the
time is over; beside them signed lookups come at random moments of a given mean rate. Each takes
from the moment at which it should have left to its answer. Nothing may fail, and the memory of the
matcher may not grow from minute to minute. The matcher's own metrics say how long lookups took
there, without what the counter, which shares the processors, makes them wait.
"""

import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from benchmarks.lookup import CALLER, OWNER, grant_lookups, lookup_site, upload_register
from benchmarks.metrics import answered_within, shares_between, with_metrics
from benchmarks.processes import MemoryWatch
from benchmarks.schemes import Scheme
from linkage.agent.client import MatcherClient
from linkage.agent.config import load_agent
from linkage.agent.lookup import LookupClient, code_id
from linkage.agent.run import request_job
from linkage.agent.session import Session
from linkage.batch import MAX_CHUNK_BYTES, Chunk, Manifest
from linkage.cli.demo_site import AGREEMENT, DemoSite
from linkage.job import REFERENCE_BYTES, CodeId, JobState
from linkage.lookup import LOOKUP_METHOD, SALT_BYTES, LookupQuestion
from linkage.rpc.channel import open_channel
from linkage.rpc.convert import lookup_to_proto
from linkage.rpc.limits import CLIENT_OPTIONS
from linkage.rpc.tls import channel_credentials
from linkage.v1 import lookup_pb2, lookup_pb2_grpc

AGENTS, RECORDS, RATE_PER_S, SECONDS = 8, 250_000, 50.0, 600.0
MOST_P99_MS = 100.0
"""What 99 of 100 lookups may take meanwhile, on two cores."""

_UPLOADERS = tuple(f"agent-{number}" for number in range(1, AGENTS + 1))
_ONE_ROUND = "[match]\nrounds = 1\n"
_SEED, _PATIENCE_S = 1, 60.0
# Lookups are signed ahead in portions: a request is good for minutes, and signing is the
# counter's time and not the matcher's.
_AHEAD_S = 5.0
_SWITCH_S = 0.0005
# Lookups come from so many counters, each with a connection of its own, as real ones have.
_COUNTERS = 8
# How often the memory is told, and what is compared at the end: first and last minute, or less.
_MEMORY_S, _MOST_COMPARED_S = 10.0, 60.0
_OWN_CONNECTION = (*CLIENT_OPTIONS, ("grpc.use_local_subchannel_pool", 1))


@dataclass(frozen=True)
class Uploaded:
    """What one agent sent.

    Attributes:
        batches: how many it sent whole.
        n_bytes: bytes of chunks.
        seconds: from its first call to its last answer.
        error: why it stopped; "" if it did not.
    """

    batches: int
    n_bytes: int
    seconds: float
    error: str


@dataclass(frozen=True)
class LoadResult:
    """What the matcher bore.

    Attributes:
        scheme: how long codes are, and how they are compared.
        records: of each batch, and of the register.
        rate_per_s: mean rate at which lookups came.
        seconds: how long they came.
        asked: number of lookups.
        errors: what failed, of uploads and lookups.
        latency_ms: milliseconds of lookups by percentile.
        late_ms: by how much a lookup left late, by percentile, for want of a free processor
            here; it counts in its latency all the same.
        at_matcher: share of lookups that the matcher answered within so many milliseconds.
        uploads: what each agent sent.
        idle_mib: resident memory of the matcher with the register, before the load.
        peak_mib: the largest.
        memory_mib: the largest of every ten seconds of the load.
    """

    scheme: str
    records: int
    rate_per_s: float
    seconds: float
    asked: int
    errors: tuple[str, ...]
    latency_ms: dict[str, float]
    late_ms: dict[str, float]
    at_matcher: dict[str, float]
    uploads: tuple[Uploaded, ...]
    idle_mib: float
    peak_mib: float
    memory_mib: tuple[float, ...]

    @property
    def mib_per_s(self) -> float:
        """Bytes that all agents sent together, in MiB a second."""
        return sum(one.n_bytes / one.seconds for one in self.uploads) / (1 << 20)

    @property
    def ends_mib(self) -> tuple[float, float]:
        """The largest memory of the first minute, or third, of the load, and of the last."""
        n = min(int(_MOST_COMPARED_S / _MEMORY_S), -(-len(self.memory_mib) // 3))
        return max(self.memory_mib[:n], default=0.0), max(self.memory_mib[-n:], default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        first, last = self.ends_mib
        return {
            **asdict(self),
            "mib_per_s": self.mib_per_s,
            "first_mib": first,
            "last_mib": last,
            "most_p99_ms": MOST_P99_MS,
        }


def measure_load(
    scheme: Scheme,
    n_records: int,
    rate_per_s: float,
    seconds: float,
    on_step: Callable[[str], None] = lambda _step: None,
) -> LoadResult:
    """Upload from eight agents, and look up, at once.

    Args:
        scheme: how records are encoded; a hardened one.
        n_records: records of each batch, and of the register.
        rate_per_s: mean number of lookups a second.
        seconds: for how long.
        on_step: told what is done before it starts.

    Raises:
        LinkageError: a process failed before the load began.
    """
    with tempfile.TemporaryDirectory(prefix="padan-load-") as folder:
        on_step("preparing folders, certificates, agreement and keys of ten parties")
        site = lookup_site(Path(folder), scheme, _UPLOADERS, _ONE_ROUND)
        metrics = with_metrics(site)
        with MemoryWatch(lambda words: "matcher" if "serve" in words else None) as watch:
            try:
                site.start_matcher()
                owner = _session(site.root, OWNER)
                codes = code_id(owner)
                on_step(f"uploading a register of {n_records:,} codes of {codes.code_bits:,} bits")
                with open_channel(site.address, owner.tls) as channel:
                    upload_register(LookupClient(channel, _PATIENCE_S), owner, codes, n_records)
                grant_lookups(site)
                idle_mib = watch.peak_mib.get("matcher", 0.0)
                on_step(
                    f"{AGENTS} agents upload {n_records:,} codes each, and {rate_per_s:.0f} "
                    f"lookups a second come, for {seconds:.0f} s"
                )
                before, begin = answered_within(metrics), time.monotonic()
                uploads, asked = _load(site, codes, n_records, rate_per_s, seconds)
                after, end = answered_within(metrics), time.monotonic()
            finally:
                site.stop_matcher()
        took, late, failed = asked
        return LoadResult(
            scheme=scheme.text,
            records=n_records,
            rate_per_s=rate_per_s,
            seconds=seconds,
            asked=len(took),
            errors=(*failed, *(one.error for one in uploads if one.error)),
            latency_ms=_percentiles_ms(took),
            late_ms=_percentiles_ms(late),
            at_matcher=shares_between(before, after),
            uploads=tuple(uploads),
            idle_mib=idle_mib,
            peak_mib=watch.peak_mib.get("matcher", 0.0),
            memory_mib=_over_time(watch.seen_mib["matcher"], begin, end),
        )


def _percentiles_ms(seconds: NDArray[np.float64]) -> dict[str, float]:
    return {
        name: float(np.quantile(seconds, share)) * 1e3
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }


def _over_time(seen: Sequence[tuple[float, float]], begin: float, end: float) -> tuple[float, ...]:
    """Return the largest memory of every ten seconds."""
    steps = range(max(int((end - begin) / _MEMORY_S), 1))
    of = {
        step: [mib for at, mib in seen if int((at - begin) // _MEMORY_S) == step] for step in steps
    }
    return tuple(max(mib) for mib in of.values() if mib)


def _load(
    site: DemoSite, codes: CodeId, n_records: int, rate_per_s: float, seconds: float
) -> tuple[list[Uploaded], tuple[NDArray[np.float64], NDArray[np.float64], list[str]]]:
    # Fresh processes: gRPC does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with context.Pool(AGENTS) as pool:
        waiting = [
            pool.apply_async(_upload_on, (site.root, party, n_records, seconds))
            for party in _UPLOADERS
        ]
        asked = asyncio.run(_ask(site, codes, rate_per_s, seconds))
        return [one.get() for one in waiting], asked


def _session(root: Path, party: str) -> Session:
    return Session(load_agent(root / "agents" / party / "agent.toml"))


def _upload_on(root: Path, party: str, n_records: int, seconds: float) -> Uploaded:
    """Send batch after batch, each to a job of its own, until the time is over."""
    session, n_batches, n_bytes = _session(root, party), 0, 0
    started = time.monotonic()
    try:
        with open_channel(session.config.matcher, session.tls) as channel:
            client = MatcherClient(channel, _PATIENCE_S, session.requests)
            while n_batches == 0 or time.monotonic() - started < seconds:
                # The other party never sends, so nothing is compared.
                parties = tuple(p for p in session.config.agreement.parties if p in (party, OWNER))
                job_id = request_job(session, client, parties, 3_600, "R0").job_id
                n_bytes += _upload_batch(client, job_id, session.codes, n_records)
                n_batches += 1
                if client.cancel(job_id).state is not JobState.CANCELLED:
                    raise RuntimeError("a job that was cancelled goes on")
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is a figure of the benchmark
        return Uploaded(n_batches, n_bytes, time.monotonic() - started, f"{party}: {error!r}")
    return Uploaded(n_batches, n_bytes, time.monotonic() - started, "")


def _upload_batch(client: MatcherClient, job_id: str, codes: CodeId, n_records: int) -> int:
    step = MAX_CHUNK_BYTES // codes.record_bytes
    sizes = [min(step, n_records - start) for start in range(0, n_records, step)]
    made = np.random.default_rng(_SEED).bytes(MAX_CHUNK_BYTES)
    draw = np.random.default_rng()

    def chunk(number: int) -> Chunk:
        n = sizes[number]
        width = codes.record_bytes - REFERENCE_BYTES
        rest = made[: n * width]
        at = n * (codes.code_bits // 8)
        return Chunk(references[number], rest[:at], rest[at:])

    references = [draw.bytes(REFERENCE_BYTES * n) for n in sizes]
    digests = tuple(chunk(number).digest() for number in range(len(sizes)))
    client.upload(job_id, Manifest(codes, n_records, len(sizes), digests), chunk)
    return n_records * codes.record_bytes


async def _ask(
    site: DemoSite, codes: CodeId, rate_per_s: float, seconds: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Send signed lookups at random moments; return seconds, delays of leaving, and errors."""
    # What is signed ahead, on another thread, hands over to the answers that come meanwhile.
    sys.setswitchinterval(_SWITCH_S)
    session = _session(site.root, CALLER)
    rng = np.random.default_rng([_SEED, 3])
    gaps = rng.exponential(1 / rate_per_s, int(rate_per_s * seconds))
    took, late, failed = np.zeros(len(gaps)), np.zeros(len(gaps)), list[str]()
    with open_channel(site.address, session.tls) as plain:
        log = MatcherClient(plain, _PATIENCE_S)

        def signed(n: int) -> list[lookup_pb2.LookupRequest]:
            return [_signed(session, log, codes, rng) for _ in range(n)]

        async with AsyncExitStack() as stack:
            stubs = []
            for _ in range(_COUNTERS):
                channel = grpc.aio.secure_channel(
                    site.address, channel_credentials(session.tls), options=_OWN_CONNECTION
                )
                await stack.enter_async_context(channel)
                stub: Any = lookup_pb2_grpc.LookupServiceStub(channel)
                await stub.Lookup((await asyncio.to_thread(signed, 1))[0])
                stubs.append(stub)
            ahead = int(rate_per_s * _AHEAD_S)
            messages = await asyncio.to_thread(signed, ahead)
            moments = time.monotonic() + np.cumsum(gaps)

            async def one(number: int, message: lookup_pb2.LookupRequest) -> None:
                try:
                    await stubs[number % _COUNTERS].Lookup(message)
                except grpc.aio.AioRpcError as error:
                    failed.append(f"lookup: {error.code().name}: {error.details()}")
                took[number] = time.monotonic() - moments[number]

            waiting, next_ones = list[asyncio.Task[None]](), None
            for number, moment in enumerate(moments):
                if number % ahead == 0:
                    messages = messages if next_ones is None else await next_ones
                    next_ones = asyncio.create_task(asyncio.to_thread(signed, ahead))
                await asyncio.sleep(max(moment - time.monotonic(), 0.0))
                late[number] = time.monotonic() - moment
                waiting.append(asyncio.create_task(one(number, messages[number % ahead])))
            await asyncio.gather(*waiting)
            if next_ones is not None:
                await next_ones
    return took, late, failed


def _signed(
    session: Session, log: MatcherClient, codes: CodeId, rng: np.random.Generator
) -> lookup_pb2.LookupRequest:
    question = LookupQuestion(
        agreement_id=AGREEMENT,
        register=OWNER,
        codes=codes,
        code=rng.bytes(codes.code_bits // 8),
        exact=rng.bytes(16 * codes.exact_slots),
        salt=rng.bytes(SALT_BYTES),
        exhaustive=False,
    )
    envelope = session.requests.sign(log, LOOKUP_METHOD, question.to_bytes(), _PATIENCE_S)
    return lookup_to_proto(question, envelope)
