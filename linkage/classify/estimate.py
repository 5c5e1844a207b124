"""Estimating the Fellegi-Sunter model of a linkage, without truth or with some.

u is counted on random pairs, of which next to none match. m, the rates among relatives
and the numbers of matches and relatives are found by expectation maximisation over all
pairs of records: candidates by their levels, all others as certain strangers. So that
candidates are not drawn at random but for their similarity does no harm. To estimate u
among candidates instead would: among pairs that were chosen for agreeing, agreement
tells less, and the prior of a candidate depends on how many there are.

The number of matches is free; it is not bounded by the registers' sizes.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkage.classify.fellegi_sunter import LinkageModel, Roles, log_ratio, look_up
from linkage.classify.levelshares import (
    bounded,
    level_counts,
    rising,
    shares_of_strangers,
    usual_shares,
)

MATCH, NO_MATCH, UNKNOWN = 1, 0, -1

# Fewer random pairs say nothing of levels that strangers seldom reach.
FEWEST_RANDOM_PAIRS = 1_000
_MOST_STEPS = 500
_SETTLED = 1e-4
# Weight of the usual shares in those of a session, in pairs.
_USUAL_PAIRS = 2.0
# Pairs of twins for each pair of brothers and sisters: twins are 1.2 % of births. It is
# tied, not estimated: in data without relatives, twins would take up the matches whose
# name is spoilt.
_TWINS = 0.015
# With fewer matches, or fewer of them sure, the class that was found cannot be trusted to
# be that of matches: where there are some, nearly all are sure, where there are none, the
# class holds relatives and neighbours, and few are.
_FEWEST_MATCHES = 10
_SURE, _LEAST_SURE = 0.9, 0.5


@dataclass(frozen=True)
class _Patterns:
    """Distinct rows of levels, with how many pairs have each and what is known of them."""

    levels: NDArray[np.int8]
    pairs: NDArray[np.float64]
    known: NDArray[np.int8]


@dataclass(frozen=True)
class _Shares:
    """Probability of each class for every pattern."""

    match: NDArray[np.float64]
    relative: NDArray[np.float64]
    twin: NDArray[np.float64]


def fit(
    levels: NDArray[np.int8],
    random_levels: NDArray[np.int8],
    roles: Roles,
    n_pairs: int,
    known: NDArray[np.int8] | None = None,
) -> LinkageModel:
    """Return the model of a linkage.

    Args:
        levels: comparison levels of the candidates, shape (n, n_attributes).
        random_levels: levels of pairs drawn at random from all, same columns.
        roles: what the attributes are to relatives.
        n_pairs: number of all pairs that could be matches, candidates or not.
        known: `MATCH`, `NO_MATCH` or `UNKNOWN` for each candidate; what is known is
            learnt from and never doubted. A pair known to match none may still be of
            relatives.

    Returns:
        The model, with notes on what was wrong with the session; if the class found was
        not one of matches, a model of usual shares.
    """
    if levels.shape[1] != random_levels.shape[1] or levels.shape[1] != len(roles.shared):
        raise ValueError("levels and roles of unlike numbers of attributes")
    notes = []
    if len(random_levels) < FEWEST_RANDOM_PAIRS:
        # Without their number: it follows from that of the records, and others read this.
        notes.append(
            f"fewer than {FEWEST_RANDOM_PAIRS:,} random pairs: how often strangers agree is a guess"
        )
    both = np.concatenate([levels, random_levels])
    seen = level_counts(both, np.ones(len(both))) > 0
    seen[~seen.any(axis=1)] = True
    u = shares_of_strangers(random_levels, seen)
    usual = usual_shares(levels, seen)
    patterns = _patterns(levels, known)
    start = LinkageModel(
        m=rising(usual, u, seen),
        u=u,
        f=rising(usual, u, seen),
        roles=roles,
        n_pairs=max(n_pairs, len(levels) + 1),
        matches=0.05 * len(levels) + 1,
        relatives=0.01 * len(levels) + 1 if roles.tell_relatives else 0.0,
        twins=_TWINS * (0.01 * len(levels) + 1) if _has_twins(roles) else 0.0,
    )
    model, settled = _maximise(start, patterns, usual, free=True)
    if not settled:
        notes.append(f"the estimate did not settle in {_MOST_STEPS} steps")
    if problem := _not_of_matches(model, patterns):
        model, _ = _maximise(start, patterns, usual, free=False)
        notes.append(f"{problem}: usual rates of agreement are used instead of estimated ones")
    return replace(model, notes=tuple(notes))


def _has_twins(roles: Roles) -> bool:
    return roles.tell_relatives and bool(roles.dated.any() and (~roles.shared & ~roles.dated).any())


def _patterns(levels: NDArray[np.int8], known: NDArray[np.int8] | None) -> _Patterns:
    if known is None:
        known = np.full(len(levels), UNKNOWN, dtype=np.int8)
    if known.shape != (len(levels),):
        raise ValueError("one entry of `known` is needed for each pair")
    both = np.column_stack([levels, known])
    rows, counts = np.unique(both, axis=0, return_counts=True)
    return _Patterns(rows[:, :-1], counts.astype(np.float64), rows[:, -1])


def _maximise(
    model: LinkageModel, patterns: _Patterns, usual: NDArray[np.float64], free: bool
) -> tuple[LinkageModel, bool]:
    """Return the model after expectation maximisation, and whether it settled.

    Args:
        model: where to start.
        patterns: the candidates.
        usual: shares that stand in for what few pairs show.
        free: estimate shares too, not only the numbers of matches and relatives.
    """
    for _ in range(_MOST_STEPS):
        before = model
        model = _update(model, _expect(model, patterns), patterns, usual, free)
        if _change(before, model) < _SETTLED:
            return model, True
    return model, False


def _change(before: LinkageModel, after: LinkageModel) -> float:
    """Return by how much of itself the more changed of both numbers changed."""
    matches = abs(math.log(after.matches / before.matches))
    if not after.roles.tell_relatives:
        return matches
    return max(matches, abs(math.log(after.relatives / before.relatives)))


def _expect(model: LinkageModel, patterns: _Patterns) -> _Shares:
    weights = look_up(model.level_weights(), patterns.levels)
    family = look_up(log_ratio(model.f, model.u), patterns.levels)
    strangers = max(model.n_pairs - model.matches - model.relatives - model.twins, 1.0)
    shared = family[:, model.roles.shared].sum(axis=1)
    with np.errstate(divide="ignore"):
        classes = np.stack([
            np.log2(model.matches) + weights.sum(axis=1),
            np.log2(model.relatives) + shared,
            np.log2(model.twins) + shared + weights[:, model.roles.dated].sum(axis=1),
            np.full(len(weights), np.log2(strangers)),
        ])  # fmt: skip
    classes[0, patterns.known == NO_MATCH] = -np.inf
    classes[1:, patterns.known == MATCH] = -np.inf
    odds = np.exp2(classes - classes.max(axis=0))
    match, relative, twin, _ = odds / odds.sum(axis=0)
    return _Shares(match, relative, twin)


def _update(
    model: LinkageModel,
    shares: _Shares,
    patterns: _Patterns,
    usual: NDArray[np.float64],
    free: bool,
) -> LinkageModel:
    roles = model.roles
    matches = shares.match * patterns.pairs
    relatives, twins = shares.relative * patterns.pairs, shares.twin * patterns.pairs
    # Half a pair more, so that a class without pairs can still be told from an error.
    siblings = float((relatives + twins).sum()) + 0.5 if roles.tell_relatives else 0.0
    model = replace(
        model,
        matches=float(matches.sum()) + 0.5,
        relatives=siblings,
        twins=_TWINS * siblings if _has_twins(roles) else 0.0,
    )
    if not free:
        return model
    counts = level_counts(patterns.levels, matches)
    counts[roles.dated] += level_counts(patterns.levels, twins)[roles.dated]
    family = level_counts(patterns.levels, relatives + twins)
    return replace(
        model,
        m=bounded(rising(counts + _USUAL_PAIRS * usual, model.u, usual > 0), ~roles.shared),
        f=rising(family + _USUAL_PAIRS * usual, model.u, usual > 0),
    )


def _not_of_matches(model: LinkageModel, patterns: _Patterns) -> str | None:
    """Return why the class that was found cannot be that of matches, if so."""
    if patterns.known.max(initial=UNKNOWN) == MATCH:
        return None
    matches = _expect(model, patterns).match
    expected = float((matches * patterns.pairs).sum())
    if expected < _FEWEST_MATCHES:
        return f"there are {expected:.0f} matches, too few to learn from"
    sure = float((matches * patterns.pairs)[matches > _SURE].sum())
    if sure < _LEAST_SURE * expected:
        return "most of the estimated matches are doubtful, as if there were none"
    return None
