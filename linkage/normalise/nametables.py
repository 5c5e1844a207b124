"""The word lists of the name rules, chosen and combined for one set of options.

Built once per set of options; nothing here depends on a value.
"""

import functools
from dataclasses import dataclass

from linkage.normalise.flags import WordClass
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.rules import RULES
from linkage.normalise.wordlists import word_list

_Words = frozenset[str]
_Map = dict[str, tuple[str, ...]]

ABDUL_HEADS = {
    "ABDUR": ("R",), "ABDUS": ("S",), "ABDUN": ("N",), "ABDUZ": ("Z",), "ABDUD": ("D",),
    "ABDUT": ("T",), "ABDUSH": ("SH",), "ABDUSY": ("SY",),
}  # fmt: skip
"""Forms of ABDUL that took the first sound of the next word (rule N06)."""


@dataclass(frozen=True)
class NameTables:
    """What the name rules look words up in; lists of rules that are off are empty.

    Attributes:
        options: the switches that the tables were built for.
        on: ids of the rules that act.
        modernises: whether old spelling is rewritten (rule N09).
        proposes_modern: whether it is another reading only (rule N09).
        respelt: words that become others wherever they stand.
        fillers: words that say nothing.
        nobody: whole values that say that there is no name.
        front, back, after_comma: titles by where they may be stripped.
        dotted: short forms that are known when written with full stops inside.
        markers: words before a patronym.
        at_front, in_balinese: short forms by where they are expanded.
        context, context_front: words that make a name Balinese.
        clan_marks: words dropped before a clan name.
        noble, noble_pairs: words of nobility at the front.
        particles: words that belong to the next one.
        suffixes: words that stay behind although a comma precedes them.
        classes: weight class of every word that is not FULL.
        triggers: words for which the place in the name matters, or the next word.
        front_triggers: words that matter only as the first words of a name.
    """

    options: NormaliseOptions
    on: frozenset[str]
    modernises: bool
    proposes_modern: bool
    respelt: _Map
    fillers: _Words
    nobody: _Words
    front: _Words
    back: _Words
    after_comma: _Words
    dotted: _Words
    markers: _Words
    at_front: _Map
    in_balinese: _Map
    context: _Words
    context_front: _Words
    clan_marks: _Words
    noble: _Words
    noble_pairs: _Words
    particles: _Words
    suffixes: _Words
    classes: dict[str, WordClass]
    triggers: _Words
    front_triggers: _Words

    def class_of(self, word: str) -> WordClass:
        """Return the weight class of a normalised word."""
        if len(word) == 1 and word not in self.classes:
            return WordClass.INITIAL
        return self.classes.get(word, WordClass.FULL)


@functools.lru_cache(maxsize=64)
def name_tables(options: NormaliseOptions, *, parent: bool = False) -> NameTables:
    """Return the tables for `options`.

    Args:
        options: the switches; only those of the name rules matter.
        parent: whether the names are those of a mother or father (rule N20).
    """

    def words(rule: str, *uses: str) -> _Words:
        if not options.applies(rule):
            return frozenset()
        return frozenset().union(*(word_list(rule, use) for use in uses))

    def entries(use: str, *rules: str) -> _Map:
        return {
            word: tuple(becomes.split())
            for rule in rules
            if options.applies(rule)
            for word, becomes in word_list(rule, use).items()
        }

    front = words("N03", "title_front") | (words("N20", "title_parent") if parent else frozenset())
    back = words("N03", "title_back")
    at_front = entries("front", "N04", "N05", "N07", "N13")
    in_balinese = entries("balinese", "N13")
    markers, clan_marks = words("N08", "marker"), words("N07", "clan_mark")
    noble, noble_pairs = words("N04", "noble"), words("N04", "noble_pair")
    particles = words("N18", "particle")
    if options.language != "indonesian":
        particles |= words("N18", "particle_any")
    nobody = words("N14", "nobody")
    by_place = {word for rule, word in (("N05", "MD"), ("N07", "ST")) if options.applies(rule)}
    only_front = {
        word for rule, word in (("N05", "M"), ("N07", "SY"), ("N07", "T")) if options.applies(rule)
    }
    abdul = frozenset({"ABDUL", *ABDUL_HEADS}) if options.applies("N06") else frozenset()
    return NameTables(
        options=options,
        on=frozenset(rule.id for rule in RULES if options.applies(rule.id)),
        modernises=options.language == "indonesian" and options.applies("N09"),
        proposes_modern=options.language == "foreign" and options.applies("N09"),
        respelt=entries("word", "N04", "N05", "N06", "N07", "N13"),
        fillers=words("N14", "filler"),
        nobody=nobody,
        front=front,
        back=back,
        after_comma=front | back | words("N03", "title_comma"),
        dotted=front | (frozenset(at_front) - {"MH"}),
        markers=markers,
        at_front=at_front,
        in_balinese=in_balinese,
        context=words("N13", "context"),
        context_front=words("N13", "context_front"),
        clan_marks=clan_marks,
        noble=noble,
        noble_pairs=noble_pairs,
        particles=particles,
        suffixes=frozenset(word_list("N16", "suffix")),
        classes=_classes(options),
        triggers=frozenset().union(
            back, markers, in_balinese, clan_marks, particles, abdul, by_place
        ),
        front_triggers=frozenset().union(
            front, at_front, noble, only_front,
            (pair.split()[0] for pair in noble_pairs), (value.split()[0] for value in nobody),
        ),
    )  # fmt: skip


def _classes(options: NormaliseOptions) -> dict[str, WordClass]:
    classes: dict[str, WordClass] = {}
    if not options.applies("N12") or options.language != "indonesian":
        return classes
    for rule, use, weight in (
        ("N12", "light", WordClass.LIGHT),
        ("N04", "noble", WordClass.LIGHT),
        ("N07", "faint", WordClass.FAINT),
        ("N13", "faint", WordClass.FAINT),
    ):
        if options.applies(rule):
            classes.update(dict.fromkeys(word_list(rule, use), weight))
    return classes
