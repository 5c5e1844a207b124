"""Texts as matrices of letters, and the errors of fingers and scanners.

The mutators of gecko-syndata (0.6.4) know such errors too, but that package cannot be
installed beside this one: it needs NumPy below 2.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from linkage.synthetic.cells import Cells
from linkage.synthetic.columns import Ints, Text, lengths, text

Letters: TypeAlias = NDArray[np.uint32]

_NEIGHBOURS = {
    "Q": "WA", "W": "QES", "E": "WRD", "R": "ETF", "T": "RYG", "Y": "TUH", "U": "YIJ",
    "I": "UOK", "O": "IPL", "P": "OL", "A": "QSZ", "S": "AWDX", "D": "SEFC", "F": "DRGV",
    "G": "FTHB", "H": "GYJN", "J": "HUKM", "K": "JIL", "L": "KO", "Z": "ASX", "X": "ZSDC",
    "C": "XDFV", "V": "CFGB", "B": "VGHN", "N": "BHJM", "M": "NJK",
    "0": "9", "1": "2", "2": "13", "3": "24", "4": "35", "5": "46", "6": "57", "7": "68",
    "8": "79", "9": "80",
}  # fmt: skip
# What readers of scanned forms take letters for.
_LOOKALIKES = {
    "O": "Q0", "Q": "O", "I": "L1", "L": "I", "B": "8", "S": "5", "Z": "2", "G": "6C",
    "U": "V", "V": "U", "N": "H", "H": "N", "E": "F", "F": "E", "D": "O", "C": "G", "M": "N",
    "0": "8", "1": "7", "3": "8", "5": "6", "6": "5", "7": "1", "8": "3",
}  # fmt: skip


def to_letters(values: Text) -> Letters:
    """Return texts as a matrix of code points, zeros after the end."""
    width = max(int(lengths(values).max(initial=0)), 1) + 1
    fixed = np.asarray(values.to_numpy(zero_copy_only=False), dtype=f"U{width}")
    return fixed.view(np.uint32).reshape(len(values), width).copy()


def to_text(letters: Letters) -> Text:
    """Return the texts of a matrix of code points."""
    return text(np.ascontiguousarray(letters).view(f"U{letters.shape[1]}").reshape(-1))


def swap_letters(rng: np.random.Generator, cells: Cells) -> Text:
    """Transpose two neighbouring letters that differ."""
    letters = to_letters(cells.values)
    left, right = letters[:, :-1], letters[:, 1:]
    row, at = _one_place(rng, (left != right) & _is_letter(left) & _is_letter(right))
    letters[row, at], letters[row, at + 1] = letters[row, at + 1], letters[row, at].copy()
    return to_text(letters)


def omit_letter(rng: np.random.Generator, cells: Cells) -> Text:
    """Leave one letter out, of texts of three or more."""
    letters = to_letters(cells.values)
    row, at = _one_place(rng, _is_letter(letters) & ((letters != 0).sum(axis=1, keepdims=True) > 2))
    column = np.arange(letters.shape[1])
    source = column + (column >= at[:, None])
    letters[row] = letters[row[:, None], np.minimum(source, letters.shape[1] - 1)]
    return to_text(letters)


def double_letter(rng: np.random.Generator, cells: Cells) -> Text:
    """Strike one letter twice."""
    letters = to_letters(cells.values)
    row, at = _one_place(rng, _is_letter(letters))
    column = np.arange(letters.shape[1])
    letters[row] = letters[row[:, None], column - (column > at[:, None])]
    return to_text(letters)


def strike_neighbour(rng: np.random.Generator, cells: Cells) -> Text:
    """Replace one letter by a neighbour on the keyboard."""
    return _substitute(rng, cells, _NEIGHBOURS)


def misread_letter(rng: np.random.Generator, cells: Cells) -> Text:
    """Replace one letter by one that a scanner takes it for."""
    return _substitute(rng, cells, _LOOKALIKES)


def _substitute(rng: np.random.Generator, cells: Cells, table: dict[str, str]) -> Text:
    letters = to_letters(cells.values)
    options = np.zeros((128, 4), dtype=np.uint32)
    count = np.zeros(128, dtype=np.int64)
    for letter, others in table.items():
        options[ord(letter), : len(others)] = [ord(other) for other in others]
        count[ord(letter)] = len(others)
    code = np.minimum(letters, 127)
    row, at = _one_place(rng, count[code] > 0)
    chosen = code[row, at]
    letters[row, at] = options[chosen, (rng.random(len(row)) * count[chosen]).astype(np.int64)]
    return to_text(letters)


def _is_letter(letters: Letters) -> NDArray[np.bool_]:
    return (letters >= ord("A")) & (letters <= ord("Z"))


def _one_place(rng: np.random.Generator, eligible: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return one eligible place of each row that has any, as rows and columns."""
    keys = np.where(eligible, rng.random(eligible.shape), -1.0)
    at = keys.argmax(axis=1)
    row = np.flatnonzero(keys[np.arange(len(keys)), at] >= 0)
    return row, at[row]


def digits_at(letters: Letters, first: int) -> NDArray[np.bool_]:
    """Return where digits stand, from column `first` on."""
    found = (letters >= ord("0")) & (letters <= ord("9"))
    found[:, :first] = False
    return found


def edit_digits(
    rng: np.random.Generator,
    values: Text,
    first: int,
    edit: Callable[[np.random.Generator, Letters, Ints, Ints], None],
) -> Text:
    """Apply `edit` in place to one digit of each text, at column `first` or later."""
    letters = to_letters(values)
    row, at = _one_place(rng, digits_at(letters, first))
    edit(rng, letters, row, at)
    return to_text(letters)
