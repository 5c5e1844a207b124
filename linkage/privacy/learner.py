"""A3: who knows some persons' encodings learns to read the others'.

Two learners. Kernel ridge regression from codes to (centred) filters, and the matched
kernel: an unknown code's agreement with all known codes is held against what it would
be on average for each candidate. Both name the best candidate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.privacy.pairwise import signed_agreement
from linkage.privacy.people import PlainPeople
from linkage.privacy.rates import Named, Rate

# Ridge, as a share of the mean diagonal of the kernel.
_RIDGE = 0.05
# Records of which the more alike to a known person counts as relatives.
RELATIVE = 0.4


@dataclass(frozen=True)
class Learnt:
    """How a learner did.

    Attributes:
        named: whom it named.
        everyone: over all unknown persons.
        unrelated: over those to whom no known person is alike in plain text.
        surest: over the hundredth of the answers that the attacker trusts most.
    """

    named: Named
    everyone: Rate
    unrelated: Rate
    surest: Rate


@dataclass(frozen=True)
class KnownPairs:
    """A register of which an attacker knows some encodings.

    Attributes:
        known: numbers of the known records.
        unknown: numbers of the others, who are the targets and the candidates.
    """

    known: NDArray[np.int64]
    unknown: NDArray[np.int64]

    @classmethod
    def draw(cls, n: int, n_known: int, seed: int) -> "KnownPairs":
        """Return `n_known` known ones of n records, drawn at random."""
        order = np.random.default_rng(seed).permutation(n)
        return cls(order[:n_known], order[n_known:])

    def turned(self) -> "KnownPairs":
        """Return the pairs with known and unknown ones changed over."""
        return KnownPairs(self.unknown, self.known)


def ridge(codes: NDArray[np.uint64], people: PlainPeople, pairs: KnownPairs) -> Learnt:
    """Attack with kernel ridge regression.

    Args:
        codes: of all records, shape (n, n_words).
        people: the same records in plain text.
        pairs: which are known.
    """
    kernel = _centred(signed_agreement(codes[pairs.known], codes[pairs.known]))
    kernel[np.diag_indices(len(kernel))] += _RIDGE * np.trace(kernel) / len(kernel)
    seen = signed_agreement(codes[pairs.unknown], codes[pairs.known])
    seen -= seen.mean(axis=1, keepdims=True)
    weights = np.linalg.solve(kernel.astype(np.float64), seen.T.astype(np.float64)).T
    candidates = people.take(pairs.unknown)
    inner = people.take(pairs.known).inner(candidates)
    # Of centred filters: what all persons share tells nothing.
    inner -= inner.mean(axis=1, keepdims=True)
    scores = weights.astype(np.float32) @ inner
    scores /= candidates.norms()[None, :]
    return _learnt(scores, people, pairs)


def matched_kernel(codes: NDArray[np.uint64], people: PlainPeople, pairs: KnownPairs) -> Learnt:
    """Attack with the matched kernel; arguments as for `ridge`.

    Whether an implementation takes the mean filter away as it says is tried both ways; the
    better counts.
    """
    seen = signed_agreement(codes[pairs.unknown], codes[pairs.known])
    found = []
    for view in (people, people.uncentred()) if people.mean is not None else (people,):
        expected = view.take(pairs.unknown).expected_agreement(view.take(pairs.known))
        found.append(_learnt(correlated(seen, expected), people, pairs))
    return max(found, key=lambda learnt: learnt.everyone.hits)


def correlated(seen: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return correlations of what is seen of targets with what is expected of candidates.

    Args:
        seen: agreement of unknown codes with known ones, shape (n, n_known).
        expected: agreement of candidates with the known persons, shape (m, n_known).
    """
    sums = Correlation(len(seen), len(expected))
    sums.add(seen, expected)
    return sums.value()


class Correlation:
    """Correlations over known persons who come in parts: all at once may be too many.

    From the agreement with each known person the mean over targets, or candidates, is
    taken away.

    Args:
        n_targets: n, how many codes are to be read.
        n_candidates: m, how many persons they could be.
    """

    def __init__(self, n_targets: int, n_candidates: int) -> None:
        self._products = np.zeros((n_targets, n_candidates), dtype=np.float32)
        self._sums = [np.zeros(n) for n in (n_targets, n_candidates)]
        self._squares = [np.zeros(n) for n in (n_targets, n_candidates)]
        self._n_known = 0

    def add(self, seen: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
        """Take some further known persons in; arguments as for `correlated`."""
        seen, expected = (rows - rows.mean(axis=0, keepdims=True) for rows in (seen, expected))
        self._products += seen @ expected.T
        for side, rows in enumerate((seen, expected)):
            self._sums[side] += rows.sum(axis=1, dtype=np.float64)
            self._squares[side] += np.einsum("ij,ij->i", rows, rows)
        self._n_known += seen.shape[1]

    def value(self) -> NDArray[np.float32]:
        """Return the correlations over all known persons so far, shape (n, m)."""
        means = [sums / max(self._n_known, 1) for sums in self._sums]
        lengths = [
            np.sqrt(np.maximum(squares - sums * mean, 0)) + 1e-12
            for squares, sums, mean in zip(self._squares, self._sums, means, strict=True)
        ]
        value = self._products - np.outer(self._sums[0], means[1]).astype(np.float32)
        value /= lengths[0][:, None].astype(np.float32)
        value /= lengths[1][None, :].astype(np.float32)
        return value


def _learnt(scores: NDArray[np.float32], people: PlainPeople, pairs: KnownPairs) -> Learnt:
    """Count hits; the right candidate of target i is candidate i, shape (n, n)."""
    n = len(scores)
    best = scores.argmax(axis=1)
    right = best == np.arange(n)
    deviations = scores.std(axis=1) + 1e-12
    margin = (scores.max(axis=1) - scores.mean(axis=1)) / deviations
    surest = np.argsort(-margin, kind="stable")[: max(n // 100, 1)]
    alike = people.take(pairs.unknown).cosine(people.take(pairs.known)).max(axis=1)
    # Plain filters are all alike to some degree: a relative stands out from that.
    alone = alike < max(RELATIVE, 0.0) if people.mean is not None else alike < _usual(people)
    chance = 1 / n
    named = Named(pairs.unknown, right, chance)
    return Learnt(
        named,
        named.rate(),
        Rate(int(right[alone].sum()), int(alone.sum()), chance),
        Rate(int(right[surest].sum()), len(surest), chance),
    )


def _usual(people: PlainPeople) -> float:
    """Return the cosine that stands as far above that of strangers as `RELATIVE` above 0."""
    sample = people.take(np.arange(min(len(people), 500)))
    return float(RELATIVE + (1 - RELATIVE) * np.median(sample.cosine(sample)))


def _centred(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = kernel.mean(axis=1, keepdims=True)
    return np.asarray(kernel - rows - rows.T + kernel.mean(), dtype=np.float32)
