"""The spool: a batch encoded on disk before it is sent, encrypted, sent as often as needed.

It is encoded step by step, and a run that was stopped goes on after the last finished one:
records are read and normalised again, and where they are the same, what was made of them is taken.

For a job of two rounds it keeps what was read as well, encrypted like the rest, until the job has
ended: what is asked later is answered from it. So a register may go on changing, and a file
that was brought to a place need not stay there.
"""

import datetime
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.agent.fieldrows import ColumnsDigest
from linkage.agent.references import GivesReferences
from linkage.agent.steps import STEP, Steps
from linkage.batch import MAX_CHUNK_BYTES, Chunk, Manifest
from linkage.encode.encoder import EncodedRecords
from linkage.errors import NotFoundError, RecordError
from linkage.job import REFERENCE_BYTES, CodeId
from linkage.normalise.columns import FlaggedColumn
from linkage.rpc.convert import manifest_from_bytes, manifest_to_bytes
from linkage.store.artefacts import ArtefactStore
from linkage.ticket import Tickets, rows_of, ticket_bytes

_PREFIX = "spool-"
_MANIFEST = "manifest"
_SOURCE = "source"
_RECORDS = "records-"
Columns = Mapping[str, FlaggedColumn]


@dataclass(frozen=True)
class Reading:
    """How the records of a batch are read.

    Attributes:
        tables: the records.
        columns: normalises a table.
        references: gives each record its reference; kept before anything is sent.
        on_changed: told how many records an earlier call encoded just as they are now, where
            those that follow are others than they were then.
        at_the_end: called before the batch is whole, and so before anything of it is sent.
    """

    tables: Iterator[pa.Table]
    columns: Callable[[pa.Table], Columns]
    references: GivesReferences
    on_changed: Callable[[int], None] = lambda _n_records: None
    at_the_end: Callable[[], None] = lambda: None


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
        reading: Reading,
        encode: Callable[[Columns], EncodedRecords],
        codes: CodeId,
        tokens: Callable[[NDArray[np.uint64], bytes, int], Iterator[NDArray[np.uint8]]],
    ) -> Manifest:
        """Encode a whole source, chunk by chunk, and return its manifest.

        What an earlier call has finished is taken, as far as the records are still the same.

        Args:
            reading: the records.
            encode: encodes the normalised words of a table.
            codes: under what the records are encoded.
            tokens: makes the block tokens of all records of their hashed values and
                references, for each other party and entry in the order of the manifest
                beyond so many first ones, shape (n_records, copies, token_bytes) each.

        Raises:
            RecordError: the source cannot be used, or has more records than the length
                of block tokens is meant for.
        """
        size = MAX_CHUNK_BYTES // codes.record_bytes
        digests, values, all_own = list[bytes](), list[NDArray[np.uint64]](), list[bytes]()
        seen = ColumnsDigest()
        steps = Steps(self._store, self._dataset, codes, reading.on_changed)
        for _, columns, own in self._read(reading, steps, seen):
            step = steps.taken()
            if step is None:
                encoded = encode(columns)
                chunks = [
                    Chunk(
                        own[start * REFERENCE_BYTES : (start + size) * REFERENCE_BYTES],
                        encoded.codes[start : start + size].tobytes(),
                        encoded.exact[start : start + size].tobytes(),
                    )
                    for start in range(0, len(encoded), size)
                ]
                kept = [self._keep(number, c) for number, c in enumerate(chunks, len(digests))]
                step = steps.done(kept, encoded.values)
            digests += step.chunks
            values.append(step.values)
            all_own.append(own)
        all_values = np.concatenate(values)
        del values
        _check_number(len(all_values), codes)
        manifest = Manifest(codes, len(all_values), len(digests), ())
        finished = steps.finished_entries(len(all_values))
        digests += [digest for step in finished for digest in step.chunks]
        for of_entry in tokens(all_values, b"".join(all_own), len(finished)):
            rows = manifest.token_rows
            chunks = [
                Chunk(tokens=of_entry[start : start + rows].tobytes())
                for start in range(0, len(of_entry), rows)
            ]
            kept = [self._keep(number, c) for number, c in enumerate(chunks, len(digests))]
            digests += steps.done(kept).chunks
            steps.begin_entry(len(all_values))
        reading.at_the_end()
        return self._complete(replace(manifest, chunk_sha256=tuple(digests)), seen.digest(), 0)

    def fill_tickets(
        self,
        reading: Reading,
        values_of: Callable[[Columns], NDArray[np.uint64]],
        codes: CodeId,
        tickets: Callable[[NDArray[np.uint64], bytes, int], Iterator[Tickets]],
    ) -> Manifest:
        """Make the tickets of a whole source for a job of two rounds; return their manifest.

        What an earlier call has finished is taken, as for `fill`.

        Args:
            reading: the records.
            values_of: hashes the parts of the block entries of a table's normalised words.
            codes: under what the tickets are made.
            tickets: makes the tickets of all records of their hashed values and references,
                for each other party and entry in the order of the manifest beyond so many
                first ones.

        Raises:
            RecordError: as for `fill`.
        """
        parts, all_own = list[NDArray[np.uint64]](), list[bytes]()
        seen = ColumnsDigest()
        steps = Steps(self._store, self._dataset, codes, reading.on_changed)
        for table, columns, own in self._read(reading, steps, seen):
            step = steps.taken()
            if step is None:
                self._keep_records(len(parts), table)
                step = steps.done([], values_of(columns))
            parts.append(step.values)
            all_own.append(own)
        n_tables, all_values = len(parts), np.concatenate(parts)
        del parts
        _check_number(len(all_values), codes)
        size = MAX_CHUNK_BYTES // ticket_bytes(codes.block_bytes)
        finished = steps.finished_entries(len(all_values))
        digests = [digest for step in finished for digest in step.chunks]
        counts = [step.count for step in finished]
        for of_entry in tickets(all_values, b"".join(all_own), len(finished)):
            chunks = list[bytes]()
            for start in range(0, len(of_entry), size):
                part = of_entry.at(slice(start, start + size))
                rows = rows_of(part.token, part.mark, codes.block_bytes)
                chunks.append(self._keep(len(digests) + len(chunks), Chunk(tokens=rows.tobytes())))
            digests += steps.done(chunks, count=len(of_entry)).chunks
            steps.begin_entry(len(all_values))
            counts.append(len(of_entry))
        reading.at_the_end()
        manifest = Manifest(codes, len(all_values), 0, tuple(digests), tuple(counts))
        return self._complete(manifest, seen.digest(), n_tables)

    def _read(
        self, reading: Reading, steps: Steps, seen: ColumnsDigest
    ) -> Iterator[tuple[pa.Table, Columns, bytes]]:
        """Yield tables, their normalised words and their references; begin a step for each."""
        n_records = 0
        for table in reading.tables:
            columns, of_table = reading.columns(table), ColumnsDigest()
            of_words = hashlib.sha256()
            for column in columns.values():
                of_words.update(column.classes.tobytes())
                of_words.update(column.flags.tobytes())
            record_ids = cast("list[str]", table["record_id"].to_pylist())
            own = reading.references.of(record_ids)
            seen.add(columns)
            of_table.add(columns)
            of_words.update(own + of_table.digest())
            steps.begin(of_words.digest(), n_records)
            yield table, columns, own
            n_records += len(table)

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
        self._store.write(self._dataset, _records_name(number), out.getvalue())

    def _complete(self, manifest: Manifest, source_digest: bytes, n_tables: int) -> Manifest:
        """Write the manifest, and remove what is no part of its batch."""
        batch = {_name(index) for index in range(len(manifest.chunk_sha256))}
        batch |= {_records_name(number) for number in range(n_tables)}
        steps = set[str]()
        for name in self._store.names(self._dataset):
            if name.startswith(STEP):
                steps.add(name)
            elif name not in batch:
                # Of a longer source, that an earlier run had begun with.
                self._store.remove(self._dataset, name)
        self._store.write(self._dataset, _SOURCE, source_digest)
        self._store.write(self._dataset, _MANIFEST, manifest_to_bytes(manifest))
        for name in steps:
            self._store.remove(self._dataset, name)
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


def _records_name(number: int) -> str:
    return f"{_RECORDS}{number:06}"


def forget_spools(store: ArtefactStore, today: datetime.date) -> None:
    """Destroy the spools whose last day is over.

    What else the agent keeps stays readable: the maps of references and of who took part are what
    rights and the trail are answered from.
    """
    store.destroy_expired(today, _PREFIX)
