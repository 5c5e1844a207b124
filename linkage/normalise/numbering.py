"""Numbers of sixteen digits, checked at speed; `identifiers` has the definition."""

import numpy as np
from numpy.typing import NDArray

from linkage.normalise.compiled import compiled


@compiled
def check_numbers(
    arena: NDArray[np.uint8],
    starts: NDArray[np.int64],
    known_regencies: NDArray[np.bool_],
    is_family: bool,
    flag_values: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    """Return the flags of numbers of sixteen digits: `identifiers` at speed.

    Args:
        arena: bytes of the distinct values in a row, upper-case letters and digits.
        starts: their offsets.
        known_regencies: for each number of four digits whether it is a regency's.
        is_family: whether they are KK numbers, in whose date no 40 is added.
        flag_values: the bits for a bad character, a bad length, a placeholder, a
            bad date, a NIT and an unknown region.
    """
    n = len(starts) - 1
    flags = np.zeros(n, dtype=np.uint32)
    for word in range(n):
        start = starts[word]
        length = starts[word + 1] - start
        only_digits = True
        all_same = True
        for i in range(start, start + length):
            if arena[i] < 48 or arena[i] > 57:
                only_digits = False
            if arena[i] != arena[start]:
                all_same = False
        if not only_digits:
            flags[word] = flag_values[0]
        elif length != 16:
            flags[word] = flag_values[1]
        elif all_same or _two(arena, start + 12) + _two(arena, start + 14) == 0:
            flags[word] = flag_values[2]
        else:
            day = _two(arena, start + 6)
            if not is_family and day > 40:
                day -= 40
            month = _two(arena, start + 8)
            regency = 100 * _two(arena, start) + _two(arena, start + 2)
            if day < 1 or day > 31 or month < 1 or month > 12:
                flags[word] = flag_values[3]
            elif regency >= 9900:
                flags[word] = flag_values[4]
            elif not known_regencies[regency]:
                flags[word] = flag_values[5]
    return flags


@compiled
def _two(arena: NDArray[np.uint8], at: int) -> np.int64:
    return 10 * (np.int64(arena[at]) - 48) + np.int64(arena[at + 1]) - 48
