"""Match groups to what two parties are told of each other: link ids (R3), or answers (R1).

A link id is HMAC-SHA-256(K_pair, group) cut to 16 bytes, where K_pair is a key of
one agreement and one pair of parties. It is equal at both parties and says nothing
under any other agreement or to any third party. An answer says of one record whether it was
linked, whatever else was.
"""

import hmac
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linkage.result import LINK_ID_BYTES, MATCH, UNDETERMINED
from linkage.solve.agreed import Solution


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


def grades_of(label: NDArray[np.int32], surely: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return the grade of each record's group: a match if sure pairs alone make all of it.

    Args:
        label: group of each record, called by its smallest record, shape (n,).
        surely: its group where only sure pairs count, likewise.

    Returns:
        `MATCH` or `UNDETERMINED` for each record, shape (n_records,).
    """
    grades = np.full(len(label), MATCH, dtype=np.uint8)
    grades[label[surely != surely[label]]] = UNDETERMINED
    of_group: NDArray[np.uint8] = grades[label]
    return of_group


def answers_of(
    found: Solution,
    party_of: NDArray[np.uint8],
    references: NDArray[np.uint8],
    own: int,
    others: Sequence[int],
) -> tuple[bytes, bytes]:
    """Return the records of a party that were linked with some of others, and their grades.

    A record is a match if sure pairs alone would join it to a record of another party: what else
    joined its group, or how many, changes nothing.

    Args:
        found: the groups.
        party_of: party number of each record, shape (n,).
        references: record references, shape (n, 16).
        own: number of the party.
        others: numbers of the other parties that count.

    Returns:
        References in ascending order, and a grade for each.
    """
    rows = np.flatnonzero(party_of == own)
    linked, surely = (
        np.isin(label[rows], label[np.isin(party_of, others)])
        for label in (found.label, found.surely)
    )
    grades = np.where(surely, MATCH, UNDETERMINED).astype(np.uint8)[linked]
    rows = rows[linked]
    order = np.lexsort(references[rows].T[::-1])
    return references[rows[order]].tobytes(), grades[order].tobytes()
