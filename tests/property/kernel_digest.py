"""What the kernels make of some codes, as one digest: the same on every processor."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from linkage.compare.bits import in_lanes, popcounts
from linkage.compare.kernels import EVERY_COLUMN, similar_pairs, similarity_histogram
from linkage.compare.listed import score_pairs


def related_codes(
    n: int, n_words: int, fill: float, seed: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return two sets of codes, every third pair related and one code empty on each side."""
    rng = np.random.default_rng(seed)
    left, right = (rng.random((n, 64 * n_words)) < fill for _ in range(2))
    for row in range(0, n, 3):
        kept = rng.random(64 * n_words) < rng.uniform(0.3, 1)
        right[row] = np.where(kept, left[row], right[row])
    left[1] = right[2] = False
    words = [np.packbits(bits, axis=1).view("<u8").astype(np.uint64) for bits in (left, right)]
    return words[0], words[1]


def digest() -> str:
    """Return the digest of pairs, similarities and histograms of some sets of codes."""
    found = hashlib.sha256()
    for n_words, fill, threshold, agreement in (
        (8, 0.3, 0.5, False),
        (16, 0.68, 0.75, False),
        (17, 0.3, 0.2, False),
        (32, 0.5, 0.55, True),
        (128, 0.5, 0.51, True),
    ):
        left, right = related_codes(70, n_words, fill, n_words)
        bits = popcounts(left), popcounts(right)
        length = 64 * n_words if agreement else 0
        sides = (left, bits[0], in_lanes(right), bits[1], EVERY_COLUMN, length)
        out = (np.zeros(4_900, np.int32), np.zeros(4_900, np.int32), np.zeros(4_900, np.float32))
        start = 0
        while start < len(left):
            n, start = similar_pairs(*sides, threshold, start, *out)
            for column in out:
                found.update(column[:n].tobytes())
        counts = np.zeros(101, np.int64)
        similarity_histogram(*sides, counts)
        found.update(counts.tobytes())
        rows, columns = np.divmod(np.arange(4_900, dtype=np.int32), np.int32(70))
        found.update(score_pairs(left, bits[0], right, bits[1], rows, columns, length).tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    print(digest())  # noqa: T201
