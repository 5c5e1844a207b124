"""Pairs of records that have a sure partner elsewhere: what they tell of relatives.

Where a party holds few persons twice, a record that surely matches one record of another party
matches no second one there. So pairs with such a rival are next to all of relatives, namesakes
or strangers, whatever their similarity; and for each of them there are others, of records that
have no sure partner, in a proportion that strangers show. In this way the data themselves tell
how many pairs of relatives look like matches.

Where persons have many records, as in de-duplication, a rival says nothing, and nothing is
claimed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.compare.candidates import Candidates

_DRAWN = 40_000
# Sure pairs are the more alike half of the matches.
_SURE = 0.5
# The shares must be this far apart to tell classes apart.
_APART = 0.1
_LEAST = 0.005


@dataclass(frozen=True)
class Rivals:
    """How many pairs have a rival, and how many would by chance.

    Attributes:
        histogram: pairs with a rival by similarity, in the bins of all pairs.
        of_strangers: share of pairs of strangers that have one.
        of_matches: share of matches that have one: of persons who are there twice.
    """

    histogram: NDArray[np.int64]
    of_strangers: float
    of_matches: float

    @property
    def telling(self) -> bool:
        """Whether rivals tell strangers from matches."""
        return self.of_strangers > self.of_matches + _APART


def rivals_of(
    candidates: Candidates,
    party_of: NDArray[np.uint8],
    n_matches: float,
    bins: int,
    rng: np.random.Generator,
) -> Rivals:
    """Return how many candidates have a rival.

    Args:
        candidates: all pairs above some similarity, each once.
        party_of: party of each record, shape (n_records,); with one its records are
            de-duplicated.
        n_matches: about how many matches there are.
        bins: of the histogram.
        rng: draws pairs of strangers.
    """
    n, parties = len(party_of), int(party_of.max(initial=0)) + 1
    left, right = candidates.left.astype(np.int64), candidates.right.astype(np.int64)
    n_sure = min(max(round(_SURE * n_matches), 1), len(candidates))
    lowest = np.partition(candidates.similarity, -n_sure)[-n_sure] if n_sure else np.float32(2)
    sure = candidates.similarity >= lowest
    # Sure partners of each record in each party.
    partners = np.zeros(n * parties, np.int64)
    for own, other in ((left[sure], right[sure]), (right[sure], left[sure])):
        np.add.at(partners, own * parties + party_of[other], 1)

    def rivalled(
        one: NDArray[np.int64], two: NDArray[np.int64], own: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return whether a record of each pair has more sure partners there than the pair's own."""
        there = partners[one * parties + party_of[two]] > own
        back = partners[two * parties + party_of[one]] > own
        either: NDArray[np.bool_] = there | back
        return either

    have = rivalled(left, right, sure.astype(np.int64))
    one, two = rng.integers(n, size=(2, _DRAWN))
    unlike = (one != two) & ((party_of[one] != party_of[two]) | (parties == 1))
    of_strangers = rivalled(one[unlike], two[unlike], np.zeros(int(unlike.sum()), np.int64))
    at = (candidates.similarity[have].astype(np.float64) * bins).astype(np.int64)
    return Rivals(
        np.bincount(np.minimum(at, bins), minlength=bins + 1),
        float(np.clip(of_strangers.mean() if unlike.any() else 0.0, _LEAST, 1 - _LEAST)),
        float(np.clip(have[sure].mean() if n_sure else 1.0, _LEAST, 1 - _LEAST)),
    )
