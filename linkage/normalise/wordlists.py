"""The hand-written word lists of the name rules, as the resource table has them."""

import csv
import functools
import io

from linkage.resources import read_resource

Entries = dict[str, str]


@functools.cache
def _table() -> dict[tuple[str, str], Entries]:
    text = read_resource("normalise_words.csv").decode()
    lists: dict[tuple[str, str], Entries] = {}
    for row in csv.DictReader(io.StringIO(text)):
        lists.setdefault((row["rule"], row["use"]), {})[row["word"]] = row["becomes"]
    return lists


def word_list(rule: str, use: str) -> Entries:
    """Return the words of one list, each with what it becomes ("" where nothing).

    Args:
        rule: id of the rule that the list belongs to.
        use: what the rule uses the list for.

    Raises:
        KeyError: there is no such list: a caller's bug.
    """
    return _table()[rule, use]


def all_words() -> frozenset[str]:
    """Return every word that any list has: what tests must look at."""
    return frozenset(word for entries in _table().values() for word in entries)
