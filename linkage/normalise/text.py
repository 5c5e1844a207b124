"""Text to upper-case Latin words, without marks that systems write differently.

Rules N01 and N02 of the normalisation table, as far as they hold for any text.
"""

import re
import unicodedata

# Letters that Unicode does not decompose. Where ICAO 9303 part 3 writes two letters
# and registers mostly one, the one is used here and the two in `icao_view`.
_UNDECOMPOSED = str.maketrans(
    {
        "Æ": "AE", "Ð": "D", "Ø": "O", "Þ": "TH", "ẞ": "SS", "Đ": "D", "Ħ": "H", "Ł": "L",
        "Ŋ": "N", "Œ": "OE", "Ŧ": "T", "\u0131": "I",
    }
)  # fmt: skip
# What the machine-readable zone of a passport makes of letters, ICAO 9303 part 3,
# section 6, where that differs from dropping the mark.
_ICAO = str.maketrans(
    {
        "Ä": "AE", "Ö": "OE", "Ü": "UE", "Å": "AA", "Ø": "OE", "ä": "AE", "ö": "OE", "ü": "UE",
        "å": "AA", "ø": "OE", "Ĳ": "IJ", "ĳ": "IJ",
    }
)  # fmt: skip
_DELETED = str.maketrans("", "", "'`\u2019\u2018\u00b4\u02bc.")
_NOT_A_WORD = re.compile(r"[^0-9A-Z]+")


def fold(value: str) -> str:
    """Return `value` in upper case, without diacritics, apostrophes and full stops.

    Everything else that is no letter or digit becomes one space. The result is
    stable: folding it again changes nothing.
    """
    if not value.isascii():
        # Apostrophes first: the decomposition of the acute accent is a space and a mark.
        decomposed = unicodedata.normalize("NFKD", value.translate(_DELETED)).upper()
        # A second time: upper case can bring back a composed or compatibility letter.
        decomposed = unicodedata.normalize("NFKD", decomposed)
        value = "".join(c for c in decomposed if not unicodedata.combining(c))
        value = value.translate(_UNDECOMPOSED)
    return _NOT_A_WORD.sub(" ", value.translate(_DELETED).upper()).strip()


def fold_words(value: str) -> list[str]:
    """Return the words of the folded value, in their order."""
    return fold(value).split()


def fold_code(value: str) -> list[str]:
    """Return a code or number as one word without spaces: `AB 12-3` is `AB123`."""
    joined = fold(value).replace(" ", "")
    return [joined] if joined else []


def icao_view(value: str) -> str:
    """Return `value` with its letters as a passport's machine-readable zone has them.

    Only letters that become two are replaced (`Müller` gives `MUEller`); folding
    does the rest. Text without such letters comes back as it is.
    """
    if value.isascii():
        return value
    return unicodedata.normalize("NFC", value).translate(_ICAO)
