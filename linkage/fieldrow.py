"""The row that an owner sends for one pair in the refinement round: its layout.

For each of A attributes, in the order of the schema, a field filter of 32 bytes; then
for each attribute one byte, its share of the rarity class; then for each identifier 8
bytes, equal at both owners where the numbers are. A filter has exactly `N_SET` bits set
whatever the value; where a value is missing it has none, and an identifier is all zeros.
Owners write rows (`encode.fields`), the matcher reads them (`compare.fields`): neither
imports the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.errors import MalformedMessageError

N_BITS = 256
FILTER_BYTES = N_BITS // 8
N_SET = 40
N_CLASSES = 2
IDENTIFIER_BYTES = 8
_FIELD_BYTES = FILTER_BYTES + 1


@dataclass(frozen=True)
class RowForm:
    """What a row holds.

    Attributes:
        n_attributes: attributes of the schema that are no identifiers.
        n_identifiers: identifiers.
    """

    n_attributes: int
    n_identifiers: int = 0

    @property
    def n_bytes(self) -> int:
        """Length of a row: 33 bytes for each attribute, 8 for each identifier."""
        return _FIELD_BYTES * self.n_attributes + IDENTIFIER_BYTES * self.n_identifiers


@dataclass(frozen=True)
class SplitRows:
    """Rows in their parts.

    Attributes:
        filters: shape (n_pairs, n_attributes, 4).
        shares: of the rarity classes, shape (n_pairs, n_attributes).
        identifiers: 0 where missing, shape (n_pairs, n_identifiers).
    """

    filters: NDArray[np.uint64]
    shares: NDArray[np.uint8]
    identifiers: NDArray[np.uint64]


def split_rows(rows: NDArray[np.uint8], form: RowForm) -> SplitRows:
    """Return the parts of rows that an owner sent.

    Args:
        rows: shape (n_pairs, form.n_bytes).
        form: what a row holds.

    Raises:
        MalformedMessageError: a row has another length, a filter has neither `N_SET` bits
            nor none, or a share is no class: the popcount is what keeps a value's length
            from showing, so a sender that breaks it is stopped.
    """
    if rows.ndim != 2 or rows.shape[1] != form.n_bytes:
        raise MalformedMessageError("field rows of another length than the schema gives")
    n_attributes = form.n_attributes
    at, end = n_attributes * FILTER_BYTES, n_attributes * _FIELD_BYTES
    filters = np.ascontiguousarray(rows[:, :at]).view("<u8").astype(np.uint64, copy=False)
    filters = filters.reshape(len(rows), n_attributes, FILTER_BYTES // 8)
    set_bits = np.bitwise_count(filters).sum(axis=2, dtype=np.int32)
    if not np.isin(set_bits, (0, N_SET)).all():
        raise MalformedMessageError("a field filter with a wrong number of set bits")
    shares = rows[:, at:end]
    if shares.size and shares.max() >= N_CLASSES:
        raise MalformedMessageError("a rarity class that there is not")
    identifiers = np.ascontiguousarray(rows[:, end:]).view("<u8").astype(np.uint64, copy=False)
    return SplitRows(filters, shares, identifiers.reshape(len(rows), form.n_identifiers))
