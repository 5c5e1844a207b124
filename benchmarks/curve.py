"""The curve benchmark: how saul falls off as the records of one person grow unlike.

Every point is one set: the median cosine of its true pairs' unhardened filters, and the
best F1 for every order t and length L of saul, and of the unhardened filter. The steps are
one synthetic population whose registers have ever more errors, so that nothing but the
errors differs between them, and stand for the synthetic sets; the other sets differ in
size, columns and language too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.experiment import Column, Experiment, Set
from benchmarks.records import (
    MissingSetError,
    RecordSet,
    load_records,
    sample,
    synthetic_records,
)
from benchmarks.schemes import encode_set, parse_scheme, schema_of, similarity_of_true_pairs
from linkage.agent.trial import best_quality
from linkage.synthetic import GRADES, Grade

ORDERS = (3, 4, 5)
LENGTHS = (4_096, 8_192, 16_384, 32_768)
MOST_RECORDS = 4_000
PLAIN = "clk"
STEPS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Error rates of the steps, as multiples of those of the dirty grade."""

_STEP_PERSONS = 3_000
_SMALL_PERSONS = 480
_COLUMNS = (
    Column(name="nama", type="name", feature="bigram", bits=400),
    Column(name="tgl_lahir", type="date", feature="digits", bits=200),
    Column(name="tempat_lahir", type="place", feature="bigram", bits=100),
    Column(name="jenis_kelamin", type="sex", feature="exact", bits=50),
    Column(name="nama_ibu", type="mother_name", feature="bigram", bits=100),
)


def saul(length: int, order: int) -> str:
    """Return the text of a scheme with L bits and order t."""
    return f"saul:{length}/{order}"


SCHEMES = (PLAIN, *(saul(length, order) for length in LENGTHS for order in ORDERS))
_SMALL_SCHEMES = SCHEMES[:2]


@dataclass(frozen=True)
class Point:
    """One set on the cosine axis.

    Attributes:
        name: the set's name, or how many times the errors of the dirty grade.
        step: whether it is a step of the one synthetic population.
        records: number of records linked.
        out_of: number of records of the whole set.
        cosine: median over true pairs, of unhardened filters.
        f1: best F1 by scheme; a small run has the first ones only.
    """

    name: str
    step: bool
    records: int
    out_of: int
    cosine: float
    f1: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "set": self.name,
            "step": self.step,
            "records": self.records,
            "out_of": self.out_of,
            "median_cosine": self.cosine,
            "best_f1": self.f1,
        }


@dataclass
class CurveResult:
    """All points, and what was left out.

    Attributes:
        points: by falling cosine.
        skipped: reason by name of a set that was skipped.
    """

    points: list[Point] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {"points": [point.to_dict() for point in self.points], "skipped": self.skipped}


def measure_curve(
    experiments: Sequence[Experiment],
    data: Path,
    threads: int,
    small: bool = False,
    on_set: Callable[[str], None] = lambda _name: None,
) -> CurveResult:
    """Link every set and every step with every order and length, under one key.

    Args:
        experiments: the sets; the synthetic ones are left out.
        data: folder of the sets that are files.
        threads: threads that compare.
        small: use a small part of each set, two steps, and two schemes.
        on_set: told the name of each set before it starts.
    """
    result = CurveResult()
    schemes = _SMALL_SCHEMES if small else SCHEMES
    for experiment in experiments:
        if experiment.set.grade is not None:
            continue
        on_set(experiment.name)
        try:
            records = load_records(experiment, data, small)
        except MissingSetError as error:
            result.skipped[experiment.name] = str(error)
            continue
        result.points.append(_point(experiment.name, False, records, schemes, threads))
    for name, records in _steps(small):
        on_set(name)
        result.points.append(_point(name, True, records, schemes, threads))
    result.points.sort(key=lambda point: -point.cosine)
    return result


def _steps(small: bool) -> Iterator[tuple[str, RecordSet]]:
    persons = _SMALL_PERSONS if small else _STEP_PERSONS
    for times in STEPS[::4] if small else STEPS:
        experiment = Experiment(
            set=Set(name="step", grade="dirty", seed=1),
            truth="entity_id",
            columns=_COLUMNS,
            values={"imigrasi": {"jenis_kelamin": {"M": "L", "F": "P"}}},
            language="indonesian",
            blocking=(),
        )
        name = f"errors x {times:g}"
        yield name, synthetic_records(experiment, _errors(name, times), persons)


def _errors(name: str, times: float) -> Grade:
    dirty = GRADES["dirty"]
    rates = {mutator: min(1.0, times * rate) for mutator, rate in dirty.rates.items()}
    return Grade(name, rates, dirty.duplicates)


def _point(
    name: str, step: bool, records: RecordSet, schemes: Sequence[str], threads: int
) -> Point:
    linked = sample(records, MOST_RECORDS)
    f1 = {}
    for text in schemes:
        schema = schema_of(linked.experiment, parse_scheme(text))
        f1[text] = best_quality(encode_set(linked, schema), linked.person, schema, threads).f1
    cosine = similarity_of_true_pairs(linked).cosine
    return Point(name, step, len(linked), len(records), cosine, f1)
