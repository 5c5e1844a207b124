"""Numbers of written words to those of canonical words, record by record."""

import numpy as np
from numpy.typing import NDArray

from linkage.normalise.compiled import compiled
from linkage.normalise.splitting import MARKED

ANYWHERE, AT_FRONT, REREAD = 1, 2, 3
"""Where a word sends its record to the slow path; the last, anywhere and with its text."""


@compiled
def mark_slow(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    marks: NDArray[np.uint8],
    triggers: NDArray[np.uint8],
    becomes_offsets: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the records that are marked or hold a trigger word, in order.

    Beside each stands whether its text must be read again: its words do not do.

    Args:
        ids: written words of all records in a row.
        offsets: their offsets by record.
        marks: marks of the records.
        triggers: for each written word 0, or one of the three above.
        becomes_offsets: offsets of the canonical words by written word.
    """
    n = len(marks)
    slow = np.empty(n, dtype=np.int64)
    reread = np.empty(n, dtype=np.bool_)
    n_slow = 0
    for r in range(n):
        is_marked = marks[r] & MARKED != 0
        is_slow = is_marked
        n_before = 0
        for i in range(offsets[r], offsets[r + 1]):
            word = ids[i]
            trigger = triggers[word]
            if trigger == REREAD:
                is_marked = True
            # The second place counts as front too: I GUSTI.
            if trigger == ANYWHERE or (trigger == AT_FRONT and n_before <= 1):
                is_slow = True
            n_before += becomes_offsets[word + 1] - becomes_offsets[word]
        if is_slow or is_marked:
            slow[n_slow] = r
            reread[n_slow] = is_marked
            n_slow += 1
    return slow[:n_slow].copy(), reread[:n_slow].copy()


@compiled
def fill(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    becomes: NDArray[np.int32],
    becomes_offsets: NDArray[np.int64],
    seen: NDArray[np.uint32],
    slow: NDArray[np.int64],
    slow_ids: NDArray[np.int32],
    slow_offsets: NDArray[np.int64],
    n_canonical: int,
    undouble: bool,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint32], NDArray[np.int32]]:
    """Return the canonical words of every record, renumbered by first appearance.

    Args:
        ids: written words of all records in a row.
        offsets: their offsets by record.
        becomes: canonical words of all written words in a row.
        becomes_offsets: their offsets by written word.
        seen: flags of each written word.
        slow: records whose words are given, ascending.
        slow_ids: canonical words of those records in a row.
        slow_offsets: their offsets by place in `slow`.
        n_canonical: number of canonical words.
        undouble: whether a name written twice counts once; returns bit 31 for those.

    Returns:
        New word numbers, offsets, OR of the flags of a record's words (0 for slow
        records), and for each new number the canonical word.
    """
    n = len(offsets) - 1
    widest = 1
    for word in range(len(becomes_offsets) - 1):
        widest = max(widest, becomes_offsets[word + 1] - becomes_offsets[word])
    out = np.empty(len(ids) * widest + len(slow_ids) + 1, dtype=np.int32)
    out_offsets = np.zeros(n + 1, dtype=np.int64)
    flags = np.zeros(n, dtype=np.uint32)
    renumbered = np.full(n_canonical, -1, dtype=np.int32)
    order = np.empty(n_canonical, dtype=np.int32)
    n_order = 0
    n_out = 0
    at_slow = 0
    for r in range(n):
        start = n_out
        if at_slow < len(slow) and slow[at_slow] == r:
            for i in range(slow_offsets[at_slow], slow_offsets[at_slow + 1]):
                out[n_out] = slow_ids[i]
                n_out += 1
            at_slow += 1
        else:
            for i in range(offsets[r], offsets[r + 1]):
                word = ids[i]
                flags[r] |= seen[word]
                for j in range(becomes_offsets[word], becomes_offsets[word + 1]):
                    out[n_out] = becomes[j]
                    n_out += 1
            if undouble:
                half = (n_out - start) // 2
                while half > 0 and 2 * half == n_out - start:
                    for i in range(half):
                        if out[start + i] != out[start + half + i]:
                            half = 0
                            break
                    if half:
                        n_out -= half
                        flags[r] |= np.uint32(1 << 31)
                        half = (n_out - start) // 2
        for i in range(start, n_out):
            word = out[i]
            if renumbered[word] < 0:
                renumbered[word] = n_order
                order[n_order] = word
                n_order += 1
            out[i] = renumbered[word]
        out_offsets[r + 1] = n_out
    return out[:n_out].copy(), out_offsets, flags, order[:n_order].copy()


@compiled
def number_by_appearance(
    numbers: NDArray[np.int32], n_numbers: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the numbers renumbered by first appearance, and for each new one the old.

    Args:
        numbers: numbers below `n_numbers`.
        n_numbers: how many there may be.
    """
    renumbered = np.full(n_numbers, -1, dtype=np.int32)
    order = np.empty(min(n_numbers, len(numbers)), dtype=np.int32)
    ids = np.empty(len(numbers), dtype=np.int32)
    n_order = 0
    for i in range(len(numbers)):
        number = numbers[i]
        if renumbered[number] < 0:
            renumbered[number] = n_order
            order[n_order] = number
            n_order += 1
        ids[i] = renumbered[number]
    return ids, order[:n_order].copy()
