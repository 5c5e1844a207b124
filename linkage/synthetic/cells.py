"""What a mutator is given and gives back, with the edits of words that many share.

A mutator is a function of the cells chosen for it. It returns new values, equal to
the old ones where it does not apply, and never turns a value into a missing one
unless that is what it is for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from linkage.synthetic.columns import Ints, Text, pc, pick, plain, text


@dataclass(frozen=True)
class Cells:
    """Some cells of one column, with what is known of their rows.

    Attributes:
        values: the cells; never null. Dates are YYYY-MM-DD, sex is L or P.
        facts: what is true of all rows of the register, by name: see `records.FACTS`.
        rows: the rows of `facts` that the cells belong to.
        today: reference date as a day number.
        column: shared name of the column.
    """

    values: Text
    facts: Mapping[str, Text]
    rows: Ints
    today: int
    column: str = "nama"

    def fact(self, name: str) -> Text:
        """Return one fact about each cell's row; all null if it is not known."""
        if name not in self.facts:
            return text([None] * len(self.rows))
        return pick(self.facts[name], self.rows)


Mutator: TypeAlias = Callable[[np.random.Generator, Cells], Text]
Choices: TypeAlias = Callable[[str], list[tuple[str, float]]]
"""The other forms of a word, each with a weight."""


@dataclass(frozen=True)
class Words:
    """Texts split at spaces.

    Attributes:
        words: all words in a row.
        offsets: the words of text i are `words[offsets[i]:offsets[i + 1]]`.
    """

    words: Text
    offsets: Ints

    @property
    def counts(self) -> Ints:
        """Return the number of words of each text."""
        return np.diff(self.offsets)

    @property
    def row(self) -> Ints:
        """Return the text that each word belongs to."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.counts)

    @property
    def place(self) -> Ints:
        """Return the place of each word in its text, from 0."""
        return np.arange(len(self.words)) - self.offsets[self.row]


def split(values: Text) -> Words:
    """Return the words of `values`, which holds no null."""
    lists = pc.split_pattern(values, " ")
    return Words(plain(lists.flatten()), np.asarray(lists.offsets, dtype=np.int64))


def unsplit(words: Words, changed: Text) -> Text:
    """Return the texts again, with `changed` for the words and nulls left out."""
    list_array: Any = pa.ListArray  # the stubs take an array of int32 for one of bool
    kept = np.asarray(changed.is_valid())
    counts = np.bincount(words.row[kept], minlength=len(words.offsets) - 1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = list_array.from_arrays(pa.array(offsets), plain(changed.drop_null()))
    return plain(pc.binary_join(lists, " "))


def one_of(
    rng: np.random.Generator, words: Words, eligible: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> Ints:
    """Return the positions of one eligible word of each text that has any."""
    at = np.flatnonzero(eligible)
    if not len(at):
        return at
    order = at[np.lexsort((rng.random(len(at)), words.row[at]))]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = words.row[order][1:] != words.row[order][:-1]
    return order[first]


def replace_one_word(rng: np.random.Generator, values: Text, choices: Choices) -> Text:
    """Replace one word of each text by another form of it, where it has one.

    Args:
        rng: source of randomness.
        values: texts, none null.
        choices: the forms of a word; asked once for each distinct word.
    """
    words = split(values)
    coded = pc.dictionary_encode(words.words)
    forms = [choices(word) for word in coded.dictionary.to_pylist()]
    n_forms = np.array([len(form) for form in forms], dtype=np.int64)
    code = np.asarray(coded.indices, dtype=np.int64)
    at = one_of(rng, words, n_forms[code] > 0)
    if not len(at):
        return values
    starts = np.concatenate([[0], np.cumsum(n_forms)])
    weights = np.concatenate([[0.0], np.cumsum([w for form in forms for _, w in form])])
    low, high = weights[starts[code[at]]], weights[starts[code[at] + 1]]
    drawn = np.searchsorted(weights, low + rng.random(len(at)) * (high - low), side="right") - 1
    drawn = np.clip(drawn, starts[code[at]], starts[code[at] + 1] - 1)
    ids = np.arange(len(words.words))
    ids[at] = len(ids) + drawn
    every = text([form for forms_ in forms for form, _ in forms_])
    pool = plain(pa.chunked_array([words.words, every]))
    return unsplit(words, pick(pool, ids))
