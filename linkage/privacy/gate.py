"""The risk gate: all attacks on one register, each beside its positive control.

An attack counts only if it breaks the textbook scheme on the same records first: one that
cannot do even that proves nothing of another scheme, and its result is void.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.privacy.frequency import HITS_LIMIT, N_TOP, best_alignments
from linkage.privacy.graph import Overlap, blind_matching, seeded_matching
from linkage.privacy.learner import KnownPairs, Learnt, matched_kernel, ridge
from linkage.privacy.lint import lint
from linkage.privacy.rates import Rate
from linkage.privacy.spectral import leading_vectors, separations
from linkage.privacy.subject import Subject
from linkage.privacy.tuples import Z_LIMIT

_FEW_KNOWN, _KNOWN = 20, 200
# What the control must reach: A1, A2 and A3 by rate, A6 by hits of ten.
_LEAST = {"A1": 0.95, "A2": 0.97, "A3": 0.99}
_LEAST_HITS = 5
# Blind matching of textbook codes succeeds down to this overlap.
_BLIND_DOWN_TO = 0.8


@dataclass(frozen=True)
class Level:
    """How thorough a gate is.

    Attributes:
        name: what it is called.
        most_records: records that are attacked at most.
        overlaps: shares of the registers in common, for A1 and A2; none leaves these out.
        seeds: how often everything is drawn anew.
        whole_job: whether A7 attacks a whole job.
    """

    name: str
    most_records: int
    overlaps: tuple[float, ...]
    seeds: int
    whole_job: bool


LEVELS: Mapping[str, Level] = {
    level.name: level
    for level in (
        Level("quick", 5_000, (), 1, whole_job=False),
        Level("full", 5_000, (1.0, 0.8, 0.5, 0.2), 3, whole_job=True),
    )
}


@dataclass(frozen=True)
class Outcome:
    """One figure of the gate.

    Attributes:
        attack: which attack, beginning with its number.
        setting: under which circumstances.
        value: the figure.
        limit: the highest allowed.
        exceeded: whether it is above, as far as can be told.
        chance: the figure by chance, where there is one.
        interval: 95 % of the value, where it is a rate.
        control: the figure on the textbook scheme.
        unbroken: the same attack failed on the textbook scheme.
    """

    attack: str
    setting: str
    value: float
    limit: float
    exceeded: bool
    chance: float | None = None
    interval: tuple[float, float] | None = None
    control: float | None = None
    unbroken: bool = False

    @property
    def void(self) -> bool:
        """Whether the figure says nothing: neither scheme nor control was broken."""
        return self.unbroken and not self.exceeded

    def to_dict(self) -> dict[str, object]:
        """Return the figure as JSON can have it."""
        return {**self.__dict__, "void": self.void}


def run_gate(
    subject: Subject,
    control: Subject,
    tokens: Mapping[str, NDArray[np.uint64]],
    values: Mapping[str, NDArray[np.uint64]],
    level: Level,
    seed: int,
    on_attack: Callable[[str], None] = lambda _name: None,
) -> list[Outcome]:
    """Run A1 to A6.

    Args:
        subject: the register under the scheme in question.
        control: the same one under the textbook scheme.
        tokens: block and exact tokens as uploaded, by slot, see `best_alignments`.
        values: tables of values, likewise.
        level: how thorough.
        seed: of all draws.
        on_attack: told the name of each attack before it starts.
    """
    outcomes: list[Outcome] = []
    for part in (
        _known_pairs(subject, control, level, seed),
        _homomorphism(subject, control),
        _structure(subject, control, seed),
        _frequency(tokens, values),
        _graphs(subject, control, level, seed),
    ):
        for outcome in part:
            on_attack(f"{outcome.attack}, {outcome.setting}")
            outcomes.append(outcome)
    return outcomes


def rate_outcome(attack: str, setting: str, found: Rate, control: Rate, least: float) -> Outcome:
    """Return a rate of hits as an outcome; the control must reach `least`."""
    return Outcome(
        attack,
        setting,
        found.value,
        found.limit,
        found.exceeded,
        found.chance,
        found.interval,
        control.value,
        unbroken=control.value < least,
    )


def _known_pairs(subject: Subject, control: Subject, level: Level, seed: int) -> Iterator[Outcome]:
    n = min(len(subject), len(control))
    budgets = sorted({min(_KNOWN, n // 2), n // 2})
    for name, learner in (("A3 ridge", ridge), ("A3 matched kernel", matched_kernel)):
        for n_known in budgets:
            found, broken = (
                _pooled(
                    learner(s.codes, s.people, KnownPairs.draw(len(s), n_known, seed + number))
                    for number in range(level.seeds)
                )
                for s in (subject, control)
            )
            setting = f"{n_known:,} known"
            least = _LEAST["A3"]
            yield rate_outcome(name, setting, found.everyone, broken.everyone, least)
            yield _at_chance(name, f"{setting}, no relative known", found.unrelated, broken)


def _pooled(parts: Iterator[Learnt]) -> Learnt:
    whole = next(parts)
    for part in parts:
        whole = Learnt(
            whole.everyone + part.everyone,
            whole.unrelated + part.unrelated,
            whole.surest + part.surest,
        )
    return whole


def _at_chance(attack: str, setting: str, found: Rate, control: Learnt) -> Outcome:
    """Hold hits on persons without a known relative against chance alone.

    Four such tests are made by a gate; together they fail a sound scheme once in a hundred.
    """
    limit = _most_by_chance(found, 0.01 / 4)
    return Outcome(
        attack,
        setting,
        found.value,
        limit / found.trials if found.trials else 1.0,
        found.hits > limit,
        found.chance,
        found.interval,
        control.unrelated.value,
        unbroken=control.unrelated.value < _LEAST["A3"],
    )


def _most_by_chance(rate: Rate, p: float) -> int:
    """Return the most hits that chance brings with a probability of 1 - p (Poisson)."""
    mean, hits = rate.trials * rate.chance, 0
    term = total = math.exp(-mean)
    while total < 1 - p:
        hits += 1
        term *= mean / hits
        total += term
    return hits


def _homomorphism(subject: Subject, control: Subject) -> Iterator[Outcome]:
    found, broken = subject.tuples, control.tuples
    yield Outcome(
        "A4 planted rectangles",
        "lightest of 60, in deviations",
        found.z_most,
        Z_LIMIT,
        found.z_most > Z_LIMIT,
        control=broken.z_most,
        unbroken=broken.z_most <= Z_LIMIT,
    )
    yield Outcome(
        "A4 rectangles of names",
        f"found of {found.n_rectangles}",
        found.found,
        found.found_limit,
        found.found > found.found_limit,
        found.chance,
        control=broken.found,
        unbroken=broken.found <= broken.found_limit,
    )


def _structure(subject: Subject, control: Subject, seed: int) -> Iterator[Outcome]:
    ours, theirs = (lint(s.codes, s.set_bits) for s in (subject, control))
    unbroken = not any(finding.exceeded for finding in theirs)
    for mine, other in zip(ours, theirs, strict=True):
        yield Outcome(
            "A5 lint", mine.name, mine.value, mine.limit, mine.exceeded,
            control=other.value, unbroken=unbroken,
        )  # fmt: skip
    told, broken = (
        separations(leading_vectors(s.codes, seed), s.groups) for s in (subject, control)
    )
    if told:
        # The one nearest its limit or farthest above.
        worst, most = told[0], max(broken, key=lambda separation: separation.auc)
        yield Outcome(
            "A5 leading vectors", f"area under the curve, {worst.group}", worst.auc, worst.limit,
            worst.exceeded, 0.5, control=most.auc,
            unbroken=not any(separation.exceeded for separation in broken),
        )  # fmt: skip


def _frequency(
    tokens: Mapping[str, NDArray[np.uint64]], values: Mapping[str, NDArray[np.uint64]]
) -> Iterator[Outcome]:
    # The control: tokens that are the same wherever the value is.
    plain = best_alignments({name: column[:, None] for name, column in values.items()}, values)
    broken = max((alignment.hits for alignment in plain), default=0.0)
    found = best_alignments(tokens, values)
    if found:
        worst = found[0]
        yield Outcome(
            "A6 frequencies", f"of {N_TOP} tokens read, {worst.slot}", worst.hits, HITS_LIMIT,
            worst.exceeded, control=broken, unbroken=broken < _LEAST_HITS,
        )  # fmt: skip


def _graphs(subject: Subject, control: Subject, level: Level, seed: int) -> Iterator[Outcome]:
    for share in level.overlaps:
        setting = f"overlap {share:.0%}"
        draws = [Overlap.draw(len(subject), share, seed + n) for n in range(level.seeds)]
        own = [Overlap.draw(len(control), share, seed + n) for n in range(level.seeds)]
        for n_known in (_FEW_KNOWN, _KNOWN):
            found = _sum(seeded_matching(subject.codes, subject.people, o, n_known) for o in draws)
            broken = seeded_matching(control.codes, control.people, own[0], n_known)
            yield rate_outcome(
                "A2 landmarks", f"{setting}, {n_known} known", found, broken, _LEAST["A2"]
            )
        if share >= _BLIND_DOWN_TO:
            found = _sum(blind_matching(subject.codes, subject.people, o) for o in draws)
            broken = blind_matching(control.codes, control.people, own[0])
            yield rate_outcome("A1 blind", setting, found, broken, _LEAST["A1"])


def _sum(rates: Iterator[Rate]) -> Rate:
    whole = next(rates)
    for rate in rates:
        whole += rate
    return whole
