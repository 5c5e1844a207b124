"""Recall of two rounds by groups of people, on registers of people who do not exist."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.records import RecordSet, synthetic_groups
from benchmarks.refining import encode_rounds, link_refined
from benchmarks.schemes import Scheme, schema_of
from linkage.classify.quality import quality_of
from linkage.engine.refinement import similarity_at
from linkage.synthetic import GROUPS

GAP = 0.05
"""A recall that is further below that of everyone is flagged."""

_EVERYONE = "everyone"


@dataclass(frozen=True)
class GroupRecalls:
    """Recall at the truth-free threshold, the mean over the keys.

    Attributes:
        everyone: of all people.
        everyone_pairs: their true pairs.
        by_group: of the people of each group that has true pairs.
        pairs: true pairs of each group.
    """

    everyone: float
    everyone_pairs: int
    by_group: dict[str, float]
    pairs: dict[str, int]

    def is_below(self, group: str) -> bool:
        """Return whether a group is found much less often than everyone."""
        return round(self.everyone - self.by_group[group], 3) > GAP

    @classmethod
    def pooled(cls, several: Sequence["GroupRecalls"]) -> "GroupRecalls":
        """Return the recalls of several sets of registers taken as one."""
        pairs = {
            name: sum(one.pairs.get(name, 0) for one in several)
            for name in GROUPS
            if any(name in one.pairs for one in several)
        }
        found = {
            name: sum(one.by_group[name] * one.pairs[name] for one in several if name in one.pairs)
            for name in pairs
        }
        n_true = sum(one.everyone_pairs for one in several)
        return cls(
            everyone=sum(one.everyone * one.everyone_pairs for one in several) / max(1, n_true),
            everyone_pairs=n_true,
            by_group={name: found[name] / pairs[name] for name in pairs},
            pairs=pairs,
        )


def recall_by_group(records: RecordSet, scheme: Scheme, keys: Iterable[int]) -> GroupRecalls:
    """Return the recall of each group in a pair of synthetic registers.

    Args:
        records: the registers, whole or in part.
        scheme: two rounds of it.
        keys: numbers of the keys to try.
    """
    schema = schema_of(records.experiment, scheme)
    members = synthetic_groups(records)
    everyone = np.ones(len(records), dtype=np.bool_)
    recalls, pairs = dict[str, list[float]](), dict[str, int]()
    for key in keys:
        sweep = link_refined(records, encode_rounds(records, schema, key))
        label = sweep.label(similarity_at(schema.threshold))
        for name, mask in {_EVERYONE: everyone, **members}.items():
            found = quality_of(label[mask], records.person[mask], records.file[mask])
            if found.pairs_true:
                recalls.setdefault(name, []).append(found.recall)
                pairs[name] = found.pairs_true
    means = {name: float(np.mean(some)) for name, some in recalls.items()}
    return GroupRecalls(
        everyone=means.pop(_EVERYONE, 1.0),
        everyone_pairs=pairs.pop(_EVERYONE, 0),
        by_group=means,
        pairs=pairs,
    )
