"""The risk gate: all attacks on one register, each beside its positive control.

An attack counts only if it breaks the textbook scheme on the same records first: one that
cannot do even that proves nothing of another scheme, and its result is void.
"""

from collections.abc import Callable

from linkage.privacy.attacks import (
    Sent,
    fields_compared,
    frequencies,
    graphs,
    homomorphism,
    known_pairs,
    own_key,
    positions,
    structure,
)
from linkage.privacy.level import LEVELS, Level
from linkage.privacy.outcome import Outcome, rate_outcome
from linkage.privacy.subject import Subject

__all__ = ["LEVELS", "Level", "Outcome", "Sent", "rate_outcome", "run_gate"]


def run_gate(
    subject: Subject,
    control: Subject,
    sent: Sent,
    level: Level,
    seed: int,
    on_attack: Callable[[str], None] = lambda _name: None,
) -> list[Outcome]:
    """Run all attacks but A7, which needs a job.

    Args:
        subject: the register under the scheme in question.
        control: the same one as `subject.control_subject` has it.
        sent: what is uploaded beside the codes.
        level: how thorough.
        seed: of all draws.
        on_attack: told the name of each attack before it starts.
    """
    outcomes: list[Outcome] = []
    # Nothing runs before its turn: each is a generator.
    parts = {
        "A3 known pairs": known_pairs(subject, control, level, seed),
        "A4 records that cancel": homomorphism(subject, control),
        "A5 structure": structure(subject, control, seed),
        "A6 frequencies": frequencies(sent),
        "A8 dictionary": own_key(subject, control),
        "A9 double hashing": positions(subject, control, seed),
        "A10 field filters": fields_compared(subject, sent, seed),
        "A1 and A2 graphs": graphs(subject, control, level, seed),
    }
    for name, part in parts.items():
        on_attack(name)
        outcomes += part
    return outcomes
