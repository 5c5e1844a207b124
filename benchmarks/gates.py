"""The whole risk gate on known sets, scheme by scheme: what passes, and what the attacks break.

Of each set the first file is attacked, and for the attack on a whole job both files, with the
errors that they have. The control must be broken where `privacy.md` says that it can be: its
rows have limits of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiment import Experiment
from benchmarks.records import MissingSetError, RecordSet, load_records
from benchmarks.report import Table
from benchmarks.schemes import Scheme, parse_scheme, schema_of, source_of
from linkage.agent.attack import sent_of
from linkage.agent.attackedjob import Register, attack_registers
from linkage.agent.encoding import RecordNormaliser
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.attacks import frequencies
from linkage.privacy.gate import run_gate
from linkage.privacy.level import LEVELS, Level
from linkage.privacy.made import take
from linkage.privacy.outcome import Outcome
from linkage.privacy.people import SeededKeys
from linkage.privacy.planted import double_hashed
from linkage.privacy.subject import control_subject, distinct_persons, subject_of
from linkage.schema import LinkageSchema

SETS = ("febrl4", "synthetic-clean-1")


@dataclass(frozen=True)
class Gated:
    """One scheme under the gate.

    Attributes:
        name: what it is called.
        scheme: with its rounds.
        seeds: how often A3 is drawn anew; 0 where the codes are those of another one. A1 and A2,
            which take long, are for the default alone.
    """

    name: str
    scheme: Scheme
    seeds: int


DEFAULT = Gated("saul 8192/5", parse_scheme("saul:8192/5").refined(10), 3)
GATED = (
    DEFAULT,
    Gated("one round", parse_scheme("saul:8192/5"), 0),
    Gated("saul 4096/4", parse_scheme("saul:4096/4"), 1),
    Gated("diffused", parse_scheme("diffused"), 1),
)
_NAMES = tuple(gated.name for gated in GATED)
# What plain `clk` must show, by attack; A1 at overlaps from 80 % on.
LEAST_OF_CONTROL = {"A1": 0.95, "A2": 0.97, "A3 matched kernel": 0.99}
_FULL = replace(LEVELS["full"], overlaps=(1.0, 0.9, 0.8, 0.5, 0.2))
_SMALL = replace(_FULL, most_records=250, overlaps=(1.0,))
_VICTIM, _ATTACKER = 1, 2

Columns = Mapping[str, FlaggedColumn]


@dataclass
class GatesResult:
    """What the gate said of each scheme on each set.

    Attributes:
        n_persons: persons attacked, by set.
        outcomes: all figures, by set and scheme.
        skipped: sets that are not here, and why.
    """

    n_persons: dict[str, int] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], list[Outcome]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """What is not as it must be: of the default and of the controls, one line each."""
        lines = []
        for (of_set, scheme), outcomes in self.outcomes.items():
            if scheme != DEFAULT.name:
                continue
            for outcome in outcomes:
                what = f"{of_set}: {outcome.attack}, {outcome.setting}"
                if outcome.verdict != "passed":
                    lines.append(f"{what}: {outcome.verdict}")
                least = _least_of_control(outcome)
                if least is not None and (outcome.control or 0.0) < least:
                    lines.append(f"{what}: control {outcome.control:.3f}, at least {least}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "persons": self.n_persons,
            "skipped": self.skipped,
            "failed": self.failed,
            "outcomes": [
                {"set": of_set, "scheme": scheme, **outcome.__dict__, "verdict": outcome.verdict}
                for (of_set, scheme), outcomes in self.outcomes.items()
                for outcome in outcomes
            ],
        }


def _least_of_control(outcome: Outcome) -> float | None:
    if "no relative" in outcome.setting:
        return None
    found = (least for name, least in LEAST_OF_CONTROL.items() if outcome.attack.startswith(name))
    return next(found, None)


def measure_gates(
    experiments: Sequence[Experiment],
    data: Path,
    small: bool = False,
    on_step: Callable[[str], None] = lambda _name: None,
) -> GatesResult:
    """Run the full gate for every scheme on every set.

    Args:
        experiments: the sets.
        data: folder of the sets that are files.
        small: few persons, to try it out.
        on_step: told what is being done.
    """
    result = GatesResult()
    for experiment in experiments:
        try:
            records = load_records(experiment, data)
        except MissingSetError as error:
            result.skipped[experiment.name] = str(error)
            continue
        for gated in GATED:
            level = replace(_SMALL if small else _FULL, seeds=gated.seeds)
            if gated is not DEFAULT:
                level = replace(level, overlaps=())
            of_set = _Registers(records, schema_of(experiment, gated.scheme), level)
            result.n_persons[experiment.name] = len(of_set.persons)
            result.outcomes[experiment.name, gated.name] = of_set.attacked(
                lambda attack, what=f"{experiment.name}, {gated.name}": on_step(f"{what}: {attack}")
            )
    return result


class _Registers:
    """The files of a set under one scheme."""

    def __init__(self, records: RecordSet, schema: LinkageSchema, level: Level) -> None:
        self._schema, self._level = schema, level
        self._registers = [self._register(records, number) for number in range(2)]
        columns, _ = self._registers[0]
        self.persons = distinct_persons(schema, columns, _ATTACKER)

    def _register(self, records: RecordSet, number: int) -> Register:
        """Return the first record of each person of a file, of as many persons as are attacked."""
        persons, first = np.unique(records.person[records.file == number], return_index=True)
        # The same persons in both files.
        order = np.random.default_rng(_ATTACKER).permutation(int(records.person.max()) + 1)
        kept = np.sort(np.argsort(order[persons])[: self._level.most_records])
        table = records.tables[number].take(first[kept]).combine_chunks()
        name = records.files[number]
        source = source_of(records.experiment, name, Path(name))
        return RecordNormaliser(self._schema, source).columns(table), persons[kept]

    def attacked(self, on_attack: Callable[[str], None]) -> list[Outcome]:
        columns = {
            name: take(column, self.persons) for name, column in self._registers[0][0].items()
        }
        sent = sent_of(self._schema, columns, _ATTACKER)
        if self._level.seeds:
            keys = SeededKeys(_VICTIM)
            subject = subject_of(self._schema, columns, keys, _ATTACKER)
            control = control_subject(self._schema, columns, keys, _ATTACKER, double_hashed)
            outcomes = run_gate(subject, control, sent, self._level, _ATTACKER, on_attack)
        else:
            outcomes = list(frequencies(sent))
        left, right = self._registers
        return outcomes + attack_registers(self._schema, left, right, _ATTACKER, on_attack)


def gates_table(result: GatesResult) -> Table:
    """Return the tables: a row for each attack, setting and set, a column for each scheme."""
    rows: dict[tuple[str, str, str], dict[str, Outcome]] = {}
    for (of_set, scheme), outcomes in result.outcomes.items():
        for outcome in outcomes:
            rows.setdefault((of_set, outcome.attack, outcome.setting), {})[scheme] = outcome
    return Table(
        title="The risk gate, scheme by scheme",
        header=[
            "set, attack, setting",
            *(gated.name for gated in GATED),
            "limit",
            "chance",
            "control",
        ],
        rows=[_row(", ".join(names), of_scheme) for names, of_scheme in rows.items()],
        notes=[
            ", ".join(f"{name}: {n:,} distinct persons" for name, n in result.n_persons.items())
            + ". A7 takes both files of a set, with their errors.",
            "Rates of persons named in per cent, with the upper end of Wilson's interval at 95 %.",
            "! is above its limit; ? is void, for the attack did not break its control.",
            "control: the same attack on plain filters; of A7 on a job that tells more.",
            "The first column is the default, in two rounds; the second its codes in one round.",
            "A7 in one round is an attack on tokens: these schemas send none.",
            *[f"{name}: not here ({why})." for name, why in result.skipped.items()],
            *[f"Not as it must be: {line}." for line in result.failed],
        ],
    )


def _row(name: str, of_scheme: Mapping[str, Outcome]) -> list[str]:
    one = next(iter(of_scheme.values()))
    return [
        name,
        *(_shown(of_scheme.get(gated.name)) for gated in GATED),
        _number(one, max(outcome.limit for outcome in of_scheme.values())),
        "-" if one.chance is None else _number(one, one.chance),
        "-" if one.control is None else _number(one, one.control),
    ]


def _shown(outcome: Outcome | None) -> str:
    if outcome is None:
        return "-"
    bound = "" if outcome.interval is None else f" ({100 * outcome.interval[1]:.2f})"
    mark = {"passed": "", "exceeded": "!", "void": "?"}[outcome.verdict]
    return f"{_number(outcome, outcome.value)}{bound}{mark}"


def _number(outcome: Outcome, value: float) -> str:
    return f"{value:,.3g}" if outcome.interval is None else f"{100 * value:.2f}"
