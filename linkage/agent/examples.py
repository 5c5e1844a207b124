"""How the scores of a few telling pairs come about, term by term.

What is said of a pair are the levels of its attributes and what they are worth, and which
records of which files it is; never a value.
"""

from dataclasses import dataclass

import numpy as np

from linkage.agent.evidence import Evidence
from linkage.classify.levels import Level


@dataclass(frozen=True)
class Step:
    """What one attribute adds to a score.

    Attributes:
        attribute: its number.
        level: its level.
        bits: the weight of that.
    """

    attribute: int
    level: Level
    bits: float


@dataclass(frozen=True)
class Example:
    """How the score of one pair comes about.

    Attributes:
        why: what the pair is an example of: `surest`, the surest link; `last`, the last
            link above the threshold; `next`, the first pair below it; `false`, the surest
            link that is false; `missed`, the least sure true match that was missed.
        records: file and number of both records.
        same: whether they are of one person.
        linked: whether they are in one group.
        above: whether the score reaches the threshold.
        prior: what any two records start from.
        steps: what each attribute adds.
        relatives: what the possibility that they are relatives takes off.
        log_odds: the sum, in bits.
    """

    why: tuple[str, ...]
    records: tuple[tuple[int, int], tuple[int, int]]
    same: bool
    linked: bool
    above: bool
    prior: float
    steps: tuple[Step, ...]
    relatives: float
    log_odds: float


def examples(evidence: Evidence) -> list[Example]:
    """Return a few telling pairs, each once; none with one round."""
    if evidence.levels is None or evidence.model is None:
        return []
    linked, same, above = evidence.linked, evidence.same, evidence.above
    wanted = [
        ("surest", linked, True),
        ("last", linked & above, False),
        ("next", ~above, True),
        ("false", linked & ~same, True),
        ("missed", ~linked & same, False),
    ]
    why: dict[int, list[str]] = {}
    for reason, fits, highest in wanted:
        pairs = np.flatnonzero(fits)
        if len(pairs):
            scores = evidence.score[pairs]
            pair = int(pairs[scores.argmax() if highest else scores.argmin()])
            why.setdefault(pair, []).append(reason)
    levels = evidence.levels[list(why)]
    scored = evidence.model.score(levels)
    return [
        Example(
            tuple(reasons),
            evidence.where(pair),
            bool(same[pair]),
            bool(linked[pair]),
            bool(above[pair]),
            evidence.model.prior_weight,
            tuple(
                Step(a, Level(int(level)), float(bits))
                for a, (level, bits) in enumerate(zip(levels[i], scored.weights[i], strict=True))
            ),
            float(scored.relatives[i]),
            float(scored.log_odds[i]),
        )
        for i, (pair, reasons) in enumerate(why.items())
    ]
