"""A whole job of two rounds in memory, and what the matcher sees of it.

Two registers are encoded under one key; tokens meet, candidates are chosen and refined as
the matcher does it. What comes out is what it has before it: codes, and the graph of pairs.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keys.derive import KeyContext, LinkageKey
from linkage.agent.blocktokens import block_tokens
from linkage.agent.fieldrows import FieldRows
from linkage.agent.session import refinement_of
from linkage.block.shared import equal_pairs, meeting_pairs, shared_pairs
from linkage.classify.levels import N_LEVELS
from linkage.compare.bits import as_words
from linkage.compare.candidates import Candidates, concatenate
from linkage.encode.encoder import EncodedRecords, Encoder, schema_id
from linkage.encode.pairkeys import pair_keys
from linkage.engine.floor import candidate_floor
from linkage.engine.local import find_candidates
from linkage.engine.plan import plan
from linkage.engine.records import Inputs, prepare
from linkage.engine.refinement import Comparison, RefinePairs, select_pairs
from linkage.job import Refinement
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.jobgraph import JobGraph
from linkage.schema import LinkageSchema

_MOST_COMPARISONS = 10**9
Columns = Mapping[str, FlaggedColumn]
_Edges = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True)
class JobView:
    """What the matcher sees of a job.

    Attributes:
        codes: codes of the left party, shape (n, n_words).
        graph: the pairs that share a token, with all that is known of them.
    """

    codes: NDArray[np.uint64]
    graph: JobGraph


def job_view(schema: LinkageSchema, left: Columns, right: Columns, seed: int) -> JobView:
    """Run a job under a key of its own, and return what the matcher sees of it.

    Args:
        schema: the linkage schema, of two rounds.
        left: normalised words of the left party's records.
        right: those of the right party's.
        seed: of the pairs that the matcher draws.

    Raises:
        ValueError: a schema of one round.
    """
    refinement = refinement_of(schema)
    if refinement is None:
        raise ValueError("a job of one round has no pairs to look at")
    key = LinkageKey(os.urandom(32), KeyContext("gate", schema_id(schema), "gate", 1))
    encoder = Encoder(schema, key, os.urandom)
    ours, theirs = encoder.encode(left), encoder.encode(right)
    met = _met(schema, key, ours, theirs)
    pairs = _candidates(schema, refinement, ours, theirs, met, seed)
    levels = _levels(schema, refinement, (left, right), (ours, theirs), pairs)
    shared = np.isin(_numbered(pairs.left, pairs.right), np.concatenate(met))
    lefts, rights, levels = pairs.left[shared], pairs.right[shared], levels[shared]
    labels = [_ends(of_entry) for of_entry in met]
    for attribute in range(levels.shape[1]):
        for level in range(N_LEVELS):
            at = levels[:, attribute] == level
            labels.append((lefts[at], rights[at]))
    return JobView(as_words(ours.codes), JobGraph.of((len(ours), len(theirs)), labels))


def _met(
    schema: LinkageSchema, key: LinkageKey, ours: EncodedRecords, theirs: EncodedRecords
) -> list[NDArray[np.uint64]]:
    """Return the pairs that share a token, block entry by entry, then exact slot by slot."""
    left = block_tokens(schema, key, ours.values, [("gate", "left")])
    right = block_tokens(schema, key, theirs.values, [("gate", "right")])
    met = [meeting_pairs(*of_entry) for of_entry in zip(left, right, strict=True)]
    slots = range(ours.exact.shape[1])
    met += [equal_pairs(ours.exact[:, s : s + 1], theirs.exact[:, s : s + 1]) for s in slots]
    return [*met, np.zeros(0, np.uint64)]


def _candidates(
    schema: LinkageSchema,
    refinement: Refinement,
    ours: EncodedRecords,
    theirs: EncodedRecords,
    met: list[NDArray[np.uint64]],
    seed: int,
) -> RefinePairs:
    scheme = schema.encoding.scheme
    parties = [prepare(party.codes, scheme, party.exact) for party in (ours, theirs)]
    inputs = Inputs(parties, {(0, 1): shared_pairs(met)})
    tasks = plan(inputs, _MOST_COMPARISONS)
    rng = np.random.default_rng(seed)
    floor = candidate_floor(tasks, inputs, refinement.candidates, rng)
    found: Candidates = concatenate([find_candidates(task, inputs, floor) for task in tasks])
    n_left, n_right = inputs.sizes
    return select_pairs(found.distinct(), n_left, n_right, refinement.candidates, rng, decoys=False)


def _levels(
    schema: LinkageSchema,
    refinement: Refinement,
    columns: tuple[Columns, Columns],
    encoded: tuple[EncodedRecords, EncodedRecords],
    pairs: RefinePairs,
) -> NDArray[np.int8]:
    keys = pair_keys(os.urandom(32), np.arange(len(pairs), dtype=np.uint32))
    rows = FieldRows(schema), FieldRows(schema)
    for party, of_party in zip(rows, columns, strict=True):
        party.add(of_party)
    left = rows[0].encode(pairs.left.astype(np.int64), keys, "left")
    right = rows[1].encode(pairs.right.astype(np.int64), keys, "right")
    left_exact, right_exact = encoded[0].exact[pairs.left], encoded[1].exact[pairs.right]
    return Comparison(refinement).levels(left, right, left_exact, right_exact)


def _numbered(left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.uint64]:
    return left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64)


def _ends(pairs: NDArray[np.uint64]) -> _Edges:
    low = np.uint64(0xFFFFFFFF)
    return (pairs >> np.uint64(32)).astype(np.int32), (pairs & low).astype(np.int32)
