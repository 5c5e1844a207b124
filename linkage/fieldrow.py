"""The row that an owner sends for one pair in the refinement round: its layout.

For each of A attributes, in the order of the schema, a field filter of 32 bytes; then
for each attribute one byte, its share of the rarity class. A filter has exactly `N_SET`
bits set whatever the value; where the value is missing it has none. Owners write rows
(`encode.fields`), the matcher reads them (`compare.fields`): neither imports the other.
"""

import numpy as np
from numpy.typing import NDArray

from linkage.errors import MalformedMessageError

N_BITS = 256
FILTER_BYTES = N_BITS // 8
N_SET = 40
N_CLASSES = 4
_FIELD_BYTES = FILTER_BYTES + 1


def row_bytes(n_attributes: int) -> int:
    """Return the length of a row: 33 bytes for each attribute."""
    return _FIELD_BYTES * n_attributes


def split_rows(
    rows: NDArray[np.uint8], n_attributes: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Return the filters and the class shares of rows that an owner sent.

    Args:
        rows: shape (n_pairs, row_bytes(n_attributes)).
        n_attributes: number of attributes of the schema that are no identifiers.

    Returns:
        Filters, shape (n_pairs, n_attributes, 4), and shares, shape (n_pairs, n_attributes).

    Raises:
        MalformedMessageError: a row has another length, a filter has neither `N_SET` bits
            nor none, or a share is no class: the popcount is what keeps a value's length
            from showing, so a sender that breaks it is stopped.
    """
    if rows.ndim != 2 or rows.shape[1] != row_bytes(n_attributes):
        raise MalformedMessageError("field rows of another length than the schema gives")
    at = n_attributes * FILTER_BYTES
    filters = np.ascontiguousarray(rows[:, :at]).view("<u8").astype(np.uint64, copy=False)
    filters = filters.reshape(len(rows), n_attributes, FILTER_BYTES // 8)
    set_bits = np.bitwise_count(filters).sum(axis=2, dtype=np.int32)
    if not np.isin(set_bits, (0, N_SET)).all():
        raise MalformedMessageError("a field filter with a wrong number of set bits")
    shares = rows[:, at:]
    if shares.size and shares.max() >= N_CLASSES:
        raise MalformedMessageError("a rarity class that there is not")
    return filters, shares
