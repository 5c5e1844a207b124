"""Each planted fault is found by the attack that is meant for it, and by name."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from benchmarks.planted import measure_planted
from linkage.agent.attack import sent_of
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.attacks import (
    Sent,
    fields_compared,
    frequencies,
    homomorphism,
    known_pairs,
    own_key,
    positions,
    structure,
)
from linkage.privacy.level import LEVELS
from linkage.privacy.outcome import Outcome
from linkage.privacy.people import SeededKeys, with_scheme
from linkage.privacy.planted import PLANTED, double_hashed
from linkage.privacy.subject import Subject, coder, control_subject, subject_of
from linkage.schema import LinkageSchema

Columns = Mapping[str, FlaggedColumn]
Part = Callable[[Subject, Subject, Sent], Iterator[Outcome]]
_VICTIM, _ATTACKER = 10_007, 3

_PARTS: Mapping[str, Part] = {
    "A3": lambda ours, textbook, _: known_pairs(ours, textbook, LEVELS["quick"], 1),
    "A4": lambda ours, textbook, _: homomorphism(ours, textbook),
    "A5": lambda ours, textbook, _: structure(ours, textbook, 1),
    "A6": lambda _, _textbook, sent: frequencies(sent),
    "A8": lambda ours, textbook, _: own_key(ours, textbook),
    "A9": lambda ours, textbook, _: positions(ours, textbook, 1),
    "A10": lambda ours, _, sent: fields_compared(ours, sent, 1),
}


@pytest.fixture(scope="module")
def textbook(schema: LinkageSchema, columns: Columns) -> Subject:
    return control_subject(schema, columns, SeededKeys(_VICTIM), _ATTACKER, double_hashed)


@pytest.fixture(scope="module")
def sent(schema: LinkageSchema, columns: Columns) -> Sent:
    return sent_of(schema, columns, _ATTACKER)


@pytest.fixture(scope="module")
def sound(schema: LinkageSchema, columns: Columns) -> Subject:
    return subject_of(schema, columns, SeededKeys(_VICTIM), _ATTACKER)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_by_name(
    name: str,
    schema: LinkageSchema,
    columns: Columns,
    textbook: Subject,
    sent: Sent,
    sound: Subject,
) -> None:
    plant = PLANTED[name]
    if name == "uncentred":
        # The longer code shows it among thousands only: see the soak test.
        schema = with_scheme(schema, "saul", 4096, 4)
    ours = sound
    if plant.program is not coder or plant.schema(schema) is not schema:
        faulty = plant.schema(schema)
        keys = SeededKeys(_VICTIM)
        ours = subject_of(faulty, columns, keys, _ATTACKER, program=plant.program)
    part = _PARTS[plant.attack.split()[0]]
    found = list(part(ours, textbook, plant.send(sent)))
    assert plant.caught(found)
    assert all(not o.unbroken for o in found if plant.caught([o]))
    # The same attack finds nothing where nothing is planted.
    assert not plant.caught(part(sound, textbook, sent))


def test_a_centred_code_does_not_lean(schema: LinkageSchema, columns: Columns) -> None:
    short = with_scheme(schema, "saul", 4096, 4)
    ours = subject_of(short, columns, SeededKeys(_VICTIM), _ATTACKER)
    found = structure(ours, ours, 1)
    assert not PLANTED["uncentred"].caught(found)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_whole_gate_finds_every_fault_and_passes_the_default() -> None:
    assert measure_planted().failed == []
