"""Two rounds on sets of known persons under a key of our choosing.

The product's own evaluation draws a key for each run; a number gives the same key, and the
same groups, again.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import RecordSet
from benchmarks.schemes import ROWS_PER_CHUNK, key_of, source_of
from linkage.agent.encoding import RecordValues
from linkage.agent.fieldrows import FieldRows
from linkage.agent.refining import RefinedFile, RefinedPairs, refine_files
from linkage.agent.session import refinement_of
from linkage.classify.sweep import SolvedSweep
from linkage.compare.candidates import Candidates
from linkage.engine.refinement import Comparison, pairs_of_unlike, sweep_of
from linkage.schema import LinkageSchema


@dataclass(frozen=True)
class EncodedSet:
    """A set as its owners hold it.

    Attributes:
        schema: what it was read under.
        key: number of the key.
        files: what the two rounds need of each file.
    """

    schema: LinkageSchema
    key: int
    files: list[RefinedFile]


def encode_rounds(records: RecordSet, schema: LinkageSchema, key: int) -> EncodedSet:
    """Read all files of a set under a numbered key."""
    files = []
    for name, table in zip(records.files, records.tables, strict=True):
        reader = RecordValues(schema, source_of(records.experiment, name, Path(name)), key_of(key))
        rows, parts = FieldRows(schema), list[NDArray[np.uint64]]()
        for start in range(0, table.num_rows, ROWS_PER_CHUNK):
            columns = reader.columns(table.slice(start, ROWS_PER_CHUNK))
            parts.append(reader.values(columns))
            rows.add(columns)
        files.append(RefinedFile(np.concatenate(parts), rows))
    return EncodedSet(schema, key, files)


def refined_pairs(encoded: EncodedSet) -> RefinedPairs:
    """Return the pairs of a set that met, compared by their fields.

    Raises:
        ValueError: the schema has one round.
    """
    # Seeded, so that a key number gives the same pairs again.
    seed = hashlib.sha256(f"refining {encoded.key}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:16], "big"))
    return refine_files(encoded.schema, key_of(encoded.key), encoded.files, rng)


def link_refined(records: RecordSet, encoded: EncodedSet) -> SolvedSweep:
    """Return the groups of a set after two rounds, at any threshold.

    Raises:
        ValueError: the schema has one round.
    """
    refinement = refinement_of(encoded.schema)
    if refinement is None:
        raise ValueError("a schema of one round has no second one")
    pairs = refined_pairs(encoded)
    sizes = [len(file) for file in encoded.files]
    _, scores = Comparison(refinement).score(pairs.levels, pairs.drawn, pairs_of_unlike(sizes))
    met = ~pairs.drawn
    candidates = Candidates(pairs.left[met], pairs.right[met], scores.similarity)
    return sweep_of(candidates, records.file, len(sizes), encoded.schema.match.cardinality)
