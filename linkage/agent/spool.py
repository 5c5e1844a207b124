"""The spool: a batch encoded on disk before it is sent, encrypted, sent as often as needed.

For a job of two rounds it keeps what was read as well, encrypted like the rest, until the job has
ended: what is asked later is answered from it. So a register may go on changing, and a file
that was brought to a place need not stay there.
"""

import datetime
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.agent.references import GivesReferences
from linkage.batch import MAX_CHUNK_BYTES, Chunk, Manifest
from linkage.encode.encoder import EncodedRecords
from linkage.errors import NotFoundError, RecordError
from linkage.job import REFERENCE_BYTES, CodeId
from linkage.rpc.convert import manifest_from_bytes, manifest_to_bytes
from linkage.store.artefacts import ArtefactStore
from linkage.ticket import Tickets, rows_of, ticket_bytes

_PREFIX = "spool-"
_MANIFEST = "manifest"
_SOURCE = "source"
_RECORDS = "records-"


class Spool:
    """The encoded batch of one job.

    Args:
        store: the agent's encrypted store.
        job_id: the job it is for.
        expires: day after which a new spool can no longer be read.
    """

    def __init__(self, store: ArtefactStore, job_id: str, expires: datetime.date) -> None:
        self._store, self._dataset = store, f"{_PREFIX}{job_id}"
        store.create(self._dataset, expires)

    def locked(self) -> AbstractContextManager[None]:
        """Keep other runs of the same job out."""
        return self._store.locked(self._dataset)

    def source_digest(self) -> bytes:
        """Return the digest of the normalised source that the batch was made of.

        Raises:
            RecordError: nothing was encoded here.
        """
        try:
            return self._store.read(self._dataset, _SOURCE)
        except NotFoundError as error:
            raise RecordError(
                "the batch of this job was not encoded with this work folder: answer where it was"
            ) from error

    def manifest(self) -> Manifest | None:
        """Return the manifest of a batch that is complete on disk, or None."""
        if _MANIFEST not in self._store.names(self._dataset):
            return None
        return manifest_from_bytes(self._store.read(self._dataset, _MANIFEST))

    def fill(
        self,
        tables: Iterator[pa.Table],
        encode: Callable[[pa.Table], EncodedRecords],
        references: GivesReferences,
        codes: CodeId,
        tokens: Callable[[NDArray[np.uint64], bytes], Iterator[NDArray[np.uint8]]],
        source_digest: Callable[[], bytes],
    ) -> Manifest:
        """Encode a whole source, chunk by chunk, and return its manifest.

        Args:
            tables: the records.
            encode: encodes a table.
            references: gives each record its reference; kept before anything is sent.
            codes: under what the records are encoded.
            tokens: makes the block tokens of all records of their hashed values and
                references, for each other party and entry in the order of the manifest,
                shape (n_records, copies, token_bytes) each.
            source_digest: asked at the end for a digest of all that was encoded.

        Raises:
            RecordError: the source cannot be used, or has more records than the length
                of block tokens is meant for.
        """
        self._empty()
        step = MAX_CHUNK_BYTES // codes.record_bytes
        digests: list[bytes] = []
        values: list[NDArray[np.uint64]] = []
        all_own: list[bytes] = []
        for table in tables:
            encoded = encode(table)
            values.append(encoded.values)
            own = references.of(cast("list[str]", table["record_id"].to_pylist()))
            all_own.append(own)
            for start in range(0, len(encoded), step):
                end = start + step
                chunk = Chunk(
                    own[start * REFERENCE_BYTES : end * REFERENCE_BYTES],
                    encoded.codes[start:end].tobytes(),
                    encoded.exact[start:end].tobytes(),
                )
                digests.append(self._keep(len(digests), chunk))
        all_values = np.concatenate(values)
        del values
        _check_number(len(all_values), codes)
        manifest = Manifest(codes, len(all_values), len(digests), ())
        for of_entry in tokens(all_values, b"".join(all_own)):
            for start in range(0, len(of_entry), manifest.token_rows):
                chunk = Chunk(tokens=of_entry[start : start + manifest.token_rows].tobytes())
                digests.append(self._keep(len(digests), chunk))
        return self._complete(replace(manifest, chunk_sha256=tuple(digests)), source_digest())

    def fill_tickets(
        self,
        tables: Iterator[pa.Table],
        values: Callable[[pa.Table], NDArray[np.uint64]],
        references: GivesReferences,
        codes: CodeId,
        tickets: Callable[[NDArray[np.uint64], bytes], Iterator[Tickets]],
        source_digest: Callable[[], bytes],
    ) -> Manifest:
        """Make the tickets of a whole source for a job of two rounds; return their manifest.

        Args:
            tables: the records.
            values: hashes the parts of the block entries of a table.
            references: gives each record its reference; kept before anything is sent.
            codes: under what the tickets are made.
            tickets: makes the tickets of all records of their hashed values and references,
                for each other party and entry in the order of the manifest.
            source_digest: asked at the end for a digest of all that was read.

        Raises:
            RecordError: as for `fill`.
        """
        self._empty()
        parts, all_own = list[NDArray[np.uint64]](), list[bytes]()
        for table in tables:
            self._keep_records(len(parts), table)
            parts.append(values(table))
            all_own.append(references.of(cast("list[str]", table["record_id"].to_pylist())))
        all_values = np.concatenate(parts)
        del parts
        _check_number(len(all_values), codes)
        step = MAX_CHUNK_BYTES // ticket_bytes(codes.block_bytes)
        digests, counts = list[bytes](), list[int]()
        for of_entry in tickets(all_values, b"".join(all_own)):
            counts.append(len(of_entry))
            for start in range(0, len(of_entry), step):
                part = of_entry.at(slice(start, start + step))
                rows = rows_of(part.token, part.mark, codes.block_bytes)
                digests.append(self._keep(len(digests), Chunk(tokens=rows.tobytes())))
        manifest = Manifest(codes, len(all_values), 0, tuple(digests), tuple(counts))
        return self._complete(manifest, source_digest())

    def records(self) -> Iterator[pa.Table]:
        """Yield the tables that tickets were made of, as they were read.

        Raises:
            RecordError: nothing was encoded here, or the job has ended.
        """
        names = [n for n in self._store.names(self._dataset) if n.startswith(_RECORDS)]
        if not names:
            raise RecordError(
                "the batch of this job was not encoded with this work folder: answer where it was"
            )
        for name in names:
            with pa.ipc.open_stream(io.BytesIO(self._store.read(self._dataset, name))) as stream:
                yield stream.read_all()

    def _keep_records(self, number: int, table: pa.Table) -> None:
        out = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(out, table.schema, options=options) as stream:
            stream.write_table(table)
        self._store.write(self._dataset, f"{_RECORDS}{number:06}", out.getvalue())

    def _empty(self) -> None:
        for name in self._store.names(self._dataset):
            self._store.remove(self._dataset, name)

    def _complete(self, manifest: Manifest, source_digest: bytes) -> Manifest:
        self._store.write(self._dataset, _SOURCE, source_digest)
        self._store.write(self._dataset, _MANIFEST, manifest_to_bytes(manifest))
        return manifest

    def _keep(self, index: int, chunk: Chunk) -> bytes:
        self._store.write(self._dataset, _name(index), chunk.to_bytes())
        return chunk.digest()

    def chunk(self, manifest: Manifest, index: int) -> Chunk:
        """Return one chunk of the batch.

        Raises:
            VerificationError: it was changed on disk.
        """
        content = self._store.read(self._dataset, _name(index))
        if index >= manifest.n_record_chunks:
            return Chunk(tokens=content)
        return Chunk.from_bytes(content, manifest.codes)

    def forget_chunks(self) -> None:
        """Remove all that was kept but the manifest and the digest of its source."""
        for name in self._store.names(self._dataset):
            if name not in (_MANIFEST, _SOURCE):
                self._store.remove(self._dataset, name)


def _check_number(n_records: int, codes: CodeId) -> None:
    if n_records > codes.most_records:
        raise RecordError(
            f"{n_records:,} records: block tokens of {codes.block_bytes} bytes are "
            f"meant for {codes.most_records:,}; agree on a larger match.expected_records"
        )


def _name(index: int) -> str:
    return f"chunk-{index:06}"


def forget_spools(store: ArtefactStore, today: datetime.date) -> None:
    """Destroy the spools whose last day is over.

    What else the agent keeps stays readable: the maps of references and of who took part are what
    rights and the trail are answered from.
    """
    store.destroy_expired(today, _PREFIX)
