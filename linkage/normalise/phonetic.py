"""Rule N11: one key for the ways in which an Indonesian name word is heard.

For comparing and for blocks, never as a name: different names may share a key.
"""

import re

_DOUBLE = re.compile(r"(.)\1+")
_STEPS = tuple(
    (re.compile(pattern), becomes)
    for pattern, becomes in (
        # Old spelling, so that the key needs no profile of a language.
        ("TJ", "C"), ("DJ", "J"), ("SJ", "SY"), ("OE", "U"),
        # Sounds of Arabic and of fashion. CH is a C in Chandra and Christine.
        ("PH|P|V", "F"), ("Q", "K"), ("X", "KS"), ("DH", "D"), ("TH", "T"), ("DZ", "Z"),
        ("CH(?=AND|RIS|ARL|ELS|ERR|ARD|AEL|EL)", "C"), ("[KC]H", "H"), ("SY", "S"),
        # Y for I, Z for J at the start, T for D at the end, a last H that is not heard.
        ("AE", "AI"), ("IE$|Y$", "I"), ("Y(?=[BCDFGHJKLMNPQRSTVWXZ])", "I"),
        ("^Z", "J"), ("D$", "T"), ("(?<=[AEIOU])H$", ""),
    )
)  # fmt: skip


def phonetic_key(word: str) -> str:
    """Return the key of one normalised word of upper-case letters.

    Stable: the key of a key is itself. "" only for "".
    """
    while True:
        key = word
        for pattern, becomes in _STEPS:
            key = pattern.sub(becomes, key)
        key = _DOUBLE.sub(r"\1", key)
        if key == word:
            return key
        word = key
