"""The ablation benchmark: best F1 with everything on, and with one thing left out.

Left out are the weights by rarity, each group of normalisation rules, all rules that have
a switch, and each rule alone. Both sides of a difference are encoded under the same key,
so that what collides under it is the same on both. Where a rule looks as if it did harm,
it is tried again under keys that had no part in the suspicion.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.experiment import Experiment
from benchmarks.records import MissingSetError, RecordSet, load_records
from benchmarks.schemes import Scheme, Variant, encode_set, schema_of
from linkage.agent.trial import best_quality
from linkage.normalise.rules import RULE_BY_ID, RULES
from linkage.schema import Language

RETRIALS = 8
# A difference that is no more than this is none, however steady: figures have three digits.
_SMALLEST = 0.0005
_STANDARD_ERRORS = 3.0


@dataclass(frozen=True)
class Arm:
    """What is left out.

    Attributes:
        name: how it is called in tables.
        without: ids of rules.
        rarity: False leaves out the weights by rarity.
    """

    name: str
    without: tuple[str, ...] = ()
    rarity: bool | None = None

    def variant(self, language: Language) -> Variant:
        """Return what the schema says, only what acts in that language."""
        acting = tuple(rule for rule in self.without if language in RULE_BY_ID[rule].languages)
        return Variant(language, acting, self.rarity)


EVERYTHING_ON = Arm("all on")


def _group_arms() -> tuple[Arm, ...]:
    by_group: dict[str, tuple[str, ...]] = {}
    for rule in RULES:
        if rule.switch == "without":
            by_group[rule.group] = (*by_group.get(rule.group, ()), rule.id)
    every = tuple(rule for rules in by_group.values() for rule in rules)
    groups = [Arm(group, rules) for group, rules in by_group.items()]
    return (Arm("rarity", rarity=False), *groups, Arm("all rules", every))


GROUP_ARMS = _group_arms()
RULE_ARMS = tuple(Arm(rule.id, (rule.id,)) for rule in RULES if rule.switch == "without")


@dataclass(frozen=True)
class Ablated:
    """One set in one language profile.

    Attributes:
        experiment: the set.
        language: what its schema says of all attributes.
        records: number of records.
        all_on: best F1 under every key.
        without: by arm and key, best F1 without it less that with everything on; an arm
            that changes no code is not there.
    """

    experiment: Experiment
    language: Language
    records: int
    all_on: list[float]
    without: dict[str, list[float]]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "set": self.experiment.name,
            "names": self.experiment.language,
            "language": self.language,
            "records": self.records,
            "best_f1_by_key": self.all_on,
            "difference_by_key": self.without,
        }


@dataclass(frozen=True)
class Retrial:
    """A rule that seemed to do harm, tried again under other keys.

    Attributes:
        experiment: the set.
        language: what its schema says of all attributes.
        rule: its id.
        differences: by key, best F1 without the rule less that with everything on.
    """

    experiment: Experiment
    language: Language
    rule: str
    differences: list[float]

    @property
    def mean(self) -> float:
        """By how much the set is better without the rule."""
        return fmean(self.differences)

    @property
    def error(self) -> float:
        """Standard error of the mean over keys; 0 under a single one."""
        n = len(self.differences)
        return stdev(self.differences) / math.sqrt(n) if n > 1 else 0.0

    @property
    def harms(self) -> bool:
        """Whether the rule makes the set worse, beyond the chance of the keys."""
        return self.mean > max(_SMALLEST, _STANDARD_ERRORS * self.error)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "set": self.experiment.name,
            "names": self.experiment.language,
            "language": self.language,
            "rule": self.rule,
            "difference_by_key": self.differences,
            "mean": self.mean,
            "standard_error": self.error,
            "harms": self.harms,
        }


@dataclass
class AblationResult:
    """Figures of all sets, and what was left out.

    Attributes:
        scheme: the scheme.
        keys: number of keys.
        rows: results in the order of the experiments.
        retrials: rules that seemed to do harm.
        skipped: reason by name of a set that was skipped.
    """

    scheme: str
    keys: int
    rows: list[Ablated] = field(default_factory=list)
    retrials: list[Retrial] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "scheme": self.scheme,
            "keys": self.keys,
            "groups": {arm.name: arm.without for arm in GROUP_ARMS if arm.without},
            "sets": [row.to_dict() for row in self.rows],
            "retrials": [retrial.to_dict() for retrial in self.retrials],
            "skipped": self.skipped,
        }


def measure_ablation(
    experiments: Sequence[Experiment],
    scheme: Scheme,
    data: Path,
    threads: int,
    keys: int,
    retrials: int = RETRIALS,
    small: bool = False,
    on_set: Callable[[str], None] = lambda _name: None,
) -> AblationResult:
    """Link every set with everything on and without each part, in two language profiles.

    The profiles are "any", where nothing is said of the names, and the set's own.

    Args:
        experiments: the sets.
        scheme: the encoding.
        data: folder of the sets that are files.
        threads: threads that compare.
        keys: number of keys to take the mean over.
        retrials: number of further keys for a rule that seems to do harm.
        small: use a small part of each set.
        on_set: told the name of each set before it starts.
    """
    result = AblationResult(scheme.text, keys)
    for experiment in experiments:
        on_set(experiment.name)
        try:
            records = load_records(experiment, data, small)
        except MissingSetError as error:
            result.skipped[experiment.name] = str(error)
            continue
        trials = _Trials(records, scheme, threads)
        languages: tuple[Language, ...] = ("any", experiment.language)
        for language in languages:
            row = _ablate(trials, language, keys)
            result.rows.append(row)
            result.retrials += _try_again(trials, row, keys, retrials)
    return result


def _ablate(trials: "_Trials", language: Language, keys: int) -> Ablated:
    all_on = [trials.f1(EVERYTHING_ON, language, key) for key in range(keys)]
    without = {
        arm.name: [trials.difference(arm, language, key) for key in range(keys)]
        for arm in (*GROUP_ARMS, *RULE_ARMS)
        if trials.changes_codes(arm, language)
    }
    records = trials.records
    return Ablated(records.experiment, language, len(records), all_on, without)


def _try_again(trials: "_Trials", row: Ablated, keys: int, retrials: int) -> list[Retrial]:
    suspects = [arm for arm in RULE_ARMS if fmean(row.without.get(arm.name, [0.0])) > 0]
    return [
        Retrial(
            row.experiment,
            row.language,
            arm.name,
            [trials.difference(arm, row.language, key) for key in range(keys, keys + retrials)],
        )
        for arm in suspects
        if retrials
    ]


class _Trials:
    """Best F1 on one set; equal codes are linked once."""

    def __init__(self, records: RecordSet, scheme: Scheme, threads: int) -> None:
        self.records = records
        self._scheme, self._threads = scheme, threads
        self._digests: dict[tuple[Variant, int], bytes] = {}
        self._f1: dict[bytes, float] = {}

    def f1(self, arm: Arm, language: Language, key: int) -> float:
        """Return the best F1 of an arm under a numbered key."""
        return self._f1[self._digest(arm, language, key)]

    def difference(self, arm: Arm, language: Language, key: int) -> float:
        """Return the best F1 of an arm less that with everything on."""
        return self.f1(arm, language, key) - self.f1(EVERYTHING_ON, language, key)

    def changes_codes(self, arm: Arm, language: Language) -> bool:
        """Return whether any record has another code than with everything on."""
        return self._digest(arm, language, 0) != self._digest(EVERYTHING_ON, language, 0)

    def _digest(self, arm: Arm, language: Language, key: int) -> bytes:
        variant = arm.variant(language)
        if (variant, key) not in self._digests:
            schema = schema_of(self.records.experiment, self._scheme, variant)
            codes = encode_set(self.records, schema, key)
            digest = hashlib.sha256(b"".join(part.tobytes() for part in codes)).digest()
            if digest not in self._f1:
                person = self.records.person
                self._f1[digest] = best_quality(codes, person, schema, self._threads).f1
            self._digests[variant, key] = digest
        return self._digests[variant, key]
