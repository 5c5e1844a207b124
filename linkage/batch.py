"""What a batch is: the manifest of an upload, and its chunks.

The manifest commits the uploader to every chunk before the first is sent, so a
chunk can be sent again after any interruption and can never be another one.
"""

import hashlib
from dataclasses import dataclass

import rfc8785

from linkage.errors import MalformedMessageError
from linkage.job import BLOCK_TOKEN_BYTES, EXACT_TOKEN_BYTES, REFERENCE_BYTES, CodeId

# A chunk is one message: small enough for the server's limit of 4 MiB with room to
# spare, large enough that a batch of a million records has about a thousand.
MAX_CHUNK_BYTES = 1 << 20
MAX_CHUNKS = 65_536


@dataclass(frozen=True)
class Chunk:
    """Some records of a batch.

    Attributes:
        references: 16 bytes for each record, in a row.
        codes: the packed code of each record, in the same order.
        blocks: the block tokens of each record, 4 bytes each, little-endian.
        exact: the exact tokens of each record, 16 bytes each.
    """

    references: bytes
    codes: bytes
    blocks: bytes = b""
    exact: bytes = b""

    def digest(self) -> bytes:
        """Return SHA-256 over the chunk, 32 bytes.

        The number of records follows from the length and what the manifest says of a
        record, so the parts cannot be cut in other places.
        """
        return hashlib.sha256(self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        """Return all parts in a row, as they are kept."""
        return self.references + self.codes + self.blocks + self.exact

    @classmethod
    def from_bytes(cls, content: bytes, codes: CodeId) -> "Chunk":
        """Return the chunk that `to_bytes` wrote.

        Args:
            content: the parts in a row.
            codes: under what the records were encoded.
        """
        n_records = len(content) // codes.record_bytes
        parts, start = [], 0
        for n_bytes in part_bytes(codes):
            parts.append(content[start : start + n_records * n_bytes])
            start += n_records * n_bytes
        return cls(*parts)


def part_bytes(codes: CodeId) -> tuple[int, int, int, int]:
    """Return how long each part of a record is, in the order of a chunk."""
    return (
        REFERENCE_BYTES,
        codes.code_bits // 8,
        codes.block_slots * BLOCK_TOKEN_BYTES,
        codes.exact_slots * EXACT_TOKEN_BYTES,
    )


@dataclass(frozen=True)
class Manifest:
    """What a batch will be.

    Attributes:
        codes: under what its records were encoded.
        n_records: number of records.
        chunk_sha256: digest of each chunk.
    """

    codes: CodeId
    n_records: int
    chunk_sha256: tuple[bytes, ...]

    def digest(self) -> bytes:
        """Return SHA-256 over the manifest's canonical form, 32 bytes."""
        return hashlib.sha256(
            rfc8785.dumps(
                {
                    "schema_id": self.codes.schema_id.hex(),
                    "epoch": self.codes.epoch,
                    "key_check": self.codes.key_check.hex(),
                    "scheme": self.codes.scheme,
                    "code_bits": self.codes.code_bits,
                    "block_slots": self.codes.block_slots,
                    "exact_slots": self.codes.exact_slots,
                    "n_records": self.n_records,
                    "chunks": hashlib.sha256(b"".join(self.chunk_sha256)).hexdigest(),
                }
            )
        ).digest()

    def check_chunk(self, index: int, chunk: Chunk) -> int:
        """Check a chunk against the manifest and return its number of records.

        Raises:
            MalformedMessageError: it is not the chunk that the manifest promises.
        """
        if not 0 <= index < len(self.chunk_sha256):
            raise MalformedMessageError(
                f"chunk {index}: the manifest has {len(self.chunk_sha256)} chunks"
            )
        n_records, rest = divmod(len(chunk.references), REFERENCE_BYTES)
        parts = (chunk.references, chunk.codes, chunk.blocks, chunk.exact)
        promised = [n_records * n_bytes for n_bytes in part_bytes(self.codes)]
        if rest or [len(part) for part in parts] != promised:
            raise MalformedMessageError(
                f"chunk {index}: truncated, or its records have another length than the "
                "manifest says"
            )
        if chunk.digest() != self.chunk_sha256[index]:
            raise MalformedMessageError(
                f"chunk {index}: damaged on its way, or not the one of the manifest: send it again"
            )
        return n_records
