"""The encoder agrees with the definition, one record, one token and one bit at a time."""

import os
import runpy
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.encode.encoder import Encoder
from linkage.encode.tokenids import n_tokens, speaks_of_day, speaks_of_month, token_ids, token_text
from linkage.encode.tokens import tokens_of_word
from linkage.normalise.attributes import normalise_column
from linkage.normalise.columns import FlaggedColumn
from linkage.schema import LinkageSchema
from linkage.types import Kind

# The definition in plain Python: it also writes the vectors.
DEFINITION = runpy.run_path(str(Path(__file__).parents[1] / "vectors" / "encode" / "generate.py"))

LETTERS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=12)
# Few letters, so that bigrams come twice; and words of the public tables, common and rare.
NAMES = st.one_of(
    LETTERS,
    st.text("AN", min_size=1, max_size=8),
    st.sampled_from(["MUHAMMAD", "SITI", "NUR", "SMITH", "HUTAGALUNG", "QONITAH", "ZYAN"]),
)
YEARS = st.integers(1800, 2099).map(str)
DATES = st.builds(
    lambda year, month, day: f"{year}-{month}-{day}",
    st.one_of(st.just("----"), YEARS),
    st.one_of(st.just("--"), st.integers(1, 12).map("{:02}".format)),
    st.one_of(st.just("--"), st.integers(1, 31).map("{:02}".format)),
)
WORDS: dict[Kind, st.SearchStrategy[str]] = {
    "name": NAMES,
    "text": LETTERS,
    "code": st.text("0123456789", min_size=1, max_size=6),
    "date": DATES,
    "year": st.one_of(YEARS.map("{}------".format), DATES),
    "sex": st.sampled_from("LP"),
}
CLASSES = {"name": st.integers(0, 3), "date": st.integers(0, 5)}
TYPES: dict[str, Kind] = {
    "given_name": "name",
    "alias": "name",
    "mother_name": "name",
    "place": "text",
    "postcode": "code",
    "year": "year",
    "sex": "sex",
    "date": "date",
}


@pytest.mark.parametrize("kind", WORDS)
@given(data=st.data())
def test_token_numbers_stand_for_the_tokens_of_every_word(kind: Kind, data: st.DataObject) -> None:
    vocabulary = data.draw(st.lists(WORDS[kind], max_size=9))
    got = token_ids(vocabulary, kind)
    assert len(got.offsets) == len(vocabulary) + 1
    for word, (first, last) in zip(vocabulary, pairwise(got.offsets.tolist()), strict=True):
        texts = [token_text(number, kind) for number in got.ids[first:last].tolist()]
        # Only repetitions may be left in: a filter takes no notice of them.
        assert list(dict.fromkeys(texts)) == tokens_of_word(word, kind)
    assert not got.ids.size or 0 <= got.ids.min() <= got.ids.max() < n_tokens(kind)


@pytest.mark.parametrize("kind", ["name", "sex", "date"])
def test_no_two_token_numbers_have_one_text(kind: Kind) -> None:
    texts = [token_text(number, kind) for number in range(n_tokens(kind))]
    texts = [text for text in texts if not text.startswith(("y1000", "m1", "d1"))]
    assert len(set(texts)) == len(texts)


@given(st.lists(DATES, max_size=5))
def test_tokens_of_day_and_month_are_told_from_each_other(vocabulary: list[str]) -> None:
    ids = token_ids(vocabulary, "date").ids
    texts = [token_text(number, "date") for number in ids.tolist()]
    assert speaks_of_day(ids).tolist() == [t[0] == "d" or "/" in t for t in texts]
    assert speaks_of_month(ids).tolist() == [t[0] == "m" or "/" in t for t in texts]


@given(LETTERS, st.characters(exclude_characters="_"), LETTERS)
def test_a_character_that_normalising_never_leaves_is_refused(
    start: str, character: str, end: str
) -> None:
    allowed = character.isascii() and (character.isupper() or character.isdecimal())
    if allowed:
        assert len(token_ids([start + character + end], "name").ids) == len(start + end) + 1
    else:
        with pytest.raises(ValueError, match="normalising never leaves") as caught:
            token_ids([start + character + end], "name")
        assert start + character not in str(caught.value)


