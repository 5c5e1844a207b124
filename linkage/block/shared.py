"""Pairs of records that share tokens: the candidates that need no comparison of all.

Knows tokens as bytes only: what a token stands for stays with the agencies.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_EQUAL = 16
_MOST_WAITING = 16_000_000


@dataclass(frozen=True)
class SharedPairs:
    """Distinct pairs of records of two parties, by left, then right number.

    Attributes:
        left: record numbers, shape (n,).
        right: record numbers, shape (n,).
        count: how many entries of block tokens the two share, shape (n,).
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    count: NDArray[np.int16]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.left)

    def count_of(self, left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int16]:
        """Return how many entries pairs share, 0 for those that share none, shape (n,)."""
        if not len(self):
            return np.zeros(len(left), dtype=np.int16)
        known = self.left.astype(np.int64) << 32 | self.right
        wanted = left.astype(np.int64) << 32 | right
        at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
        return np.where(known[at] == wanted, self.count[at], np.int16(0)).astype(np.int16)


def shared_pairs(entries: Iterable[NDArray[np.uint64]]) -> SharedPairs:
    """Return the pairs that any entry brings together, and how many do.

    Args:
        entries: pairs of each entry from `meeting_pairs`, one at a time.
    """
    pairs, counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    waiting: list[NDArray[np.uint64]] = []
    for of_entry in entries:
        waiting.append(of_entry)
        # Merged as they come: the pairs of all entries are many times the distinct ones.
        if sum(map(len, waiting)) > _MOST_WAITING:
            pairs, counts = _merged(pairs, counts, waiting)
            waiting = []
    pairs, counts = _merged(pairs, counts, waiting)
    return SharedPairs(
        (pairs >> np.uint64(32)).astype(np.int32),
        (pairs & np.uint64(0xFFFFFFFF)).astype(np.int32),
        counts.clip(max=2**15 - 1).astype(np.int16),
    )


def _merged(
    pairs: NDArray[np.uint64], counts: NDArray[np.int64], more: list[NDArray[np.uint64]]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Add pairs, each once in its array, to distinct pairs and their counts."""
    added, times = np.unique(np.concatenate([np.zeros(0, np.uint64), *more]), return_counts=True)
    everything = np.concatenate([pairs, added])
    weights = np.concatenate([counts, times])
    order = np.argsort(everything, kind="stable")
    everything, weights = everything[order], weights[order]
    fresh = np.flatnonzero(np.concatenate(([True], everything[1:] != everything[:-1])))
    fresh = fresh[: len(everything)]
    total = np.add.reduceat(weights, fresh) if len(fresh) else np.zeros(0, np.int64)
    return everything[fresh], total


def meeting_pairs(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the distinct pairs that share a token, as left << 32 | right.

    Args:
        left: tokens of the left party's records, shape (n, copies, token_bytes).
        right: those of the right party's, shape (m, copies, token_bytes).
    """
    left_tokens, left_records = _once(left)
    right_tokens, right_records = _once(right)
    if not len(left_tokens) or not len(right_tokens):
        return np.zeros(0, np.uint64)
    at = np.searchsorted(right_tokens, left_tokens).clip(max=len(right_tokens) - 1)
    met = right_tokens[at] == left_tokens
    return np.unique(left_records[met] << np.uint64(32) | right_records[at[met]])


def equal_pairs(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the distinct pairs that share an exact token in one slot, as left << 32 | right.

    A token that more than `MOST_EQUAL` records of a side share names nobody (a placeholder,
    or an attack on the matcher's memory) and brings no pairs.

    Args:
        left: exact tokens, shape (n, exact_slots, 16).
        right: exact tokens, shape (m, exact_slots, 16); `left` itself for one set, where
            only pairs right > left count.
    """
    found = [np.zeros(0, np.uint64)]
    for slot in range(left.shape[1]):
        own, other = (
            np.ascontiguousarray(side[:, slot]).view("V16")[:, 0] for side in (left, right)
        )
        order = np.argsort(other, kind="stable")
        first = np.searchsorted(other[order], own, side="left")
        sizes = np.searchsorted(other[order], own, side="right") - first
        _, number, held = np.unique(own, return_inverse=True, return_counts=True)
        sizes[(sizes > MOST_EQUAL) | (held[number] > MOST_EQUAL)] = 0
        lefts = np.repeat(np.arange(len(own)), sizes)
        offsets = np.arange(len(lefts)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rights = order[np.repeat(first, sizes) + offsets]
        kept = lefts < rights if left is right else np.ones(len(lefts), np.bool_)
        found.append(
            lefts[kept].astype(np.uint64) << np.uint64(32) | rights[kept].astype(np.uint64)
        )
    return np.unique(np.concatenate(found))


def _once(tokens: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the tokens that stand once, ascending, and whose they are.

    A token that stands twice is noise that met by chance, or breaks the rules.
    """
    n, copies, width = tokens.shape
    padded = np.zeros((n * copies, 8), dtype=np.uint8)
    padded[:, :width] = tokens.reshape(-1, width)
    flat = padded.view("<u8")[:, 0].astype(np.uint64)
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    new = np.concatenate(([True], ordered[1:] != ordered[:-1]))[: len(ordered)]
    alone = new & np.concatenate((new[1:], [True]))[: len(ordered)]
    return ordered[alone], (order[alone] // copies).astype(np.uint64)
