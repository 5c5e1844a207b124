"""The spool: a batch encoded on disk before it is sent, encrypted, sent as often as needed."""

import datetime
from collections.abc import Callable, Iterator
from typing import cast

import pyarrow as pa

from linkage.agent.references import References
from linkage.batch import MAX_CHUNK_BYTES, Chunk, Manifest
from linkage.encode.encoder import EncodedRecords
from linkage.job import REFERENCE_BYTES, CodeId
from linkage.rpc.convert import manifest_from_bytes, manifest_to_bytes
from linkage.store.artefacts import ArtefactStore

_MANIFEST = "manifest"


class Spool:
    """The encoded batch of one job.

    Args:
        store: the agent's encrypted store.
        job_id: the job it is for.
    """

    def __init__(self, store: ArtefactStore, job_id: str) -> None:
        self._store, self._dataset = store, f"spool-{job_id}"

    def manifest(self) -> Manifest | None:
        """Return the manifest of a batch that is complete on disk, or None."""
        if _MANIFEST not in self._store.names(self._dataset):
            return None
        return manifest_from_bytes(self._store.read(self._dataset, _MANIFEST))

    def fill(
        self,
        tables: Iterator[pa.Table],
        encode: Callable[[pa.Table], EncodedRecords],
        references: References,
        codes: CodeId,
        expires: datetime.date,
    ) -> Manifest:
        """Encode a whole source, chunk by chunk, and return its manifest.

        Args:
            tables: the records.
            encode: makes codes and tokens of a table.
            references: gives each record its reference; kept before anything is sent.
            codes: under what the records are encoded.
            expires: day after which the spool can no longer be read.

        Raises:
            RecordError: the source cannot be used.
        """
        self._store.delete(self._dataset)
        self._store.create(self._dataset, expires)
        step = MAX_CHUNK_BYTES // codes.record_bytes
        digests: list[bytes] = []
        n_records = 0
        for table in tables:
            encoded = encode(table)
            own = references.of(cast("list[str]", table["record_id"].to_pylist()))
            for start in range(0, len(encoded), step):
                end = start + step
                chunk = Chunk(
                    own[start * REFERENCE_BYTES : end * REFERENCE_BYTES],
                    encoded.codes[start:end].tobytes(),
                    encoded.blocks[start:end].astype("<u4", copy=False).tobytes(),
                    encoded.exact[start:end].tobytes(),
                )
                self._store.write(self._dataset, _name(len(digests)), chunk.to_bytes())
                digests.append(chunk.digest())
            n_records += len(encoded)
        manifest = Manifest(codes=codes, n_records=n_records, chunk_sha256=tuple(digests))
        self._store.write(self._dataset, _MANIFEST, manifest_to_bytes(manifest))
        return manifest

    def chunk(self, manifest: Manifest, index: int) -> Chunk:
        """Return one chunk of the batch.

        Raises:
            VerificationError: it was changed on disk.
        """
        content = self._store.read(self._dataset, _name(index))
        return Chunk.from_bytes(content, manifest.codes)

    def forget_chunks(self) -> None:
        """Remove all of the batch but its manifest."""
        for name in self._store.names(self._dataset):
            if name != _MANIFEST:
                self._store.remove(self._dataset, name)


def _name(index: int) -> str:
    return f"chunk-{index:06}"
