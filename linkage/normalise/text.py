"""Text to upper-case Latin words, without marks that systems write differently.

Rules N01 and N02 of the normalisation table, as far as they hold for any text.
"""

import re
import unicodedata

# Letters that Unicode does not decompose, written as ICAO 9303 part 3 does.
_UNDECOMPOSED = str.maketrans(
    {
        "Æ": "AE", "Ð": "D", "Ø": "O", "Þ": "TH", "ẞ": "SS", "Đ": "D", "Ħ": "H", "Ł": "L",
        "Ŋ": "N", "Œ": "OE", "Ŧ": "T", "ı": "I",
    }
)  # fmt: skip
_DELETED = str.maketrans("", "", "'’‘`´ʼ.")
_NOT_A_WORD = re.compile(r"[^0-9A-Z]+")


def fold(value: str) -> str:
    """Return `value` in upper case, without diacritics, apostrophes and full stops.

    Everything else that is no letter or digit becomes one space. The result is
    stable: folding it again changes nothing.
    """
    decomposed = unicodedata.normalize("NFKD", value).upper()
    # A second time: upper case can bring back a composed or compatibility letter.
    decomposed = unicodedata.normalize("NFKD", decomposed)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    plain = plain.translate(_UNDECOMPOSED).translate(_DELETED)
    return _NOT_A_WORD.sub(" ", plain).strip()


def fold_words(value: str) -> list[str]:
    """Return the words of the folded value, in their order."""
    return fold(value).split()


def fold_code(value: str) -> list[str]:
    """Return a code or number as one word without spaces: `AB 12-3` is `AB123`."""
    joined = fold(value).replace(" ", "")
    return [joined] if joined else []
