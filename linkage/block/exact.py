"""What an equal exact token adds to the similarity of two codes.

A shared NIK is evidence that the codes do not hold. It raises a similarity half of the
way to 1: such a pair goes before any that rests on its codes alone and is not much more
alike, and among pairs that share a number (one that was borrowed, or mistyped) the
codes still decide.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray


def raised(similarity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the similarity of pairs that share an exact token."""
    return ((similarity + np.float32(1)) / np.float32(2)).astype(np.float32)


@njit(cache=True, nogil=True)
def share_exact(
    left: NDArray[np.uint8],
    right: NDArray[np.uint8],
    pair_left: NDArray[np.int32],
    pair_right: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Return which pairs share an exact token in the same slot, in all its bytes.

    Args:
        left: exact tokens of one side, shape (n, exact_slots, 16).
        right: exact tokens of the other side, shape (m, exact_slots, 16).
        pair_left: record numbers of `left`.
        pair_right: record numbers of `right`.
    """
    same = np.zeros(len(pair_left), dtype=np.bool_)
    for pair in range(len(pair_left)):
        for slot in range(left.shape[1]):
            equal = True
            for byte in range(left.shape[2]):
                if left[pair_left[pair], slot, byte] != right[pair_right[pair], slot, byte]:
                    equal = False
                    break
            if equal:
                same[pair] = True
    return same
