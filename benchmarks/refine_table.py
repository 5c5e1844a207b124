"""The refine result as tables that people read."""

from collections.abc import Mapping, Sequence

from benchmarks.refine_outcome import TOLERANCE, RefinedSet, RefineResult
from benchmarks.report import Table, figure
from benchmarks.subgroups import GAP, GroupRecalls
from linkage.synthetic import GROUPS


def refine_table(result: RefineResult) -> Table:
    """Return the table: a row per set; below it the estimates, and the groups of people."""
    return Table(
        title="Best F1 with two rounds",
        header=[
            "set",
            "records",
            "clk",
            "one round",
            "two rounds",
            "gain",
            "no truth",
            "recordlinkage",
            "Splink",
            "bars",
        ],
        rows=[_row(one) for one in result.sets],
        notes=_notes(result),
        next=_estimates(result),
    )


def _row(one: RefinedSet) -> list[str]:
    return [
        one.experiment.name,
        f"{one.records:,}",
        figure(one.clk.f1),
        figure(one.one_round.f1),
        figure(one.two_rounds.best.f1),
        f"{one.gain:+.3f}",
        figure(one.two_rounds.truth_free.f1),
        figure(one.plain.best_f1),
        figure(one.splink.best.f1 if one.splink else None),
        "; ".join(f"{bar}: short by {by:.3f}" for bar, by in one.misses.items()) or "met",
    ]


def _notes(result: RefineResult) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in result.peer_versions.items())
    return [
        (
            f"Ours: {result.scheme}, schemas of names and types only, at most "
            f"{result.candidates} candidates of a record; the key with the median F1."
        ),
        "clk, one round: one round of `clk` and of the same codes as two rounds, all pairs.",
        "gain: two rounds above one. no truth: two rounds at the threshold 1/2, set without truth.",
        "recordlinkage: the better of ECM and logistic regression, as in the quality benchmark.",
        (
            f"Splink ({versions or 'not run'}): one recipe by type of attribute, blocking of the "
            "quality benchmark but its neighbourhoods, and agreement on any one or two attributes "
            "that few share."
        ),
        (
            f"bars: at least clk; plain text: at most {TOLERANCE} below the better of the two; "
            f"threshold: without truth at most {TOLERANCE} below the best."
        ),
        *[
            f"Splink on {one.experiment.name}: {note}"
            for one in result.sets
            for note in (one.splink.notes if one.splink else [])
        ],
        *[f"Skipped: {name}: {reason}." for name, reason in result.skipped.items()],
        *[f"Failed: {name}: {error}." for name, error in result.failed.items()],
    ]


def _estimates(result: RefineResult) -> Table:
    return Table(
        title="What two rounds say of themselves",
        header=[
            "set",
            "refined / record",
            "completeness",
            "precision",
            "estimated",
            "recall",
            "estimated",
        ],
        rows=[
            [
                one.experiment.name,
                figure(one.two_rounds.refined / one.records, 1),
                figure(one.two_rounds.completeness),
                figure(one.two_rounds.truth_free.precision),
                figure(one.two_rounds.precision),
                figure(one.two_rounds.truth_free.recall),
                figure(one.two_rounds.recall),
            ]
            for one in result.sets
        ],
        notes=[
            "completeness: share of the true pairs that were refined.",
            (
                "precision, recall: of the links without truth, those implied by groups included; "
                "estimated: of the refined pairs likelier than not, before the solver."
            ),
            *[
                f"{one.experiment.name}: {note}."
                for one in result.sets
                for note in one.two_rounds.notes
            ],
        ],
        next=_groups(result),
    )


def _groups(result: RefineResult) -> Table | None:
    by_grade: dict[str, list[GroupRecalls]] = {}
    named = []
    for one in result.sets:
        if one.groups is not None:
            named.append((one.experiment.name, one.groups))
            by_grade.setdefault(one.experiment.set.grade or "", []).append(one.groups)
    return groups_table(named, by_grade) if named else None


def groups_table(
    named: Sequence[tuple[str, GroupRecalls]], by_grade: Mapping[str, Sequence[GroupRecalls]]
) -> Table:
    """Return the table of recalls by group: a row per set, and one per grade over its sets."""
    pooled = [
        (f"all {grade}", GroupRecalls.pooled(several))
        for grade, several in by_grade.items()
        if len(several) > 1
    ]
    return Table(
        title="Recall by group of people",
        header=["set", "everyone", *(name.replace("_", " ") for name in GROUPS)],
        rows=[
            [name, figure(recalls.everyone), *[_recall(recalls, group) for group in GROUPS]]
            for name, recalls in (*named, *pooled)
        ],
        notes=[
            (
                "At the threshold without truth, mean over the keys; of the group's people, whose "
                "true pairs are counted in brackets."
            ),
            f"!: more than {GAP} below everyone.",
        ],
    )


def _recall(recalls: GroupRecalls, group: str) -> str:
    if group not in recalls.by_group:
        return "-"
    below = " !" if recalls.is_below(group) else ""
    return f"{recalls.by_group[group]:.3f}{below} ({recalls.pairs[group]:,})"
