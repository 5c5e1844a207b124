"""Rules D03 and D04: what a date may have been before it was written wrong.

For the second round and for explanations. Nothing here changes a normalised date.
"""

from typing import Literal

from linkage.normalise.dates import parts_of_word

DateLikeness = Literal["equal", "partial", "swapped", "transposed", "slip", "different"]


def date_variants(word: str) -> tuple[str, ...]:
    """Return the dates that one swap or transposition makes of a date word.

    Day and month swapped, and two neighbouring digits of one part exchanged; only
    dates that can be, never the word itself.

    Raises:
        ValueError: `word` is no date word.
    """
    year, month, day = parts_of_word(word)
    found: dict[str, None] = {}
    if month is not None and day is not None:
        found[_word(year, day, month)] = None
    for turned in _transposed(word):
        found[turned] = None
    found.pop(word, None)
    return tuple(variant for variant in found if _can_be(variant))


def compare_dates(left: str, right: str) -> DateLikeness:
    """Return how two date words agree.

    "partial" means that all parts that both know are equal, and some are unknown;
    "swapped" day and month, "transposed" neighbouring digits, "slip" one digit.

    Raises:
        ValueError: an argument is no date word.
    """
    a, b = parts_of_word(left), parts_of_word(right)
    both = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    if len(both) < len(a):
        return "partial" if both and all(x == y for x, y in both) else "different"
    if left == right:
        return "equal"
    if (a[0], a[1], a[2]) == (b[0], b[2], b[1]):
        return "swapped"
    if right in _transposed(left):
        return "transposed"
    n_differing = sum(x != y for x, y in zip(left, right, strict=True))
    return "slip" if n_differing == 1 else "different"


def _transposed(word: str) -> list[str]:
    return [
        word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        for i in range(len(word) - 1)
        if word[i].isdigit() and word[i + 1].isdigit()
    ]


def _word(year: int | None, month: int | None, day: int | None) -> str:
    return "-".join(
        "-" * width if part is None else f"{part:0{width}}"
        for part, width in ((year, 4), (month, 2), (day, 2))
    )


def _can_be(word: str) -> bool:
    year, month, day = parts_of_word(word)
    return year != 0 and (month is None or 1 <= month <= 12) and (day is None or 1 <= day <= 31)
