"""Seeded random streams, one for each named thing that needs one.

A stream depends on the seed and on its labels alone. So switching one mutator
off leaves the draws of every other as they were, and two registers can be
compared cell by cell.
"""

import zlib

import numpy as np


def stream(seed: int, *labels: str) -> np.random.Generator:
    """Return the random generator that belongs to `seed` and `labels`.

    Args:
        seed: 0 or more.
        labels: what the draws are for, from the general to the particular.

    Raises:
        ValueError: the seed is negative.
    """
    if seed < 0:
        raise ValueError("a seed is 0 or more")
    # PCG64 is named so that a new default of NumPy cannot change what a seed means.
    entropy = [seed, *(zlib.crc32(label.encode()) for label in labels)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
