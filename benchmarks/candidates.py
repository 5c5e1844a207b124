"""The candidates benchmark: how many true pairs the first round finds, and by what means.

For each number of candidates a record may have: share of the true pairs among them, when
they are ranked by hardened codes alone, by one-time tokens alone, and by both as the
product ranks them, with few tokens of each block entry or more.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiment import Experiment
from benchmarks.records import MissingSetError, RecordSet, load_records
from benchmarks.refining import (
    EncodedSet,
    FilePairs,
    code_candidates,
    encode_rounds,
    pairs_sharing_tokens,
    selected,
    together,
    token_candidates,
)
from benchmarks.report import Table, figure
from benchmarks.schemes import Scheme, schema_of, true_pairs
from linkage import schema as schemas
from linkage.block.shared import SharedPairs
from linkage.compare.candidates import Candidates
from linkage.engine.records import Inputs

MOST_CANDIDATES = (1, 3, 5, 10, 20)
COPIES = (1, 2, 3, 4)


@dataclass(frozen=True)
class Means:
    """What one way to rank candidates brought.

    Attributes:
        by: `codes`, `tokens` or `both`.
        copies: tokens of a record for each block entry; 0 for codes alone.
        sharing: distinct pairs that share a token, which is what a matcher learns.
        completeness: share of the true pairs among the candidates, by their number.
    """

    by: str
    copies: int
    sharing: int
    completeness: dict[int, float]


@dataclass
class CandidatesResult:
    """Figures of all sets, and what was left out.

    Attributes:
        scheme: how records were encoded.
        sets: by name.
        records: number of records of each set.
        skipped: reason by name of a set.
    """

    scheme: str
    sets: dict[str, list[Means]] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "scheme": self.scheme,
            "sets": {
                name: {"records": self.records[name], "means": [asdict(one) for one in means]}
                for name, means in self.sets.items()
            },
            "skipped": self.skipped,
        }


def measure_candidates(
    experiments: Sequence[Experiment],
    scheme: Scheme,
    data: Path,
    threads: int,
    small: bool = False,
    on_set: Callable[[str], None] = lambda _name: None,
) -> CandidatesResult:
    """Rank the candidates of every set in every way.

    Args:
        experiments: the sets.
        scheme: how records are encoded; its rounds do not matter.
        data: folder of the sets that are files.
        threads: threads that compare.
        small: use a small part of each set.
        on_set: told the name of each set before it starts.
    """
    result = CandidatesResult(scheme.text)
    for experiment in experiments:
        on_set(experiment.name)
        try:
            records = load_records(experiment, data, small)
        except MissingSetError as error:
            result.skipped[experiment.name] = str(error)
            continue
        encoded = encode_rounds(records, schema_of(experiment, scheme), 0)
        result.records[experiment.name] = len(records)
        result.sets[experiment.name] = _all_means(records, encoded, threads)
    return result


def _all_means(records: RecordSet, encoded: EncodedSet, threads: int) -> list[Means]:
    rng = np.random.default_rng(0)
    by_codes = code_candidates(Inputs(encoded.parties), max(MOST_CANDIDATES), threads, rng)
    means = [Means("codes", 0, 0, _completeness(records, encoded, by_codes))]
    for copies in COPIES:
        # No setting of a schema: parties that could choose would differ.
        with patch.object(schemas, "BLOCK_COPIES", copies):
            shared = pairs_sharing_tokens(encoded, encoded.schema)
        sharing = sum(len(pairs) for pairs in shared.values())
        alone = {pair: Candidates(p.left, p.right, _counted(p, rng)) for pair, p in shared.items()}
        both = together(by_codes, token_candidates(Inputs(encoded.parties, shared), threads))
        means += [
            Means(by, copies, sharing, _completeness(records, encoded, found))
            for by, found in (("tokens", alone), ("both", both))
        ]
    return means


def _counted(pairs: SharedPairs, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the numbers of entries that pairs share, in random order where equal."""
    return (pairs.count + rng.random(len(pairs))).astype(np.float32)


def _completeness(records: RecordSet, encoded: EncodedSet, found: FilePairs) -> dict[int, float]:
    n_true = max(1, len(true_pairs(records)))
    shares = {}
    for most in MOST_CANDIDATES:
        matched = 0
        for left, right, pairs in selected(encoded, found, most, np.random.default_rng(0)):
            lefts = records.person[pairs.left[~pairs.drawn] + encoded.first[left]]
            rights = records.person[pairs.right[~pairs.drawn] + encoded.first[right]]
            matched += int((lefts == rights).sum())
        shares[most] = matched / n_true
    return shares


def candidates_table(result: CandidatesResult) -> Table:
    """Return the table: a row for each set and way."""
    return Table(
        title="True pairs among the candidates",
        header=[
            "set",
            "ranked by",
            "copies",
            "share a token",
            *[f"k = {most}" for most in MOST_CANDIDATES],
        ],
        rows=[
            [
                name,
                one.by,
                str(one.copies or "-"),
                figure(one.sharing / result.records[name], 1) if one.copies else "-",
                *[figure(share) for share in one.completeness.values()],
            ]
            for name, means in result.sets.items()
            for one in means
        ],
        notes=[
            f"Codes: {result.scheme}, all pairs compared, one key.",
            (
                "tokens: by how many block entries bring the pair together, ties at random; both: "
                "as the product ranks, by entries and then by codes."
            ),
            "copies: tokens of a record for each block entry and other party.",
            "share a token: distinct pairs that share one, per record; what a matcher learns.",
            "k: candidates that a record may have of each other file.",
            *[f"Skipped: {name}: {reason}." for name, reason in result.skipped.items()],
        ],
    )
