"""A whole job of two rounds in memory, and what the matcher sees of it.

Two registers are refined as parties and matcher do it. What comes out is what the matcher
has before it at the end, as an attack takes it.
"""

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from keys.derive import KeyContext, LinkageKey
from linkage.agent.fieldrows import FieldRows
from linkage.agent.refining import RefinedFile, refine_files
from linkage.agent.session import refinement_of
from linkage.classify.levels import N_LEVELS
from linkage.encode.encoder import schema_id
from linkage.encode.oncetokens import BlockValues
from linkage.engine.refinement import Comparison, band_similarities, bands_of, pairs_of_unlike
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.jobgraph import JobGraph
from linkage.privacy.wholejob import JobView
from linkage.schema import LinkageSchema

Columns = Mapping[str, FlaggedColumn]
# Steps in which an attacker takes the number of common tickets: it moves by chance.
_COUNT_STEPS = (2, 4, 8, 12, 16, 20, 25, 30, 40)


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
