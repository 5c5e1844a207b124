"""Whether the risk gate finds planted faults, each by the attack that is meant for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.known_pairs import people_of, schema_of_people
from benchmarks.report import Table
from linkage.agent.attack import sent_of
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.gate import run_gate
from linkage.privacy.level import LEVELS
from linkage.privacy.made import take
from linkage.privacy.outcome import Outcome
from linkage.privacy.people import SeededKeys
from linkage.privacy.planted import PLANTED, Plant, double_hashed
from linkage.privacy.subject import coder, control_subject, distinct_persons, subject_of
from linkage.schema import LinkageSchema

PERSONS = 5_000
SMALL_PERSONS = 700
SOUND = Plant("none (the default)", "")
_VICTIM, _ATTACKER = 1, 2


@dataclass(frozen=True)
class PlantedResult:
    """What the gate said of the default and of each fault.

    Attributes:
        n_persons: persons attacked.
        outcomes: all figures, by the name of the fault.
    """

    n_persons: int
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """Faults that their attack did not find, and the default if it did not pass."""
        missed = [p.name for p in PLANTED.values() if not p.caught(self.outcomes[p.name])]
        wrong = any(outcome.verdict != "passed" for outcome in self.outcomes[SOUND.name])
        return [*missed, *([SOUND.name] if wrong else [])]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "persons": self.n_persons,
            "failed": self.failed,
            "outcomes": {
                name: [{**outcome.__dict__, "verdict": outcome.verdict} for outcome in outcomes]
                for name, outcomes in self.outcomes.items()
            },
        }


def measure_planted(
    small: bool = False, on_step: Callable[[str], None] = lambda _name: None
) -> PlantedResult:
    """Run the quick gate on the default and on each fault.

    Args:
        small: few persons, to try it out; a fault of the whole needs many to be seen.
        on_step: told the name of each fault before it starts.
    """
    schema = schema_of_people()
    everyone = people_of(schema, SMALL_PERSONS if small else PERSONS)
    persons = distinct_persons(schema, everyone, _ATTACKER)
    columns = {name: take(column, persons) for name, column in everyone.items()}
    result = PlantedResult(len(persons))
    for plant in (SOUND, *PLANTED.values()):
        on_step(plant.name)
        result.outcomes[plant.name] = _attacked(plant, schema, columns)
    return result


def _attacked(
    plant: Plant, schema: LinkageSchema, columns: dict[str, FlaggedColumn]
) -> list[Outcome]:
    program = coder if plant is SOUND else plant.program
    keys = SeededKeys(_VICTIM)
    subject = subject_of(plant.schema(schema), columns, keys, _ATTACKER, program=program)
    control = control_subject(schema, columns, keys, _ATTACKER, double_hashed)
    sent = plant.send(sent_of(schema, columns, _ATTACKER))
    return run_gate(subject, control, sent, LEVELS["quick"], _ATTACKER)


def planted_table(result: PlantedResult) -> Table:
    """Return the table: a row for each fault."""
    return Table(
        title="Planted faults and the attacks that find them",
        header=["fault", "must be found by", "figure", "limit", "control", "found", "also by"],
        rows=[_row(plant, result.outcomes[plant.name]) for plant in (SOUND, *PLANTED.values())],
        notes=[
            f"{result.n_persons:,} made-up people, five attributes, quick level of the gate.",
            "figure: of the attack that must find it, where it is farthest above its limit.",
            *[f"Not as it must be: {name}." for name in result.failed],
        ],
    )


def _row(plant: Plant, outcomes: list[Outcome]) -> list[str]:
    above = [outcome for outcome in outcomes if outcome.exceeded]
    meant = [o for o in above if plant.attack and plant.caught([o])]
    others = sorted({o.attack.split()[0] for o in above} - {o.attack.split()[0] for o in meant})
    if not meant:
        found = "NO" if plant.attack else "-"
        return [plant.name, plant.attack or "-", "-", "-", "-", found, ", ".join(others) or "-"]
    worst = max(meant, key=lambda o: o.value - o.limit)
    figures = (worst.value, worst.limit, worst.control)
    shown = ["-" if number is None else f"{number:,.4g}" for number in figures]
    return [plant.name, plant.attack, *shown, "yes", ", ".join(others) or "-"]
