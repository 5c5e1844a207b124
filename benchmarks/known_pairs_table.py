"""The known-pair curve as a table and as a picture that people read."""

import math
from collections.abc import Callable

from benchmarks.known_pairs import CODINGS, MOST, KnownPairsResult, Point
from benchmarks.picture import Axis, Panel, Series, draw
from benchmarks.report import Table
from linkage.privacy.rates import Rate

TITLE = "Persons named by a learner with known pairs"


def known_pairs_table(result: KnownPairsResult) -> Table:
    """Return the table: a row for each coding and number of known pairs."""
    chance = 1 / result.n_targets
    return Table(
        title=TITLE,
        header=[
            "codes", "known pairs", "named %", "at most %", "no relative %", "of these",
            "surest 1 %", "chance %",
        ],
        rows=[_row(point) for point in result.points],
        notes=[
            (f"{result.n_targets:,} codes to read, the plain records of their people at hand; "
            "made-up Indonesian people with families and twins, five attributes."),
            ("Matched kernel: how alike a code is to all known codes, against how alike each "
            "person is to the known people; with the public mean and without, the better counts."),
            ("at most: upper end of Wilson's interval at 95 %. no relative: over those to whom no "
            "known person is alike. surest: over the answers that the attacker trusts most."),
            (f"chance: {chance:.2%}. The bar: {MOST:.0%} for saul 8192/5 at the most known pairs; "
            "the uncentred one must be above it."),
            *[
                f"Budget of known pairs in an epoch, where the upper end meets .5 %: "
                f"{coding.name}: {result.budget(coding.name)}."
                for coding in CODINGS
            ],
            *[f"Not as it must be: {line}." for line in result.failed],
        ],
    )  # fmt: skip


def _row(point: Point) -> list[str]:
    everyone = point.everyone
    return [
        point.coding,
        f"{point.n_known:,}",
        f"{100 * everyone.value:.2f}",
        f"{100 * everyone.interval[1]:.2f}",
        f"{100 * point.unrelated.value:.2f}",
        f"{point.unrelated.trials:,}",
        f"{100 * point.surest.value:.0f}",
        f"{100 * everyone.chance:.2f}",
    ]


def known_pairs_picture(result: KnownPairsResult) -> str:
    """Return the rate against known pairs as SVG: a line per coding."""
    highest = 100 * max(point.everyone.value for point in result.points)
    most = max(point.n_known for point in result.points) / 1000
    x = Axis("known pairs, in thousands", 0.0, most, most / 4)
    step = 10 ** math.floor(math.log10(max(highest, 0.1)))
    y = Axis("named, in %", 0.0, step * math.ceil(highest / step), step)
    panels = [
        Panel(title, _lines(result, rate))
        for title, rate in (
            (f"all of {result.n_targets:,}", lambda point: point.everyone),
            ("of whom no known person is alike", lambda point: point.unrelated),
        )
    ]
    return draw(TITLE, panels, x, y)


def _lines(result: KnownPairsResult, rate: Callable[[Point], Rate]) -> list[Series]:
    return [
        Series(
            coding.name,
            number,
            [
                (p.n_known / 1000, 100 * rate(p).value, f"{p.n_known:,}: {rate(p).value:.2%}")
                for p in result.of(coding.name)
            ],
            line=True,
        )
        for number, coding in enumerate(CODINGS)
    ]
