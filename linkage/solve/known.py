"""Pairs that are decided before a solver starts: by a clerk, or by an earlier job."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Known:
    """Pairs of records that are decided.

    Attributes:
        links: records of one person, shape (n, 2).
        non_links: records of two persons, shape (m, 2); never in one group, nor joined
            through others.
    """

    links: NDArray[np.int32]
    non_links: NDArray[np.int32]

    @classmethod
    def of(
        cls,
        links: Iterable[tuple[int, int]] = (),
        non_links: Iterable[tuple[int, int]] = (),
    ) -> "Known":
        """Return what is known from pairs of record numbers."""
        return cls(_pairs(links), _pairs(non_links))


def _pairs(pairs: Iterable[tuple[int, int]]) -> NDArray[np.int32]:
    return np.array(list(pairs), dtype=np.int32).reshape(-1, 2)


NOTHING = Known.of()
