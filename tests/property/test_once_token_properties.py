"""Block and exact tokens against their definition, one value and one token at a time."""

import hashlib
import hmac
from collections.abc import Sequence
from itertools import product

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.encode.blocktokens import BlockTokens
from linkage.encode.exacttokens import ExactTokens
from linkage.encode.weights import rarities
from linkage.normalise.attributes import normalise_column
from linkage.normalise.columns import WordColumn
from linkage.normalise.phonetic import phonetic_key
from linkage.schema import LinkageSchema, parse_schema

SCHEMA = parse_schema(
    """
    name = "p"
    exact = {names = ["nik", "surel"]}
    attributes = [
      {name = "nama", type = "name"}, {name = "ibu", type = "mother_name"},
      {name = "tgl", type = "date"}, {name = "jk", type = "sex"},
      {name = "kota", type = "place"}, {name = "surel", type = "email"},
    ]
    match = {expected_records = 5_000}
    block = [
      {on = ["phonetic(nama)", "year(tgl)"]},
      {on = ["monthday(tgl)", "phonetic(nama)"]},
      {on = ["tgl", "jk"]},
      {on = ["phonetic(nama)", "phonetic(ibu)"]},
      {on = ["initial(nama, ibu)", "year(tgl)", "jk"]},
      {on = ["kota", "surel"]},
    ]
    """
)
NAMES = ("", "ALI", "SITI AMINAH", "MUHAMMAD RIZKI", "RIZKY MUHAMAD", "WAYAN GEDE OKA", "M ALI")
DATES = ("", "1990-05-04", "1990-04-05", "1951-07-01", "1960-05-15", "1990")
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "nama": st.sampled_from(NAMES),
            "ibu": st.sampled_from(NAMES),
            "tgl": st.sampled_from(DATES),
            "jk": st.sampled_from(("L", "P", "")),
            "kota": st.sampled_from(("", "BOGOR", "KAB BOGOR", "JAYAPURA")),
            "surel": st.sampled_from(("", "a.b@c.id", "b@c.id")),
            "nik": st.sampled_from(("", "0012344705900001", "0012340705900001", "123")),
        }
    ),
    min_size=1,
    max_size=8,
)
NOISE = 0xAB


