"""Standing registers of a matcher: taken in upload by upload, kept, brought into memory.

An upload is resumable and idempotent for every chunk, like a batch. A register in memory
is rebuilt at every start from the artefacts, which are encrypted and end on their day: an
upload that builds on a whole one ends with it.
"""

import datetime
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from linkage.block.index import Index, Records
from linkage.compare.bits import as_words
from linkage.errors import (
    JobStateError,
    MalformedMessageError,
    NotFoundError,
    QuotaExceededError,
)
from linkage.job import EXACT_TOKEN_BYTES, REFERENCE_BYTES, CodeId
from linkage.matcher.journal import Journal
from linkage.matcher.match_log import MatchLog
from linkage.matcher.retention import Retention
from linkage.register import RegisterChunk, RegisterManifest
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import Metadata, Transaction
from linkage.store.registers import RegisterRow, RegisterRows

# An agreement, and the party whose register it is.
RegisterName = tuple[str, str]


@dataclass(frozen=True)
class Standing:
    """A register in memory.

    Attributes:
        codes: under what its records were encoded.
        threshold: lowest similarity of a match.
        revision: which state of the register it is.
        expires: day after which it must be forgotten.
        index: its records.
    """

    codes: CodeId
    threshold: float
    revision: int
    expires: datetime.date
    index: Index


