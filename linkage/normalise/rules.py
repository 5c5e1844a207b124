"""The normalisation rules by their ids, and what controls each of them.

The ids are those of the agreement's normalisation table. A rule is switched by

- "always": nothing switches it; words would have no common form without it;
- "without": on by default, named in `options.NormaliseOptions.without` to leave it out;
- "caller": it only compares or proposes; it acts where its function is called.
"""

from dataclasses import dataclass
from typing import Literal

Switch = Literal["always", "without", "caller"]
Language = Literal["any", "indonesian", "foreign"]

LANGUAGES: tuple[Language, ...] = ("any", "indonesian", "foreign")
_ALL = LANGUAGES
_INDONESIAN: tuple[Language, ...] = ("indonesian",)


@dataclass(frozen=True)
class Rule:
    """One row of the normalisation table.

    Attributes:
        id: `N01` to `N20` names, `D01` to `D06` dates, `L01` to `L03` places, `S01` sex,
            `I01` to `I05` identifiers.
        group: what the rule is about.
        text: what it does, in one line.
        switch: what turns it on or off.
        languages: the language profiles in which it acts.
    """

    id: str
    group: str
    text: str
    switch: Switch = "without"
    languages: tuple[Language, ...] = _ALL


RULES: tuple[Rule, ...] = (
    Rule("N01", "form", "upper case without diacritics; a second reading as ICAO 9303 writes it"),
    Rule("N02", "form", "apostrophes deleted, punctuation parts words, digits repaired", "always"),
    Rule("N03", "titles", "academic and religious titles stripped", languages=_INDONESIAN),
    Rule("N04", "titles", "nobility words expanded, kept as light words", languages=_INDONESIAN),
    Rule("N05", "short forms", "forms of Muhammad; a bare M is a reading", languages=_INDONESIAN),
    Rule("N06", "boundaries", "Abdul joined with the word after it", languages=_INDONESIAN),
    Rule("N07", "short forms", "short forms that depend on sex or place", languages=_INDONESIAN),
    Rule("N08", "patronyms", "BIN, BINTI and A/L split off the patronym", languages=_INDONESIAN),
    Rule(
        "N09",
        "spelling",
        "spelling of 1901 and 1947 to that of 1972; a second reading for foreign names",
        languages=("indonesian", "foreign"),
    ),
    Rule(
        "N10",
        "spelling",
        "J for Y and CH for KH as other writings of a word",
        "caller",
        languages=_INDONESIAN,
    ),
    Rule("N11", "spelling", "phonetic key, for comparison only", "caller", _INDONESIAN),
    Rule("N12", "weights", "very common words are light; names compare squashed too"),
    Rule("N13", "short forms", "Balinese short forms and birth order", languages=_INDONESIAN),
    Rule("N14", "form", "fillers dropped, doubled names undone, one-word names flagged"),
    Rule("N15", "comparison", "a name inside the other is a partial agreement", "caller"),
    Rule("N16", "order", "a comma turns the order of family and given name"),
    Rule("N17", "spelling", "romanisations of Chinese family names", "caller", _INDONESIAN),
    Rule("N18", "boundaries", "particles joined with their word as a second reading"),
    Rule("N19", "form", "machine-readable zone: fillers parted, cut names flagged"),
    Rule("N20", "titles", "courtesy words before a parent's name", languages=_INDONESIAN),
    Rule("D01", "dates", "dates to ISO 8601 with unknown parts left out", "always"),
    Rule("D02", "dates", "placeholder dates marked as doubtful; the 15th in Indonesian ones only"),
    Rule("D03", "dates", "swapped and slipped digits as partial agreement", "caller"),
    Rule("D04", "dates", "date inside a NIK against the date of birth", "caller"),
    Rule("D05", "dates", "an age is a band of years of birth", "always"),
    Rule("D06", "dates", "dates of the machine-readable zone", "always"),
    Rule("L01", "places", "kind of region stripped, candidate codes looked up"),
    Rule("L02", "places", "renamed places to their present name, with predecessors"),
    Rule("L03", "places", "places abroad keep their text and get a country"),
    Rule("S01", "sex", "every code of sex to L, P or U", "always"),
    Rule("I01", "identifiers", "NIK: form, region, date and sex inside it", "always"),
    Rule("I02", "identifiers", "NIT: a NIK's form with the prefix 99", "always"),
    Rule("I03", "identifiers", "KK number: form; mixed up with a NIK", "always"),
    Rule("I04", "identifiers", "passport numbers and permits: loose form, warned about", "always"),
    Rule("I05", "identifiers", "deed numbers: letters and digits only", "always"),
)

RULE_BY_ID = {rule.id: rule for rule in RULES}
