"""The curve result as a table and as a picture that people read."""

import math

from benchmarks.curve import (
    LENGTHS,
    MOST_RECORDS,
    ORDERS,
    PLAIN,
    SCHEMES,
    CurveResult,
    Point,
    saul,
)
from benchmarks.picture import Axis, Panel, Series, draw
from benchmarks.report import Table, figure

TITLE = "Best F1 of saul by the likeness of true pairs"


def curve_table(result: CurveResult) -> Table:
    """Return the table: a row per set, by falling cosine."""
    return Table(
        title=TITLE,
        header=["set", "records", "cosine", *[text.removeprefix("saul:") for text in SCHEMES]],
        rows=[
            [
                point.name,
                f"{point.records:,}",
                figure(point.cosine),
                *[figure(point.f1.get(text)) for text in SCHEMES],
            ]
            for point in result.points
        ],
        notes=[
            "cosine: median of the true pairs' unhardened filters.",
            "L/t: saul with codes of L bits, each the XOR of t majorities; one key for all.",
            (
                "errors x n: one synthetic population in two registers, the error rates of the "
                "dirty grade times n."
            ),
            *_sampled(result),
            "In the picture lines are the synthetic population, rings the other sets.",
            "All pairs compared, best threshold by sweep, pairs counted after the solver.",
            *[f"Skipped: {name}: {reason}." for name, reason in result.skipped.items()],
        ],
    )


def _sampled(result: CurveResult) -> list[str]:
    parts = [f"{p.name} ({p.out_of:,})" for p in result.points if p.records < p.out_of]
    if not parts:
        return []
    return [
        (
            f"Of larger sets some persons with all their records, about {MOST_RECORDS:,}; fewer "
            f"strangers make a set easier than it is as a whole: {', '.join(parts)}."
        )
    ]


def curve_picture(result: CurveResult) -> str:
    """Return F1 against cosine as SVG: a panel per length, a line per order."""
    lowest = min((point.cosine for point in result.points), default=0.9)
    x = Axis("median cosine of true pairs", math.floor(20 * lowest) / 20, 1.0, 0.05)
    y = Axis("best F1", 0.0, 1.0, 0.2)
    return draw(TITLE, [_panel(result, length) for length in LENGTHS], x, y)


def _panel(result: CurveResult, length: int) -> Panel:
    steps = [point for point in result.points if point.step]
    sets = [point for point in result.points if not point.step]
    texts = [(f"t = {order}", saul(length, order)) for order in ORDERS] + [("unhardened", PLAIN)]
    lines = [
        Series(name, number, _places(steps, text), line=True)
        for number, (name, text) in enumerate(texts)
    ]
    rings = [
        Series("other sets" if text == PLAIN else "", number, _places(sets, text), line=False)
        for number, (_, text) in enumerate(texts)
    ]
    return Panel(f"L = {length:,}", [*lines, *rings])


def _places(points: list[Point], text: str) -> list[tuple[float, float, str]]:
    measured = [(p.name, p.cosine, p.f1[text]) for p in points if text in p.f1]
    return [(cosine, f1, f"{name}: {f1:.3f}") for name, cosine, f1 in measured]
