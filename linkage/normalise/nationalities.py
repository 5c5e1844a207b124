"""Nationality to the three letters of ISO 3166-1, where the name is known."""

from linkage.normalise.regions import gazetteer
from linkage.normalise.text import fold_words

_INDONESIAN = frozenset({"WNI", "INDONESIA", "INDONESIAN", "IDN", "ID", "INA", "RI"})


def nationality_words(value: str) -> list[str]:
    """Return a nationality as one code, or as its words where no list has it.

    `WNI` and `Indonesia` are `IDN`; a country's name in Indonesian or English, and
    its own three letters, are its code. `WNA` says no country: no words.
    """
    words = fold_words(value)
    key = "".join(words)
    if key in _INDONESIAN:
        return ["IDN"]
    if key in {"WNA", "ASING"}:
        return []
    country = gazetteer().countries.get(key)
    return [country] if country else words
