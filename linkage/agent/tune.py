"""Weights of attributes, learned from records whose persons are known.

What is estimated, for each attribute:

- m: the share of its tokens that two records of one person have in common. A value
  that only one of the two has counts as tokens not in common, as it does in a filter.
- u: the same for two strangers. Not only for strangers drawn at random: linkages go
  wrong at relatives, neighbours and namesakes, so u is the greatest of the shares among
  strangers at random and among strangers who have all of another attribute in common
  (of each other attribute in turn).

Such strangers are why a mother's name weighs little beside a father's: whoever shares
the one often shares the other. An attribute is worth log(m / u) - log((1 - m) / (1 - u)),
the log likelihood ratio between a token in common and one not in common. A token counts
with the square of its weight, so the weight is the square root of that.

What it leaves out: tokens of one value count as independent, though a slip or a missing
value takes several at once. So long attributes are learned to be worth too much, and where
most errors are of that kind the defaults can be better. How far to go from the one to the
other is tried on persons that were not learned from (`heldout`): not at all where that
does not link better.

Weights are scaled so that a usual record sets as many filter positions as it does with
the default weights: only their proportions are learned, since a fuller filter would tell
more to an attacker.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkage.agent.heldout import Trial, best_step, try_steps, weight_at
from linkage.agent.labelled import Labelled
from linkage.errors import RecordError
from linkage.schema import Attribute, LinkageSchema

N_PAIRS = 5_000
_DRAWS = 4  # candidates drawn for each pair wanted; those that do not fit are dropped
_FEWEST_PAIRS = 100
_LOWEST_WORTH = 0.25  # what an attribute is worth at least: it may tell more elsewhere
_HIGHEST_WEIGHT = 10.0
_RANDOM = "at random"

_Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class TunedAttribute:
    """What was learned of one attribute.

    Attributes:
        name: its name.
        m: share of tokens in common for one person; None where no pair tells.
        u: likewise for strangers.
        strangers: which strangers had the greatest share: at random, or the attribute
            that they have in common.
        learned: the learned weight; the default where nothing could be learned.
        default: the weight of its type.
        weight: what is proposed, between the two.
    """

    name: str
    m: float | None
    u: float | None
    strangers: str
    learned: float
    default: float
    weight: float


@dataclass(frozen=True)
class Tuned:
    """What was learned, and how far it is followed.

    Attributes:
        attributes: those that enter the code, in the order of the schema.
        step: how far to go from the default weights, 0, to the learned ones, 1.
        trials: what was tried on persons held out.
    """

    attributes: tuple[TunedAttribute, ...]
    step: float
    trials: tuple[Trial, ...]


def tune(schema: LinkageSchema, records: Labelled, seed: int, threads: int) -> Tuned:
    """Return a weight for each attribute; equal arguments give equal weights.

    Half of the persons teach weights that are tried on the other half, and the other way
    round. What is proposed at last is learned from all.

    Args:
        schema: the linkage schema; weights in it are not looked at.
        records: records of known persons.
        seed: of the choice of pairs and persons.
        threads: threads that compare.

    Raises:
        RecordError: too few records are of one person.
    """

    def learn(some: Labelled) -> list[TunedAttribute]:
        return _learn(schema, some, np.random.default_rng(seed))

    learned = learn(records)
    trials = try_steps(
        schema, records, lambda half: {a.name: a.learned for a in learn(half)}, seed, threads
    )
    step = best_step(trials)
    attributes = tuple(
        replace(a, weight=round(weight_at(step, a.default, a.learned), 2)) for a in learned
    )
    return Tuned(attributes, step, trials)


def _learn(
    schema: LinkageSchema, records: Labelled, rng: np.random.Generator
) -> list[TunedAttribute]:
    same = _drawn_within(records.person, rng)
    same = same[_comparable(records, same)][:N_PAIRS]
    if len(same) < _FEWEST_PAIRS:
        raise RecordError(f"{len(same)} pairs of one person: weights need {_FEWEST_PAIRS} or more")
    strangers = _strangers(records, rng)
    learned = {a.name: _shares(records, a.name, same, strangers) for a in schema.fuzzy}
    worth = {name: _worth(m, u) for name, (m, u, _) in learned.items() if m and u is not None}
    scale = _scale([a for a in schema.fuzzy if a.name in worth], worth)
    tuned = []
    for attribute in schema.fuzzy:
        m, u, who = learned[attribute.name]
        default = attribute.of_type.weight
        weight = default
        if attribute.name in worth:
            weight = round(scale * math.sqrt(worth[attribute.name]), 2)
            weight = min(max(weight, 0.01), _HIGHEST_WEIGHT)
        tuned.append(TunedAttribute(attribute.name, m, u, who, weight, default, weight))
    return tuned


def _shares(
    records: Labelled, name: str, same: _Pairs, strangers: Mapping[str, _Pairs]
) -> tuple[float | None, float | None, str]:
    m = _share(records, name, same)
    others = {
        who: share
        for who, pairs in strangers.items()
        if who != name and (share := _share(records, name, pairs)) is not None
    }
    if m is None or not others:
        return None, None, ""
    most = max(others, key=lambda who: others[who])
    return m, others[most], most


def _share(records: Labelled, name: str, pairs: _Pairs) -> float | None:
    """Return the share of tokens in common, over pairs of files that have the attribute."""
    tokens, lacking = records.tokens[name], records.lacking[name]
    if lacking:
        pairs = pairs[~np.isin(records.file[pairs], list(lacking)).any(axis=1)]
    common = size = n_known = 0
    for left, right in pairs.tolist():
        both = len(tokens[left]) + len(tokens[right])
        n_known += both > 0
        size += both
        common += 2 * len(tokens[left] & tokens[right])
    if n_known < _FEWEST_PAIRS:
        return None
    # Half an observation each way keeps the logarithms finite.
    return (common + 0.5) / (size + 1)


def _worth(m: float, u: float) -> float:
    return max(_LOWEST_WORTH, math.log(m / u * (1 - u) / (1 - m)))


def _scale(attributes: list[Attribute], worth: Mapping[str, float]) -> float:
    by_default = sum(a.of_type.weight**2 * a.of_type.mean_tokens for a in attributes)
    learned = sum(worth[a.name] * a.of_type.mean_tokens for a in attributes)
    return math.sqrt(by_default / learned) if learned else 1.0


def _strangers(records: Labelled, rng: np.random.Generator) -> dict[str, _Pairs]:
    """Return pairs of unlike persons: at random, and with one attribute in common."""
    everyone = np.zeros(len(records), dtype=np.int64)
    found = {_RANDOM: _drawn_within(everyone, rng)}
    for name, tokens in records.tokens.items():
        number: dict[frozenset[str], int] = {}
        # Who has no value has nothing in common with anybody.
        values = [
            number.setdefault(value, len(number)) if value else -1 - row
            for row, value in enumerate(tokens)
        ]
        found[name] = _drawn_within(np.array(values, dtype=np.int64), rng)
    for who, pairs in found.items():
        unlike = records.person[pairs[:, 0]] != records.person[pairs[:, 1]]
        found[who] = pairs[unlike & _comparable(records, pairs)][:N_PAIRS]
    return found


def _comparable(records: Labelled, pairs: _Pairs) -> NDArray[np.bool_]:
    """Return which pairs a linkage compares: unlike files, or unlike records of one file."""
    if records.file.max(initial=0) > 0:
        return np.asarray(records.file[pairs[:, 0]] != records.file[pairs[:, 1]])
    return np.asarray(pairs[:, 0] != pairs[:, 1])


def _drawn_within(group: NDArray[np.int64], rng: np.random.Generator) -> _Pairs:
    """Draw pairs of records of one group: each record of a group of two or more alike often."""
    order = np.argsort(group, kind="stable")
    _, start, size = np.unique(group[order], return_index=True, return_counts=True)
    place_start, place_size = np.repeat(start, size), np.repeat(size, size)
    places = np.flatnonzero(place_size > 1)
    if not len(places):
        return np.zeros((0, 2), dtype=np.int64)
    drawn = places[rng.integers(len(places), size=_DRAWS * N_PAIRS)]
    step = rng.integers(1, place_size[drawn])
    within = (drawn - place_start[drawn] + step) % place_size[drawn]
    return np.stack([order[drawn], order[place_start[drawn] + within]], axis=1)
