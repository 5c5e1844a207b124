"""The part of the name rules that looks at one word, wherever it stands.

`respell` is stable: what it returns it leaves alone. That lets a column do it once
per distinct word, and `names` do the rest on its result.
"""

import re

from linkage.normalise.flags import NameFlag
from linkage.normalise.nametables import NameTables
from linkage.normalise.spelling import modern_spelling
from linkage.normalise.text import fold_words

_DIGITS, _ORDINALS, _FILLERS = map(int, (NameFlag.DIGITS, NameFlag.ORDINAL, NameFlag.FILLER))
_DIGIT = re.compile(r"[0-9]")
_ORDINAL = re.compile(r"[0-9]+(ST|ND|RD|TH)?|KE[0-9]+")
_LOOKALIKES = str.maketrans("01345678", "OIEASGTB", "29")
# ABDURRAHMAN, ABDUSSALAM, and as often ABDURAHMAN.
_ABDUL_DOUBLE = re.compile(r"ABD[UO]?([RSNZDT])\1([A-Z]{2,})")
_ABDUL_SINGLE = re.compile(r"ABD[UO]([RSNZDT])([AEIOU][A-Z]{3,})")


def respell(raw: str, tables: NameTables) -> tuple[tuple[str, ...], int]:
    """Return the words that one written word stands for, and what was noticed.

    Args:
        raw: a word of letters, digits and non-ASCII text, without ASCII
            punctuation; ASCII letters in upper case.
        tables: the tables for the options.
    """
    if raw.isascii():
        return _respell(raw, tables)
    words: tuple[str, ...] = ()
    flags = 0
    for word in fold_words(raw):
        more, seen = _respell(word, tables)
        words += more
        flags |= seen
    return words, flags


def _respell(word: str, tables: NameTables) -> tuple[tuple[str, ...], int]:
    flags = 0
    if not word.isalpha():
        word, flags = _without_digits(word)
        if not word:
            return (), flags
    if "N14" in tables.on and (
        word in tables.fillers or (word.startswith("XX") and not word.strip("X"))
    ):
        return (), flags | _FILLERS
    if tables.modernises:
        word = modern_spelling(word)
    words = tables.respelt.get(word)
    if words is None:
        if word.startswith("ABD") and "N06" in tables.on:
            word = _abdul(word)
        words = (word,)
    return words, flags


def _without_digits(word: str) -> tuple[str, int]:
    """Read digits among letters as the letters they look like; drop other words."""
    if _ORDINAL.fullmatch(word):
        return "", _DIGITS | _ORDINALS
    n_digits = len(_DIGIT.findall(word))
    if 2 * n_digits >= len(word):
        return "", _DIGITS
    return word.translate(_LOOKALIKES), _DIGITS


def _abdul(word: str) -> str:
    match = _ABDUL_DOUBLE.fullmatch(word) or _ABDUL_SINGLE.fullmatch(word)
    return f"ABDUL{match[1]}{match[2]}" if match else word
