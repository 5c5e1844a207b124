"""What the quality benchmark found: the figures of each set, and the bar they are held to."""

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.experiment import Experiment
from benchmarks.peers import PeerResult
from benchmarks.plain_text import PlainTextResult
from benchmarks.schemes import Similarity
from linkage.classify.quality import Quality


@dataclass(frozen=True)
class SchemeResult:
    """What one of our schemes brought under the key with the median F1.

    Attributes:
        best: quality at the best threshold.
        threshold: that threshold.
        seconds: without the sweep.
        by_key: best F1 under every key, falling.
    """

    best: Quality
    threshold: float
    seconds: float
    by_key: list[float]


@dataclass
class SetResult:
    """Everyone's figures on one set.

    Attributes:
        experiment: the set and what was told of it.
        records: number of records.
        pairs_true: pairs of records of one person.
        similarity: of the true pairs in our unhardened filter.
        schemes: ours, by name.
        peer: clkhash and anonlink, under the key with the median F1; None where skipped.
        peer_by_key: its best F1 under every key, falling.
        plain: recordlinkage.
    """

    experiment: Experiment
    records: int
    pairs_true: int
    similarity: Similarity
    schemes: dict[str, SchemeResult]
    peer: PeerResult | None
    peer_by_key: list[float]
    plain: PlainTextResult

    @property
    def clk_f1(self) -> float | None:
        """Best F1 of our unhardened filter, the one that is held against the peer."""
        return self.schemes["clk"].best.f1 if "clk" in self.schemes else None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "set": self.experiment.name,
            "cardinality": self.experiment.set.cardinality,
            "attributes": {column.name: column.type for column in self.experiment.columns},
            "records": self.records,
            "pairs_true": self.pairs_true,
            "true_pairs_median": asdict(self.similarity),
            "schemes": {
                name: {
                    **_quality(s.best),
                    "threshold": s.threshold,
                    "seconds": s.seconds,
                    "best_f1_by_key": s.by_key,
                }
                for name, s in self.schemes.items()
            },
            "clkhash_anonlink": self.peer
            and {
                **_quality(self.peer.best),
                "threshold": self.peer.threshold,
                "merge_threshold": self.peer.merging,
                "at_lowest_threshold": self.peer.at_lowest,
                "fill": round(self.peer.fill, 4),
                "best_f1_by_key": self.peer_by_key,
                "bits_per_feature": {c.name: c.bits for c in self.experiment.columns},
            },
            "plain_text": {
                "best_f1": self.plain.best_f1,
                "ecm": _quality(self.plain.ecm),
                "logistic": self.plain.logistic and _quality(self.plain.logistic),
                "blocking": self.experiment.blocking_text,
                "pairs_compared": self.plain.candidates,
                "pairs_completeness": self.plain.completeness,
            },
            "short_of_bar": short_of_bar(self),
        }


@dataclass
class QualityResult:
    """Figures of all sets, and what was left out.

    Attributes:
        sets: results in the order of the experiments.
        skipped: reason by name of what was skipped: a set, or a peer.
        failed: error by name of a set on which a contestant failed.
        peer_versions: versions of the peer's packages.
    """

    sets: list[SetResult] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    peer_versions: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "sets": [result.to_dict() for result in self.sets],
            "skipped": self.skipped,
            "failed": self.failed,
            "peer_versions": self.peer_versions,
        }


def _quality(quality: Quality) -> dict[str, float]:
    return {"best_f1": quality.f1, "precision": quality.precision, "recall": quality.recall}


def short_of_bar(result: SetResult) -> float | None:
    """Return by how much `clk` misses its bar, 0 where it meets it.

    The bar: at least the peer's F1, and where that is below 0.95 either better by 0.02
    or equal to plain text. Figures are compared as shown, to three digits.

    Returns:
        None where `clk` or the peer did not run.
    """
    if result.clk_f1 is None or result.peer is None:
        return None
    ours, peer, plain = (
        round(f1, 3) for f1 in (result.clk_f1, result.peer.best.f1, result.plain.best_f1)
    )
    bar = peer if peer >= 0.95 else min(peer + 0.02, max(peer, plain))
    return max(0.0, round(bar - ours, 3))
