"""The two rounds of a linkage of known persons, step by step under a key of our choosing.

The product's own evaluation says how well a linkage went as a whole. What candidates the
first round finds by which means, and for whom the second round works less well, is seen
only between its steps. So they are taken here one by one, as it takes them.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import RecordSet
from benchmarks.schemes import ROWS_PER_CHUNK, key_of, source_of
from linkage.agent.blocktokens import block_tokens, within_pairs
from linkage.agent.encoding import RecordEncoder
from linkage.agent.fieldrows import FieldRows
from linkage.agent.session import refinement_of
from linkage.block.shared import SharedPairs, equal_pairs, meeting_pairs, shared_pairs
from linkage.compare.candidates import Candidates, concatenate
from linkage.encode.encoder import EncodedRecords
from linkage.encode.pairkeys import pair_keys
from linkage.engine.floor import candidate_floor
from linkage.engine.local import find_candidates, run_all
from linkage.engine.plan import Task, plan, plan_all_pairs
from linkage.engine.records import Inputs, PreparedRecords, prepare
from linkage.engine.refinement import Comparison, RefinePairs, pairs_of_unlike, select_pairs
from linkage.schema import LinkageSchema
from linkage.solve.groups import Groups, single_parties, solve_groups

# Candidates by the numbers of their two files; record numbers count in each file.
FilePairs: TypeAlias = dict[tuple[int, int], Candidates]

_REFINED_AT_ONCE = 65_536


@dataclass(frozen=True)
class EncodedSet:
    """A set as its owners hold it after encoding.

    Attributes:
        schema: what it was encoded under.
        key: number of the key.
        parties: codes and exact tokens by file.
        values: hashed parts of the block entries by file, shape (n, n_parts).
        rows: field rows by file; empty for one round.
    """

    schema: LinkageSchema
    key: int
    parties: list[PreparedRecords]
    values: list[NDArray[np.uint64]]
    rows: list[FieldRows]

    @property
    def first(self) -> list[int]:
        """Number of the first record of each file, over all files in a row."""
        return [0, *itertools.accumulate(len(party) for party in self.parties)][:-1]

    @property
    def file_pairs(self) -> list[tuple[int, int]]:
        """Which files are compared with which; a single one with itself."""
        return list(itertools.combinations(range(len(self.parties)), 2)) or [(0, 0)]


def encode_rounds(records: RecordSet, schema: LinkageSchema, key: int) -> EncodedSet:
    """Encode all files of a set under a numbered key."""
    parties, values, rows = [], [], []
    for name, table in zip(records.files, records.tables, strict=True):
        source = source_of(records.experiment, name, Path(name))
        encoder = RecordEncoder(schema, source, key_of(key))
        own, parts = FieldRows(schema), list[EncodedRecords]()
        for start in range(0, table.num_rows, ROWS_PER_CHUNK):
            columns = encoder.columns(table.slice(start, ROWS_PER_CHUNK))
            parts.append(encoder.encode_columns(columns))
            if schema.match.rounds == 2:
                own.add(columns)
        codes = np.concatenate([part.codes for part in parts])
        exact = np.concatenate([part.exact for part in parts])
        parties.append(prepare(codes, schema.encoding.scheme, exact))
        values.append(np.concatenate([part.values for part in parts]))
        rows.append(own)
    return EncodedSet(schema, key, parties, values, rows)


def pairs_sharing_tokens(
    encoded: EncodedSet, schema: LinkageSchema
) -> dict[tuple[int, int], SharedPairs]:
    """Return the pairs that share a token, by the numbers of their files.

    Args:
        encoded: the set.
        schema: that of the set, or one that differs in its block tokens only.
    """
    key = key_of(encoded.key)
    shared = {}
    for left, right in encoded.file_pairs:
        own, other = encoded.parties[left].exact, encoded.parties[right].exact
        entries = [equal_pairs(own, other)]
        if left == right:
            met = within_pairs(schema, key, encoded.values[left])
        else:
            meeting = f"{left}\0{right}"
            ours = block_tokens(schema, key, encoded.values[left], [(meeting, "left")])
            theirs = block_tokens(schema, key, encoded.values[right], [(meeting, "right")])
            met = (meeting_pairs(*both) for both in zip(ours, theirs, strict=True))
        shared[left, right] = shared_pairs(itertools.chain(entries, met))
    return shared


def candidates_of(inputs: Inputs, most: int, threads: int, rng: np.random.Generator) -> FilePairs:
    """Return the candidates of the first round.

    Args:
        inputs: codes, and the pairs that share tokens.
        most: candidates of a record that are needed.
        threads: threads that compare.
        rng: draws the sample from which the floor is taken.
    """
    by_codes = code_candidates(inputs, most, threads, rng)
    return together(by_codes, token_candidates(inputs, threads))


def code_candidates(inputs: Inputs, most: int, threads: int, rng: np.random.Generator) -> FilePairs:
    """Return the candidates that codes alone find, all pairs compared; as `candidates_of`."""
    tasks = plan_all_pairs(inputs.sizes)
    return _found(tasks, inputs, candidate_floor(tasks, inputs, most, rng), threads)


def token_candidates(inputs: Inputs, threads: int) -> FilePairs:
    """Return the candidates that share a token, ranked by how many and then by codes."""
    tasks = [task for task in plan(inputs, 0) if task.columns is None]
    return _found(tasks, inputs, 0.0, threads)


def together(one: FilePairs, other: FilePairs) -> FilePairs:
    """Return the candidates of both, each at its best rank."""
    return {
        pair: concatenate([found[pair] for found in (one, other) if pair in found]).distinct()
        for pair in one.keys() | other.keys()
    }


def _found(tasks: Sequence[Task], inputs: Inputs, floor: float, threads: int) -> FilePairs:
    found: dict[tuple[int, int], list[Candidates]] = {}
    for task, part in run_all(tasks, lambda task: find_candidates(task, inputs, floor), threads):
        found.setdefault((task.left, task.right), []).append(part)
    return {pair: concatenate(parts) for pair, parts in found.items()}


def selected(
    encoded: EncodedSet,
    found: FilePairs,
    most: int,
    rng: np.random.Generator,
) -> Iterator[tuple[int, int, RefinePairs]]:
    """Yield the pairs that the second round asks about, for each file pair."""
    for left, right in encoded.file_pairs:
        none = concatenate([])
        sizes = len(encoded.parties[left]), len(encoded.parties[right])
        ranked = found.get((left, right), none)
        within = left == right
        yield (
            left,
            right,
            select_pairs(ranked, *sizes, most, rng, decoys=False, within=within),
        )


def link_refined(records: RecordSet, encoded: EncodedSet, threads: int) -> Groups:
    """Return the groups of a set after two rounds, with every pair that was scored.

    Raises:
        ValueError: the schema has one round.
    """
    refinement = refinement_of(encoded.schema)
    if refinement is None:
        raise ValueError("a schema of one round has no second one")
    # Seeded, so that a key number gives the same groups again.
    seed = hashlib.sha256(f"refining {encoded.key}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:16], "big"))
    shared = pairs_sharing_tokens(encoded, encoded.schema)
    inputs = Inputs(encoded.parties, shared)
    found = candidates_of(inputs, refinement.candidates, threads, rng)
    comparison = Comparison(refinement)
    lefts, rights, drawn, levels = [], [], [], []
    for left, right, pairs in selected(encoded, found, refinement.candidates, rng):
        lefts.append(pairs.left + np.int32(encoded.first[left]))
        rights.append(pairs.right + np.int32(encoded.first[right]))
        drawn.append(pairs.drawn)
        levels += list(_levels(encoded, comparison, (left, right), pairs, seed))
    is_drawn = np.concatenate(drawn)
    _, scores = comparison.score(np.concatenate(levels), is_drawn, pairs_of_unlike(inputs.sizes))
    candidates = Candidates(
        np.concatenate(lefts)[~is_drawn], np.concatenate(rights)[~is_drawn], scores.similarity
    )
    many, cardinality = len(encoded.parties) > 1, encoded.schema.match.cardinality
    single = single_parties(cardinality, len(encoded.parties)) if many else frozenset()
    return solve_groups(candidates, records.file, single)


def _levels(
    encoded: EncodedSet,
    comparison: Comparison,
    files: tuple[int, int],
    pairs: RefinePairs,
    seed: bytes,
) -> Iterator[NDArray[np.int8]]:
    left, right = files
    key = hashlib.sha256(seed + bytes(files)).digest()
    exact: Sequence[NDArray[np.uint8]] = [encoded.parties[file].exact for file in files]
    for start in range(0, len(pairs), _REFINED_AT_ONCE):
        numbers = np.arange(start, min(start + _REFINED_AT_ONCE, len(pairs)), dtype=np.uint32)
        keys = pair_keys(key, numbers)
        own, other = pairs.left[numbers], pairs.right[numbers]
        yield comparison.levels(
            encoded.rows[left].encode(own.astype(np.int64), keys, "left"),
            encoded.rows[right].encode(other.astype(np.int64), keys, "right"),
            exact[0][own],
            exact[1][other],
        )
