"""What a standing register is: its terms, and how it is uploaded and kept up to date.

A register is the codes of one party under one agreement and epoch, kept by the matcher to
be looked up. It has a revision. An upload either replaces the whole, or builds on the
revision before it: records come in place of older ones of their reference, others leave.
The manifest commits the uploader to every chunk before the first is sent, so an upload
goes on after any interruption, and no chunk can become another one.

Plain data, shared by agents and matcher.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from linkage.batch import MAX_CHUNK_BYTES
from linkage.errors import MalformedMessageError
from linkage.job import DIGEST_BYTES, EXACT_TOKEN_BYTES, REFERENCE_BYTES, CodeId


@dataclass(frozen=True)
class RegisterChunk:
    """A part of an upload: some records, or the references of some that leave.

    Attributes:
        references: 16 bytes for each record, in a row.
        codes: the packed code of each record, in the same order.
        exact: the exact tokens of each record, 16 bytes each.
        removed: 16 bytes for each record that leaves. A chunk has either these or the
            other three.
    """

    references: bytes = b""
    codes: bytes = b""
    exact: bytes = b""
    removed: bytes = b""

    def to_bytes(self) -> bytes:
        """Return all parts in a row, as they are kept."""
        return self.references + self.codes + self.exact + self.removed

    def digest(self) -> bytes:
        """Return SHA-256 over the chunk, 32 bytes; its length tells where it is cut."""
        return hashlib.sha256(self.to_bytes()).digest()

    @classmethod
    def of_records(cls, content: bytes, codes: CodeId) -> "RegisterChunk":
        """Return the chunk of records that `to_bytes` wrote."""
        n_records = len(content) // codes.record_bytes
        at = n_records * REFERENCE_BYTES
        end = at + n_records * (codes.code_bits // 8)
        return cls(content[:at], content[at:end], content[end:])


@dataclass(frozen=True)
class RegisterManifest:
    """What an upload will be: chunks of records, then chunks of records that leave.

    Attributes:
        agreement_id: the agreement that the register is kept under.
        codes: under what its records were encoded.
        threshold: lowest similarity of a match, as the schema has it for one round.
        base_revision: the revision it builds on; 0 where it replaces the whole.
        n_records: number of records.
        n_removed: number of records that leave.
        n_record_chunks: how many of the chunks are of records.
        chunk_sha256: digest of each chunk.
    """

    agreement_id: str
    codes: CodeId
    threshold: float
    base_revision: int
    n_records: int
    n_removed: int
    n_record_chunks: int
    chunk_sha256: tuple[bytes, ...]

    def check(self) -> None:
        """Check the manifest against itself.

        Raises:
            MalformedMessageError: naming what is wrong.
        """
        self.codes.check()
        if self.codes.block_entries:
            raise MalformedMessageError("codes: not acceptable: block_entries (none in a register)")
        n_removal_chunks = len(self.chunk_sha256) - self.n_record_chunks
        rules = {
            "threshold (above 0, at most 1)": 0 < self.threshold <= 1,
            "base_revision (0 or more)": self.base_revision >= 0,
            "n_records (at least 1, where it replaces the whole)": self.n_records >= 0
            and (self.n_records > 0 or self.base_revision > 0),
            "n_removed (none where it replaces the whole)": self.n_removed == 0
            or (self.n_removed > 0 and self.base_revision > 0),
            "chunk_sha256 (32 bytes each)": all(
                len(digest) == DIGEST_BYTES for digest in self.chunk_sha256
            ),
            "chunks (as many as its records and removals need, each full enough)": _room(
                self.n_records, self.codes.record_bytes, self.n_record_chunks
            )
            and _room(self.n_removed, REFERENCE_BYTES, n_removal_chunks),
        }
        wrong = [name for name, right in rules.items() if not right]
        if wrong:
            raise MalformedMessageError(f"register manifest: not acceptable: {', '.join(wrong)}")

    def check_chunk(self, index: int, chunk: RegisterChunk) -> int:
        """Check a chunk against the manifest and return how many records it holds or removes.

        Raises:
            MalformedMessageError: it is not the chunk that the manifest promises.
        """
        if not 0 <= index < len(self.chunk_sha256):
            raise MalformedMessageError(
                f"chunk {index}: the manifest has {len(self.chunk_sha256)} chunks"
            )
        codes = self.codes
        if index < self.n_record_chunks:
            n = len(chunk.references) // REFERENCE_BYTES
            lengths = [n * REFERENCE_BYTES, n * (codes.code_bits // 8)]
            lengths += [n * codes.exact_slots * EXACT_TOKEN_BYTES, 0]
        else:
            n = len(chunk.removed) // REFERENCE_BYTES
            lengths = [0, 0, 0, n * REFERENCE_BYTES]
        parts = (chunk.references, chunk.codes, chunk.exact, chunk.removed)
        if n == 0 or [len(part) for part in parts] != lengths:
            raise MalformedMessageError(
                f"chunk {index}: empty, truncated, or its records have another length than the "
                "manifest says"
            )
        if chunk.digest() != self.chunk_sha256[index]:
            raise MalformedMessageError(
                f"chunk {index}: damaged on its way, or not the one of the manifest: send it again"
            )
        return n

    def to_bytes(self) -> bytes:
        """Return the manifest in its canonical form."""
        codes = self.codes
        return rfc8785.dumps(
            {
                "agreement": self.agreement_id,
                "schema_id": codes.schema_id.hex(),
                "epoch": codes.epoch,
                "key_check": codes.key_check.hex(),
                "scheme": codes.scheme,
                "code_bits": codes.code_bits,
                "exact_slots": codes.exact_slots,
                "threshold": repr(self.threshold),
                "base_revision": self.base_revision,
                "n_records": self.n_records,
                "n_removed": self.n_removed,
                "n_record_chunks": self.n_record_chunks,
                "chunks": [digest.hex() for digest in self.chunk_sha256],
            }
        )

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "RegisterManifest":
        """Return the manifest of parsed `to_bytes`, which the reader has kept itself."""
        codes = CodeId(
            schema_id=bytes.fromhex(fields["schema_id"]),
            epoch=fields["epoch"],
            key_check=bytes.fromhex(fields["key_check"]),
            scheme=fields["scheme"],
            code_bits=fields["code_bits"],
            exact_slots=fields["exact_slots"],
        )
        return cls(
            fields["agreement"],
            codes,
            float(fields["threshold"]),
            fields["base_revision"],
            fields["n_records"],
            fields["n_removed"],
            fields["n_record_chunks"],
            tuple(bytes.fromhex(digest) for digest in fields["chunks"]),
        )

    def digest(self) -> bytes:
        """Return SHA-256 over the canonical form, 32 bytes."""
        return hashlib.sha256(self.to_bytes()).digest()


def _room(n: int, size: int, n_chunks: int) -> bool:
    """Return whether so many things of a size make so many chunks."""
    return (
        (n == 0) == (n_chunks == 0)
        and 0 <= n_chunks <= n
        and n * size <= n_chunks * (2 * MAX_CHUNK_BYTES)
    )
