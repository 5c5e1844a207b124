"""Encodings under two agreements, schemas, purposes, epochs or exchanges give no links."""

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keys.combine import linkage_secret
from keys.derive import KeyContext, LinkageKey
from linkage.encode.encoder import EncodedRecords, Encoder
from linkage.encode.tickets import TicketBook
from linkage.normalise.attributes import normalise_column
from linkage.normalise.columns import FlaggedColumn
from linkage.schema import LinkageSchema, parse_schema

N = 150
TEXT = """
    name = "t"
    exact = {names = ["nik"]}
    encoding = {scheme = "%s", bits = 2048%s}
    attributes = [{name = "nama", type = "name"}, {name = "tgl", type = "date"}]
    match = {expected_records = 500_000_000}
    block = [{on = ["phonetic(nama)", "year(tgl)"]}, {on = ["nama", "tgl"]}]
"""
SCHEMES = {"saul": ", order = 4, filter_bits = 2048", "diffused": ", order = 8", "clk": ""}
CONTEXT = KeyContext("pks/2026-01", bytes(32), "paspor", 1)
SECRET = bytes(linkage_secret(bytearray(range(96)), b"C" * 32))


def people() -> dict[str, list[str]]:
    """People who do not exist, all unlike; province 00 does not exist either."""
    dice = random.Random(2026)
    syllables = [c + v for c in "bdghjklmnprstw" for v in "aiou"]
    names = [
        " ".join("".join(dice.choices(syllables, k=dice.randint(2, 4))) for _ in range(2))
        for _ in range(N)
    ]
    dates = [
        f"{dice.randint(1940, 2020)}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"
        for _ in range(N)
    ]
    return {"nama": names, "tgl": dates, "nik": [f"000171010190{n:04}" for n in range(1, N + 1)]}


PEOPLE = people()


@cache
def schema_of(scheme: str) -> LinkageSchema:
    return parse_schema(TEXT % (scheme, SCHEMES[scheme]))


@cache
def columns_of(scheme: str) -> Mapping[str, FlaggedColumn]:
    attributes = schema_of(scheme).attributes
    return {a.name: normalise_column(PEOPLE[a.name], a.type) for a in attributes}


def encoded(scheme: str, secret: bytes, context: KeyContext) -> EncodedRecords:
    """All people, under one key. No value is absent, so nothing in it is random."""
    key = LinkageKey(secret, context)
    encoder = Encoder(schema_of(scheme), key, random.Random(1).randbytes)
    return encoder.encode(columns_of(scheme))


@cache
def here(scheme: str) -> EncodedRecords:
    return encoded(scheme, SECRET, CONTEXT)


def likest(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Of each code on the left the one on the right that agrees in the most bits."""
    bits = [np.unpackbits(codes, axis=1).astype(np.int32) * 2 - 1 for codes in (left, right)]
    return (bits[0] @ bits[1].T).argmax(axis=1)


def tickets(
    scheme: str, values: NDArray[np.uint64], key: LinkageKey, side: str
) -> set[tuple[int, int]]:
    references = random.Random(side).randbytes(16 * N)
    book = TicketBook(schema_of(scheme), key.block_key, "job\0a\0b", "a\0b", side, references)  # type: ignore[arg-type]
    return {
        (number, token)
        for made in book.tickets(values)
        for number, token in zip(made.entry.tolist(), made.token.tolist(), strict=True)
    }


texts = st.text("abcdefghij/-0123456789", min_size=1, max_size=20)
changes = st.one_of(
    st.fixed_dictionaries({"agreement_id": texts}),
    st.fixed_dictionaries({"schema_id": st.binary(min_size=32, max_size=32)}),
    st.fixed_dictionaries({"purpose": texts}),
    st.fixed_dictionaries({"epoch": st.integers(1, 2**32 - 1)}),
    st.fixed_dictionaries({"shares": st.binary(min_size=96, max_size=96)}),
)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=12)
@given(change=changes)
@example(change={"agreement_id": "pks/2026-02"})
@example(change={"schema_id": bytes(31) + b"\1"})
@example(change={"purpose": "paspor2"})
@example(change={"epoch": 2})
@example(change={"shares": bytes(range(95)) + b"x"})
def test_what_was_made_under_another_key_gives_no_links(
    scheme: str, change: dict[str, object]
) -> None:
    change = dict(change)
    shares = change.pop("shares", None)
    secret = SECRET
    if isinstance(shares, bytes):
        secret = bytes(linkage_secret(bytearray(shares), b"C" * 32))
    context = replace(CONTEXT, **change)  # type: ignore[arg-type] # one of its fields
    assume((secret, context) != (SECRET, CONTEXT))
    one, other = here(scheme), encoded(scheme, secret, context)

    # One in N is found by chance: more than 12 once in 10^9 times.
    found = (likest(one.codes, other.codes) == np.arange(N)).sum()
    assert found <= 12
    # Zero stands for a part that is missing.
    values = [set(made.values.ravel().tolist()) - {0} for made in (one, other)]
    assert not values[0] & values[1]
    exact = [{bytes(row) for row in made.exact[:, 0]} for made in (one, other)]
    assert len(exact[0]) == N
    assert not exact[0] & exact[1]
    ours = tickets(scheme, one.values, LinkageKey(SECRET, CONTEXT), "left")
    theirs = tickets(scheme, other.values, LinkageKey(secret, context), "right")
    assert ours
    assert not ours & theirs
    keys = [LinkageKey(SECRET, CONTEXT), LinkageKey(secret, context)]
    assert keys[0].key_check() != keys[1].key_check()
    assert keys[0].refine_key("job", "a", "b") != keys[1].refine_key("job", "a", "b")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_was_made_under_the_same_key_gives_all_links(scheme: str) -> None:
    """What the test above could not find, is found where it is."""
    one, other = here(scheme), encoded(scheme, SECRET, CONTEXT)
    assert (likest(one.codes, other.codes) == np.arange(N)).all()
    assert (one.exact == other.exact).all()
    key = LinkageKey(SECRET, CONTEXT)
    ours, theirs = (tickets(scheme, one.values, key, side) for side in ("left", "right"))
    assert len(ours & theirs) >= N
