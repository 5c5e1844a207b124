"""The HTML page of a gate's result, for people who decide and do not run attacks.

It says in two languages what was tried, what came of it and what was allowed. Each figure
has a bar on a scale of its limit.
"""

import math
from typing import TYPE_CHECKING

from linkage import __version__
from linkage.cli.attack_words import ANSWERS, ATTACKS
from linkage.markup import Element, both, document, element

if TYPE_CHECKING:
    from linkage.agent.attack import Attacked
    from linkage.privacy.outcome import Outcome
    from linkage.schema import LinkageSchema

_WIDTH, _HEIGHT = 190, 16
# The picture reaches from a hundredth of the limit to a thousand times it.
_DECADES_BELOW, _DECADES_ABOVE = 2, 3

_STYLE = """
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #222;
  max-width: 62em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.7em; } h2 { font-size: 1.15em; margin: 1.8em 0 .2em; break-after: avoid; }
.id { color: #555; font-style: italic; font-weight: normal; font-size: .9em; }
p .id, h2 .id, thead .id, .figures td .id { display: block; }
p { margin: .3em 0 .6em; break-after: avoid; }
.answer { border-left: 6px solid; padding: .4em 1em; background: #f6f7f8; }
.answer.ok { border-color: #20744a } .answer.failed { border-color: #b3261e }
.answer.void { border-color: #8a6100 }
table { border-collapse: collapse; width: 100%; }
.figures td + td { white-space: nowrap }
td, th { padding: .25em .6em; text-align: right; border-bottom: 1px solid #ddd;
  font-variant-numeric: tabular-nums; vertical-align: top; }
th { font-weight: normal; } td:first-child, th:first-child { text-align: left; width: 34%; }
thead th { border-bottom: 1px solid #222; vertical-align: bottom; }
td.picture { text-align: left; width: 190px; }
td.ok { color: #20744a } td.failed { color: #b3261e; font-weight: 600 } td.void { color: #8a6100 }
tr { break-inside: avoid; }
@media print { body { margin: 0; max-width: none; font-size: 10px; }
  svg, .answer { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
_VERDICTS = {
    "passed": ("ok", "passed", "lolos"),
    "exceeded": ("failed", "too high", "terlalu tinggi"),
    "void": ("void", "void", "tidak sah"),
}


def report_page(found: "Attacked", schema: "LinkageSchema") -> str:
    """Return the page as one HTML document without anything from outside.

    Args:
        found: what the gate found.
        schema: the schema that was asked about.
    """
    answer = "failed" if found.failed else "void" if found.void else "ok"
    groups: dict[str, list[Outcome]] = {}
    for outcome in found.outcomes:
        groups.setdefault(outcome.attack.split()[0], []).append(outcome)
    numbers = sorted(groups, key=lambda number: list(ATTACKS).index(number))
    body = element(
        "body",
        both("h1", "What attackers read from our codes", "Apa yang terbaca dari kode kita"),
        element(
            "div",
            *(both("p", ANSWERS[answer].text, ANSWERS[answer].teks), *_highest(found)),
            class_=f"answer {answer}",
        ),
        both(
            "p",
            "Before records leave this agency, the attacks that scientists have published are "
            "run on its own codes. No code and no key of this test is used for anything else. "
            "Each attack must first succeed on plain Bloom filters, a method known to be weak; "
            "else it proves nothing.",
            "Sebelum rekaman meninggalkan instansi ini, serangan yang telah diterbitkan para "
            "peneliti dijalankan terhadap kodenya sendiri. Kode dan kunci uji ini tidak dipakai "
            "untuk hal lain. Setiap serangan harus lebih dulu berhasil terhadap filter Bloom "
            "biasa, metode yang diketahui lemah; jika tidak, ia tidak membuktikan apa pun.",
        ),
        both(
            "p",
            "Bars: filled, our codes; outlined, plain filters; the upright line is the limit. "
            "Each further tenth of the way is about three times as much.",
            "Batang: penuh, kode kita; garis tepi, filter biasa; garis tegak adalah batasnya. "
            "Setiap sepersepuluh berikutnya kira-kira tiga kali lipat.",
        ),
        *(part for number in numbers for part in _group(number, groups[number])),
        both("h2", "What was tested", "Apa yang diuji"),
        _head(found, schema),
    )
    return document(f"Padan: {schema.name}", _STYLE, body)


def _highest(found: "Attacked") -> list[Element]:
    """Return the one figure that an agreement asks for, in words."""
    rates = [outcome for outcome in found.outcomes if outcome.bound is not None]
    if not rates:
        return []
    worst = max(rates, key=lambda outcome: (outcome.bound or 0.0, outcome.value))
    value, most = _percent(worst.value), _percent(worst.bound or 0.0)
    one_in = f", one in {1 / worst.value:,.0f}" if 0 < worst.value < 0.5 else ""
    return [
        both(
            "p",
            f"The best attack ({worst.attack}, {worst.setting}) named {value} of the people it "
            f"was asked about{one_in}; at most {most}, as far "
            f"as so many people tell. Allowed: {_percent(worst.limit)}. "
            f"By guessing: {_percent(worst.chance or 0.0)}.",
            f"Serangan terbaik mengenali {value} dari orang yang ditanyakan; paling tinggi "
            f"{most} sejauh dapat dihitung dari jumlah orang itu. Batas: "
            f"{_percent(worst.limit)}. Jika hanya menebak: {_percent(worst.chance or 0.0)}.",
        )
    ]


def _group(number: str, outcomes: list["Outcome"]) -> list[Element]:
    words = ATTACKS[number]
    heads = (
        ("What was measured", "Yang diukur"),
        ("Found", "Ditemukan"),
        ("At most", "Paling tinggi"),
        ("Limit", "Batas"),
        ("Plain filters", "Filter biasa"),
        ("Compared with the limit", "Dibanding batas"),
        ("Result", "Hasil"),
    )
    return [
        both("h2", f"{number}. {words.title}", words.judul),
        both("p", words.text, words.teks),
        element(
            "table",
            element("thead", element("tr", *(both("th", *head, scope="col") for head in heads))),
            element("tbody", *(_row(outcome) for outcome in outcomes)),
            class_="figures",
        ),
        *_notes(outcomes),
    ]


def _notes(outcomes: list["Outcome"]) -> list[Element]:
    """Say why a row passed whose upper end is above its limit."""
    notes = []
    if any(
        o.verdict == "passed" and o.bound is not None and o.interval is not None
        and o.bound < o.interval[1]
        for o in outcomes
    ):  # fmt: skip
        notes.append(
            both(
                "p",
                "Own records alone are too few here for the upper end to be held against the "
                "limit; the lower end is.",
                "Rekaman sendiri saja di sini terlalu sedikit untuk membandingkan ujung atas "
                "dengan batas; yang dibandingkan adalah ujung bawah.",
            )
        )
    if any(o.setting.endswith("no relative known") for o in outcomes):
        notes.append(
            both(
                "p",
                "No relative known: only people to whom no known person is alike, such as a "
                "brother. Among these there may be no more hits than chance brings.",
                "No relative known: hanya orang yang tidak mirip dengan orang yang diketahui, "
                "misalnya saudaranya. Di antara mereka tidak boleh ada lebih dari kebetulan.",
            )
        )
    return notes


def _row(outcome: "Outcome") -> Element:
    of_people = outcome.interval is not None
    upper = None if outcome.interval is None else outcome.interval[1]
    figures = (outcome.value, upper, outcome.limit, outcome.control)
    shown = [_shown(figure, of_people) for figure in figures]
    colour, verdict, putusan = _VERDICTS[outcome.verdict]
    return element(
        "tr",
        element("td", f"{outcome.attack.partition(' ')[2]}: {outcome.setting}"),
        *(element("td", text) for text in shown),
        element("td", _picture(outcome), class_="picture"),
        both("td", verdict, putusan, class_=colour),
    )


def _shown(figure: float | None, of_people: bool) -> str:
    if figure is None:
        return "\u2013"
    if of_people:
        return _percent(figure)
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 10 or not percent else f"{percent:.2g} %"


def _picture(outcome: "Outcome") -> Element:
    limit = outcome.limit or 1.0
    value, line = _place(outcome.value / limit), _place(1.0)
    bars = []
    if outcome.control is not None:
        bars.append(
            element(
                "rect", x=0.5, y=2.0, width=_place(outcome.control / limit), height=_HEIGHT - 4.0,
                fill="none", stroke="#8796a5",
            )
        )  # fmt: skip
    colour = "#b3261e" if outcome.exceeded else "#2f6f9f"
    return element(
        "svg",
        *bars,
        element("rect", x=0.0, y=5.0, width=value, height=_HEIGHT - 10.0, fill=colour),
        element("path", d=f"M{line:.0f} 0V{_HEIGHT}", stroke="#222", fill="none"),
        width=float(_WIDTH),
        height=float(_HEIGHT),
        role="img",
    )


def _place(ratio: float) -> float:
    """Return how far along the picture a multiple of the limit lies."""
    if ratio <= 0:
        return 0.0
    decades = min(max(math.log10(ratio) + _DECADES_BELOW, 0), _DECADES_BELOW + _DECADES_ABOVE)
    return (_WIDTH - 1) * decades / (_DECADES_BELOW + _DECADES_ABOVE)


def _head(found: "Attacked", schema: "LinkageSchema") -> Element:
    encoding = schema.encoding
    rows = [
        ("Schema", "Skema", f"{schema.name}, {found.schema_id.hex()}"),
        ("Scheme", "Metode", f"{encoding.scheme} {encoding.code_bits:,}/{encoding.code_order}"),
        ("Level", "Tingkat", found.level),
        ("Persons attacked", "Orang yang diserang", f"{found.n_records:,}"),
        ("of these made up", "di antaranya rekaan", f"{found.n_made_up:,}"),
        ("State of the source", "Keadaan sumber", found.source_profile.hex()),
        ("Seed", "Benih acak", str(found.seed)),
        ("Program", "Program", f"padan {__version__}"),
    ]
    return element(
        "table",
        element(
            "tbody",
            *(element("tr", both("td", english, other), element("td", text))
              for english, other, text in rows),
        ),
    )  # fmt: skip
