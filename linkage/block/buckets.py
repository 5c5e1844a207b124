"""Buckets: the records of a party by their tokens, and the candidates that share one.

A record's candidates are all records of the other side that share a token with it,
each once, however many tokens they share. They are counted before they are made.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

_EXACT = np.uint64(1 << 63)


def joined_tokens(blocks: NDArray[np.uint32], exact: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return block and exact tokens of records as numbers, shape (n, slots).

    Args:
        blocks: block tokens, shape (n, block_slots).
        exact: exact tokens, shape (n, exact_slots, 16).
    """
    return np.concatenate([blocks.astype(np.uint64), exact_tokens(exact)], axis=1)


def exact_tokens(exact: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return exact tokens as numbers, shape (n, exact_slots).

    Half of a token stands for the whole: that two of 2^63 meet by chance makes a
    candidate, and no link. One value in two slots is two tokens.
    """
    halves = np.ascontiguousarray(exact[:, :, :8]).view("<u8")[:, :, 0]
    numbers: NDArray[np.uint64] = (
        halves ^ (np.arange(exact.shape[1], dtype=np.uint64) << np.uint64(56))
    ) | _EXACT
    return numbers


@dataclass(frozen=True)
class Buckets:
    """The records of one party by token.

    Attributes:
        tokens: distinct tokens, ascending, shape (n_buckets,).
        offsets: the records of bucket b are `members[offsets[b]:offsets[b + 1]]`.
        members: record numbers, ascending in each bucket.
    """

    tokens: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    members: NDArray[np.int32]

    @classmethod
    def of(cls, tokens: NDArray[np.uint64]) -> "Buckets":
        """Return the buckets of records with these tokens, shape (n, slots)."""
        n, slots = tokens.shape
        order = np.argsort(tokens.ravel(), kind="stable")
        ordered = tokens.ravel()[order]
        first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))[: n * slots]
        members = (order // max(slots, 1)).astype(np.int32)
        return cls(ordered[first], np.append(first, len(ordered)).astype(np.int64), members)

    def find(self, tokens: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the number of each token's bucket, -1 where there is none, same shape."""
        if not len(self.tokens):
            return np.full(tokens.shape, -1, dtype=np.int32)
        at = np.searchsorted(self.tokens, tokens).clip(max=len(self.tokens) - 1)
        return np.where(self.tokens[at] == tokens, at, -1).astype(np.int32)


def count_candidates(found: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many candidates each record has at most, shape (n,).

    Those that share several tokens count several times.

    Args:
        found: the bucket of each token of each record, from `Buckets.find`.
        offsets: of the buckets.
    """
    sizes = np.append(np.diff(offsets), 0)
    counts: NDArray[np.int64] = sizes[found].sum(axis=1)
    return counts


def shared_pairs(
    buckets: Buckets, tokens: NDArray[np.uint64], n_right: int, *, within: bool, first: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the pairs of records that share a token, each once.

    Args:
        buckets: the records of the other side.
        tokens: tokens of some records in a row, shape (n, slots).
        n_right: number of records of the other side.
        within: whether both sides are one set; then only pairs right > left count.
        first: number of the first of the records.

    Returns:
        Record numbers of both sides, ordered by left, then right.
    """
    found = buckets.find(tokens)
    room = int(count_candidates(found, buckets.offsets).sum())
    numbers = np.arange(first, first + len(tokens), dtype=np.int32)
    after = numbers if within else np.full(len(tokens), -1, dtype=np.int32)
    out = np.empty(room, dtype=np.int32)
    per_record = np.empty(len(tokens), dtype=np.int64)
    seen = np.full(n_right, -1, dtype=np.int32)
    _list_candidates(found, buckets.offsets, buckets.members, after, seen, per_record, out)
    # Where records share many tokens, most of the room stays empty.
    right = out[: per_record.sum()]
    return np.repeat(numbers, per_record), right


@njit(cache=True, nogil=True)
def _list_candidates(
    found: NDArray[np.int32],
    offsets: NDArray[np.int64],
    members: NDArray[np.int32],
    after: NDArray[np.int32],
    seen: NDArray[np.int32],
    per_record: NDArray[np.int64],
    out: NDArray[np.int32],
) -> None:
    """List the candidates of records, each once, ascending; count them for each record."""
    written = 0
    for record in range(len(found)):
        start = written
        for slot in range(found.shape[1]):
            bucket = found[record, slot]
            if bucket < 0:
                continue
            for at in range(offsets[bucket], offsets[bucket + 1]):
                member = members[at]
                if member > after[record] and seen[member] != record:
                    seen[member] = record
                    out[written] = member
                    written += 1
        out[start:written].sort()
        per_record[record] = written - start
