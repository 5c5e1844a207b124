"""The HTML page of a gate's result: one bar for each figure, on a scale of its limit."""

import html
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linkage.agent.attack import GateResult
    from linkage.privacy.gate import Outcome

_WIDTH, _HEIGHT = 360, 16
# The picture reaches from a hundredth of the limit to a thousand times it.
_DECADES_BELOW, _DECADES_ABOVE = 2, 3

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; color: #1c2733 }
table { border-collapse: collapse; width: 100% }
td, th { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid #dde3ea }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.ok { color: #20744a } .failed { color: #b3261e; font-weight: 600 } .void { color: #8a6100 }
"""


def report_page(result: "GateResult") -> str:
    """Return the page as one HTML document without anything from outside."""
    verdict = "a limit is exceeded" if result.failed else "void" if result.void else "passed"
    rows = "\n".join(_row(outcome) for outcome in result.outcomes)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Padan: risk gate</title><style>{_STYLE}</style>
<h1>Risk gate: {verdict}</h1>
<p>{result.n_records:,} distinct persons, level {result.level}, seed {result.seed},
schema {result.schema_id.hex()[:16]}. Bars: the figure of this schema (filled) and of plain
Bloom filters of the same records (outline), on a logarithmic scale; the line is the limit.</p>
<table><tr><th>attack<th>figure<th>up to<th>limit<th>chance<th>plain filters<th><th></tr>
{rows}
</table></html>
"""


def _row(outcome: "Outcome") -> str:
    upper = None if outcome.interval is None else outcome.interval[1]
    numbers = (outcome.value, upper, outcome.limit, outcome.chance, outcome.control)
    cells = "".join(f'<td class="n">{"" if n is None else f"{n:.4f}"}' for n in numbers)
    verdict = "void" if outcome.void else "failed" if outcome.exceeded else "ok"
    name = html.escape(f"{outcome.attack}, {outcome.setting}")
    return f'<tr><td>{name}{cells}<td>{_picture(outcome)}<td class="{verdict}">{verdict}</tr>'


def _picture(outcome: "Outcome") -> str:
    limit = outcome.limit or 1.0
    value, line = _place(outcome.value / limit), _place(1.0)
    colour = "#b3261e" if outcome.exceeded else "#2f6f9f"
    control = ""
    if outcome.control is not None:
        width = _place(outcome.control / limit)
        control = (
            f'<rect x="0" y="2" width="{width:.0f}" height="{_HEIGHT - 4}" fill="none" '
            'stroke="#8796a5"/>'
        )
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img">{control}'
        f'<rect x="0" y="5" width="{value:.0f}" height="{_HEIGHT - 10}" fill="{colour}"/>'
        f'<path d="M{line:.0f} 0V{_HEIGHT}" stroke="#1c2733"/></svg>'
    )


def _place(ratio: float) -> float:
    """Return how far along the picture a multiple of the limit lies."""
    if ratio <= 0:
        return 0.0
    decades = min(max(math.log10(ratio) + _DECADES_BELOW, 0), _DECADES_BELOW + _DECADES_ABOVE)
    return _WIDTH * decades / (_DECADES_BELOW + _DECADES_ABOVE)
