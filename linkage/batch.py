"""What a batch is: the manifest of an upload, and its chunks.

The manifest commits the uploader to every chunk before the first is sent, so a
chunk can be sent again after any interruption and can never be another one.
"""

import bisect
import hashlib
import itertools
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import rfc8785

from linkage.errors import MalformedMessageError
from linkage.job import EXACT_TOKEN_BYTES, REFERENCE_BYTES, CodeId
from linkage.ticket import ticket_bytes

# A chunk is one message: small enough for the server's limit of 4 MiB with room to
# spare, large enough that a batch of a million records has about a thousand.
MAX_CHUNK_BYTES = 1 << 20
MAX_CHUNKS = 65_536


@dataclass(frozen=True)
class Chunk:
    """A part of a batch: some records, or block tokens of some records.

    Attributes:
        references: 16 bytes for each record, in a row.
        codes: the packed code of each record, in the same order.
        exact: the exact tokens of each record, 16 bytes each.
        tokens: the block tokens of each record, of one entry and for one other party; in
            a job of two rounds tickets. A chunk has either these or the other three.
    """

    references: bytes = b""
    codes: bytes = b""
    exact: bytes = b""
    tokens: bytes = b""

    def digest(self) -> bytes:
        """Return SHA-256 over the chunk, 32 bytes.

        The number of records follows from the length and what the manifest says of a
        record, so the parts cannot be cut in other places.
        """
        return hashlib.sha256(self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        """Return all parts in a row, as they are kept."""
        return self.references + self.codes + self.exact + self.tokens

    @classmethod
    def from_bytes(cls, content: bytes, codes: CodeId) -> "Chunk":
        """Return the chunk of records that `to_bytes` wrote.

        Args:
            content: the parts in a row.
            codes: under what the records were encoded.
        """
        n_records = len(content) // codes.record_bytes
        at = REFERENCE_BYTES * n_records
        end = at + n_records * (codes.code_bits // 8)
        return cls(content[:at], content[at:end], content[end:])


@dataclass(frozen=True)
class Manifest:
    """What a batch will be: chunks of records, then chunks of block tokens.

    The latter follow other party by other party in the order of the job, entry by entry,
    and in each cut into pieces of `token_rows`. In a job of two rounds there are no chunks of
    records, and a row is a ticket.

    Attributes:
        codes: under what its records were encoded.
        n_records: number of records.
        n_record_chunks: how many of the chunks are of records.
        chunk_sha256: digest of each chunk.
        n_tickets: of each other party and entry; empty for one round.
        gate_sha256: digest of the risk gate's result that speaks for it, b"" for none.
    """

    codes: CodeId
    n_records: int
    n_record_chunks: int
    chunk_sha256: tuple[bytes, ...]
    n_tickets: tuple[int, ...] = ()
    gate_sha256: bytes = b""

    @property
    def row_bytes(self) -> int:
        """Length of a row of a chunk of block tokens, or of a ticket."""
        codes = self.codes
        return ticket_bytes(codes.block_bytes) if self.n_tickets else codes.token_row_bytes

    @property
    def token_rows(self) -> int:
        """Rows of a chunk of block tokens or tickets; the last of an entry may have fewer."""
        return max(MAX_CHUNK_BYTES // max(self.row_bytes, 1), 1)

    def pieces(self, rows: int) -> int:
        """Return how many chunks an entry of so many rows takes."""
        return -(-rows // self.token_rows)

    def n_token_chunks(self, n_parties: int) -> int:
        """Return how many chunks of block tokens or tickets a job of so many parties has."""
        if self.n_tickets:
            return sum(map(self.pieces, self.n_tickets))
        return (n_parties - 1) * self.codes.block_entries * self.pieces(self.n_records)

    def token_chunks(self, counterpart: int, entry: int) -> range:
        """Return the indexes of the chunks of an entry.

        Args:
            counterpart: number of the other party among all but one's own.
            entry: number of the block entry.
        """
        before = counterpart * self.codes.block_entries + entry
        if self.n_tickets:
            first = self.n_record_chunks + self._ticket_pieces[before]
            return range(first, first + self.pieces(self.n_tickets[before]))
        pieces = self.pieces(self.n_records)
        first = self.n_record_chunks + before * pieces
        return range(first, first + pieces)

    @cached_property
    def _ticket_pieces(self) -> list[int]:
        """How many chunks come before each set of tickets, and all of them."""
        return [0, *itertools.accumulate(map(self.pieces, self.n_tickets))]

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
                    "block_entries": self.codes.block_entries,
                    "block_copies": self.codes.block_copies,
                    "block_bytes": self.codes.block_bytes,
                    "exact_slots": self.codes.exact_slots,
                    "n_records": self.n_records,
                    "n_record_chunks": self.n_record_chunks,
                    "n_tickets": list(self.n_tickets),
                    "gate": self.gate_sha256.hex(),
                    "chunks": hashlib.sha256(b"".join(self.chunk_sha256)).hexdigest(),
                }
            )
        ).digest()

    def check_chunk(self, index: int, chunk: Chunk) -> int:
        """Check a chunk against the manifest and return its number of records.

        That of a chunk of block tokens is 0: its records have come before.

        Raises:
            MalformedMessageError: it is not the chunk that the manifest promises.
        """
        if not 0 <= index < len(self.chunk_sha256):
            raise MalformedMessageError(
                f"chunk {index}: the manifest has {len(self.chunk_sha256)} chunks"
            )
        n_records = len(chunk.references) // REFERENCE_BYTES
        if [len(p) for p in (chunk.references, chunk.codes, chunk.exact, chunk.tokens)] != (
            self._lengths(index, n_records)
        ):
            raise MalformedMessageError(
                f"chunk {index}: truncated, or its records have another length than the "
                "manifest says"
            )
        if chunk.digest() != self.chunk_sha256[index]:
            raise MalformedMessageError(
                f"chunk {index}: damaged on its way, or not the one of the manifest: send it again"
            )
        return n_records

    def _lengths(self, index: int, n_records: int) -> list[int]:
        """Return how long the parts of a chunk must be."""
        codes = self.codes
        if index < self.n_record_chunks:
            n_exact = codes.exact_slots * EXACT_TOKEN_BYTES
            return [
                n_records * REFERENCE_BYTES,
                n_records * (codes.code_bits // 8),
                n_records * n_exact,
                0,
            ]
        index -= self.n_record_chunks
        of_entry = self.n_records
        if self.n_tickets:
            number = bisect.bisect_right(self._ticket_pieces, index) - 1
            of_entry, piece = self.n_tickets[number], index - self._ticket_pieces[number]
        else:
            piece = index % self.pieces(self.n_records)
        rows = min(self.token_rows, of_entry - piece * self.token_rows)
        return [0, 0, 0, rows * self.row_bytes]


class QuestionKind(Enum):
    """What an owner is asked."""

    FIELDS = "fields"
    NAMES = "names"


@dataclass(frozen=True)
class Question:
    """Tickets that an owner is asked about at once in the second round.

    Attributes:
        counterpart: the owner of the other records.
        kind: what is asked.
        index: number of the question among those of this counterpart and kind. One for names
            has the tickets of the one for fields with its number.
        tickets: the own tickets, as `Tickets.packed` writes them.
        answered: whether the answer has come before.
        shares: for names, of each ticket that was not drawn, as `NameForm.share` has them.
    """

    counterpart: str
    kind: QuestionKind
    index: int
    tickets: bytes
    answered: bool
    shares: bytes = b""
