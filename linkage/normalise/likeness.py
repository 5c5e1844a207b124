"""Rules N12, N15 and N19 as far as they compare: how two plain names agree.

For explanations inside an agency and for tests; the matcher compares codes.
"""

from collections.abc import Sequence
from typing import Literal

from linkage.normalise.namereading import Words
from linkage.normalise.names import Name

NameLikeness = Literal["equal", "partial", "different"]


def squashed(words: Sequence[str]) -> str:
    """Return the words in one: SRI WAHYUNI and SRIWAHYUNI are the same so."""
    return "".join(words)


def compare_words(left: Words, right: Words, *, cut: bool = False) -> NameLikeness:
    """Return how two normalised names agree.

    Equal are the same words in any order (rule N16), and the same letters in the
    same order (N12). Partial is one name inside the other (N15: words added for a
    passport), an initial standing for a word, or a cut name that the other begins
    with (N19).

    Args:
        left: words of one name.
        right: words of the other.
        cut: whether one of them may be cut at the end of its field.
    """
    if not left or not right:
        return "different"
    if sorted(left) == sorted(right) or squashed(left) == squashed(right):
        return "equal"
    fewer, more = sorted((left, right), key=len)
    if _inside(fewer, more):
        return "partial"
    if cut:
        shorter, longer = sorted((" ".join(left), " ".join(right)), key=len)
        if longer.startswith(shorter):
            return "partial"
    return "different"


def compare_names(left: Name, right: Name, *, cut: bool = False) -> NameLikeness:
    """Return the best agreement among all readings of two names."""
    found: set[NameLikeness] = {
        compare_words(a, b, cut=cut)
        for a in (left.words, *left.variants)
        for b in (right.words, *right.variants)
    }
    return "equal" if "equal" in found else "partial" if "partial" in found else "different"


def _inside(fewer: Words, more: Words) -> bool:
    """Return whether each word has its own partner; initials take what is left."""
    left = list(more)
    for word in sorted(fewer, key=len, reverse=True):
        partner = next((w for w in left if w == word), None)
        if partner is None:
            partner = next((w for w in left if 1 in {len(w), len(word)} and w[0] == word[0]), None)
        if partner is None:
            return False
        left.remove(partner)
    return any(len(word) > 1 for word in fewer)
