"""Rules N09, N10 and N17: one word, and the other ways to write it.

N09 rewrites van Ophuijsen's spelling of 1901 and Soewandi's of 1947 as that of
1972. What cannot be decided from the letters (N10, N17) becomes further writings.
"""

import functools
import itertools
import re

from linkage.normalise.options import NormaliseOptions
from linkage.normalise.wordlists import Entries, word_list

_MAX_WRITINGS = 8
_LONE_J = re.compile("(?<![TDS])J")


def modern_spelling(word: str) -> str:
    """Return a word of upper-case letters in the spelling of 1972 (rule N09).

    TJ, DJ, SJ and OE are rewritten wherever they stand, NJ only at the start
    (GANJAR and BANJAR are modern). A J that came from DJ is a J; any other J
    becomes Y, but only in a word that had an old digraph. Listed foreign and
    Christian names stay. The result is stable.
    """
    while True:
        rewritten = _rewrite(word)
        if rewritten == word:
            return word
        word = rewritten


def _rewrite(word: str) -> str:
    if "J" not in word and "OE" not in word:
        return word
    keep, parts = _exceptions()
    if word in keep or any(part in word for part in parts):
        return word
    # Lower case protects the J of DJ from becoming Y.
    new = word.replace("TJ", "C").replace("DJ", "j").replace("SJ", "SY").replace("OE", "U")
    if new.startswith("NJ"):
        new = "NY" + new[2:]
    return new if new == word else new.replace("J", "Y").replace("j", "J")


@functools.cache
def _exceptions() -> tuple[frozenset[str], tuple[str, ...]]:
    return frozenset(word_list("N09", "keep")), tuple(word_list("N09", "keep_part"))


def other_writings(word: str, options: NormaliseOptions) -> tuple[str, ...]:
    """Return the other ways in which a normalised word may be written elsewhere.

    Rule N10 (J as Y, CH as KH, each at once in the whole word; exceptions stay) and
    rule N17 (romanisations of Chinese family names). Never the word itself; empty
    for most words. For the second round and for a reader, not for every record.
    """
    found: dict[str, None] = {}
    if options.applies("N10"):
        found.update(dict.fromkeys(_undecided(word)))
    if options.applies("N17"):
        groups, members = _romanised()
        found.update(dict.fromkeys(members.get(groups.get(word, ""), ())))
    found.pop(word, None)
    return tuple(found)[:_MAX_WRITINGS]


def _undecided(word: str) -> list[str]:
    if len(word) < 3 or ("J" not in word and "CH" not in word):
        return []
    keep, starts = _undecidable_exceptions()
    if word in keep or word.startswith(starts):
        return []
    letters = [word, _LONE_J.sub("Y", word)]
    return list(itertools.chain.from_iterable((form, form.replace("CH", "KH")) for form in letters))


@functools.cache
def _undecidable_exceptions() -> tuple[frozenset[str], tuple[str, ...]]:
    return frozenset(word_list("N10", "keep")), tuple(word_list("N10", "keep_start"))


@functools.cache
def _romanised() -> tuple[Entries, dict[str, tuple[str, ...]]]:
    groups = word_list("N17", "romanised")
    members: dict[str, tuple[str, ...]] = {}
    for word, group in groups.items():
        members[group] = (*members.get(group, ()), word)
    return groups, members
