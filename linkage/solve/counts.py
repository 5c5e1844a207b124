"""Counts of a result (level R0): so coarse that no small group shows in them.

A count is told as the greatest multiple of ten that it reaches: those under ten are told as
nothing. The rest, the records without a link, is never told, and what could be told of it by
subtraction is at least ten as well. Exact counts of ten and more would protect the small ones,
but not those between two jobs: who adds one person to a register would see in the next count
whether it was linked.
"""

from collections.abc import Mapping

UNIT = 10


def told_counts(n_records: int, cells: Mapping[str, int]) -> dict[str, int]:
    """Return what is told of how many records are in each cell: multiples of ten.

    Args:
        n_records: number of all records, which their owner knows.
        cells: how many of them are in each cell; the others are in none.
    """
    told = {name: floor_of(count) for name, count in cells.items()}
    # Where all but a few are in the cells told, those few would show: tell less of the largest.
    while any(told.values()) and n_records - sum(told.values()) < UNIT:
        largest = max(told, key=lambda name: told[name])
        told[largest] -= UNIT
    return told


def floor_of(count: int) -> int:
    """Return the greatest multiple of ten that a count reaches."""
    return count - count % UNIT


def in_words(count: int) -> str:
    """Return what is told of a count where words are."""
    return f"at least {floor_of(count):,}" if count >= UNIT else f"fewer than {UNIT}"
