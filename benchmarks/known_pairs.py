"""How many known pairs a code bears: the matched kernel against ever more of them.

A register of made-up people; an attacker knows the codes of some and their plain records,
holds the plain records of the others, and names a person for each of their codes. Codes and
people come in blocks, so that a learner with 40,000 known pairs fits into memory.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.compare.bits import as_words
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.learner import RELATIVE, Correlation
from linkage.privacy.pairwise import signed_agreement
from linkage.privacy.people import PlainPeople, SeededKeys, plain_people, with_scheme
from linkage.privacy.planted import uncentred
from linkage.privacy.rates import Rate
from linkage.privacy.subject import Program, coder
from linkage.schema import LinkageSchema, parse_schema
from linkage.synthetic import generate_population, make_registers

TARGETS = 5_000
BUDGETS = (2_500, 5_000, 10_000, 20_000, 40_000)
MOST = 0.01
"""The highest rate that the default may show at the largest budget."""

_SMALL_TARGETS, _SMALL_BUDGETS = 500, (250, 1_000)
_BLOCK = 2_500
_VICTIM, _ATTACKER = 1, 2
_TYPES = {
    "nama": "name",
    "tgl_lahir": "date",
    "tempat_lahir": "place",
    "jenis_kelamin": "sex",
    "nama_ibu": "mother_name",
}


@dataclass(frozen=True)
class Coding:
    """What is attacked.

    Attributes:
        name: what it is called.
        bits: length of a code.
        order: how many majorities are XORed.
        program: what encodes.
        holds: whether it must stay below `MOST`; None where that is only shown.
    """

    name: str
    bits: int
    order: int
    program: Program = coder
    holds: bool | None = None


CODINGS = (
    Coding("saul 8192/5", 8192, 5, holds=True),
    Coding("saul 4096/4", 4096, 4),
    Coding("saul 8192/5, uncentred", 8192, 5, uncentred, holds=False),
)


@dataclass(frozen=True)
class Point:
    """What a learner named with so many known pairs.

    Attributes:
        coding: which codes.
        n_known: known pairs.
        everyone: over all targets.
        unrelated: over those to whom no known person is alike.
        surest: over the hundredth that the attacker trusts most.
    """

    coding: str
    n_known: int
    everyone: Rate
    unrelated: Rate
    surest: Rate

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        rates = {"everyone": self.everyone, "unrelated": self.unrelated, "surest": self.surest}
        return {
            "coding": self.coding,
            "known_pairs": self.n_known,
            "chance": self.everyone.chance,
            **{
                name: {
                    "hits": rate.hits,
                    "targets": rate.trials,
                    "rate": rate.value,
                    "interval": list(rate.interval),
                }
                for name, rate in rates.items()
            },
        }


@dataclass
class KnownPairsResult:
    """All points.

    Attributes:
        n_targets: codes to be read, and persons that they could be.
        points: by coding, and by known pairs.
    """

    n_targets: int
    points: list[Point] = field(default_factory=list)

    def of(self, coding: str) -> list[Point]:
        """Return the points of one coding, fewest known pairs first."""
        return [point for point in self.points if point.coding == coding]

    def budget(self, coding: str) -> str:
        """Return how many known pairs an epoch may give away under the gate's limit."""
        points = self.of(coding)
        within = [point.n_known for point in points if point.everyone.bound <= _limit(point)]
        if not within:
            return f"below {points[0].n_known:,}"
        over = [p for p in points if p.n_known > within[-1]]
        if not over:
            return f"{within[-1]:,} or more"
        last = next(p for p in points if p.n_known == within[-1])
        return f"about {round(_between(last, over[0]), -2):,}"

    @property
    def failed(self) -> list[str]:
        """What did not turn out as it must, one line each."""
        lines = []
        for coding in CODINGS:
            rate = self.of(coding.name)[-1].everyone.value
            if coding.holds is not None and coding.holds != (rate <= MOST):
                lines.append(f"{coding.name}: {rate:.2%} named, the bar is {MOST:.0%}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "targets": self.n_targets,
            "points": [point.to_dict() for point in self.points],
            "budgets": {coding.name: self.budget(coding.name) for coding in CODINGS},
            "failed": self.failed,
        }


def _limit(point: Point) -> float:
    return point.everyone.limit


