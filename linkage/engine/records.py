"""The records of one party as the engine works on them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linkage.block.buckets import Buckets, exact_tokens, joined_tokens
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
        blocks: block tokens, shape (n, block_slots).
        exact: exact tokens, shape (n, exact_slots, 16).
    """

    words: NDArray[np.uint64]
    bits: NDArray[np.int32]
    agreement_bits: int
    blocks: NDArray[np.uint32]
    exact: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.words)

    @cached_property
    def lanes(self) -> NDArray[np.uint64]:
        """The codes grouped by 64."""
        return in_lanes(self.words)

    @cached_property
    def tokens(self) -> NDArray[np.uint64]:
        """Block and exact tokens, shape (n, slots)."""
        return joined_tokens(self.blocks, self.exact)

    @cached_property
    def exact_tokens(self) -> NDArray[np.uint64]:
        """Exact tokens alone, shape (n, exact_slots)."""
        return exact_tokens(self.exact)

    @cached_property
    def buckets(self) -> Buckets:
        """The records by block and exact token."""
        return Buckets.of(self.tokens)

    @cached_property
    def exact_buckets(self) -> Buckets:
        """The records by exact token alone."""
        return Buckets.of(self.exact_tokens)


def prepare(
    codes: NDArray[np.uint8],
    scheme: Scheme,
    blocks: NDArray[np.uint32] | None = None,
    exact: NDArray[np.uint8] | None = None,
) -> PreparedRecords:
    """Prepare records, to be compared as their scheme asks.

    Args:
        codes: packed codes, shape (n, n_bits / 8).
        scheme: how they were made.
        blocks: block tokens, shape (n, block_slots); none where absent.
        exact: exact tokens, shape (n, exact_slots, 16); none where absent.
    """
    words, n = as_words(codes), len(codes)
    return PreparedRecords(
        words,
        popcounts(words),
        0 if scheme == "clk" else 8 * codes.shape[1],
        np.zeros((n, 0), np.uint32) if blocks is None else blocks,
        np.zeros((n, 0, 16), np.uint8) if exact is None else exact,
    )
