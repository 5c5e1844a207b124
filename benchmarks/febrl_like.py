"""Any number of records like FEBRL's, for benchmarks of speed.

Every column is drawn by itself from the 5,000 originals of FEBRL 4, so values are as
frequent as there. Half of the second file are records of the first with one to three
errors as typists make them, the other half are records of their own.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.toolkit import load_febrl

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_MOST_ERRORS = 3
_MISSING = 0.1

Rows = list[list[str]]


def febrl_like(columns: list[str], n_records: int, seed: int) -> tuple[Rows, Rows]:
    """Return two files of as many records, a value per column, empty where missing.

    Args:
        columns: names of FEBRL 4's columns.
        n_records: records of each file.
        seed: of every draw.
    """
    originals = load_febrl(4)["a"]
    values = [originals[name].to_pylist() for name in columns]
    rng = np.random.default_rng(seed)
    left = _drawn(values, n_records, rng)
    right = _drawn(values, n_records, rng)
    for row in range(0, n_records, 2):
        right[row] = _with_errors(left[row], rng)
    return left, [right[row] for row in rng.permutation(n_records)]


def _drawn(values: list[list[str | None]], n: int, rng: np.random.Generator) -> Rows:
    drawn: list[NDArray[np.int64]] = [rng.integers(0, len(column), n) for column in values]
    columns = [[column[i] or "" for i in at] for column, at in zip(values, drawn, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _with_errors(row: list[str], rng: np.random.Generator) -> list[str]:
    changed = list(row)
    for _ in range(int(rng.integers(1, _MOST_ERRORS + 1))):
        at = int(rng.integers(len(row)))
        changed[at] = _mistyped(changed[at], rng)
    return changed


def _mistyped(text: str, rng: np.random.Generator) -> str:
    """Return a text with a sign put in, left out, changed or exchanged, or none at all."""
    if not text or rng.random() < _MISSING:
        return ""
    at = int(rng.integers(len(text)))
    sign = str(rng.choice(list(_DIGITS if text[at].isdigit() else _LETTERS)))
    match int(rng.integers(4)):
        case 0:
            return text[:at] + sign + text[at:]
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at] + sign + text[at + 1 :]
        case _:
            return text[:at] + text[at : at + 2][::-1] + text[at + 2 :]
