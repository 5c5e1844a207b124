"""Match groups to link ids (result level R3), one kind for each pair of parties.

A link id is HMAC-SHA-256(K_pair, group) cut to 16 bytes, where K_pair is a key of
one agreement and one pair of parties. It is equal at both parties and says nothing
under any other agreement or to any third party.
"""

import hashlib
import hmac
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LINK_ID_BYTES = 16
# Grades of links, one byte each.
UNDETERMINED, MATCH = 1, 2


@dataclass(frozen=True)
class Links:
    """Link ids of one party's records with those of one other party.

    Attributes:
        counterpart: the other party.
        references: the own records' references, 16 bytes each, in a row.
        link_ids: as many link ids, 16 bytes each.
        grades: as many grades, one byte each: `MATCH` or `UNDETERMINED`.
    """

    counterpart: str
    references: bytes
    link_ids: bytes
    grades: bytes

    def __len__(self) -> int:
        """Return the number of links."""
        return len(self.link_ids) // LINK_ID_BYTES


def links_of_pair(
    label: NDArray[np.int32],
    party_of: NDArray[np.uint8],
    references: NDArray[np.uint8],
    grade_of: NDArray[np.uint8],
    pair: tuple[int, int],
    key: bytes,
) -> tuple[tuple[bytes, bytes, bytes], tuple[bytes, bytes, bytes]]:
    """Return references, link ids and grades of both parties of a pair.

    Args:
        label: group of each record, shape (n,).
        party_of: party number of each record, shape (n,).
        references: record references, shape (n, 16).
        grade_of: grade of the group of each record, shape (n,).
        pair: numbers of the two parties.
        key: K_pair, 32 bytes.

    Returns:
        For each party its references, the link ids and the grades in the same order,
        which is that of the references: it tells nothing of the group or the score.
    """
    sides = [np.flatnonzero(party_of == party) for party in pair]
    shared = np.intersect1d(label[sides[0]], label[sides[1]])
    out = []
    for side in sides:
        rows = side[np.isin(label[side], shared)]
        rows = rows[np.lexsort(references[rows].T[::-1])]
        ids = [_link_id(key, references[label[row]].tobytes()) for row in rows]
        out.append((references[rows].tobytes(), b"".join(ids), grade_of[rows].tobytes()))
    return out[0], out[1]


def _link_id(key: bytes, group: bytes) -> bytes:
    """Return the link id of a group, which is named by the reference of its first record."""
    return hmac.digest(key, group, "sha256")[:LINK_ID_BYTES]


def links_digest(parts: list[Links]) -> bytes:
    """Return SHA-256 over all links of one party, 32 bytes: what the result leaf commits to.

    Counterparts count in the order of their names, and only where there are links.
    """
    digest = hashlib.sha256()
    there = [part for part in parts if part.references or part.link_ids or part.grades]
    for part in sorted(there, key=lambda part: part.counterpart):
        for field in (part.counterpart.encode(), part.references, part.link_ids, part.grades):
            digest.update(len(field).to_bytes(8, "big"))
            digest.update(field)
    return digest.digest()
