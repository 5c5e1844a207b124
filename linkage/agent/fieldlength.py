"""Whether a column's values were cut at the length of a field.

Lengths of names tail off. Where the longest of them is met far more often than those
just below it, a form or a system had no more room: rule N19 knows the fields of
passports, this finds those of any other system.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from linkage.normalise.profile import Finding

_FEWEST = 10  # values of greatest length below which chance explains them
_TIMES = 3.0  # how many times as many as of each length just below
_BELOW = 3  # lengths below that are looked at


class FieldLength:
    """Counts the lengths of values, chunk by chunk.

    Args:
        max_rows: row numbers to keep.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._counts: Counter[int] = Counter()
        self._longest = 0
        self._rows: list[int] = []

    def add(self, lengths: NDArray[np.int64], first_row: int) -> None:
        """Add the lengths of a chunk whose first record has the number `first_row` + 1."""
        found, counts = np.unique(lengths, return_counts=True)
        self._counts.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        longest = int(found[-1]) if len(found) else 0
        if longest > self._longest:
            self._longest, self._rows = longest, []
        if longest == self._longest:
            rows = np.flatnonzero(lengths == longest)[: self._max_rows - len(self._rows)]
            self._rows += (rows + first_row + 1).tolist()

    def suspects(self) -> Finding | None:
        """Return the values of greatest length, where they are too many; else None."""
        n_longest = self._counts[self._longest]
        below = range(max(1, self._longest - _BELOW), self._longest)
        usual = sum(self._counts[length] for length in below) / max(1, len(below))
        if n_longest < _FEWEST or n_longest < _TIMES * usual or not usual:
            return None
        return Finding(n_longest, tuple(self._rows))
