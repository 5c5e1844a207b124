"""The attacks A1 to A6 and A8 to A10 as the gate runs them: what each yields, and its control.

A7, on a whole job, is in `wholejob`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.privacy.frequency import HITS_LIMIT, N_TOP, best_alignments
from linkage.privacy.graph import Overlap, blind_matching, seeded_matching
from linkage.privacy.learner import KnownPairs, Learnt, matched_kernel, ridge
from linkage.privacy.level import Level
from linkage.privacy.lint import lint
from linkage.privacy.outcome import Outcome, at_chance, rate_outcome
from linkage.privacy.pairwise import signed_agreement
from linkage.privacy.people import PlainPeople
from linkage.privacy.progressions import LIMIT as MOST_PROGRESSIONS
from linkage.privacy.progressions import progressions
from linkage.privacy.rates import Named, total
from linkage.privacy.spectral import leading_vectors, separations
from linkage.privacy.subject import Subject
from linkage.privacy.tuples import Z_LIMIT

FEW_KNOWN, KNOWN = 20, 200
# What the control must reach: by rate, A6 by hits of ten.
_LEAST = {
    "A1 blind": 0.95,
    "A2 landmarks": 0.97,
    # From 200 pairs of a register with gaps ridge reads .985, the kernel everybody.
    "A3 ridge": 0.95,
    "A3 matched kernel": 0.99,
    "A8 dictionary": 0.99,
    "A10 field filters": 0.95,
}
_LEAST_HITS = 5
# Blind matching of textbook codes succeeds down to this overlap.
_BLIND_DOWN_TO = 0.8

Learner = Callable[[NDArray[np.uint64], PlainPeople, KnownPairs], Learnt]


@dataclass(frozen=True)
class Sent:
    """What is uploaded beside codes, and what the attacker holds against it.

    Attributes:
        tokens: block and exact tokens by slot, see `best_alignments`.
        values: tables of values, likewise.
        fields: field filters of the second round, one pair for each record, shape
            (n, n_words); None where there is no second round.
        one_key: the same as they would be under one key for all pairs, which the control
            must break.
    """

    tokens: Mapping[str, NDArray[np.uint64]]
    values: Mapping[str, NDArray[np.uint64]]
    fields: NDArray[np.uint64] | None = None
    one_key: NDArray[np.uint64] | None = None


def known_pairs(subject: Subject, control: Subject, level: Level, seed: int) -> Iterator[Outcome]:
    """A3: learners that know 200 persons' codes, and half of them."""
    n = min(len(subject), len(control))
    learners: tuple[tuple[str, Learner], ...] = (
        ("A3 ridge", ridge),
        ("A3 matched kernel", matched_kernel),
    )
    for name, learner in learners:
        for n_known in sorted({min(KNOWN, n // 2), n // 2}):
            found, broken = (
                [
                    learner(of.codes, of.people, pairs)
                    for number in range(level.seeds)
                    for pairs in _draws(len(of), n_known, seed + number)
                ]
                for of in (subject, control)
            )
            setting = f"{n_known:,} known"
            yield from _named(
                name, setting, subject, [of.named for of in found], [of.named for of in broken]
            )
            # Once for each seed: the turned draw is none of its own.
            once = slice(None, None, len(found) // level.seeds)
            yield at_chance(
                name,
                f"{setting}, no relative known",
                total(of.unrelated for of in found[once]),
                total(of.unrelated for of in broken[once]),
                _LEAST[name],
            )


def _draws(n: int, n_known: int, seed: int) -> list[KnownPairs]:
    """Return the pairs known; where they are half of all, the other half is known in turn.

    The same attack twice on one register costs less than a larger register, and says as
    much: with one half alone a scheme at a quarter of the limit fails once in ten times.
    """
    pairs = KnownPairs.draw(n, n_known, seed)
    return [pairs, pairs.turned()] if n_known == n // 2 else [pairs]


def _named(
    attack: str, setting: str, subject: Subject, found: Sequence[Named], control: Sequence[Named]
) -> Iterator[Outcome]:
    """Yield how many persons were named; of a padded register the real ones apart, too."""
    least = _LEAST[attack]
    broken = total(named.rate() for named in control)
    yield rate_outcome(attack, setting, total(named.rate() for named in found), broken, least)
    if not subject.real.all():
        real = total(named.rate(subject.real) for named in found)
        yield rate_outcome(attack, f"{setting}, own records alone", real, broken, least)


def homomorphism(subject: Subject, control: Subject) -> Iterator[Outcome]:
    """A4: records that cancel each other."""
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


def structure(subject: Subject, control: Subject, seed: int) -> Iterator[Outcome]:
    """A5: what the codes alone show."""
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


def frequencies(sent: Sent) -> Iterator[Outcome]:
    """A6: tokens ranked by frequency, against values."""
    # The control: tokens that are the same wherever the value is.
    plain = best_alignments(
        {name: column[:, None] for name, column in sent.values.items()}, sent.values
    )
    broken = max((alignment.hits for alignment in plain), default=0.0)
    found = best_alignments(sent.tokens, sent.values)
    if found:
        worst = found[0]
        yield Outcome(
            "A6 frequencies", f"of {N_TOP} tokens read, {worst.slot}", worst.hits, HITS_LIMIT,
            worst.exceeded, control=broken, unbroken=broken < _LEAST_HITS,
        )  # fmt: skip


def own_key(subject: Subject, control: Subject) -> Iterator[Outcome]:
    """A8: a dictionary of all persons under a key of one's own, for who does without a key."""
    yield from _named(
        "A8 dictionary",
        "under any key",
        subject,
        [_nearest(subject.codes, subject.own_codes)],
        [_nearest(control.codes, control.own_codes)],
    )


def _nearest(codes: NDArray[np.uint64], own: NDArray[np.uint64]) -> Named:
    best = signed_agreement(codes, own).argmax(axis=1)
    everyone = np.arange(len(codes))
    return Named(everyone, best == everyone, 1 / max(len(codes), 1))


def positions(subject: Subject, control: Subject, seed: int) -> Iterator[Outcome]:
    """A9: patterns in the positions of tokens."""
    found, broken = (progressions(of.filters, seed) for of in (subject, control))
    yield Outcome(
        "A9 double hashing",
        "progressions of positions, times as many as by chance",
        found.ratio,
        MOST_PROGRESSIONS,
        found.exceeded,
        1.0,
        control=broken.ratio,
        unbroken=not broken.exceeded,
    )


def fields_compared(subject: Subject, sent: Sent, seed: int) -> Iterator[Outcome]:
    """A10: field filters of one pair read with those of others."""
    if sent.fields is None or sent.one_key is None:
        return
    n = len(subject)
    pairs = KnownPairs.draw(n, n // 2, seed)
    found, broken = (
        ridge(rows, subject.people, pairs).named for rows in (sent.fields, sent.one_key)
    )
    yield from _named("A10 field filters", f"{n // 2:,} known", subject, [found], [broken])


def graphs(subject: Subject, control: Subject, level: Level, seed: int) -> Iterator[Outcome]:
    """A1 and A2: graphs of codes, at each overlap."""
    for share in level.overlaps:
        setting = f"overlap {share:.0%}"
        draws = [Overlap.draw(len(subject), share, seed + n) for n in range(level.seeds)]
        own = Overlap.draw(len(control), share, seed)
        for n_known in (FEW_KNOWN, KNOWN):
            yield from _named(
                "A2 landmarks",
                f"{setting}, {n_known} known",
                subject,
                [seeded_matching(subject.codes, subject.people, o, n_known) for o in draws],
                [seeded_matching(control.codes, control.people, own, n_known)],
            )
        if share >= _BLIND_DOWN_TO:
            yield from _named(
                "A1 blind",
                setting,
                subject,
                [blind_matching(subject.codes, subject.people, o) for o in draws],
                [blind_matching(control.codes, control.people, own)],
            )
