"""What the refine benchmark found: the figures of each set, and the bars they are held to."""

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.experiment import Experiment
from benchmarks.plain_splink import SplinkResult
from benchmarks.plain_text import PlainTextResult
from benchmarks.subgroups import GroupRecalls
from linkage.agent.evaluate import Evaluation
from linkage.classify.quality import Quality

TOLERANCE = 0.02
"""How far two rounds may lie below plain text, and the truth-free threshold below the best."""


@dataclass(frozen=True)
class TwoRounds:
    """What two rounds brought under the key with the median F1.

    Attributes:
        best: quality at the best threshold.
        threshold: that threshold, a probability.
        truth_free: quality at the schema's threshold.
        refined: number of pairs that were refined.
        completeness: share of the true pairs among them.
        precision: as estimated without truth.
        recall: as estimated without truth.
        notes: what was wrong with the estimate.
        seconds: without the sweep.
        by_key: best F1 under every key, falling.
    """

    best: Quality
    threshold: float
    truth_free: Quality
    refined: int
    completeness: float
    precision: float
    recall: float
    notes: tuple[str, ...]
    seconds: float
    by_key: list[float]

    @classmethod
    def of(cls, done: Evaluation, by_key: list[float]) -> "TwoRounds":
        """Return the figures of an evaluation.

        Raises:
            ValueError: it had one round.
        """
        refined, figures = done.refined, done.to_dict()
        if refined is None:
            raise ValueError("an evaluation of one round")
        return cls(
            best=done.best,
            threshold=done.best_threshold,
            truth_free=done.at_threshold,
            refined=refined.pairs,
            completeness=refined.completeness,
            precision=figures["estimated_precision"],
            recall=figures["estimated_recall"],
            notes=refined.model.notes,
            seconds=done.seconds,
            by_key=by_key,
        )


@dataclass(frozen=True)
class RefinedSet:
    """Everyone's figures on one set.

    Attributes:
        experiment: the set and what was told of it.
        records: number of records.
        clk: best quality of our unhardened filter, all pairs compared, one round.
        one_round: best quality of the scheme in one round.
        two_rounds: the same codes with a second round.
        plain: recordlinkage.
        splink: Splink; None where skipped.
        groups: recall of groups of people; None where nothing is known of them.
    """

    experiment: Experiment
    records: int
    clk: Quality
    one_round: Quality
    two_rounds: TwoRounds
    plain: PlainTextResult
    splink: SplinkResult | None
    groups: GroupRecalls | None

    @property
    def plain_f1(self) -> float:
        """The best F1 in plain text, whoever reached it."""
        return max(self.plain.best_f1, self.splink.best.f1 if self.splink else 0.0)

    @property
    def gain(self) -> float:
        """By how much the second round raises the best F1."""
        return self.two_rounds.best.f1 - self.one_round.f1

    @property
    def misses(self) -> dict[str, float]:
        """Return by how much each bar is missed; empty where all are met.

        Figures are compared as shown, to three digits.
        """
        best, truth_free, clk, plain = (
            round(f1, 3)
            for f1 in (
                self.two_rounds.best.f1,
                self.two_rounds.truth_free.f1,
                self.clk.f1,
                self.plain_f1,
            )
        )
        short = {
            "clk": clk - best,
            "plain text": plain - TOLERANCE - best,
            "threshold": best - TOLERANCE - truth_free,
        }
        return {bar: round(by, 3) for bar, by in short.items() if round(by, 3) > 0}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        two, splink = self.two_rounds, self.splink
        return {
            "set": self.experiment.name,
            "cardinality": self.experiment.set.cardinality,
            "attributes": {column.name: column.type for column in self.experiment.columns},
            "records": self.records,
            "pairs_true": two.best.pairs_true,
            "clk": _quality(self.clk),
            "one_round": _quality(self.one_round),
            "two_rounds": {
                **_quality(two.best),
                "threshold": two.threshold,
                "at_truth_free_threshold": {
                    "f1": two.truth_free.f1,
                    "precision": two.truth_free.precision,
                    "recall": two.truth_free.recall,
                },
                "estimated_precision": two.precision,
                "estimated_recall": two.recall,
                "pairs_refined": two.refined,
                "pairs_completeness": two.completeness,
                "notes": list(two.notes),
                "seconds": two.seconds,
                "best_f1_by_key": two.by_key,
            },
            "gain": self.gain,
            "recordlinkage": {
                "ecm": _quality(self.plain.ecm),
                "logistic": self.plain.logistic and _quality(self.plain.logistic),
                "pairs_completeness": self.plain.completeness,
            },
            "splink": splink
            and {
                **_quality(splink.best),
                "pairs_compared": splink.candidates,
                "pairs_completeness": splink.completeness,
                "notes": splink.notes,
            },
            "missed_by": self.misses,
            "groups": self.groups and asdict(self.groups),
        }


@dataclass
class RefineResult:
    """Figures of all sets, and what was left out.

    Attributes:
        scheme: how records were encoded.
        candidates: most candidates of a record in the second round.
        sets: results in the order of the experiments.
        skipped: reason by name of what was skipped: a set, or a peer.
        failed: error by name of a set on which a contestant failed.
    """

    scheme: str
    candidates: int
    sets: list[RefinedSet] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def peer_versions(self) -> dict[str, str]:
        """Versions of Splink's packages, where it ran."""
        return next((dict(one.splink.versions) for one in self.sets if one.splink), {})

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        return {
            "scheme": self.scheme,
            "candidates": self.candidates,
            "sets": [one.to_dict() for one in self.sets],
            "skipped": self.skipped,
            "failed": self.failed,
            "peer_versions": self.peer_versions,
        }


def _quality(quality: Quality) -> dict[str, float]:
    return {"best_f1": quality.f1, "precision": quality.precision, "recall": quality.recall}