def _between(last: Point, first: Point) -> int:
    """Return where the bound crosses the limit, on a straight line of logarithms."""
    low, high = (math.log(max(p.everyone.bound, 1e-9)) for p in (last, first))
    share = (math.log(_limit(last)) - low) / max(high - low, 1e-9)
    least, most = math.log(last.n_known), math.log(first.n_known)
    return round(math.exp(least + min(max(share, 0.0), 1.0) * (most - least)))


def measure_known_pairs(
    small: bool = False, on_step: Callable[[str], None] = lambda _name: None
) -> KnownPairsResult:
    """Attack every coding with every budget.

    Args:
        small: few persons, to try it out.
        on_step: told what is being done.
    """
    n_targets, budgets = (_SMALL_TARGETS, _SMALL_BUDGETS) if small else (TARGETS, BUDGETS)
    on_step("people")
    schema = schema_of_people()
    columns = people_of(schema, n_targets + budgets[-1])
    result = KnownPairsResult(n_targets)
    people = plain_people(schema, columns, _ATTACKER)
    for coding in CODINGS:
        hardened = with_scheme(schema, "saul", coding.bits, coding.order)
        codes = as_words(coding.program(hardened, SeededKeys(_VICTIM)).codes(columns))
        view = PlainPeople(people.filters, people.mean, coding.order)
        for point in _curve(coding.name, codes, view, n_targets, budgets):
            on_step(f"{coding.name}, {point.n_known:,} known: {point.everyone.value:.4f}")
            result.points.append(point)
    return result


def _curve(
    name: str,
    codes: NDArray[np.uint64],
    people: PlainPeople,
    n_targets: int,
    budgets: Sequence[int],
) -> Iterator[Point]:
    """Yield the points of one coding; the first records are the targets."""
    targets = np.arange(n_targets)
    # As the gate's learner: whether a mean is taken away is tried both ways.
    views = [people, people.uncentred()]
    sums = [Correlation(n_targets, n_targets) for _ in views]
    likest = np.full(n_targets, -1.0, dtype=np.float32)
    # Agreement grows with the cosine; of an even order so far as it is above 0.
    alike = (1 - 2 / math.pi * math.acos(RELATIVE)) ** people.order
    n_known = 0
    for budget in budgets:
        while n_known < budget:
            block = n_targets + np.arange(n_known, min(n_known + _BLOCK, budget))
            seen = signed_agreement(codes[:n_targets], codes[block])
            for number, view in enumerate(views):
                expected = view.take(targets).expected_agreement(view.take(block))
                sums[number].add(seen, expected)
                if number == 0:
                    likest = np.maximum(likest, expected.max(axis=1))
            n_known += len(block)
        found = [_hits(each.value()) for each in sums]
        right, sure = max(found, key=lambda one: int(one[0].sum()))
        chance = 1 / n_targets
        yield Point(
            name,
            n_known,
            _rate(right, chance),
            _rate(right[likest < alike], chance),
            _rate(right[sure], chance),
        )


def _hits(scores: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which targets were named, and the hundredth of surest answers."""
    n = len(scores)
    right = scores.argmax(axis=1) == np.arange(n)
    margin = (scores.max(axis=1) - scores.mean(axis=1)) / (scores.std(axis=1) + 1e-12)
    return right, np.argsort(-margin, kind="stable")[: max(n // 100, 1)]


def _rate(right: NDArray[np.bool_], chance: float) -> Rate:
    return Rate(int(right.sum()), len(right), chance)


def schema_of_people() -> LinkageSchema:
    """Return the schema of the made-up people."""
    attributes = "".join(
        f'[[attributes]]\nname = "{name}"\ntype = "{kind}"\n' for name, kind in _TYPES.items()
    )
    return parse_schema(f'name = "people"\nlanguage = "indonesian"\n{attributes}')


def people_of(schema: LinkageSchema, n: int, seed: int = 1) -> dict[str, FlaggedColumn]:
    """Return normalised words of made-up people, families and twins among them."""
    # The register of births holds nearly everybody.
    population = generate_population(round(1.1 * n) + 20, seed)
    table = make_registers(population, ("dukcapil",), "off", seed).tables["dukcapil"].slice(0, n)
    source = SourceConfig(path=Path("made-up"), date_order="DMY")
    return dict(RecordNormaliser(schema, source).columns(table))
