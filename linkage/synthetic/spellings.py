"""Other written forms of a word: old spelling, sound habits, abbreviations."""

from functools import cache

from linkage.synthetic.tables import rows

_OLD_RULES = (("SY", "SJ"), ("NY", "NJ"), ("J", "DJ"), ("Y", "J"), ("C", "TJ"))
_VOWELS = "AEIOU"


@cache
def old_forms(word: str) -> list[tuple[str, float]]:
    """Return `word` as spelt before 1947 and before 1972, where that differs.

    Source: rules of `domain.md` N09, applied backwards; a y is a consonant only
    before a vowel.
    """
    if not word.isalpha() or len(word) < 4:
        return []
    consonants = _respell(word)
    forms = {consonants, consonants.replace("U", "OE"), word.replace("U", "OE")} - {word}
    return [(form, 1.0) for form in sorted(forms)]


def _respell(word: str) -> str:
    out, at = "", 0
    while at < len(word):
        for new, old in _OLD_RULES:
            after = word[at + len(new) : at + len(new) + 1]
            before = word[at - 1 : at]
            protected = (new == "C" and after in ("H", "K")) or (new == "J" and before == "D")
            if word.startswith(new, at) and after and after in _VOWELS and not protected:
                out, at = out + old, at + len(new)
                break
        else:
            out, at = out + word[at], at + 1
    return out


@cache
def _spelling_groups() -> dict[str, list[tuple[str, float]]]:
    groups: dict[str, list[tuple[str, float]]] = {}
    for row in rows("synthetic_spellings.csv.gz"):
        groups.setdefault(row["group"], []).append((row["word"].upper(), float(row["count"])))
    return {word: members for members in groups.values() for word, _ in members}


def sound_forms(word: str) -> list[tuple[str, float]]:
    """Return the other spellings of `word` in the register, by their counts."""
    return [(form, count) for form, count in _spelling_groups().get(word, []) if form != word]


@cache
def _abbreviations() -> dict[str, list[tuple[str, float]]]:
    short: dict[str, list[tuple[str, float]]] = {}
    for row in rows("synthetic_abbreviations.csv"):
        short.setdefault(row["word"], []).append((row["short"], float(row["weight"])))
    return short


def short_forms(word: str) -> list[tuple[str, float]]:
    """Return the abbreviations of `word`, by their counts."""
    return _abbreviations().get(word, [])


@cache
def muhammad_forms() -> list[tuple[str, float]]:
    """Return the full forms of Muhammad, by their counts."""
    table = rows("synthetic_muhammad_forms.csv")
    return [(row["form"], float(row["count"])) for row in table]


def other_muhammads(word: str) -> list[tuple[str, float]]:
    """Return the other forms of a form of Muhammad."""
    forms = muhammad_forms()
    known = any(form == word for form, _ in forms)
    return [(form, count) for form, count in forms if form != word] if known else []


_JOINED = ("ABDUL", "ABDUR", "NUR", "SRI", "SITI", "TRI", "DWI", "EKA", "UMI")


def split_forms(word: str) -> list[tuple[str, float]]:
    """Return `word` cut after a part that also stands alone (NURHAYATI: NUR HAYATI)."""
    return [
        (f"{part} {word[len(part) :]}", 1.0)
        for part in _JOINED
        if word.startswith(part) and len(word) >= len(part) + 4
    ]
