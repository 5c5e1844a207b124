"""What the answers of the second round say: levels, scores, and bands of probability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.block.shared import SharedPairs
from linkage.classify.estimate import fit
from linkage.classify.fellegi_sunter import LinkageModel, Roles, Scores
from linkage.classify.levels import comparison_levels
from linkage.classify.sweep import SolvedSweep
from linkage.compare.candidates import Candidates
from linkage.compare.fields import field_counts
from linkage.engine.questions import MOST_DRAWN
from linkage.job import Refinement
from linkage.schema import Cardinality
from linkage.types import ATTRIBUTE_TYPES

# The most that each grade of a link spans: pairs are named in these bands of probability, so
# that the matcher learns no more of who is alike than the links tell.
_BANDS = (0.95, 0.999)
_FEWEST = 20
# A lower threshold is the best nowhere.
_LEAST_SWEPT = 0.01


@dataclass(frozen=True)
class PairNumbers:
    """Pairs of records of one party, for a de-duplication inside it.

    Attributes:
        left: record numbers, shape (n,).
        right: record numbers, shape (n,).
        drawn: whether the pair was drawn at random, shape (n,).
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    drawn: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.left)


def select_within(
    shared: SharedPairs, n_records: int, most: int, rng: np.random.Generator
) -> PairNumbers:
    """Return the pairs of one party that are compared by their fields.

    Args:
        shared: pairs of its records that share an entry.
        n_records: number of its records.
        most: how many pairs there may be for each record on average; those that share the
            most entries stay.
        rng: draws random pairs.
    """
    kept = np.argsort(-shared.count, kind="stable")[: most * n_records]
    n = min(n_records, MOST_DRAWN)
    order = rng.permutation(n_records).astype(np.int32)[:n]
    next_one = np.roll(order, 1)
    left, right = np.minimum(order, next_one), np.maximum(order, next_one)
    left, right = left[left != right], right[left != right]
    return PairNumbers(
        np.concatenate([shared.left[kept], left]),
        np.concatenate([shared.right[kept], right]),
        np.arange(len(kept) + len(left)) >= len(kept),
    )


class Comparison:
    """Turns the owners' answers into comparison levels, and those into scores.

    Args:
        refinement: what the job says of the second round.
    """

    def __init__(self, refinement: Refinement) -> None:
        self._spaces = [ATTRIBUTE_TYPES[name].space for name in refinement.types]
        self._n_identifiers = len(refinement.identifiers)
        self.types = (*refinement.types, *refinement.identifiers)
        self.roles = Roles.of(self.types)

    def levels(
        self, left_rows: NDArray[np.uint8], right_rows: NDArray[np.uint8]
    ) -> NDArray[np.int8]:
        """Return the comparison levels of pairs, shape (n_pairs, n_types).

        Args:
            left_rows: answers of the left owners, shape (n_pairs, n_bytes of a row).
            right_rows: answers of the right owners.

        Raises:
            MalformedMessageError: an answer is none.
        """
        counts = field_counts(left_rows, right_rows, self._spaces, self._n_identifiers)
        return comparison_levels(counts)

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


@dataclass(frozen=True)
class Band:
    """Pairs whose probability lies between two bounds.

    Attributes:
        similarity: what stands for that of all of them.
        pairs: their numbers, shape (n,).
    """

    similarity: float
    pairs: NDArray[np.int64]


def bands_of(posterior: NDArray[np.float64], threshold: float) -> list[Band]:
    """Return the pairs at or above a probability, in bands, the likeliest first.

    Within a band pairs count as equally likely: the matcher is told who they are, and not
    which of its comparisons are theirs.

    Args:
        posterior: probability of each pair, shape (n,).
        threshold: lowest probability that counts.
    """
    bands, above = list[Band](), 2.0
    for least in _bounds(threshold):
        pairs = np.flatnonzero((posterior >= least) & (posterior < above))
        left = int(((posterior >= threshold) & (posterior < above)).sum())
        if 0 < len(pairs) < _FEWEST <= left and least > threshold:
            # Nothing is hidden among so few: they count as the next lower ones do.
            continue
        above = least
        bands.append(Band(_of_band(least), pairs))
    return bands


def band_similarities(threshold: float) -> list[float]:
    """Return the similarity of every band that there can be, the likeliest first."""
    return [_of_band(least) for least in _bounds(threshold)]


def _bounds(threshold: float) -> list[float]:
    return [*sorted((b for b in _BANDS if b > threshold), reverse=True), threshold]


def _of_band(least: float) -> float:
    # Of a band's probability nothing but its lower bound is sure. Just above, so that no
    # rounding puts it below.
    lowest = np.float32(similarity_at(max(least, 1e-6)))
    return float(np.nextafter(lowest, np.float32(1)))


def band_numbers(posterior: NDArray[np.float64], threshold: float) -> NDArray[np.uint8]:
    """Return the band of each pair: the place of what stands for it in `band_similarities`.

    Counted from 1; 0 for pairs below the threshold.
    """
    similarities, numbers = band_similarities(threshold), np.zeros(len(posterior), np.uint8)
    for band in bands_of(posterior, threshold):
        numbers[band.pairs] = similarities.index(band.similarity) + 1
    return numbers


def in_bands(posterior: NDArray[np.float64], threshold: float) -> NDArray[np.float32]:
    """Return the similarity that stands for each pair, 0 for those below the threshold."""
    similarities = np.array([0, *band_similarities(threshold)], np.float32)
    return similarities[band_numbers(posterior, threshold)]


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


# Pairs that are less likely join groups only with support (`linkage.solve.groups`).
CERTAIN = similarity_at(_BANDS[-1])


def sweep_of(
    candidates: Candidates, party_of: NDArray[np.uint8], n_parties: int, cardinality: Cardinality
) -> SolvedSweep:
    """Return the groups at any threshold of probability.

    Args:
        candidates: the scored pairs.
        party_of: party number of each record, shape (n,).
        n_parties: number of parties.
        cardinality: how many records of each party may be one person.
    """
    least = similarity_at(_LEAST_SWEPT)
    return SolvedSweep(candidates, party_of, n_parties, cardinality, CERTAIN, least)


def pairs_of_unlike(sizes: Sequence[int]) -> int:
    """Return the number of pairs of records of unlike parties; of one party, of its own."""
    if len(sizes) == 1:
        return sizes[0] * (sizes[0] - 1) // 2
    return (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
