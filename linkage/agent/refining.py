"""The two rounds of a job among files in memory, by the same steps as between parties.

For evaluation, benchmarks and the risk gate: tickets are made and meet, owners answer what
they are asked, and the answers are compared. Nothing is sent.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from keys.derive import LinkageKey
from linkage.agent.blocktokens import within_pairs
from linkage.agent.fieldrows import FieldRows
from linkage.agent.session import refinement_of
from linkage.block.met import met_pairs
from linkage.block.shared import shared_pairs
from linkage.encode.oncetokens import Side
from linkage.encode.pairkeys import pair_keys
from linkage.encode.tickets import TicketBook
from linkage.engine.questions import Questions, select_questions
from linkage.engine.refinement import Comparison, select_within
from linkage.job import REFERENCE_BYTES, Refinement
from linkage.schema import LinkageSchema
from linkage.ticket import Tickets

# Pairs whose rows are held at once.
_AT_ONCE = 65_536


@dataclass(frozen=True)
class RefinedFile:
    """What the two rounds need of one file.

    Attributes:
        values: hashed parts of all records, shape (n, n_parts).
        rows: makes the field rows of its records.
    """

    values: NDArray[np.uint64]
    rows: FieldRows

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.values)


@dataclass(frozen=True)
class RefinedPairs:
    """The pairs that were compared by their fields; record numbers count over all files.

    Attributes:
        left: shape (n,).
        right: shape (n,).
        drawn: whether the pair was drawn at random, shape (n,).
        count: how many block entries found it, shape (n,).
        levels: comparison levels, shape (n, n_types).
        cut: pairs that met and were left out.
        n_tickets: tickets that were made.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    drawn: NDArray[np.bool_]
    count: NDArray[np.int16]
    levels: NDArray[np.int8]
    cut: int
    n_tickets: int

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.left)


def refine_files(
    schema: LinkageSchema, key: LinkageKey, files: Sequence[RefinedFile], rng: np.random.Generator
) -> RefinedPairs:
    """Compare the pairs of files that share a block entry, by their fields.

    Args:
        schema: the linkage schema, of two rounds.
        key: the linkage key.
        files: the files; a single one is compared with itself.
        rng: source of everything that is drawn.

    Raises:
        ValueError: the schema has one round.
    """
    refinement = refinement_of(schema)
    if refinement is None:
        raise ValueError("a schema of one round has no second one")
    comparison = Comparison(refinement)
    first = [0, *itertools.accumulate(len(file) for file in files)]
    parts = []
    for left, right in itertools.combinations(range(len(files)), 2):
        two = _Between(schema, key, (files[left], files[right]), f"{left}\0{right}", rng)
        found = two.refined(refinement, comparison, rng)
        parts.append(_moved(found, first[left], first[right]))
    if len(files) == 1:
        parts.append(_within(schema, key, files[0], refinement, comparison, rng))
    return RefinedPairs(
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.drawn for part in parts]),
        np.concatenate([part.count for part in parts]),
        np.concatenate([part.levels for part in parts]),
        sum(part.cut for part in parts),
        sum(part.n_tickets for part in parts),
    )


class _Between:
    """Two files, each of an owner of its own."""

    def __init__(
        self,
        schema: LinkageSchema,
        key: LinkageKey,
        files: tuple[RefinedFile, RefinedFile],
        meeting: str,
        rng: np.random.Generator,
    ) -> None:
        self._files, self._n_tickets = files, 0
        self._pair_key = key.refine_key(meeting, "left", "right")
        sides: tuple[Side, Side] = ("left", "right")
        self._books = [
            TicketBook(
                schema,
                key.block_key,
                meeting,
                meeting,
                side,
                rng.bytes(REFERENCE_BYTES * len(file)),
            )
            for file, side in zip(files, sides, strict=True)
        ]

    def refined(
        self, refinement: Refinement, comparison: Comparison, rng: np.random.Generator
    ) -> RefinedPairs:
        met = met_pairs(self._entries(), rng)
        sizes = len(self._files[0]), len(self._files[1])
        selection = select_questions(met, sizes, None, refinement, rng)
        asked = selection.questions
        levels = [
            self._levels(asked, slice(start, start + _AT_ONCE), comparison)
            for start in range(0, len(asked), _AT_ONCE)
        ]
        return RefinedPairs(
            self._books[0].records(asked.left).astype(np.int32),
            self._books[1].records(asked.right).astype(np.int32),
            asked.drawn,
            asked.count,
            np.concatenate([np.zeros((0, len(comparison.types)), np.int8), *levels]),
            selection.cut,
            self._n_tickets,
        )

    def _entries(self) -> Iterator[tuple[Tickets, Tickets]]:
        sides = (
            book.tickets(file.values) for book, file in zip(self._books, self._files, strict=True)
        )
        for left, right in zip(*sides, strict=True):
            self._n_tickets += len(left) + len(right)
            yield left, right

    def _levels(self, asked: Questions, part: slice, comparison: Comparison) -> NDArray[np.int8]:
        rows = []
        for number, side in enumerate(("left", "right")):
            tickets = (asked.left, asked.right)[number].at(part)
            records = self._books[number].records(tickets)
            keys = pair_keys(self._pair_key, tickets)
            rows.append(self._files[number].rows.encode(records, keys, side))  # type: ignore[arg-type]
        return comparison.levels(*rows)


def _within(
    schema: LinkageSchema,
    key: LinkageKey,
    file: RefinedFile,
    refinement: Refinement,
    comparison: Comparison,
    rng: np.random.Generator,
) -> RefinedPairs:
    """Compare one file with itself; no tickets are needed where there is one owner."""
    shared = shared_pairs(within_pairs(schema, key, file.values))
    pairs = select_within(shared, len(file), refinement.candidates, rng)
    levels = [np.zeros((0, len(comparison.types)), np.int8)]
    numbers, pair_key = Tickets.drawn(len(pairs)), rng.bytes(32)
    for start in range(0, len(pairs), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        keys = pair_keys(pair_key, numbers.at(part))
        left = file.rows.encode(pairs.left[part].astype(np.int64), keys, "left")
        right = file.rows.encode(pairs.right[part].astype(np.int64), keys, "right")
        levels.append(comparison.levels(left, right))
    count = np.where(pairs.drawn, np.int16(0), shared.count_of(pairs.left, pairs.right))
    cut = len(shared) - int((~pairs.drawn).sum())
    return RefinedPairs(pairs.left, pairs.right, pairs.drawn, count, np.concatenate(levels), cut, 0)


def _moved(pairs: RefinedPairs, left: int, right: int) -> RefinedPairs:
    """Return the pairs with record numbers that count over all files."""
    return replace(pairs, left=pairs.left + np.int32(left), right=pairs.right + np.int32(right))
