"""The Fellegi-Sunter model of comparison levels, with relatives as a class of their own.

A pair is a match, a pair of strangers, of relatives, or of twins. An attribute at level l
speaks for a match against strangers with weight log2(m / u). Attributes are taken as
independent inside each class; what breaks that for the strangers of civil registers is
families: brothers share mother, place and much of the name, and agree on them at once or
not at all. So relatives have their own rates f of agreement on what families share, and
are like strangers in what is a person's own; twins share the date of birth besides. What
that possibility takes off a pair's score is one more term, the same for whoever reads it.

`estimate` finds the parameters. Source: Fellegi and Sunter 1969, J Am Stat Assoc 64:1183;
classes for households after Winkler 1995, in Business Survey Methods, chapter 20.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.classify.levels import Level
from linkage.types import ATTRIBUTE_TYPES

# Types that are a person's own: relatives differ in them as strangers do, twins in all but
# the date. Everything else can be shared by a family or a household.
_OWN_TYPES = frozenset(
    {"name", "given_name", "alias", "date", "year", "age", "sex"}
    | {"nik", "nit", "passport", "permit", "deed"}
)
_DATED_KINDS = frozenset({"date", "year"})


@dataclass(frozen=True)
class Roles:
    """What the attributes of a schema are to relatives.

    Attributes:
        shared: attributes that relatives may share, shape (n_attributes,).
        dated: attributes that twins share besides.
    """

    shared: NDArray[np.bool_]
    dated: NDArray[np.bool_]

    @classmethod
    def of(cls, types: Sequence[str]) -> "Roles":
        """Return the roles of attributes of these types."""
        own = np.array([name in _OWN_TYPES for name in types], dtype=np.bool_)
        dated = np.array([ATTRIBUTE_TYPES[name].kind in _DATED_KINDS for name in types], np.bool_)
        return cls(~own, dated)

    @property
    def tell_relatives(self) -> bool:
        """Whether there are attributes that relatives share, and some that they do not."""
        return bool(self.shared.any() and not self.shared.all())


@dataclass(frozen=True)
class Scores:
    """How much speaks for each pair, in bits.

    Attributes:
        weights: log2(m / u) of every attribute, 0 where missing, shape (n, n_attributes).
        relatives: what the possibility that they are relatives takes off, <= 0, shape (n,).
        log_odds: posterior log2 odds of a match: prior, weights and relatives added.
    """

    weights: NDArray[np.float32]
    relatives: NDArray[np.float32]
    log_odds: NDArray[np.float64]

    @property
    def posterior(self) -> NDArray[np.float64]:
        """Probability that a pair is a match."""
        probability: NDArray[np.float64] = 1 / (1 + np.exp2(-np.clip(self.log_odds, -500, 500)))
        return probability

    @property
    def similarity(self) -> NDArray[np.float32]:
        """Scores as similarities in (0, 1) for the solver: 1/2 is as likely as not.

        Odds to the power of 1/8: posteriors themselves would run together at 1.
        """
        flat: NDArray[np.float32] = (1 / (1 + np.exp2(-self.log_odds / 8))).astype(np.float32)
        return flat


@dataclass(frozen=True)
class LinkageModel:
    """Shares of levels in each class, and how frequent the classes are.

    Attributes:
        m: share of each level among matches, shape (n_attributes, N_LEVELS); 0 for missing.
        u: the same among strangers.
        f: the same among relatives; read for shared attributes only.
        roles: what the attributes are to relatives.
        n_pairs: number of all pairs of records, candidates or not.
        matches: estimated number of matches among them.
        relatives: estimated number of pairs of relatives.
        twins: estimated number of pairs of twins.
        notes: what a reader of the scores must know, in words; empty if all went well.
    """

    m: NDArray[np.float64]
    u: NDArray[np.float64]
    f: NDArray[np.float64]
    roles: Roles
    n_pairs: int
    matches: float
    relatives: float
    twins: float
    notes: tuple[str, ...] = ()

    @property
    def prior_weight(self) -> float:
        """log2 odds that any pair is a match rather than of strangers."""
        strangers = self.n_pairs - self.matches - self.relatives - self.twins
        return float(np.log2(self.matches) - np.log2(max(strangers, 1.0)))

    def level_weights(self) -> NDArray[np.float64]:
        """Return log2(m / u) of every level, shape (n_attributes, N_LEVELS); 0 for missing."""
        return log_ratio(self.m, self.u)

    def score(self, levels: NDArray[np.int8]) -> Scores:
        """Return the scores of pairs.

        Args:
            levels: comparison levels, shape (n, n_attributes).
        """
        weights = look_up(self.level_weights(), levels)
        strangers = max(self.n_pairs - self.matches - self.relatives - self.twins, 1.0)
        taken_off = np.zeros(len(levels))
        if self.roles.tell_relatives and self.relatives > 0:
            family = look_up(log_ratio(self.f, self.u), levels)[:, self.roles.shared].sum(axis=1)
            relatives = np.log2(self.relatives / strangers) + family
            more = np.logaddexp2(0.0, relatives)
            if self.twins > 0:
                same_birth = weights[:, self.roles.dated].sum(axis=1)
                more = np.logaddexp2(more, np.log2(self.twins / strangers) + family + same_birth)
            taken_off = -more
        log_odds = self.prior_weight + weights.sum(axis=1) + taken_off
        return Scores(weights.astype(np.float32), taken_off.astype(np.float32), log_odds)


def look_up(table: NDArray[np.float64], levels: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the entry of each attribute's level, shape of `levels`.

    Args:
        table: a number for every level of every attribute, shape (n_attributes, N_LEVELS).
        levels: comparison levels, shape (n, n_attributes).
    """
    entries: NDArray[np.float64] = table[np.arange(levels.shape[1])[None], levels]
    return entries


def log_ratio(m: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log2(m / u) of every level, 0 for missing; shapes (n_attributes, N_LEVELS)."""
    ratio = np.zeros(m.shape)
    there = slice(Level.MISSING + 1, None)
    ratio[:, there] = np.log2(m[:, there]) - np.log2(u[:, there])
    return ratio
