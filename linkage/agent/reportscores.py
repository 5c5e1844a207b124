"""The part of a report that explains scores: what levels are worth, and how they add up."""

from collections.abc import Sequence

import numpy as np

from linkage.agent.evidence import Evidence, level_counts
from linkage.agent.examples import Example, examples
from linkage.agent.pictures import Bar, Caption, Line, draw_bars
from linkage.classify.levels import Level
from linkage.markup import Element, both, element

_LEVELS = {
    Level.MISSING: "missing · kosong",
    Level.DIFFERENT: "different · berbeda",
    Level.TRACE: "trace · sedikit sekali sama",
    Level.FAINT: "faint · samar",
    Level.PARTIAL: "partial · sebagian",
    Level.ALIKE: "alike · mirip",
    Level.CLOSE: "close · sangat mirip",
    Level.NEAR: "near · hampir sama",
    Level.MOVED: "moved · pindah atribut",
    Level.EQUAL: "equal · sama",
    Level.EQUAL_RARE: "equal, rare · sama, jarang",
}
_WHY = {
    "surest": ("The surest link", "Taut paling pasti"),
    "last": ("The last link above the threshold", "Taut terakhir di atas ambang"),
    "next": ("The first pair below the threshold", "Pasangan pertama di bawah ambang"),
    "false": ("The surest of the false links", "Taut keliru yang paling pasti"),
    "missed": ("The least sure of the missed matches", "Pasangan terlewat yang paling lemah"),
}


def weights_of_levels(evidence: Evidence, names: Sequence[str]) -> list[Element | str]:
    """Return what each level of each attribute is worth; with one round, why there is none.

    Args:
        evidence: the scored pairs.
        names: of the attributes, in the order of their levels.
    """
    heading = both("h2", "What attributes are worth", "Bobot tiap atribut")
    if evidence.model is None:
        words = both(
            "p",
            "With one round codes are compared as a whole: no attribute has a weight of its own.",
            "Dengan satu putaran, kode dibandingkan secara utuh: tidak ada bobot tiap atribut.",
        )
        return [heading, words]
    model, weights, counts = evidence.model, evidence.model.level_weights(), level_counts(evidence)
    seen = counts > 0
    seen[:, Level.MISSING] = False
    ends = _ends([0.0, *weights[seen].tolist()])
    parts: list[Element | str] = [
        heading,
        both(
            "p",
            "The weight of a level is log2(m / u), in bits: m is its share among matches, u among "
            "strangers. To the right it speaks for a match, to the left against. Levels that no "
            "scored pair has are left out, and so is what is missing, which says nothing; an "
            "identifier that is missing counts as different.",
            "Bobot sebuah tingkat adalah log2(m / u), dalam bit: m bagiannya di antara pasangan "
            "benar, u di antara orang yang berbeda. Ke kanan mendukung, ke kiri menentang. Tingkat "
            "yang tidak terdapat dan yang kosong tidak ditampilkan; nomor identitas yang kosong "
            "dihitung berbeda.",
        ),
    ]
    for a, name in enumerate(names):
        levels = [level for level in Level if seen[a, level]]
        bars = [
            Bar(
                _LEVELS[level],
                0.0,
                float(weights[a, level]),
                (
                    _signed(weights[a, level]),
                    _percent(model.m[a, level]),
                    _percent(model.u[a, level]),
                    f"{counts[a, level]:,}",
                ),
            )
            for level in levels
        ]
        told = "; ".join(f"{bar.label} {bar.numbers[0]}" for bar in bars)
        caption = Caption(f"weights{a}", f"Weights of {name}", f"In bits: {told}.")
        missing = f"missing in {counts[a, Level.MISSING]:,} pairs · kosong"
        parts.append(element("h3", f"{name} ", element("span", f"({missing})", class_="id")))
        if bars:
            heads = ("weight, bits", "m", "u", "pairs")
            parts.append(element("figure", draw_bars(caption, bars, ends, heads)))
    return parts


def scores_of_pairs(
    evidence: Evidence, names: Sequence[str], files: Sequence[str], threshold: float
) -> list[Element | str]:
    """Return how the scores of a few pairs come about; nothing with one round.

    Args:
        evidence: the scored pairs.
        names: of the attributes, in the order of their levels.
        files: names of the files.
        threshold: as a score.
    """
    found = examples(evidence)
    if not found:
        return []
    drawn = [_bars(example, names) for example in found]
    line = Line(threshold, "threshold · ambang")
    # The same scale for all; a threshold beyond any score would press it together.
    ends = _ends([end for bars in drawn for bar in bars for end in (bar.start, bar.end)])
    parts: list[Element | str] = [
        both("h2", "How scores come about", "Bagaimana skor terjadi"),
        both(
            "p",
            "A score starts from how rare matches are among all pairs. Each attribute adds its "
            "weight, and the possibility of relatives takes some off. Records are counted from 1 "
            "in their file, the row of column names not counted. Terms are rounded.",
            "Skor berawal dari jarangnya pasangan benar. Tiap atribut menambah bobotnya; "
            "kemungkinan kerabat menguranginya. Nomor rekaman dihitung dari 1 dalam berkasnya, "
            "tanpa baris nama kolom. Angka dibulatkan.",
        ),
    ]
    for example, bars in zip(found, drawn, strict=True):
        english, indonesian = ("; ".join(_WHY[w][at] for w in example.why) for at in (0, 1))
        told = "; ".join(f"{bar.label} {bar.numbers[0]}" for bar in bars)
        caption = Caption(f"pair-{example.why[0]}", english, f"In bits: {told}.")
        parts += [
            both("h3", english, indonesian),
            _pair(example, files),
            element("figure", draw_bars(caption, bars, ends, ("bits",), line)),
        ]
    return parts


def _pair(example: Example, files: Sequence[str]) -> Element:
    who = " + ".join(f"{files[file]} {number:,}" for file, number in example.records)
    person = "one person" if example.same else "two people"
    orang = "satu orang" if example.same else "dua orang"
    taut = "ditautkan" if example.linked else "tidak ditautkan"
    linked = "linked" if example.linked else "not linked"
    if example.above and not example.linked:
        linked += ", for another link of one of them excludes it"
        taut += ", karena ada taut lain"
    return both("p", f"{who}: {person}, {linked}.", f"{orang}, {taut}.")


def _bars(example: Example, names: Sequence[str]) -> list[Bar]:
    """Return prior, attributes, relatives and sum, each from where the one before ends."""
    terms = [
        ("prior · awal", example.prior, ""),
        *((names[step.attribute], step.bits, _LEVELS[step.level]) for step in example.steps),
    ]
    if example.relatives:
        terms.append(("relatives · kerabat", example.relatives, ""))
    at = np.cumsum([0.0, *(bits for _, bits, _ in terms)]).tolist()
    bars = [
        Bar(name, start, end, (_signed(bits),), below)
        for (name, bits, below), start, end in zip(terms, at, at[1:], strict=False)
    ]
    total = _signed(example.log_odds)
    return [*bars, Bar("sum · jumlah", 0.0, example.log_odds, (total,), total=True)]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(*values, min(values) + 1)


def _signed(bits: float) -> str:
    return f"{bits:+.2f}".replace("-", "\u2212") if abs(bits) >= 0.005 else "0.00"


def _percent(share: float) -> str:
    """Return a share with two digits that tell, however small it is."""
    percent = 100 * float(share)
    digits = 1 if percent >= 1 else min(int(-np.floor(np.log10(max(percent, 1e-7)))) + 1, 7)
    return f"{percent:.{digits}f} %"