class Registers:
    """The registers of a matcher.

    Args:
        metadata: the database.
        artefacts: where chunks are kept.
        journal: makes log entries.
        log: publishes them.
        retention: says for how long.
        max_records: most records of one register's upload.
        on_change: told of a register that has a new revision.
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
        on_change: Callable[[RegisterName], None],
    ) -> None:
        self._metadata, self._artefacts = metadata, artefacts
        self._journal, self._log = journal, log
        self._retention, self._max_records = retention, max_records
        self._on_change = on_change

    def names(self) -> list[RegisterName]:
        """Return the registers that are here."""
        with self._metadata.read() as transaction:
            return RegisterRows(transaction.connection).names()

    def open(
        self, party: str, manifest: RegisterManifest, check_agreement: Callable[[], None]
    ) -> tuple[str, int]:
        """Open an upload or find it again; return its id and the next chunk to send.

        Another upload of the same register that was begun and not completed is dropped.

        Args:
            party: whose register it is.
            manifest: what the upload will be.
            check_agreement: raises if the agreement does not allow it now.

        Raises:
            DeniedError: the agreement does not allow it now.
            MalformedMessageError: the manifest contradicts itself.
            QuotaExceededError: more records than this matcher takes.
            JobStateError: it builds on another revision than the register has.
            SchemaMismatchError: it builds on codes of another schema.
            KeyMismatchError: it builds on codes of another key.
        """
        manifest.check()
        if manifest.n_records > self._max_records:
            raise QuotaExceededError(
                f"{manifest.n_records} records: a register here has at most {self._max_records}"
            )
        check_agreement()
        content = manifest.to_bytes()
        with self._metadata.write() as transaction:
            rows = RegisterRows(transaction.connection)
            known = rows.of(manifest.agreement_id, party)
            for row in known:
                if row.manifest == content and (not row.revision or row is known[-1]):
                    return row.upload_id, row.next_chunk
            expires = self._check_base(manifest, known)
            dropped = [row.upload_id for row in known if not row.revision]
            for upload_id in dropped:
                rows.remove(upload_id)
            row = RegisterRow(
                uuid.uuid4().hex, manifest.agreement_id, party, content, expires.isoformat()
            )
            self._retention.create(
                row.upload_id, "register", manifest.agreement_id, expires=expires
            )
            rows.add(row)
        for upload_id in dropped:
            self._retention.drop(upload_id, manifest.agreement_id)
        return row.upload_id, 0

    def put_chunk(self, party: str, upload_id: str, index: int, chunk: RegisterChunk) -> int:
        """Store a chunk and return the next one to send; a stored one changes nothing.

        Raises:
            NotFoundError: the upload is none of the party's.
            MalformedMessageError: not the chunk that the manifest promises, or one that
                comes before its turn.
        """
        with self._metadata.read() as transaction:
            row = _upload_for(transaction, party, upload_id)
        n = manifest_of(row).check_chunk(index, chunk)
        if index < row.next_chunk:
            return row.next_chunk
        if index > row.next_chunk:
            raise MalformedMessageError(f"chunk {index}: the next one is {row.next_chunk}")
        self._artefacts.write(upload_id, _chunk_name(index), chunk.to_bytes())
        with self._metadata.write() as transaction:
            # Read again: the same upload may run twice, after a line broke.
            row = _upload_for(transaction, party, upload_id)
            if row.next_chunk != index:
                return row.next_chunk
            rows = RegisterRows(transaction.connection)
            rows.set_received(upload_id, index + 1, row.n_received + n)
        return index + 1

    def commit(self, party: str, upload_id: str) -> tuple[int, int]:
        """Close a complete upload; return the index of its leaf, and the new revision.

        Raises:
            NotFoundError: the upload is none of the party's.
            JobStateError: chunks are missing, or the register has changed meanwhile.
            MalformedMessageError: there are not as many records as the manifest says.
        """
        with self._metadata.write() as transaction:
            row = _upload_for(transaction, party, upload_id)
            leaf, revision = row.leaf, row.revision
            older: list[RegisterRow] = []
            if leaf is None:
                rows = RegisterRows(transaction.connection)
                known = rows.of(row.agreement_id, party)
                manifest = manifest_of(row)
                self._check_complete(row, manifest)
                self._check_base(manifest, known)
                revision = 1 + max(other.revision for other in known)
                leaf = self._record(transaction, row, manifest, revision)
                rows.set_committed(upload_id, revision, leaf)
                if not manifest.base_revision:
                    older = [other for other in known if other.revision]
                    for other in older:
                        rows.remove(other.upload_id)
        # The answer to a first try may have failed before its checkpoint.
        self._log.publish()
        for other in older:
            self._retention.drop(other.upload_id, row.agreement_id)
        self._on_change((row.agreement_id, party))
        return leaf, revision

    def load(self, name: RegisterName, older: Standing | None) -> Standing | None:
        """Bring a register into memory, or up to date; None where there is none to be had.

        Args:
            name: which register.
            older: it as it is in memory, to which only what is new is added.

        Raises:
            VerificationError: an artefact was changed on disk.
        """
        with self._metadata.read() as transaction:
            rows = [row for row in RegisterRows(transaction.connection).of(*name) if row.revision]
        whole = [row for row in rows if not manifest_of(row).base_revision]
        if not whole:
            return None
        standing = older
        if older is None or older.revision < whole[-1].revision:
            standing = None
        for row in rows:
            if row.revision < whole[-1].revision:
                continue
            if standing is None or row.revision > standing.revision:
                try:
                    standing = self._with(row, standing)
                except NotFoundError:
                    # Its day has come: the key is destroyed, and with it the register.
                    return None
        return standing

    def _with(self, row: RegisterRow, older: Standing | None) -> Standing:
        manifest = manifest_of(row)
        codes = manifest.codes
        records = Records(manifest.n_records, codes.code_bits // 64, codes.exact_slots)
        for number in range(manifest.n_record_chunks):
            content = self._artefacts.read(row.upload_id, _chunk_name(number))
            chunk = RegisterChunk.of_records(content, codes)
            n = len(chunk.references) // REFERENCE_BYTES
            records.add(
                np.frombuffer(chunk.references, "V16"),
                as_words(np.frombuffer(chunk.codes, np.uint8).reshape(n, -1)),
                np.frombuffer(chunk.exact, np.uint8).reshape(
                    n, codes.exact_slots, EXACT_TOKEN_BYTES
                ),
            )
        removed = b"".join(
            self._artefacts.read(row.upload_id, _chunk_name(number))
            for number in range(manifest.n_record_chunks, len(manifest.chunk_sha256))
        )
        index = older.index if older else Index(codes.code_bits, codes.hardened)
        return Standing(
            codes,
            manifest.threshold,
            row.revision,
            datetime.date.fromisoformat(row.expires),
            index.updated(records, np.frombuffer(removed, "V16")),
        )

    def _check_base(self, manifest: RegisterManifest, known: list[RegisterRow]) -> datetime.date:
        """Check on what an upload builds, and return the day on which it expires."""
        if not manifest.base_revision:
            return self._retention.expires("register", manifest.agreement_id)
        base = next((row for row in reversed(known) if row.revision), None)
        if base is None or base.revision != manifest.base_revision:
            raise JobStateError(
                f"the register is at revision {base.revision if base else 0}, not "
                f"{manifest.base_revision}: send it as a whole"
            )
        manifest.codes.check_same(manifest_of(base).codes, "the register")
        return datetime.date.fromisoformat(base.expires)

    def _check_complete(self, row: RegisterRow, manifest: RegisterManifest) -> None:
        n_chunks = len(manifest.chunk_sha256)
        if row.next_chunk < n_chunks:
            raise JobStateError(f"chunks {row.next_chunk} to {n_chunks - 1} are missing")
        if row.n_received != manifest.n_records + manifest.n_removed:
            raise MalformedMessageError(
                f"{row.n_received} records and removals came, the manifest says "
                f"{manifest.n_records} and {manifest.n_removed}"
            )

    def _record(
        self,
        transaction: Transaction,
        row: RegisterRow,
        manifest: RegisterManifest,
        revision: int,
    ) -> int:
        return self._journal.record(
            transaction,
            "batch",
            f"party/{row.party}",
            row.agreement_id,
            {
                "register": row.party,
                "revision": revision,
                "batch": row.upload_id,
                "manifest": manifest.digest().hex(),
                "n_records": manifest.n_records,
                "n_removed": manifest.n_removed,
            },
        )


def manifest_of(row: RegisterRow) -> RegisterManifest:
    """Return the manifest of an upload."""
    return RegisterManifest.from_json(json.loads(row.manifest))


def _chunk_name(index: int) -> str:
    return f"chunk-{index:06}"


def _upload_for(transaction: Transaction, party: str, upload_id: str) -> RegisterRow:
    row = RegisterRows(transaction.connection).get(upload_id)
    if row is None or row.party != party:
        raise NotFoundError("no such upload of yours: open it first")
    return row
