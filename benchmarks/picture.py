"""A picture of lines and marks on two axes, as SVG without any library.

Knows nothing of linkage: panels with series of points go in, one SVG text comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#666666")
"""Colours that people with any colour vision tell apart (Okabe and Ito)."""

_WIDTH, _HEIGHT = 430, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 40, 46
_LEGEND = 34
_PER_ROW = 2


@dataclass(frozen=True)
class Series:
    """Points of one kind.

    Attributes:
        name: in the legend; not there where empty.
        colour: a number of `COLOURS`.
        points: x, y, and what a mark says when it is pointed at.
        line: whether the points are joined, in their order.
    """

    name: str
    colour: int
    points: Sequence[tuple[float, float, str]]
    line: bool


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: above it.
        series: what is drawn; legends are taken from the first panel.
    """

    title: str
    series: Sequence[Series]


@dataclass(frozen=True)
class Axis:
    """An axis that all panels share.

    Attributes:
        label: beside it.
        low: its lower end.
        high: its upper end.
        step: from one grid line to the next.
    """

    label: str
    low: float
    high: float
    step: float

    def ticks(self) -> list[float]:
        """Return the values of the grid lines."""
        count = round((self.high - self.low) / self.step)
        return [self.low + number * self.step for number in range(count + 1)]

    def share(self, value: float) -> float:
        """Return where a value lies, from 0 to 1; values beyond the ends lie at them."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def draw(title: str, panels: Sequence[Panel], x: Axis, y: Axis) -> str:
    """Return panels in rows of two, with one legend, as SVG."""
    rows = -(-len(panels) // _PER_ROW)
    width, height = _PER_ROW * _WIDTH, _LEGEND + rows * _HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        '<g font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_legend(panels[0].series),
    ]
    for number, panel in enumerate(panels):
        left = number % _PER_ROW * _WIDTH
        top = _LEGEND + number // _PER_ROW * _HEIGHT
        lines += [f'<g transform="translate({left} {top})">', *_panel(panel, x, y), "</g>"]
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _legend(series: Sequence[Series]) -> list[str]:
    lines, left = [], _LEFT
    for one in (named for named in series if named.name):
        colour = COLOURS[one.colour]
        if one.line:
            lines.append(f'<path d="M{left} 20h24" stroke="{colour}" stroke-width="2"/>')
        lines.append(_mark((left + 12, 20), one))
        lines.append(f'<text x="{left + 30}" y="24">{escape(one.name)}</text>')
        left += 48 + 7 * len(one.name)
    return lines


def _panel(panel: Panel, x: Axis, y: Axis) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    middle = (_TOP + bottom) / 2
    lines = [f'<text x="{_LEFT}" y="{_TOP - 12}" font-weight="bold">{escape(panel.title)}</text>']
    for value in x.ticks():
        at = _across(x, value)
        lines.append(f'<path d="M{at:.1f} {_TOP}V{bottom}" stroke="#dddddd"/>')
        lines.append(f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>')
    for value in y.ticks():
        at = _up(y, value)
        lines.append(f'<path d="M{_LEFT} {at:.1f}H{right}" stroke="#dddddd"/>')
        lines.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:g}</text>')
    lines.append(
        f'<text x="{(_LEFT + right) / 2}" y="{bottom + 34}" text-anchor="middle">'
        f"{escape(x.label)}</text>"
    )
    lines.append(
        f'<text transform="translate(18 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.label)}</text>"
    )
    for one in panel.series:
        places = [((_across(x, a), _up(y, b)), text) for a, b, text in one.points]
        if one.line and places:
            path = "L".join(f"{across:.1f} {up:.1f}" for (across, up), _ in places)
            colour = COLOURS[one.colour]
            lines.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [_mark(at, one, text) for at, text in places]
    return lines


def _across(axis: Axis, value: float) -> float:
    return _LEFT + axis.share(value) * (_WIDTH - _RIGHT - _LEFT)


def _up(axis: Axis, value: float) -> float:
    return _TOP + (1 - axis.share(value)) * (_HEIGHT - _BOTTOM - _TOP)


def _mark(at: tuple[float, float], series: Series, text: str = "") -> str:
    """Return a dot on a line, or a ring where points are not joined."""
    across, up = at
    colour = COLOURS[series.colour]
    fill = colour if series.line else "none"
    title = f"<title>{escape(text)}</title>" if text else ""
    return (
        f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3" fill="{fill}" stroke="{colour}">'
        f"{title}</circle>"
    )
