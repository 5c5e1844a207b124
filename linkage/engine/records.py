"""The records of one party as the engine works on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linkage.block.shared import SharedPairs
from linkage.compare.bits import as_words, in_lanes, popcounts
from linkage.schema import Scheme


@dataclass(frozen=True)
class PreparedRecords:
    """Codes and tokens of one party in the forms that the kernels take.

    What only one way of comparing needs is made when it is first asked for: ask on
    one thread, before others read it.

    Attributes:
        words: codes, shape (n, n_words).
        bits: set bits of each code, shape (n,).
        agreement_bits: 0 where codes are compared by Dice, else their length.
        exact: exact tokens, shape (n, exact_slots, 16).
    """

    words: NDArray[np.uint64]
    bits: NDArray[np.int32]
    agreement_bits: int
    exact: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.words)

    @cached_property
    def lanes(self) -> NDArray[np.uint64]:
        """The codes grouped by 64."""
        return in_lanes(self.words)


@dataclass(frozen=True)
class Inputs:
    """All that a job compares.

    Attributes:
        parties: the records of each party; a single party's are compared among
            themselves.
        shared: the pairs that share a token, by the numbers of their two parties.
        have_tokens: whether records have block tokens, so that pairs can be found by them.
    """

    parties: Sequence[PreparedRecords]
    shared: Mapping[tuple[int, int], SharedPairs] = field(default_factory=dict)
    have_tokens: bool = False

    @property
    def sizes(self) -> list[int]:
        """Number of records of each party."""
        return [len(party) for party in self.parties]


def prepare(
    codes: NDArray[np.uint8],
    scheme: Scheme,
    exact: NDArray[np.uint8] | None = None,
) -> PreparedRecords:
    """Prepare records, to be compared as their scheme asks.

    Args:
        codes: packed codes, shape (n, n_bits / 8).
        scheme: how they were made.
        exact: exact tokens, shape (n, exact_slots, 16); none where absent.
    """
    words, n = as_words(codes), len(codes)
    return PreparedRecords(
        words,
        popcounts(words),
        0 if scheme == "clk" else 8 * codes.shape[1],
        np.zeros((n, 0, 16), np.uint8) if exact is None else exact,
    )
