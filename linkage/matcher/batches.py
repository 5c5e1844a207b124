"""Uploads: resumable, idempotent for every chunk, refused before anything is lost."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keys.identity import Identity
from linkage.agreement.denial import ALLOWED
from linkage.batch import MAX_CHUNK_BYTES, Chunk, Manifest
from linkage.errors import (
    DeniedError,
    JobStateError,
    MalformedMessageError,
    NotFoundError,
    QuotaExceededError,
)
from linkage.gate import parse_result
from linkage.job import DIGEST_BYTES, EXACT_TOKEN_BYTES, REFERENCE_BYTES, Job, JobState
from linkage.log.canonical import JsonObject
from linkage.matcher.decisions import (
    Decisions,
    Signed,
    denied,
    evidence,
    verdict,
)
from linkage.matcher.jobs import job_for
from linkage.matcher.journal import Journal
from linkage.matcher.ledger import Ledger
from linkage.matcher.match_log import MatchLog
from linkage.matcher.refusals import Refusals, path_of, told
from linkage.matcher.retention import Retention
from linkage.rpc.convert import manifest_from_bytes, manifest_to_bytes
from linkage.rpc.peer import Peer
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import BatchRow, Metadata, Transaction
from linkage.ticket import Tickets, read_rows

_METHOD = "/linkage.v1.BatchService/OpenBatch"


class Batches:
    """The uploads of a matcher.

    Args:
        metadata: the database.
        artefacts: where chunks are kept.
        journal: makes log entries.
        log: publishes them.
        retention: says for how long.
        max_records: most records of one upload.
        decisions: says what is allowed.
        ledger: the state of the log.
        refusals: logs what is refused.
        on_ready: called when the uploads of a job are complete.
    """

    def __init__(
        self,
        metadata: Metadata,
        artefacts: ArtefactStore,
        journal: Journal,
        log: MatchLog,
        *,
        retention: Retention,
        max_records: int,
        decisions: Decisions,
        ledger: Ledger,
        refusals: Refusals,
        on_ready: Callable[[], None],
    ) -> None:
        self._metadata, self._artefacts = metadata, artefacts
        self._journal, self._log = journal, log
        self._retention, self._max_records = retention, max_records
        self._decisions, self._ledger = decisions, ledger
        self._refusals, self._on_ready = refusals, on_ready

    def open(
        self, peer: Peer, job_id: str, manifest: Manifest, content: bytes, gate: bytes = b""
    ) -> tuple[str, int]:
        """Open a batch or find it again; return its id and the next chunk to send.

        Args:
            peer: who uploads.
            job_id: for which job.
            manifest: what the batch will be.
            content: the signed request for it.
            gate: the result of the risk gate that the manifest names.

        Raises:
            NotFoundError: the job is none of the caller's.
            DeniedError: the request does not count, or the upload is not allowed.
            JobStateError: the job takes no batches now, or another one was begun.
            SchemaMismatchError: encoded under another schema than the job's.
            KeyMismatchError: encoded under another key than the requester's.
            MalformedMessageError: the manifest contradicts itself or the job.
            QuotaExceededError: more records than this matcher takes.
        """
        party = peer.identity.party
        with self._metadata.write() as transaction:
            job = job_for(transaction, peer.identity, job_id)
            known = next((b for b in transaction.batches_of(job_id) if b.party == party), None)
            stored = manifest_to_bytes(manifest)
            if known is not None:
                if known.manifest != stored:
                    raise JobStateError(
                        "another batch of this party was begun for this job: send that one, "
                        "or cancel the job and request a new one"
                    )
                return known.batch_id, known.next_chunk
            _check_collecting(job, self._journal.clock())
            self._check(manifest, job)
            try:
                body = job_id.encode() + manifest.digest()
                signed = self._decisions.signed(transaction, peer, content, _METHOD, body, job.spec)
            except DeniedError as error:
                refused: DeniedError | None = self._refusals.record(
                    transaction, peer, _METHOD, error
                )
            else:
                batch = BatchRow(
                    uuid.uuid4().hex, job_id, party, stored, peer.identity.uri, peer.key
                )
                refused = self._admit(transaction, signed, job, manifest, batch, gate)
        self._log.publish()
        if refused is not None:
            raise refused
        return batch.batch_id, 0

    def _admit(
        self,
        transaction: Transaction,
        signed: Signed,
        job: Job,
        manifest: Manifest,
        batch: BatchRow,
        gate: bytes,
    ) -> DeniedError | None:
        """Decide on an upload, and log it; return the refusal, if it is one."""
        if signed.first is not None and signed.first.code != ALLOWED:
            return told(signed.first.code)
        self._log_gate(transaction, signed, job, manifest, gate)
        decision = self._decisions.upload(
            transaction, signed, job, manifest.n_records, manifest.gate_sha256
        )
        if decision.allowed:
            agreement = job.spec.agreement_id
            self._retention.create(batch.batch_id, "upload", agreement, job.job_id)
            transaction.add_batch(batch)
        elif not self._refusals.has_leaf(signed.peer, decision.code):
            return denied(decision)
        body: JsonObject = {
            "job": job.job_id,
            "manifest": manifest.digest().hex(),
            "n_records": manifest.n_records,
            "gate": manifest.gate_sha256.hex(),
            **evidence(signed),
            **verdict(decision),
        }
        self._journal.record(
            transaction,
            "job.admit" if decision.allowed else "job.refuse",
            path_of(signed.peer),
            job.spec.agreement_id,
            body,
            refs=decision.leaves,
            job_id=job.job_id,
        )
        return None if decision.allowed else denied(decision)

    def _log_gate(
        self,
        transaction: Transaction,
        signed: Signed,
        job: Job,
        manifest: Manifest,
        content: bytes,
    ) -> None:
        """Put the result of a risk gate into the log, before it is decided by."""
        if not content:
            return
        gate, party = parse_result(content), signed.peer.identity.party
        if gate.digest() != manifest.gate_sha256:
            raise MalformedMessageError("not the risk gate's result that the manifest names")
        known = (job.spec.agreement_id, party, manifest.gate_sha256.hex())
        if known in self._ledger.state(transaction).usage.gates:
            return
        body: JsonObject = {
            "gate": gate.digest().hex(),
            "party": party,
            "schema_id": gate.schema_id.hex(),
            "epoch": gate.epoch,
            "rate": gate.rate,
            "void": gate.void,
            "structure": gate.structure,
            "valid_until": f"{gate.valid_until:%Y-%m-%dT%H:%M:%SZ}",
        }
        self._journal.record(
            transaction,
            "gate",
            path_of(signed.peer),
            job.spec.agreement_id,
            body,
            job_id=job.job_id,
        )

    def put_chunk(self, who: Identity, batch_id: str, index: int, chunk: Chunk) -> int:
        """Store a chunk and return the next one to send; a stored one changes nothing.

        Raises:
            NotFoundError: the batch is none of the caller's.
            MalformedMessageError: not the chunk that the manifest promises, or one
                that comes before its turn.
            JobStateError: the job takes no chunks now.
        """
        with self._metadata.read() as transaction:
            batch = _batch_for(transaction, who, batch_id)
            job = job_for(transaction, who, batch.job_id)
        n_records = manifest_from_bytes(batch.manifest).check_chunk(index, chunk)
        if index < batch.next_chunk:
            return batch.next_chunk
        if index > batch.next_chunk:
            raise MalformedMessageError(f"chunk {index}: the next one is {batch.next_chunk}")
        _check_collecting(job, self._journal.clock())
        self._artefacts.write(batch_id, _chunk_name(index), chunk.to_bytes())
        with self._metadata.write() as transaction:
            # Read again: the same upload may run twice, after a line broke.
            batch = _batch_for(transaction, who, batch_id)
            if batch.next_chunk != index:
                return batch.next_chunk
            transaction.set_received(batch_id, index + 1, batch.n_received + n_records)
        return index + 1

    def commit(self, who: Identity, batch_id: str) -> int:
        """Close a complete batch and return the index of its leaf.

        Raises:
            NotFoundError: the batch is none of the caller's.
            JobStateError: chunks are missing, or the job takes no batches now.
            MalformedMessageError: there are not as many records as the manifest says.
        """
        with self._metadata.write() as transaction:
            batch = _batch_for(transaction, who, batch_id)
            known = transaction.batch_leaf(batch_id) if batch.committed else None
            leaf, ready = (
                (known, False) if known is not None else self._close(transaction, who, batch)
            )
        if ready:
            self._on_ready()
        # Also of one that is closed: the answer to the first try may have failed before this.
        self._log.publish()
        return leaf

    def _close(self, transaction: Transaction, who: Identity, batch: BatchRow) -> tuple[int, bool]:
        """Log a complete batch; return its leaf, and whether the job has all of its batches."""
        job = job_for(transaction, who, batch.job_id)
        _check_collecting(job, self._journal.clock())
        manifest = manifest_from_bytes(batch.manifest)
        if batch.next_chunk < len(manifest.chunk_sha256):
            raise JobStateError(
                f"chunks {batch.next_chunk} to {len(manifest.chunk_sha256) - 1} are missing"
            )
        if manifest.n_record_chunks and batch.n_received != manifest.n_records:
            raise MalformedMessageError(
                f"{batch.n_received} records came, the manifest says {manifest.n_records}"
            )
        body: JsonObject = {
            "job": job.job_id,
            "batch": batch.batch_id,
            "manifest": manifest.digest().hex(),
            "n_records": manifest.n_records,
            "gate": manifest.gate_sha256.hex(),
        }
        leaf = self._journal.record(
            transaction,
            "batch",
            who.path,
            job.spec.agreement_id,
            body,
            job_id=job.job_id,
        )
        transaction.set_committed(batch.batch_id, leaf)
        ready = set(job.missing) == {batch.party}
        if ready:
            transaction.set_state(job.job_id, JobState.PLANNED)
        return leaf, ready

    def _check(self, manifest: Manifest, job: Job) -> None:
        manifest.codes.check_same(job.spec.codes, "the job's requester")
        if not 1 <= manifest.n_records <= self._max_records:
            raise QuotaExceededError(
                f"{manifest.n_records} records: a batch here has 1 to {self._max_records}"
            )
        if manifest.n_records > manifest.codes.most_records:
            raise QuotaExceededError(
                f"{manifest.n_records} records: block tokens of this length are meant for "
                f"{manifest.codes.most_records}; agree on a larger match.expected_records"
            )
        if len(manifest.gate_sha256) not in (0, DIGEST_BYTES):
            raise MalformedMessageError("the manifest's gate digest is not 32 bytes long")
        if any(len(digest) != DIGEST_BYTES for digest in manifest.chunk_sha256):
            raise MalformedMessageError("the manifest has a chunk digest that is not 32 bytes long")
        of_tokens = manifest.n_token_chunks(len(job.spec.parties))
        if len(manifest.chunk_sha256) != manifest.n_record_chunks + of_tokens:
            raise MalformedMessageError(
                "the manifest has not as many chunks of block tokens as the job's parties "
                "and the block entries make"
            )
        if job.spec.refinement is not None:
            _check_tickets(manifest, job)
        else:
            _check_records(manifest)


def _check_records(manifest: Manifest) -> None:
    """Check a batch of codes."""
    if manifest.n_tickets:
        raise MalformedMessageError("the job has one round: it takes codes, and no tickets")
    if not 1 <= manifest.n_record_chunks <= manifest.n_records:
        raise MalformedMessageError("the manifest has no chunks, or more chunks than records")
    size = manifest.n_records * manifest.codes.record_bytes
    if size > manifest.n_record_chunks * 2 * MAX_CHUNK_BYTES:
        raise MalformedMessageError("the manifest promises more than its chunks can hold")


def _check_tickets(manifest: Manifest, job: Job) -> None:
    """Check a batch of tickets."""
    if manifest.n_record_chunks:
        raise MalformedMessageError("the job has two rounds: it takes tickets, and no codes")
    codes = manifest.codes
    if len(manifest.n_tickets) != (len(job.spec.parties) - 1) * codes.block_entries:
        raise MalformedMessageError(
            "the manifest does not tell the number of tickets for each party and block entry"
        )
    if max(manifest.n_tickets) > manifest.n_records * codes.block_copies:
        raise MalformedMessageError("the manifest promises more tickets than its records have")


@dataclass(frozen=True)
class Upload:
    """The records of a complete batch.

    Attributes:
        references: shape (n, 16).
        codes: shape (n, code_bits / 8).
        exact: exact tokens, shape (n, exact_slots, 16).
    """

    references: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    exact: NDArray[np.uint8]


def read_upload(artefacts: ArtefactStore, batch: BatchRow) -> Upload:
    """Return the records of a complete batch.

    Raises:
        NotFoundError: the batch was forgotten.
        VerificationError: a chunk was changed on disk.
    """
    manifest = manifest_from_bytes(batch.manifest)
    codes, n = manifest.codes, manifest.n_records
    # Filled in place: a list of all chunks beside their sum would double the peak.
    upload = Upload(
        np.empty((n, REFERENCE_BYTES), np.uint8),
        np.empty((n, codes.code_bits // 8), np.uint8),
        np.empty((n, codes.exact_slots, EXACT_TOKEN_BYTES), np.uint8),
    )
    start = 0
    for index in range(manifest.n_record_chunks):
        chunk = Chunk.from_bytes(artefacts.read(batch.batch_id, _chunk_name(index)), codes)
        rows = slice(start, start + len(chunk.references) // REFERENCE_BYTES)
        for whole, part in (
            (upload.references, chunk.references),
            (upload.codes, chunk.codes),
            (upload.exact, chunk.exact),
        ):
            whole[rows] = np.frombuffer(part, dtype=np.uint8).reshape(whole[rows].shape)
        start = rows.stop
    return upload


def read_tokens(
    artefacts: ArtefactStore, batch: BatchRow, counterpart: int, entry: int
) -> NDArray[np.uint8]:
    """Return the block tokens of all records of a batch, shape (n, copies, token_bytes).

    Args:
        artefacts: where chunks are kept.
        batch: a complete batch.
        counterpart: number of the other party among all but the batch's own.
        entry: number of the block entry.
    """
    manifest = manifest_from_bytes(batch.manifest)
    tokens = _joined(artefacts, batch, manifest.token_chunks(counterpart, entry))
    return tokens.reshape(-1, manifest.codes.block_copies, manifest.codes.block_bytes)


def read_tickets(
    artefacts: ArtefactStore, batch: BatchRow, counterpart: int, entry: int
) -> Tickets:
    """Return the tickets of one entry of a batch; arguments as for `read_tokens`."""
    manifest = manifest_from_bytes(batch.manifest)
    content = _joined(artefacts, batch, manifest.token_chunks(counterpart, entry))
    rows = content.reshape(-1, manifest.row_bytes)
    return Tickets.of_entry(entry, *read_rows(rows, manifest.codes.block_bytes))


def _joined(artefacts: ArtefactStore, batch: BatchRow, chunks: range) -> NDArray[np.uint8]:
    parts = [artefacts.read(batch.batch_id, _chunk_name(index)) for index in chunks]
    return np.frombuffer(b"".join(parts), dtype=np.uint8)


def _chunk_name(index: int) -> str:
    return f"chunk-{index:06}"


def _batch_for(transaction: Transaction, who: Identity, batch_id: str) -> BatchRow:
    batch = transaction.batch(batch_id)
    if batch is None or batch.actor != who.uri:
        raise NotFoundError("no such batch of yours: open it first")
    return batch


def _check_collecting(job: Job, now: float) -> None:
    if job.state is not JobState.COLLECTING or now >= job.collect_until:
        reason = f" ({job.reason})" if job.reason else ""
        raise JobStateError(f"the job is {job.state.value}{reason}: it takes no uploads now")
