"""A whole job in memory, and what the matcher sees of it.

Two registers are compared as parties and matcher do it. What comes out is what the matcher
has before it at the end, as an attack takes it.
"""

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from keys.derive import KeyContext, LinkageKey
from linkage.agent.blocktokens import block_tokens
from linkage.agent.fieldrows import FieldRows
from linkage.agent.refining import RefinedFile, refine_files
from linkage.agent.session import refinement_of
from linkage.block.shared import equal_pairs, meeting_pairs
from linkage.classify.levels import N_LEVELS
from linkage.encode.encoder import Encoder, schema_id
from linkage.encode.oncetokens import BlockValues, Side
from linkage.engine.refinement import Comparison, band_similarities, bands_of, pairs_of_unlike
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.jobgraph import JobGraph
from linkage.privacy.wholejob import JobView
from linkage.schema import LinkageSchema

Columns = Mapping[str, FlaggedColumn]
# Steps in which an attacker takes the number of common tickets: it moves by chance.
_COUNT_STEPS = (2, 4, 8, 12, 16, 20, 25, 30, 40)
_SIDES: tuple[Side, Side] = "left", "right"


def job_view(schema: LinkageSchema, left: Columns, right: Columns, seed: int) -> JobView:
    """Run a job under a key of its own, and return what the matcher sees of it.

    Args:
        schema: the linkage schema, of two rounds.
        left: normalised words of the left party's records.
        right: those of the right party's.
        seed: of what is drawn.

    Raises:
        ValueError: a schema of one round.
    """
    refinement = refinement_of(schema)
    if refinement is None:
        raise ValueError("a job of one round has no pairs to look at")
    key = LinkageKey(os.urandom(32), KeyContext("gate", schema_id(schema), "gate", 1))
    files = [_file(schema, key, columns) for columns in (left, right)]
    pairs = refine_files(schema, key, files, np.random.default_rng(seed))
    sizes = len(files[0]), len(files[1])
    _, scores = Comparison(refinement).score(pairs.levels, pairs.drawn, pairs_of_unlike(sizes))
    met = ~pairs.drawn
    lefts, rights = pairs.left[met], pairs.right[met] - np.int32(sizes[0])
    levels, count = pairs.levels[met], pairs.count[met]
    bands = bands_of(scores.posterior, schema.threshold)
    likely = np.concatenate([band.pairs for band in bands])
    # By their likelihood, not their number: with few pairs a job has no label for some.
    of_band = {band.similarity: band.pairs for band in bands}
    labels = [of_band.get(s, likely[:0]) for s in band_similarities(schema.threshold)]
    features = np.column_stack([levels, np.digitize(count, _COUNT_STEPS)]).astype(np.int64)
    return JobView(
        links=JobGraph.of(sizes, [(lefts[pairs], rights[pairs]) for pairs in labels]),
        told=JobGraph.of(sizes, _by_feature(lefts, rights, features)),
        left=lefts[likely],
        features=features[likely],
    )


def token_view(schema: LinkageSchema, left: Columns, right: Columns) -> JobView:
    """Run a job of one round under a key of its own; return what tokens show the matcher of it.

    Args:
        schema: the linkage schema, of one round.
        left: normalised words of the left party's records.
        right: those of the right party's.
    """
    blocked = schema.blocked()
    key = LinkageKey(os.urandom(32), KeyContext("gate", schema_id(schema), "gate", 1))
    encoded = [Encoder(blocked, key, os.urandom).encode(columns) for columns in (left, right)]
    ours, theirs = (
        block_tokens(blocked, key, party.values, [("gate\0left\0right", side)])
        for party, side in zip(encoded, _SIDES, strict=True)
    )
    of_entries = [_ends(meeting_pairs(*both)) for both in zip(ours, theirs, strict=True)]
    tokens = of_entries if schema.block else []
    for slot in range(len(schema.exact_attributes)):
        own, other = (party.exact[:, slot : slot + 1] for party in encoded)
        tokens = [*tokens, _ends(equal_pairs(own, other))]
    sizes = len(encoded[0].codes), len(encoded[1].codes)
    return JobView(
        links=JobGraph.of(sizes, tokens),
        told=JobGraph.of(sizes, of_entries),
        left=np.zeros(0, np.int32),
        features=np.zeros((0, 0), np.int64),
    )


def _ends(pairs: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the records of pairs that are packed as left << 32 | right."""
    low = np.uint64(0xFFFFFFFF)
    return (pairs >> np.uint64(32)).astype(np.int32), (pairs & low).astype(np.int32)


def _file(schema: LinkageSchema, key: LinkageKey, columns: Columns) -> RefinedFile:
    rows = FieldRows(schema)
    rows.add(columns)
    return RefinedFile(BlockValues(schema, key.block_key).of(columns), rows)


def _by_feature(
    left: NDArray[np.int32], right: NDArray[np.int32], features: NDArray[np.int64]
) -> list[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Return the pairs by what is seen of them, each value of a feature a label."""
    labels = []
    for feature in range(features.shape[1]):
        for value in range(max(N_LEVELS, len(_COUNT_STEPS) + 1)):
            at = features[:, feature] == value
            labels.append((left[at], right[at]))
    return labels
