"""Field rows of all records of one source, which was normalised chunk by chunk."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linkage.encode.fields import FieldEncoder, Side
from linkage.normalise.columns import FlaggedColumn
from linkage.schema import LinkageSchema


class FieldRows:
    """Makes the rows that an owner sends in the second round.

    Args:
        schema: the linkage schema.
    """

    def __init__(self, schema: LinkageSchema) -> None:
        self._schema = schema
        self._encoders: list[FieldEncoder] = []
        self._starts = [0]

    def __repr__(self) -> str:
        return "FieldRows(...)"

    def __len__(self) -> int:
        """Return the number of records."""
        return self._starts[-1]

    def add(self, columns: Mapping[str, FlaggedColumn]) -> None:
        """Add the records of the next chunk, by their normalised words."""
        self._encoders.append(FieldEncoder(self._schema, columns))
        self._starts.append(self._starts[-1] + len(columns[self._schema.fuzzy[0].name]))

    def encode(
        self, records: NDArray[np.int64], keys: NDArray[np.uint8], side: Side
    ) -> NDArray[np.uint8]:
        """Return the rows of pairs, shape (n_pairs, row_bytes).

        Args:
            records: the own record of each pair, shape (n_pairs,).
            keys: the one-time key of each pair, shape (n_pairs, 32).
            side: `left` for the owner that the job names first.
        """
        rows = np.empty((len(records), self._encoders[0].row_bytes), dtype=np.uint8)
        chunk_of = np.searchsorted(self._starts, records, side="right") - 1
        for number in np.unique(chunk_of):
            mine = chunk_of == number
            own = records[mine] - self._starts[number]
            rows[mine] = self._encoders[number].encode(own, keys[mine], side)
        return rows


class ColumnsDigest:
    """A running digest of normalised columns: tells whether a source is still the same."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, columns: Mapping[str, FlaggedColumn]) -> None:
        """Take in the records of the next chunk."""
        for name, column in columns.items():
            words = "\n".join(column.vocabulary).encode()
            for part in (name.encode(), words, column.word_ids.tobytes(), column.offsets.tobytes()):
                self._digest.update(len(part).to_bytes(8, "big"))
                self._digest.update(part)

    def digest(self) -> bytes:
        """Return the digest of all chunks so far, 32 bytes."""
        return self._digest.digest()
