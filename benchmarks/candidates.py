"""The candidates benchmark: how many true pairs meet, by how many tickets.

For entries over two attributes, and for all that the product takes by default, with few
tickets of each entry or more: share of the true pairs among those that owners are asked
about, if they are asked about so many pairs for each record on average. What the matcher
learns is the same in each case: how many met.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.experiment import Experiment
from benchmarks.records import MissingSetError, RecordSet, load_records
from benchmarks.refining import encode_rounds, refined_pairs
from benchmarks.report import Table, figure
from benchmarks.schemes import Scheme, schema_of, true_pairs
from linkage import schema as schemas
from linkage.schema import Block, LinkageSchema

MOST_CANDIDATES = (1, 3, 5, 10, 20)
COPIES = (1, 2, 3, 4)


@dataclass(frozen=True)
class Means:
    """What one choice of tickets brought.

    Attributes:
        entries: `two attributes` or `all`.
        copies: records of a composite that meet at each side.
        tickets: tickets of a record with each other party, on average.
        met: distinct pairs that met, per record.
        completeness: share of the true pairs among the candidates, by their number.
    """

    entries: str
    copies: int
    tickets: float
    met: float
    completeness: dict[int, float]


@dataclass
class CandidatesResult:
    """Figures of all sets, and what was left out.

    Attributes:
        sets: by name.
        skipped: reason by name of a set.
    """

    sets: dict[str, list[Means]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "sets": {name: [asdict(one) for one in means] for name, means in self.sets.items()},
            "skipped": self.skipped,
        }


def measure_candidates(
    experiments: Sequence[Experiment],
    scheme: Scheme,
    data: Path,
    small: bool = False,
    on_set: Callable[[str], None] = lambda _name: None,
) -> CandidatesResult:
    """Let the tickets of every set meet in every way.

    Args:
        experiments: the sets.
        scheme: of two rounds.
        data: folder of the sets that are files.
        small: use a small part of each set.
        on_set: told the name of each set before it starts.
    """
    result = CandidatesResult()
    for experiment in experiments:
        on_set(experiment.name)
        try:
            records = load_records(experiment, data, small)
        except MissingSetError as error:
            result.skipped[experiment.name] = str(error)
            continue
        schema = schema_of(experiment, scheme.refined(max(MOST_CANDIDATES)))
        result.sets[experiment.name] = [
            _means(records, of, name, copies)
            for name, of in (("two attributes", _of_two(schema)), ("all", schema))
            for copies in COPIES
        ]
    return result


def _of_two(schema: LinkageSchema) -> LinkageSchema:
    """Return the schema without entries over one attribute."""
    blocks = tuple(
        Block(on=tuple(str(part) for part in entry.parts))
        for entry in schema.block_entries
        if len({name for part in entry.parts for name in part.attributes}) > 1
    )
    return schema.model_copy(update={"block": blocks})


def _means(records: RecordSet, schema: LinkageSchema, name: str, copies: int) -> Means:
    # No setting of a schema: parties that could choose would differ.
    with patch.object(schemas, "BLOCK_COPIES", copies):
        pairs = refined_pairs(encode_rounds(records, schema, 0))
    met = ~pairs.drawn
    order = np.argsort(-pairs.count[met], kind="stable")
    same = (records.person[pairs.left] == records.person[pairs.right])[met][order]
    found, n_true = np.cumsum(same), max(1, len(true_pairs(records)))
    shares = {
        most: float(found[min(most * len(records), len(found)) - 1] / n_true) if len(found) else 0.0
        for most in MOST_CANDIDATES
    }
    n = len(records)
    return Means(name, copies, pairs.n_tickets / n, (len(found) + pairs.cut) / n, shares)


def candidates_table(result: CandidatesResult) -> Table:
    """Return the table: a row for each set and choice of tickets."""
    return Table(
        title="True pairs among the candidates",
        header=[
            "set",
            "entries over",
            "copies",
            "tickets",
            "met",
            *[f"k = {most}" for most in MOST_CANDIDATES],
        ],
        rows=[
            [
                name,
                one.entries,
                str(one.copies),
                figure(one.tickets, 0) if one.tickets else "-",
                figure(one.met, 1),
                *[figure(share) for share in one.completeness.values()],
            ]
            for name, means in result.sets.items()
            for one in means
        ],
        notes=[
            "copies: records of a composite that meet at each side; the product's are 3.",
            "tickets: of a record, with all other files; none where a file is its own.",
            "met: distinct pairs that share a ticket, per record.",
            "k: pairs that are compared per record on average, those with most tickets first.",
            *[f"Skipped: {name}: {reason}." for name, reason in result.skipped.items()],
        ],
    )