@pytest.mark.parametrize("kind", ["name", "text", "address", "postcode", "date", "year", "sex"])
@given(values=st.lists(st.text(max_size=15), max_size=4))
def test_whatever_normalising_leaves_has_tokens(kind: str, values: list[str]) -> None:
    of_kind: dict[str, Kind] = {"address": "text", "postcode": "code"}
    token_kind: Kind = of_kind.get(kind, kind)  # type: ignore[arg-type]
    vocabulary = normalise_column(values, kind).vocabulary
    if kind == "year":
        # A date without a year says nothing as a year.
        vocabulary = [word for word in vocabulary if word[:4].isdecimal()]
    tokens = token_ids(vocabulary, token_kind)
    assert (np.diff(tokens.offsets) > 0).all()


Problem = tuple[dict[str, Any], list[dict[str, list[tuple[str, int]]]]]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Some attributes in a plain filter, and some records of words with their classes."""
    types = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=4))
    attributes: list[dict[str, Any]] = []
    for i, type_ in enumerate(types):
        attribute: dict[str, Any] = {"name": f"a{i}", "type": type_}
        attribute["weight"] = draw(st.floats(0.25, 4))
        if TYPES[type_] in ("name", "text"):
            attribute["rarity"] = draw(st.booleans())
            attribute["language"] = draw(st.sampled_from(["any", "indonesian", "foreign"]))
        attributes.append(attribute)
    record = st.fixed_dictionaries(
        {
            a["name"]: st.lists(
                st.tuples(WORDS[TYPES[a["type"]]], CLASSES.get(TYPES[a["type"]], st.just(0))),
                max_size=3,
            )
            for a in attributes
        }
    )
    bits = 64 * draw(st.integers(8, 20))
    schema = {"encoding": {"scheme": "clk", "bits": bits}, "attributes": attributes}
    return schema, draw(st.lists(record, max_size=5))


def column(records: Sequence[Sequence[tuple[str, int]]]) -> FlaggedColumn:
    """One column; a word that occurs under two classes is two words of the vocabulary."""
    number = {word: i for i, word in enumerate(dict.fromkeys(w for r in records for w in r))}
    offsets = np.zeros(len(records) + 1, dtype=np.int64)
    np.cumsum([len(words) for words in records], out=offsets[1:])
    return FlaggedColumn(
        [word for word, _ in number],
        np.array([number[word] for words in records for word in words], dtype=np.int32),
        offsets,
        np.zeros(len(records), dtype=np.uint32),
        np.array([word_class for _, word_class in number], dtype=np.uint8),
    )


class SpaceKeys:
    """Keys that differ by space alone."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def space_key(self, space: str) -> bytes:
        return bytes(b ^ len(space) for b in self._secret)

    def hardening_key(self) -> bytes:
        raise AssertionError("a plain filter is not hardened")

    def block_key(self, _label: str) -> bytes:
        return self._secret

    def exact_key(self, _space: str) -> bytes:
        return self._secret


@settings(max_examples=60)
@given(problems(), st.binary(min_size=32, max_size=32))
def test_plain_codes_are_those_of_the_definition(problem: Problem, secret: bytes) -> None:
    described, records = problem
    schema = LinkageSchema.model_validate({"name": "p", **described})
    columns = {a.name: column([r[a.name] for r in records]) for a in schema.attributes}
    keys = SpaceKeys(secret)
    got: NDArray[np.uint8] = Encoder(schema, keys, os.urandom).codes(columns)
    by_space = {a.of_type.space: keys.space_key(a.of_type.space) for a in schema.attributes}
    filters = [DEFINITION["filter_of"](described, by_space, record) for record in records]
    assert [row.tobytes() for row in got] == [DEFINITION["packed"](f) for f in filters]
