"""How alike a pair must be to be kept as a candidate, so that few enough are kept.

The second round takes the best candidates of each record. To find them in one pass, a
sample tells beforehand above which similarity there will be a few times as many pairs
as are needed; nothing is guessed that the data can say.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linkage.compare.listed import score_pairs
from linkage.engine.plan import Task
from linkage.engine.records import Inputs

_SAMPLED = 1 << 20
# Candidates that are kept for each that is needed: the best of each record are not the
# best of all.
_SPARE = 4
_LOWEST = 1e-6


def candidate_floor(
    tasks: Sequence[Task], inputs: Inputs, per_record: int, rng: np.random.Generator
) -> float:
    """Return the similarity above which pairs that share no token are candidates.

    Args:
        tasks: the comparisons of the job.
        inputs: what is compared.
        per_record: how many candidates of each record are needed, of each other party.
        rng: draws the sample; the same sample gives the same floor.
    """
    planned = [task for task in tasks if task.columns is not None]
    total = sum(task.comparisons for task in planned)
    pairs = sorted({(task.left, task.right) for task in planned})
    # No more can be taken of two parties than the smaller one has places for.
    places = sum(min(inputs.sizes[left], inputs.sizes[right]) for left, right in pairs)
    wanted = _SPARE * per_record * places
    if total <= wanted:
        return _LOWEST
    sample = np.concatenate([_sample(inputs, *pair, _SAMPLED // len(pairs), rng) for pair in pairs])
    above = min(max(round(len(sample) * wanted / total), 1), len(sample))
    return max(float(np.partition(sample, len(sample) - above)[len(sample) - above]), _LOWEST)


def _sample(
    inputs: Inputs, left: int, right: int, n: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return similarities of random pairs of two parties."""
    own, other = inputs.parties[left], inputs.parties[right]
    lefts = np.sort(rng.integers(0, len(own), n, dtype=np.int32))
    rights = rng.integers(0, len(other), n, dtype=np.int32)
    unlike = lefts != rights if left == right else np.ones(n, np.bool_)
    return score_pairs(
        own.words, own.bits, other.words, other.bits, lefts[unlike], rights[unlike],
        own.agreement_bits,
    )  # fmt: skip
