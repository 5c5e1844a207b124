"""The quality result as a table that people read."""

from benchmarks.outcome import QualityResult, SetResult, short_of_bar
from benchmarks.peers import BITS
from benchmarks.report import Table, figure
from benchmarks.schemes import Scheme


def quality_table(result: QualityResult, schemes: list[Scheme]) -> Table:
    """Return the table: a row per set, best F1 per contestant."""
    names = [scheme.text for scheme in schemes]
    return Table(
        title="Best F1 by set",
        header=[
            "set",
            "records",
            "true pairs",
            "dice",
            "cosine",
            *names,
            "clkhash",
            "ECM",
            "logistic",
            "blocked",
            "bar of clk",
        ],
        rows=[_row(one, names) for one in result.sets],
        notes=_notes(result),
    )


def _row(one: SetResult, names: list[str]) -> list[str]:
    logistic = one.plain.logistic
    peer = figure(one.peer.best.f1 if one.peer else None)
    return [
        one.experiment.name,
        f"{one.records:,}",
        f"{one.pairs_true:,}",
        figure(one.similarity.dice),
        figure(one.similarity.cosine),
        *[figure(one.schemes[name].best.f1) for name in names],
        f"{peer} *" if one.peer and one.peer.at_lowest else peer,
        figure(one.plain.ecm.f1),
        figure(logistic.f1 if logistic else None),
        figure(one.plain.completeness),
        _bar(short_of_bar(one)),
    ]


def _bar(short: float | None) -> str:
    if short is None:
        return "-"
    return "met" if short == 0 else f"short by {short:.3f}"


def _notes(result: QualityResult) -> list[str]:
    notes = [
        "Ours: schemas of names and types only, default weights, all pairs compared.",
        "Ours and clkhash: the key with the median F1; what collides under one key is chance.",
        "dice, cosine: median similarity of the true pairs in our unhardened filter.",
        (
            f"clkhash: clkhash + anonlink, {BITS:,} bits, insertions per feature as in the "
            "experiment file, the best of anonlink's merge thresholds 0.1, 0.5 and 1; a star: its "
            "best threshold was the lowest one tried."
        ),
        (
            "ECM, logistic: recordlinkage in plain text, without truth and trained on half of the "
            "persons, crossed over; only the better one counts. Jaro-Winkler per text, equal or "
            "not for codes, equal or day and month swapped for dates. blocked: share of true "
            "pairs left by the blocking below."
        ),
        (
            "Everyone: best threshold by sweep, pairs counted after the solver, those implied "
            "by groups included."
        ),
        (
            "bar of clk: at least clkhash, and where that is below 0.95 better by 0.02 or equal "
            "to plain text."
        ),
    ]
    blockings: dict[str, list[str]] = {}
    for one in result.sets:
        blockings.setdefault(one.experiment.blocking_text, []).append(one.experiment.name)
    notes += [f"Blocking of {', '.join(sets)}: {text}." for text, sets in blockings.items()]
    notes += [f"Skipped: {name}: {reason}." for name, reason in result.skipped.items()]
    notes += [f"Failed: {name}: {error}." for name, error in result.failed.items()]
    return notes
