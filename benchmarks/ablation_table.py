"""The ablation result as tables that people read."""

from collections.abc import Sequence
from statistics import fmean

from benchmarks.ablation import GROUP_ARMS, RULE_ARMS, Ablated, AblationResult, Arm, Retrial
from benchmarks.report import Table, figure
from linkage.normalise.rules import RULE_BY_ID, RULES


def ablation_table(result: AblationResult) -> Table:
    """Return the tables: by group, by single rule, and the rules that were tried again."""
    keys = "one key" if result.keys == 1 else f"{result.keys} keys, their mean"
    always = [rule.id for rule in RULES if rule.switch == "always"]
    return Table(
        title=f"Best F1 of {result.scheme} without rarity and without groups of rules",
        header=["set", "language", "records", "all on", *[arm.name for arm in GROUP_ARMS]],
        rows=[_row(one, GROUP_ARMS) for one in result.rows],
        notes=[
            (
                "Differences: best F1 without it less that with all on; below zero it helps. "
                "A dash: no code of the set changes."
            ),
            f"Both sides under the same key; {keys}.",
            (
                "language: what the schema says of all attributes; it switches the rules that "
                "are right for Indonesian names alone."
            ),
            *[f"{arm.name}: {', '.join(arm.without)}." for arm in GROUP_ARMS if arm.without],
            f"No schema switches {', '.join(always)}: words have no common form without them.",
            *[f"Skipped: {name}: {reason}." for name, reason in result.skipped.items()],
        ],
        next=_rule_table(result),
    )


def _row(one: Ablated, arms: Sequence[Arm]) -> list[str]:
    return [
        one.experiment.name,
        one.language,
        f"{one.records:,}",
        figure(fmean(one.all_on)),
        *[_difference(one.without.get(arm.name)) for arm in arms],
    ]


def _difference(by_key: list[float] | None) -> str:
    if by_key is None:
        return "-"
    shown = f"{fmean(by_key):+.3f}"
    return "0.000" if float(shown) == 0 else shown


def _rule_table(result: AblationResult) -> Table:
    acting = [arm for arm in RULE_ARMS if any(arm.name in one.without for one in result.rows)]
    return Table(
        title="Without a single rule",
        header=["set", "language", "records", "all on", *[arm.name for arm in acting]],
        rows=[_row(one, acting) for one in result.rows],
        notes=[f"{arm.name}: {RULE_BY_ID[arm.name].text}." for arm in acting],
        next=_retrial_table(result.retrials),
    )


def _retrial_table(retrials: Sequence[Retrial]) -> Table:
    harmful = [one for one in retrials if one.harms]
    abroad = [one for one in harmful if one.experiment.language == "foreign"]
    return Table(
        title="Rules that seemed to do harm, tried again under other keys",
        header=["set", "language", "rule", "keys", "better without by", "standard error", "harms"],
        rows=[
            [
                one.experiment.name,
                one.language,
                one.rule,
                str(len(one.differences)),
                f"{one.mean:+.4f}",
                f"{one.error:.4f}",
                "yes" if one.harms else "no",
            ]
            for one in retrials
        ],
        notes=[
            "A rule does harm where it costs more than 0.0005 and three standard errors.",
            f"Sets of English and German names that a rule harms: {_named(abroad)}.",
            (
                "Sets of Indonesian names that a rule harms: "
                f"{_named([one for one in harmful if one not in abroad])}."
            ),
        ],
    )


def _named(retrials: Sequence[Retrial]) -> str:
    return (
        ", ".join(f"{one.experiment.name} ({one.language}) by {one.rule}" for one in retrials)
        or "none"
    )
