"""A running matcher: its pieces put together, served, and stopped in order."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from keys.providers import FileProvider
from linkage.agreement.usage import Grant
from linkage.engine.executor import executor_of
from linkage.errors import LinkageError
from linkage.matcher.anchors import anchors_of, asking
from linkage.matcher.batches import Batches
from linkage.matcher.config import MatcherConfig
from linkage.matcher.cosignatures import Cosignatures
from linkage.matcher.decisions import Decisions
from linkage.matcher.documents import Documents
from linkage.matcher.grants import Grants
from linkage.matcher.incidents import Incidents
from linkage.matcher.jobs import Jobs
from linkage.matcher.journal import Clock, Journal
from linkage.matcher.kept_limits import KeptLimits
from linkage.matcher.ledger import Ledger
from linkage.matcher.log_keys import ml_dsa_path, open_log_signers
from linkage.matcher.log_reader import LogReader
from linkage.matcher.lookup_admission import LookupAdmission
from linkage.matcher.lookup_counts import LookupCounts
from linkage.matcher.lookup_service import LookupService
from linkage.matcher.lookups import Lookups
from linkage.matcher.metrics import Metrics, MetricsServer
from linkage.matcher.offline import open_log
from linkage.matcher.opened import opened_metadata
from linkage.matcher.pair_keys import PairKeys
from linkage.matcher.precedence import Precedence
from linkage.matcher.probing import Probing
from linkage.matcher.refinements import Refinements
from linkage.matcher.refusals import Refusals
from linkage.matcher.registers import Registers
from linkage.matcher.results import Results
from linkage.matcher.retention import Destroyer, Retention
from linkage.matcher.services import (
    BatchService,
    DocumentService,
    JobService,
    LogService,
    ProgressService,
    RefineService,
    ResultService,
)
from linkage.matcher.status import status_of
from linkage.matcher.worker import Worker
from linkage.rpc.guard import Guard
from linkage.rpc.limits import GRACE_S, MAX_CALLS, SERVER_OPTIONS
from linkage.rpc.peer import Peer
from linkage.rpc.rates import Rates, Volumes
from linkage.rpc.tls import TlsFiles, server_credentials
from linkage.store.artefacts import ArtefactStore
from linkage.store.cosigned_files import CosignedFiles
from linkage.v1 import (
    batch_pb2_grpc,
    document_pb2_grpc,
    job_pb2_grpc,
    log_pb2_grpc,
    lookup_pb2_grpc,
    progress_pb2_grpc,
    refine_pb2_grpc,
    result_pb2_grpc,
)

_CHECK_S, _RECHECK_S = 0.5, 60.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Matcher:
    """A matcher with its store, log, worker and server.

    Args:
        config: its settings.
        clock: seconds since 1970.

    Raises:
        KeystoreError: the log's signing key cannot be opened.
        CheckpointError: the log on disk contradicts what was signed.
    """

    def __init__(self, config: MatcherConfig, clock: Clock = time.time) -> None:
        self._config, self._stopping = config, False
        self._log = structlog.get_logger("matcher")
        self._opened = ExitStack()
        self._metadata = self._opened.enter_context(opened_metadata(config))
        artefacts = ArtefactStore(config.data / "artefacts", config.keystore / "artefacts")
        provider = FileProvider(config.log.key_encryption_key)
        journal = Journal(clock)
        match_log = self._match_log = open_log(config, self._metadata, journal)
        if not ml_dsa_path(config.log).exists():
            self._log.warning(
                "the log signs with Ed25519 alone: make its ML-DSA-44 key by `padan matcher "
                "init-log`, bring the new trust file to all, and start again"
            )
        self._ledger = Ledger(self._metadata, clock)
        self._ledger.refresh()
        retention = Retention(artefacts, self._ledger, clock, config.artefact_days)
        self._destroyer = Destroyer(self._metadata, artefacts, self._ledger, journal, match_log)
        documents = Documents(self._metadata, artefacts, self._ledger, match_log, clock, retention)
        self._refusals = Refusals(journal, clock)
        decisions = Decisions(self._ledger, match_log, config.log.origin, clock)
        self.cosignatures = Cosignatures(
            match_log,
            self._ledger,
            CosignedFiles(config.data / "cosigned"),
            clock,
            self._on_cosignature,
        )
        self._anchors = anchors_of(config, self._metadata, journal, match_log)
        self._grants = Grants(self._metadata, self._ledger, self.cosignatures, clock)
        self._jobs = Jobs(
            self._metadata,
            journal,
            match_log,
            decisions,
            self.cosignatures,
            self._refusals,
            lambda job_id: self._worker.cancel(job_id),
        )
        refinements = Refinements(
            self._metadata, artefacts, journal, match_log, lambda: self._worker.wake()
        )
        self._worker = Worker(
            self._metadata,
            artefacts,
            journal,
            match_log,
            self._jobs,
            refinements,
            decisions,
            self.cosignatures,
            PairKeys(config.data / "pair-keys", provider, clock),
            executor=executor_of(config.executor, config.threads, config.ray_address),
            retention=retention,
            max_candidates=config.max_candidates,
            max_comparisons=config.max_comparisons,
            screen_loss=config.screen_loss,
        )
        batches = Batches(
            self._metadata,
            artefacts,
            journal,
            match_log,
            retention=retention,
            max_records=config.max_records,
            decisions=decisions,
            ledger=self._ledger,
            refusals=self._refusals,
            on_ready=self._worker.wake,
        )
        self._lookup_counts = LookupCounts(self._metadata, journal, match_log)
        registers = Registers(
            self._metadata,
            artefacts,
            journal,
            match_log,
            retention=retention,
            max_records=config.max_records,
            on_change=lambda name: self._lookups.reload(name),
        )
        probing = Probing(self._on_probing)
        limits = config.limits
        self._volumes = Volumes(
            limits.party_bytes, limits.office_bytes, limits.bytes_at_hand, clock
        )
        self._kept_limits = KeptLimits(self._metadata, self._volumes, probing, clock)
        self._lookups = Lookups(
            registers,
            LookupAdmission(decisions, self._grants, self._lookup_counts, probing),
            self._lookup_counts,
            probing,
            open_log_signers(config.log)[0],
            loss=config.lookup_loss,
            threads=config.threads,
            clock=clock,
        )
        self._incidents = Incidents(config.data, self._metadata, journal, self._ledger, match_log)
        results = Results(self._metadata, artefacts, match_log, self._ledger)
        reader = LogReader(self._metadata, match_log, self._ledger)
        precedence = Precedence()
        self._metrics = Metrics(lambda: status_of(config, self._metadata))
        self._services = (
            partial(
                document_pb2_grpc.add_DocumentServiceServicer_to_server,
                DocumentService(documents),
            ),
            partial(job_pb2_grpc.add_JobServiceServicer_to_server, JobService(self._jobs)),
            partial(
                batch_pb2_grpc.add_BatchServiceServicer_to_server, BatchService(batches, precedence)
            ),
            partial(
                progress_pb2_grpc.add_ProgressServiceServicer_to_server,
                ProgressService(self._jobs),
            ),
            partial(
                refine_pb2_grpc.add_RefineServiceServicer_to_server, RefineService(refinements)
            ),
            partial(result_pb2_grpc.add_ResultServiceServicer_to_server, ResultService(results)),
            partial(
                log_pb2_grpc.add_LogServiceServicer_to_server, LogService(reader, self.cosignatures)
            ),
            partial(
                lookup_pb2_grpc.add_LookupServiceServicer_to_server,
                LookupService(registers, self._lookups, self._lookup_counts, decisions, precedence),
            ),
        )

    async def serve(self, stop: asyncio.Event, address_file: Path | None = None) -> None:
        """Serve until told to stop, then finish the calls at hand.

        Args:
            stop: set it to stop.
            address_file: where to write host and port once calls are taken.

        Raises:
            ConfigError: a TLS file cannot be read.
            RuntimeError: the address is taken.
        """
        limits = self._config.limits
        guard = Guard(
            self._admits,
            rates=Rates(limits.calls_per_s, limits.calls_burst),
            volumes=self._volumes,
            ended=self._metrics.ended,
            calls_at_hand=limits.calls_at_hand,
        )
        server = grpc.aio.server(
            interceptors=[guard], options=SERVER_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS
        )
        for add_service in self._services:
            add_service(server)
        healthy = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
        tls = TlsFiles(**dict(self._config.tls))
        port = server.add_secure_port(self._config.listen, server_credentials(tls))
        watched = ExitStack()
        if self._config.metrics is not None:
            # Before any thread runs: an address that cannot be had must end the program.
            watched.enter_context(self._watched(self._config.metrics.listen))
        self._worker.start()
        self._lookups.start()
        await server.start()
        await healthy.set("", _SERVING)
        address = f"{self._config.listen.rpartition(':')[0]}:{port}"
        self._log.info("serving", address=address, origin=self._config.log.origin)
        if address_file is not None:
            temporary = address_file.with_suffix(".part")
            temporary.write_text(address, "utf-8")
            temporary.replace(address_file)
        watches = asyncio.gather(
            self._watch(),
            self._destroy(),
            _recheck(guard),
            self._tell_health(healthy),
            self._anchor(),
        )
        try:
            await stop.wait()
        finally:
            self._log.info("stopping")
            watches.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watches
            self._stopping = True
            await healthy.enter_graceful_shutdown()
            await server.stop(GRACE_S)
            await asyncio.to_thread(self._log_refusals, whole=True)
            await asyncio.to_thread(self._lookups.stop)
            await asyncio.to_thread(self._keep_limits, whole=True)
            await asyncio.to_thread(self._worker.stop)
            await asyncio.to_thread(watched.close)
            self._opened.close()

    @contextlib.contextmanager
    def _watched(self, listen: str) -> Iterator[None]:
        server = MetricsServer(listen, self._metrics, self._unready, self._config.tls)
        server.start()
        self._log.info("metrics", port=server.port)
        try:
            yield
        finally:
            server.stop()

    def _unready(self) -> list[str]:
        """Return why calls cannot be served now; nothing if they can."""
        reasons = []
        if self._stopping:
            reasons.append("the matcher is stopping")
        if not self._worker.alive:
            reasons.append("the worker has ended")
        if not self._lookups.loaded:
            reasons.append("registers are being brought into memory")
        try:
            self._metadata.entry_count()
        except LinkageError as error:
            reasons.append(str(error))
        return reasons

    async def _tell_health(self, healthy: health.aio.HealthServicer) -> None:
        while True:
            reasons = await asyncio.to_thread(self._unready)
            await healthy.set("", _NOT_SERVING if reasons else _SERVING)
            await asyncio.sleep(_CHECK_S)

    def _admits(self, peer: Peer) -> bool:
        own = peer.identity.trust_domain == self._config.trust_domain
        return own and self._ledger.admits(peer.identity, peer.key)

    def _on_cosignature(self) -> None:
        self._grants.cover()
        self._worker.wake()

    def _on_probing(self, grant: Grant, sign: str) -> None:
        self._log.warning(
            "lookups look like probing",
            sign=sign,
            agreement=grant.agreement,
            caller=grant.caller,
            register=grant.register,
            grant=grant.id,
            then=grant.on_probing,
        )
        self._metrics.alarmed(sign)

    def _forget_lookups(self) -> None:
        self._lookups.forget_expired()
        self._lookup_counts.forget_requests(self._config.lookup_request_days)

    async def _anchor(self) -> None:
        """Have the log timestamped from time to time, where the settings name an authority."""
        settings = self._config.anchors
        if settings is None or self._anchors is None:
            return
        ask, every = asking(settings.tsa), timedelta(hours=settings.hours)
        while True:
            try:
                if await asyncio.to_thread(self._anchors.due, every):
                    leaf = await asyncio.to_thread(self._anchors.anchor, ask)
                    self._log.info("log anchored", leaf=leaf)
            except Exception as error:  # noqa: BLE001 -- tried again; the operator is told
                self._log.error("log not anchored", error=type(error).__name__)
            await asyncio.sleep(_RECHECK_S)

    async def _destroy(self) -> None:
        while True:
            try:
                if n_datasets := await asyncio.to_thread(self._destroyer.run):
                    self._log.info("artefacts destroyed", datasets=n_datasets)
            except Exception as error:  # noqa: BLE001 -- tried again; the operator is told
                self._log.error("artefacts not destroyed", error=type(error).__name__)
            await asyncio.sleep(_RECHECK_S)

    async def _watch(self) -> None:
        due, waited = False, 0.0
        while True:
            await asyncio.sleep(_CHECK_S)
            waited += _CHECK_S
            try:
                for job_id in await asyncio.to_thread(self._jobs.expire):
                    self._log.info("job expired", job=job_id)
                await asyncio.to_thread(self._ledger.refresh)
                # Terms also end without a word.
                due = self._ledger.changed() or due or waited >= _RECHECK_S
                if due:
                    for job_id in await asyncio.to_thread(self._jobs.recheck):
                        self._log.info("job not allowed any more", job=job_id)
                    due, waited = False, 0.0
            except Exception as error:  # noqa: BLE001 -- the watch goes on; the operator is told
                self._log.error("expiry check failed", error=type(error).__name__)
            try:
                for incident in await asyncio.to_thread(self._incidents.take):
                    self._log.info("incident reported", incident=incident)
            except Exception as error:  # noqa: BLE001 -- as above
                self._log.error("incident not reported", error=type(error).__name__)
            try:
                await asyncio.to_thread(self._lookup_counts.log_minutes)
                await asyncio.to_thread(self._forget_lookups)
            except Exception as error:  # noqa: BLE001 -- as above
                self._log.error("lookups not logged", error=type(error).__name__)
            await asyncio.to_thread(self._log_refusals)
            await asyncio.to_thread(self._keep_limits)

    def _keep_limits(self, *, whole: bool = False) -> None:
        try:
            self._kept_limits.save(whole=whole)
        except Exception as error:  # noqa: BLE001 -- tried again; the operator is told
            self._log.error("limits not kept", error=type(error).__name__)

    def _log_refusals(self, *, whole: bool = False) -> None:
        try:
            if self._refusals.log_minutes(self._metadata, whole=whole):
                self._match_log.publish()
        except Exception as error:  # noqa: BLE001 -- the operator is told
            self._log.error("refusals not logged", error=type(error).__name__)


async def _recheck(guard: Guard) -> None:
    """End the calls of those who are admitted no more, whatever else the matcher waits for."""
    while True:
        await asyncio.sleep(_CHECK_S)
        guard.recheck()