def key_of(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def noise(n_bytes: int) -> bytes:
    return bytes([NOISE]) * n_bytes


def columns_of(rows: Sequence[dict[str, str]]) -> dict[str, WordColumn]:
    return {
        a.name: normalise_column([row[a.name] for row in rows], a.type) for a in SCHEMA.attributes
    }


def most_telling(
    schema: LinkageSchema, name: str, words: dict[str, int]
) -> list[tuple[float, str]]:
    """Words with how much they tell: rarity, and next to nothing for birth order and initials."""
    attribute = next(a for a in schema.attributes if a.name == name)
    factor = (1.0, 1.0, 0.1, 0.05)
    return [(float(rarities([w], attribute)[0]) * factor[c], w) for w, c in words.items()]


def part_values(
    function: str, names: Sequence[str], columns: dict[str, WordColumn], record: int, key: bytes
) -> list[int]:
    """The hashed values of one part, the most telling first; 0 for none."""

    def hashed(value: str) -> int:
        digest = hmac.new(key, f"{function}\0{value}".encode(), "sha256").digest()
        return int.from_bytes(digest[:8], "little")

    ranked: list[tuple[float, int]] = []
    for name in names:
        column = columns[name]
        words = column.words_of(record)
        number = {word: i for i, word in enumerate(column.vocabulary)}
        classes = {word: int(column.classes[number[word]]) for word in words}  # type: ignore[attr-defined]
        if function == "phonetic":
            ranked += [
                (-r, hashed(phonetic_key(w))) for r, w in most_telling(SCHEMA, name, classes)
            ]
        elif function == "initial":
            plain = dict.fromkeys(words, 0)
            ranked += [(-r, hashed(w[0])) for r, w in most_telling(SCHEMA, name, plain)]
        elif function == "year":
            ranked += [(0.0, hashed(w[:4])) for w in words if w[:4].isdecimal()]
        elif function == "monthday":
            sure = [w for w in words if classes[w] == 0 and "-" not in (w[5:7] + w[8:10])]
            ranked += [(0.0, hashed("/".join(sorted((w[5:7], w[8:10]))))) for w in sure]
        elif name == "tgl":
            ranked += [(0.0, hashed(w)) for w in words if classes[w] == 0 and len(w) == 10]
        elif words:
            ranked.append((0.0, hashed(" ".join(sorted(set(words))))))
    slots = 2 if function in ("phonetic", "initial") else 1
    found: list[int] = []
    for _, value in sorted(ranked):
        if value not in found:
            found.append(value)
    return [*found, 0, 0][:slots]


def token_of(number: int, values: Sequence[int], key: bytes, bits: int) -> int:
    low = int.from_bytes(bytes([NOISE]) * 4, "little")
    if all(values):
        mixed = values[0]
        for value in values[1:]:
            block = mixed.to_bytes(8, "little") + value.to_bytes(8, "little")
            encrypted = Cipher(AES256(key), ECB()).encryptor().update(block)  # noqa: S305 -- as defined
            mixed = int.from_bytes(encrypted[:8], "little")
        low = mixed & 0xFFFFFFFF
    return number << bits | low & ((1 << bits) - 1)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_block_tokens_are_those_of_the_definition(rows: list[dict[str, str]]) -> None:
    columns = columns_of(rows)
    got = BlockTokens(SCHEMA, key_of, noise).tokens(columns)
    bits = SCHEMA.match.block_bits
    assert got.shape == (len(rows), SCHEMA.block_slots)
    for record in range(len(rows)):
        expected: list[int] = []
        for number, entry in enumerate(SCHEMA.block_entries):
            values = [
                part_values(p.function, p.attributes, columns, record, key_of(f"{entry}/values"))
                for p in entry.parts
            ]
            key = key_of(f"{entry}/tokens")
            expected += [token_of(number, chosen, key, bits) for chosen in product(*values)]
        assert got[record].tolist() == expected


@given(ROWS)
def test_exact_tokens_are_those_of_the_definition(rows: list[dict[str, str]]) -> None:
    columns = columns_of(rows)
    got = ExactTokens(SCHEMA, key_of, noise).tokens(columns)
    assert got.shape == (len(rows), 2, 16)
    for record in range(len(rows)):
        for slot, name in enumerate(("nik", "surel")):
            value = " ".join(sorted(columns[name].words_of(record)))
            space = {"nik": "nik", "surel": "email"}[name]
            expected = hmac.new(key_of(space), value.encode(), "sha256").digest()[:16]
            assert bytes(got[record, slot]) == (expected if value else noise(16))


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_and_the_chunks_of_records_change_no_token(
    rows: list[dict[str, str]], random: object
) -> None:
    whole = BlockTokens(SCHEMA, key_of, noise).tokens(columns_of(rows))
    one_by_one = BlockTokens(SCHEMA, key_of, noise)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for record in order:
        assert (one_by_one.tokens(columns_of([rows[record]]))[0] == whole[record]).all()


def test_tokens_of_absent_values_are_random_and_in_range() -> None:
    rng = np.random.default_rng(1)
    columns = columns_of(
        [dict.fromkeys(("nama", "ibu", "tgl", "jk", "kota", "surel", "nik"), "")] * 400
    )
    tokens = BlockTokens(SCHEMA, key_of, rng.bytes).tokens(columns)
    bits = SCHEMA.match.block_bits
    assert (tokens >> bits == tokens[0] >> bits).all()
    assert len(np.unique(tokens[:, 0])) > 100
    exact = ExactTokens(SCHEMA, key_of, rng.bytes).tokens(columns)
    assert len(np.unique(exact.reshape(-1, 16), axis=0)) == 800


def test_what_holds_keyed_values_shows_nothing() -> None:
    assert repr(BlockTokens(SCHEMA, key_of, noise)) == "BlockTokens(...)"
    assert repr(ExactTokens(SCHEMA, key_of, noise)) == "ExactTokens(...)"
