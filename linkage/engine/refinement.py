"""Which pairs the second round asks about, and what their answers say.

The first round's similarities choose the pairs and are then forgotten: the second round
decides by what the owners' field filters have in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkage.classify.estimate import fit
from linkage.classify.fellegi_sunter import LinkageModel, Roles, Scores
from linkage.classify.levels import Level, comparison_levels
from linkage.compare.candidates import Candidates
from linkage.compare.fields import field_counts
from linkage.job import DRAWN_PER_RECORD, Refinement
from linkage.types import ATTRIBUTE_TYPES

# Enough random pairs to count how often strangers agree on rare values.
_MOST_DRAWN = 50_000
NOBODY = -1


@dataclass(frozen=True)
class RefinePairs:
    """Pairs of the records of two parties, in the order of their numbers.

    The order is random: it says nothing of what a pair is.

    Attributes:
        left: record of the one party, `NOBODY` in a decoy for the other, shape (n,).
        right: record of the other party, likewise.
        drawn: whether the pair was drawn at random, shape (n,).
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    drawn: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.left)

    @property
    def real(self) -> NDArray[np.bool_]:
        """Whether both records are there, shape (n,)."""
        real: NDArray[np.bool_] = (self.left != NOBODY) & (self.right != NOBODY)
        return real


def select_pairs(
    candidates: Candidates,
    n_left: int,
    n_right: int,
    most: int,
    rng: np.random.Generator,
    *,
    decoys: bool,
    within: bool = False,
) -> RefinePairs:
    """Return the pairs of two parties for the second round.

    Candidates are taken best first as long as neither record has `most` of them. Some
    pairs drawn at random are added, at most `DRAWN_PER_RECORD` for a record, and decoys
    that are asked of one owner only, so that each of its records is asked about equally
    often.

    Args:
        candidates: of the first round, record numbers of each party.
        n_left: number of records of the left party.
        n_right: number of records of the right party.
        most: most candidates of a record.
        rng: source of the order and the drawn pairs. An owner that could foresee it would
            know the decoys.
        decoys: whether to add them.
        within: whether both parties are one; then there are no decoys.
    """
    ordered = candidates.best_first()
    left, right = ordered.left, ordered.right
    kept = _within_degree(left, right, n_left, n_right, most, within)
    drawn_left, drawn_right = _drawn(n_left, n_right, rng, within=within)
    lefts = [left[kept], drawn_left]
    rights = [right[kept], drawn_right]
    drawn = [np.zeros(int(kept.sum()), np.bool_), np.ones(len(drawn_left), np.bool_)]
    if decoys and not within:
        for own, other, n in ((lefts, rights, n_left), (rights, lefts, n_right)):
            asked = np.bincount(np.concatenate(own[:2]), minlength=n)
            fill = np.repeat(np.arange(n, dtype=np.int32), most + DRAWN_PER_RECORD - asked)
            own.append(fill)
            other.append(np.full(len(fill), NOBODY, np.int32))
            drawn.append(np.zeros(len(fill), np.bool_))
    order = rng.permutation(sum(len(part) for part in lefts))
    return RefinePairs(
        np.concatenate(lefts)[order], np.concatenate(rights)[order], np.concatenate(drawn)[order]
    )


def _drawn(
    n_left: int, n_right: int, rng: np.random.Generator, *, within: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Draw pairs at random, in which no record occurs more than `DRAWN_PER_RECORD` times."""
    lefts, rights = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for _ in range(DRAWN_PER_RECORD // 2 if within else DRAWN_PER_RECORD):
        left = rng.permutation(n_left).astype(np.int32)
        right = np.roll(left, 1) if within else rng.permutation(n_right).astype(np.int32)
        n = min(n_left, n_right, _MOST_DRAWN // DRAWN_PER_RECORD)
        left, right = left[:n], right[:n]
        if within:
            left, right = np.minimum(left, right), np.maximum(left, right)
            left, right = left[left != right], right[left != right]
        lefts.append(left)
        rights.append(right)
    return np.concatenate(lefts), np.concatenate(rights)


@njit(cache=True, nogil=True)
def _within_degree(
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    n_left: int,
    n_right: int,
    most: int,
    within: bool,
) -> NDArray[np.bool_]:
    """Choose pairs in their order as long as neither record has too many."""
    of_left = np.zeros(n_left, dtype=np.int32)
    of_right = of_left if within else np.zeros(n_right, dtype=np.int32)
    kept = np.zeros(len(left), dtype=np.bool_)
    for pair in range(len(left)):
        if of_left[left[pair]] < most and of_right[right[pair]] < most:
            of_left[left[pair]] += 1
            of_right[right[pair]] += 1
            kept[pair] = True
    return kept


class Comparison:
    """Turns the owners' answers into comparison levels, and those into scores.

    Args:
        refinement: what the job says of the second round.
    """

    def __init__(self, refinement: Refinement) -> None:
        self._spaces = [ATTRIBUTE_TYPES[name].space for name in refinement.types]
        identifiers = [
            (slot, name)
            for slot, name in enumerate(refinement.exact_types)
            if ATTRIBUTE_TYPES[name].kind == "identifier"
        ]
        self._slots = [slot for slot, _ in identifiers]
        self.types = (*refinement.types, *(name for _, name in identifiers))
        self.roles = Roles.of(self.types)

    def levels(
        self,
        left_rows: NDArray[np.uint8],
        right_rows: NDArray[np.uint8],
        left_exact: NDArray[np.uint8],
        right_exact: NDArray[np.uint8],
    ) -> NDArray[np.int8]:
        """Return the comparison levels of pairs, shape (n_pairs, n_types).

        An exact token is equal or not; that it may be missing does not show, and counts
        among the rates at which matches do not agree on it.

        Args:
            left_rows: answers of the left owners, shape (n_pairs, row_bytes).
            right_rows: answers of the right owners.
            left_exact: exact tokens of the left records, shape (n_pairs, exact_slots, 16).
            right_exact: exact tokens of the right records.

        Raises:
            MalformedMessageError: an answer is none.
        """
        fields = comparison_levels(field_counts(left_rows, right_rows, self._spaces))
        same = (left_exact == right_exact).all(axis=2)[:, self._slots]
        exact = np.where(same, np.int8(Level.EQUAL), np.int8(Level.DIFFERENT))
        return np.concatenate([fields, exact], axis=1)

    def score(
        self, levels: NDArray[np.int8], drawn: NDArray[np.bool_], n_pairs: int
    ) -> tuple[LinkageModel, Scores]:
        """Return the model of a job, and the scores of its candidates.

        Args:
            levels: of candidates and drawn pairs together.
            drawn: which were drawn at random.
            n_pairs: number of all pairs of records of unlike parties.
        """
        model = fit(levels[~drawn], levels[drawn], self.roles, n_pairs)
        return model, model.score(levels[~drawn])


def similarity_at(probability: float) -> float:
    """Return the similarity (`Scores.similarity`) of a probability of a match."""
    if probability >= 1:
        return 1.0
    odds = probability / (1 - probability)
    return float(1 / (1 + odds ** (-1 / 8)))


def probability_at(similarity: float) -> float:
    """Return the probability of a match at a similarity: the inverse of `similarity_at`."""
    if similarity >= 1:
        return 1.0
    odds = (similarity / (1 - similarity)) ** 8
    return float(odds / (1 + odds))


def pairs_of_unlike(sizes: Sequence[int]) -> int:
    """Return the number of pairs of records of unlike parties; of one party, of its own."""
    if len(sizes) == 1:
        return sizes[0] * (sizes[0] - 1) // 2
    return (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
