"""Rule S01: every code of sex to L (laki-laki), P (perempuan) or U (unknown)."""

import numpy as np
from numpy.typing import NDArray

from linkage.normalise.columns import WordColumn
from linkage.normalise.namereading import Sex
from linkage.normalise.options import SexSystem
from linkage.normalise.text import fold

_MALE = "L LK LAKI LAKILAKI LAKI2 LELAKI PRIA M MALE MAN LAKILAKILAKI 1"
_FEMALE = "P PR PEREMPUAN WANITA W F FEMALE WOMAN PRP PEREMP 2"
_SEXES: dict[str, Sex] = {
    **dict.fromkeys(_MALE.split(), "L"),
    **dict.fromkeys(_FEMALE.split(), "P"),
}


def parse_sex(value: str, system: SexSystem = "LP") -> Sex:
    """Return the sex that a source's code stands for; U for everything unclear.

    M and F are English: F is a woman. A code of a source that is not among the
    usual ones is mapped in its source file, before it comes here.

    Args:
        value: the code or word as a source has it.
        system: what a bare P means.
    """
    word = fold(value).replace(" ", "")
    if system == "PW" and word == "P":
        return "L"
    return _SEXES.get(word, "U")


def sex_system(codes: set[str]) -> SexSystem:
    """Return what P means in a column in which these codes occur.

    Pria and wanita: there is a W, and neither an L nor a word for perempuan.
    """
    words = {fold(code).replace(" ", "") for code in codes}
    men_as_l = words & {"L", "LK", "LAKI", "LAKILAKI", "PR", "PEREMPUAN", "M", "F"}
    return "PW" if "W" in words and not men_as_l else "LP"


def sex_words(value: str) -> list[str]:
    """Return the sex as a list of one word, or of none where it is unknown."""
    sex = parse_sex(value)
    return [] if sex == "U" else [sex]


def sex_codes(column: WordColumn) -> NDArray[np.uint8]:
    """Return a normalised column of sex as indexes into `namecolumns.SEX_CODES`."""
    codes = np.zeros(len(column), dtype=np.uint8)
    known = np.diff(column.offsets) == 1
    by_word = np.array(
        [{"L": 1, "P": 2}.get(word, 0) for word in column.vocabulary] or [0],
        dtype=np.uint8,
    )
    codes[known] = by_word[column.word_ids[column.offsets[:-1][known]]]
    return codes
