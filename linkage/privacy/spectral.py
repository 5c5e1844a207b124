"""Blind structure: does a leading vector of the codes tell a common name, or a sex?

Nothing is known here but codes. If the leading vectors of their matrix order people by
whether they are called Muhammad, that is an alignment for nothing; an uncentred
majority does just that.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.privacy.pairwise import signed_agreement

N_VECTORS = 6
_SPARE, _ITERATIONS = 18, 60
_LIMIT = 0.55
# Deviations of an AUC by chance that none of some hundred comparisons reaches.
_DEVIATIONS = 4.0


@dataclass(frozen=True)
class Separation:
    """How well the best leading vector tells a group.

    Attributes:
        group: what the group is called.
        auc: area under the curve of the best of the vectors, 1/2 or more.
        limit: the highest area allowed; rises where a group is so small that chance does.
    """

    group: str
    auc: float
    limit: float

    @property
    def exceeded(self) -> bool:
        """Whether the vector tells the group."""
        return self.auc > self.limit


def leading_vectors(codes: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """Return the leading left vectors of the codes' centred matrix, shape (n, 6).

    By subspace iteration on the matrix of agreements. The largest values of noise lie close
    together, and where the iteration stops between them does not matter.

    Args:
        codes: packed codes, shape (n, n_words).
        seed: of the first guess.
    """
    gram = signed_agreement(codes, codes)
    rows = gram.mean(axis=1, keepdims=True)
    gram -= rows
    gram -= rows.T - rows.mean()
    n_columns = min(N_VECTORS + _SPARE, len(codes))
    guess = np.random.default_rng(seed).standard_normal((len(codes), n_columns))
    basis = np.linalg.qr(guess.astype(np.float32))[0]
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(gram @ basis)[0]
    small = basis.T @ (gram @ basis)
    _, turn = np.linalg.eigh((small + small.T).astype(np.float64))
    return np.asarray(basis @ turn[:, ::-1][:, :N_VECTORS], dtype=np.float64)


def separations(
    vectors: NDArray[np.float64], groups: Mapping[str, NDArray[np.bool_]]
) -> list[Separation]:
    """Return how well the vectors tell each group, best told first.

    Args:
        vectors: of `leading_vectors`, shape (n, n_vectors).
        groups: by name which records belong to it; a group of nobody or everybody is
            left out.
    """
    ranks = np.argsort(np.argsort(vectors, axis=0), axis=0).astype(np.float64) + 1
    found = []
    for name, of_group in groups.items():
        inside, outside = int(of_group.sum()), int((~of_group).sum())
        if not inside or not outside:
            continue
        # Mann and Whitney's U.
        above = ranks[of_group].sum(axis=0) - inside * (inside + 1) / 2
        auc = above / (inside * outside)
        deviation = math.sqrt((inside + outside + 1) / (12 * inside * outside))
        best = float(np.maximum(auc, 1 - auc).max())
        found.append(Separation(name, best, max(_LIMIT, 0.5 + _DEVIATIONS * deviation)))
    return sorted(found, key=lambda separation: separation.limit - separation.auc)
