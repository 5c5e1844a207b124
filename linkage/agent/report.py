"""The report of an evaluation: one HTML file for people, with pictures.

It needs no other file, runs nothing, and reads in print. Of records it shows numbers, never
a value; attributes are shown by name, levels and weights. What it says, it says in English
and in Bahasa Indonesia.
"""

import math
from collections.abc import Sequence

from linkage import __version__
from linkage.agent.evaluate import Evaluation
from linkage.agent.evidence import Evidence, by_files, histogram, quality_curve, thresholds
from linkage.agent.pictures import Caption, Line, draw_curves, draw_histogram
from linkage.agent.reportscores import scores_of_pairs, weights_of_levels
from linkage.classify.quality import Quality
from linkage.encode.encoder import schema_id
from linkage.markup import Element, both, document, element, table
from linkage.schema import LinkageSchema

_STYLE = """
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #222;
  max-width: 60em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.7em; } h2 { font-size: 1.25em; margin-top: 2em; border-bottom: 1px solid #bbb; }
h3 { font-size: 1em; margin: 1.4em 0 .2em; break-after: avoid; }
h2, p, caption { break-after: avoid; }
.id { color: #555; font-style: italic; font-weight: normal; font-size: .9em; }
p .id, thead .id { display: block; }
table { border-collapse: collapse; margin: .6em 0; }
th, td { padding: .25em .8em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child { text-align: left; font-weight: normal; }
thead th { border-bottom: 1px solid #222; vertical-align: bottom; }
.head td { text-align: left; overflow-wrap: anywhere; }
.notes { border: 2px solid #b4512d; padding: .2em 1em; background: #fdf3ee; }
figure { margin: .6em 0 1.2em; break-inside: avoid; }
svg { width: 100%; height: auto; overflow: visible; font-family: inherit; fill: #222; }
svg text { paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.plain { list-style: none; padding: 0; margin: 0; }
@media print { body { margin: 0; max-width: none; font-size: 11px; }
  svg, .notes { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
_NONE = "\u2013"
_BITS = "score in bits · skor dalam bit"
_SIMILARITY = "similarity · kemiripan"
_OF_BITS = (
    "A score of 0 bits is as likely a match as not, of 10 bits about 1,000 to 1.",
    "Skor 0 bit berarti sama mungkinnya benar atau tidak; 10 bit sekitar 1.000 banding 1.",
)
_OF_SIMILARITY = (
    "Only the most alike pairs were kept; all others were less alike than these.",
    "Hanya pasangan yang paling mirip disimpan; yang lain kurang mirip daripada ini.",
)


def html_report(evaluation: Evaluation, schema: LinkageSchema, files: Sequence[str]) -> str:
    """Return the report of an evaluation that kept its evidence.

    Args:
        evaluation: what the linkage brought.
        schema: the schema it used.
        files: names of the files, in their order.

    Raises:
        ValueError: the evaluation kept no evidence.
    """
    evidence = evaluation.evidence
    if evidence is None:
        raise ValueError("the evaluation kept no evidence: ask for it")
    if len(set(files)) < len(files):
        files = [f"{number}. {name}" for number, name in enumerate(files, start=1)]
    names = [a.name for a in (*schema.fuzzy, *schema.identifiers)]
    body = element(
        "body",
        both("h1", "How well the linkage went", "Mutu pemadanan"),
        _head(evaluation, evidence, schema, files),
        *_notes(evidence),
        *_quality(evaluation, evidence),
        *_by_score(evaluation, evidence),
        *weights_of_levels(evidence, names),
        *scores_of_pairs(evidence, names, files, _as_score(evidence, evaluation.threshold)),
        *_files(evidence, files),
        both(
            "p",
            "This report holds no value of any record. Record numbers are the agency's own: keep "
            "it inside.",
            "Laporan ini tidak memuat isi rekaman apa pun. Nomor rekaman milik instansi: simpan "
            "di dalam.",
        ),
    )
    return document(f"Padan: {schema.name}", _STYLE, body)


def _as_score(evidence: Evidence, threshold: float) -> float:
    """Return a threshold as a score: with two rounds it is a probability."""
    if evidence.model is None:
        return threshold
    if not 0 < threshold < 1:
        return math.inf if threshold >= 1 else -math.inf
    return math.log2(threshold) - math.log2(1 - threshold)


def _head(
    evaluation: Evaluation, evidence: Evidence, schema: LinkageSchema, files: Sequence[str]
) -> Element:
    counts = [
        element("li", f"{name}: {n:,}") for name, n in zip(files, evidence.records, strict=True)
    ]
    encoding = schema.encoding
    scheme = f"{encoding.scheme} {encoding.code_bits:,}/{encoding.code_order}"
    rows: list[tuple[str, str, str | Element]] = [
        ("Program", "Program", f"padan {__version__}"),
        ("Schema", "Skema", schema.name),
        ("Schema id", "Id skema", schema_id(schema).hex()),
        ("Scheme: bits/order", "Metode: bit/orde", scheme),
        ("Rounds", "Putaran", str(schema.match.rounds)),
        ("Cardinality", "Kardinalitas", schema.match.cardinality),
        ("Records by file", "Rekaman tiap berkas", element("ul", *counts, class_="plain")),
        ("Comparisons", "Perbandingan", f"{evaluation.pairs_compared:,}"),
    ]
    if evaluation.refined is not None:
        drawn = evaluation.refined.pairs - len(evidence.candidates)
        shown = f"{evaluation.refined.pairs:,} ({len(evidence.candidates):,} + {drawn:,})"
        rows.append(
            ("Refined pairs (candidates + drawn at random)", "Pasangan putaran kedua", shown)
        )
    rows.append(("Seconds", "Detik", f"{evaluation.seconds:,.1f}"))
    return element(
        "table",
        element(
            "tbody",
            *(
                element("tr", both("th", *name, scope="row"), element("td", shown))
                for *name, shown in rows
            ),
        ),
        class_="head",
    )


def _notes(evidence: Evidence) -> list[Element]:
    notes = evidence.model.notes if evidence.model is not None else ()
    if not notes:
        return []
    return [
        element(
            "section",
            both("h2", "Read this first", "Baca ini dahulu"),
            element("ul", *(element("li", note) for note in notes)),
            class_="notes",
            role="note",
        )
    ]


def _quality(evaluation: Evaluation, evidence: Evidence) -> list[Element | str]:
    at, best = f"{evaluation.threshold:.4g}", f"{evaluation.best_threshold:.4g}"
    rows: list[list[Element | str]] = [
        [both("span", "at the threshold", "pada ambang"), at, *_shown(evaluation.at_threshold)],
        [both("span", "at the best one", "pada yang terbaik"), best, *_shown(evaluation.best)],
    ]
    told = evaluation.estimated
    if told is not None:
        estimated = [
            f"{one.estimate:.4f} ({one.low:.3f}-{one.high:.3f})"
            for one in (told.precision, told.recall)
        ]
        refined = evaluation.refined
        matches = _NONE if refined is None else f"{refined.matches:,.0f}"
        name = both("span", "estimated without truth", "taksiran tanpa kebenaran")
        rows.append([name, at, *estimated, _NONE, matches, _NONE, _NONE])
    two = evidence.model is not None
    unit = ("probability", "peluang") if two else ("similarity", "kemiripan")
    head: list[Element | str] = [
        both("span", "Threshold", "Ambang"),
        both("span", *unit),
        both("span", "precision", "presisi"),
        both("span", "recall", "perolehan"),
        "F1",
        both("span", "true pairs", "pasangan benar"),
        both("span", "links", "taut"),
        both("span", "of them true", "yang benar"),
    ]
    parts: list[Element | str] = [both("h2", "Quality", "Mutu"), table(head, rows)]
    if evaluation.refined is not None:
        share = evaluation.refined.completeness
        missing = round((1 - share) * evaluation.at_threshold.pairs_true)
        parts.append(
            both(
                "p",
                f"Pairs completeness {share:.4f}: {missing:,} true pairs were no candidates, and "
                "no threshold finds them.",
                f"Kelengkapan pasangan {share:.4f}: {missing:,} pasangan benar bukan kandidat, "
                "dan tidak ditemukan oleh ambang mana pun.",
            )
        )
    return parts


def _shown(quality: Quality) -> list[str]:
    shares = (quality.precision, quality.recall, quality.f1)
    counts = (quality.pairs_true, quality.pairs_found, quality.pairs_correct)
    return [*(f"{share:.4f}" for share in shares), *(f"{n:,}" for n in counts)]


def _by_score(evaluation: Evaluation, evidence: Evidence) -> list[Element | str]:
    """Return the histogram, and the curves over the same axis."""
    counts = histogram(evidence)
    if not len(counts.same):
        return [both("p", "No pair was scored.", "Tidak ada pasangan yang diberi skor.")]
    at = _as_score(evidence, evaluation.threshold)
    best = _as_score(evidence, evaluation.best_threshold)
    lines = [Line(at, "threshold · ambang"), Line(best, "best F1 · F1 terbaik")]
    axis = _SIMILARITY if evidence.model is None else _BITS
    same, others = evidence.same, ~evidence.same
    reach = [
        f"{name} from {evidence.score[chosen].min():.2f} to {evidence.score[chosen].max():.2f}"
        for name, chosen in (("true matches", same), ("others", others))
        if chosen.any()
    ]
    seen = Caption(
        "histogram",
        "Pairs by score · Pasangan menurut skor",
        f"{int(same.sum()):,} true matches and {int(others.sum()):,} other pairs: "
        f"{', '.join(reach)}; the threshold is at {at:.2f}.",
    )
    scores = thresholds(evidence)
    curve = quality_curve(evidence, scores.tolist())
    curves = [
        ("precision · presisi", [quality.precision for quality in curve]),
        ("recall · perolehan", [quality.recall for quality in curve]),
        ("F1", [quality.f1 for quality in curve]),
    ]
    drawn = Caption(
        "curve",
        "Quality by threshold · Mutu menurut ambang",
        f"F1 is {evaluation.at_threshold.f1:.4f} at the threshold and at best "
        f"{evaluation.best.f1:.4f}.",
    )
    return [
        both("h2", "Pairs by score", "Pasangan menurut skor"),
        both(
            "p",
            "Scored pairs, in logarithms: true matches upwards in blue, all others downwards in "
            "orange. The less they overlap, the better the attributes tell people apart.",
            "Pasangan yang diberi skor, dalam skala logaritma: pasangan benar ke atas (biru), "
            "yang lain ke bawah (jingga). Makin sedikit tumpang-tindih, makin baik.",
        ),
        both("p", *(_OF_SIMILARITY if evidence.model is None else _OF_BITS)),
        element("figure", draw_histogram(seen, counts, axis, lines[:1])),
        both("h2", "Quality by threshold", "Mutu menurut ambang"),
        both(
            "p",
            "Every threshold is solved again, best pairs first. A higher one gives fewer links, "
            "and surer ones.",
            "Tiap ambang dihitung ulang, pasangan terbaik dahulu. Ambang yang lebih tinggi "
            "memberi lebih sedikit taut, tetapi lebih pasti.",
        ),
        element("figure", draw_curves(drawn, scores, curves, axis, lines)),
    ]


def _files(evidence: Evidence, files: Sequence[str]) -> list[Element | str]:
    rows: list[list[Element | str]] = []
    for pair in by_files(evidence):
        one, other = pair.files
        name = files[one] if one == other else f"{files[one]} + {files[other]}"
        counts = (*pair.compared, pair.scored, pair.quality.pairs_found)
        shares = (pair.quality.precision, pair.quality.recall)
        rows.append([name, *(f"{n:,}" for n in counts), *(f"{share:.4f}" for share in shares)])
    head: list[Element | str] = [
        both("span", "Files", "Berkas"),
        both("span", "compared: all pairs", "dibandingkan: semua pasangan"),
        both("span", "compared: shared token", "dibandingkan: token sama"),
        both("span", "scored", "diberi skor"),
        both("span", "links", "taut"),
        both("span", "precision", "presisi"),
        both("span", "recall", "perolehan"),
    ]
    return [both("h2", "Comparisons and links by file", "Menurut berkas"), table(head, rows)]
