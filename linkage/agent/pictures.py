"""Pictures of an evaluation as inline SVG, each with a title and a text alternative.

Nothing is told by colour alone: true matches stand above the line and others below it,
curves differ in their dashes, and every bar has its number beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.agent.evidence import Histogram, even_edges
from linkage.markup import Element, element

_WIDTH = 760
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 34, 44
_FOR, _AGAINST, _INK, _FAINT = "#1b6ca8", "#d9822b", "#222", "#bbb"
_DASHES = ("none", "8 4", "2 3")
_COLOURS = ("#222", "#1b6ca8", "#b4512d")
_TICKS = 10

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Caption:
    """What a picture is, for those who see it and those who do not.

    Attributes:
        key: letters and digits, unlike those of other pictures.
        title: what it shows.
        description: what there is to see, in words.
    """

    key: str
    title: str
    description: str


@dataclass(frozen=True)
class Line:
    """A place on the horizontal axis that is marked by a vertical line."""

    at: float
    label: str


@dataclass(frozen=True)
class Bar:
    """A horizontal bar with words before it and numbers after it.

    Attributes:
        label: words before it.
        start: where it begins.
        end: where it ends; left of `start` it speaks against a match.
        numbers: shown behind it, in columns.
        below: a second line of words, smaller.
        total: whether it is the sum of those above.
    """

    label: str
    start: float
    end: float
    numbers: tuple[str, ...]
    below: str = ""
    total: bool = False


def draw_histogram(
    caption: Caption, counts: Histogram, axis: str, lines: Sequence[Line]
) -> Element:
    """Return a histogram: true matches above the line, all others below, in logarithms."""
    height = 340
    x = _scale(counts.edges[0], counts.edges[-1], _LEFT, _WIDTH - _RIGHT)
    up, down = (float(np.log10(1 + n.max(initial=0))) for n in (counts.same, counts.others))
    unit = (height - _TOP - _BOTTOM) / max(up + down, 1e-9)
    middle = _TOP + up * unit
    parts = []
    for sign, most in ((-1, up), (1, down)):
        for power in range(int(most) + 1):
            at = middle + sign * float(np.log10(1 + 10**power)) * unit
            if _TOP - 1 <= at <= height - _BOTTOM + 1:
                parts += _grid_line(at, f"{10**power:,}")
    for sign, colour, numbers in ((-1, _FOR, counts.same), (1, _AGAINST, counts.others)):
        for start, end, n in zip(counts.edges, counts.edges[1:], numbers, strict=False):
            if n:
                tall = float(np.log10(1 + n)) * unit
                top = middle - tall if sign < 0 else middle
                parts.append(_box(x(start) + 0.5, top, x(end) - x(start) - 1, tall, colour))
    parts.append(_stroke(_LEFT, middle, _WIDTH - _RIGHT, middle, _INK))
    # Matches score high and others low, so these two corners are empty.
    low, high = _LEFT + 8, _WIDTH - _RIGHT - 8
    parts.append(_text(low, _TOP + 14, "true matches · pasangan benar"))
    parts.append(_text(high, height - _BOTTOM - 10, "others · yang lain", anchor="end"))
    parts += _horizontal_axis(x, counts.edges, height, axis)
    parts += _marks(lines, counts.edges, x, height)
    return _picture(caption, height, parts)


def draw_curves(
    caption: Caption,
    at: NDArray[np.float64],
    curves: Sequence[tuple[str, Sequence[float]]],
    axis: str,
    lines: Sequence[Line],
) -> Element:
    """Return up to three curves of shares over one axis."""
    height = 320
    x = _scale(at[0], at[-1], _LEFT, _WIDTH - _RIGHT)
    y = _scale(0, 1, height - _BOTTOM, _TOP)
    parts = []
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts += _grid_line(y(share), f"{share:.1f}")
    for number, (name, values) in enumerate(curves):
        points = " ".join(f"{x(a):.1f},{y(v):.1f}" for a, v in zip(at, values, strict=True))
        look = {"stroke": _COLOURS[number], "stroke_dasharray": _DASHES[number]}
        parts.append(element("polyline", points=points, fill="none", stroke_width="2", **look))
        first, line = _LEFT + 200 * number, height + 14
        ends = {"x1": first, "y1": line - 4, "x2": first + 34, "y2": line - 4}
        parts += [
            element("line", stroke_width="2", **ends, **look),
            _text(first + 40, line, name),
        ]
    parts += _horizontal_axis(x, at, height, axis)
    parts += _marks(lines, at, x, height)
    return _picture(caption, height + 24, parts)


def draw_bars(
    caption: Caption,
    bars: Sequence[Bar],
    ends: tuple[float, float],
    heads: Sequence[str],
    line: Line | None = None,
) -> Element:
    """Return horizontal bars below each other.

    Args:
        caption: title and text alternative.
        bars: from top to bottom.
        ends: what the width stands for; the same for pictures to be compared.
        heads: of the columns of numbers.
        line: marked through all bars.
    """
    row = 34 if any(bar.below for bar in bars) else 20
    top, words, column = 40, 250, 76
    height = top + row * len(bars) + 8
    right = _WIDTH - column * len(heads)
    x = _scale(*ends, words + 8, right - 8)
    parts = [_stroke(x(0), top - 6, x(0), height - 4, _FAINT)]
    for number, head in enumerate(heads):
        parts.append(_text(right + column * (number + 1) - 6, 16, head, anchor="end", small=True))
    for number, bar in enumerate(bars):
        y = top + row * number
        colour = _FOR if bar.end >= bar.start else _AGAINST
        if bar.total:
            colour = _INK
            parts.append(_stroke(0, y - 2, _WIDTH, y - 2, _FAINT))
        left, width = min(x(bar.start), x(bar.end)), abs(x(bar.end) - x(bar.start))
        parts.append(_box(left, y + 2, max(width, 1), row - 6, colour))
        middle = y + row / 2 + 1
        parts.append(_text(words, y + 14 if bar.below else middle, bar.label, anchor="end"))
        if bar.below:
            parts.append(_text(words, y + 27, bar.below, anchor="end", small=True))
        for at, shown in enumerate(bar.numbers):
            parts.append(_text(right + column * (at + 1) - 6, middle, shown, anchor="end"))
    if line is not None and ends[0] <= line.at <= ends[1]:
        parts.append(_stroke(x(line.at), top - 10, x(line.at), height - 4, _INK, "4 3"))
        parts.append(_text(x(line.at), top - 14, line.label, anchor="middle", small=True))
    return _picture(caption, height, parts)


def _picture(caption: Caption, height: float, parts: Sequence[Element]) -> Element:
    title, description = f"{caption.key}-title", f"{caption.key}-description"
    return element(
        "svg",
        element("title", caption.title, id=title),
        element("desc", caption.description, id=description),
        *parts,
        viewBox=f"0 0 {_WIDTH} {height:.0f}",
        role="img",
        aria_labelledby=title,
        aria_describedby=description,
    )


def _scale(low: float, high: float, first: float, last: float) -> Scale:
    """Return what turns a number of [low, high] into a place of [first, last]."""
    span = (high - low) or 1.0
    return lambda value: float(first + (value - low) / span * (last - first))


def _horizontal_axis(
    x: Scale, over: NDArray[np.float64], height: float, name: str
) -> list[Element]:
    base = height - _BOTTOM
    parts = [_stroke(_LEFT, base, _WIDTH - _RIGHT, base, _INK)]
    low, high = float(over[0]), float(over[-1])
    places = even_edges(low, high, _TICKS)
    step = float(places[1] - places[0])
    for place in places:
        if low - step / 100 <= place <= high + step / 100:
            # Adding zero turns a minus zero into a plain one.
            shown = f"{round(float(place), 6) + 0:g}".replace("-", "\u2212")
            parts.append(_stroke(x(place), base, x(place), base + 4, _INK))
            parts.append(_text(x(place), base + 17, shown, anchor="middle"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [*parts, _text(middle, height - 8, name, anchor="middle")]


def _grid_line(y: float, shown: str) -> list[Element]:
    return [
        _stroke(_LEFT, y, _WIDTH - _RIGHT, y, "#e4e4e4"),
        _text(_LEFT - 6, y + 4, shown, anchor="end", small=True),
    ]


def _marks(
    lines: Sequence[Line], over: NDArray[np.float64], x: Scale, height: float
) -> list[Element]:
    parts = []
    for number, line in enumerate(lines):
        if over[0] <= line.at <= over[-1]:
            at = x(line.at)
            dash = _DASHES[(number + 1) % len(_DASHES)]
            parts.append(_stroke(at, _TOP - 4, at, height - _BOTTOM, _INK, dash))
            anchor = "end" if at > _WIDTH / 2 else "start"
            above = _TOP - 8 - 14 * (len(lines) - 1 - number)
            parts.append(_text(at, above, line.label, anchor=anchor, small=True))
    return parts


def _box(x: float, y: float, width: float, height: float, colour: str) -> Element:
    return element("rect", x=x, y=y, width=max(width, 0.5), height=height, fill=colour)


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "none") -> Element:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_dasharray=dash)


def _text(x: float, y: float, shown: str, *, anchor: str = "start", small: bool = False) -> Element:
    size = "11" if small else "12"
    return element("text", shown, x=x, y=y, text_anchor=anchor, font_size=size)
