"""The encoder's own vectors, written by an implementation that shares no code."""

import json
import os
import runpy
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.encode import public
from linkage.encode.bloom import PositionTable, token_positions
from linkage.encode.diffusion import diffuse, index_sets
from linkage.encode.encoder import Encoder
from linkage.encode.occupancy import UNIT, mean_filter
from linkage.encode.saul import KeyedMajority
from linkage.encode.tokenids import token_ids
from linkage.encode.weights import base_positions, most_positions
from linkage.encode.weights import token_positions as positions_of_tokens
from linkage.normalise.columns import FlaggedColumn
from linkage.schema import LinkageSchema
from linkage.types import ATTRIBUTE_TYPES

FOLDER = Path(__file__).parents[2] / "vectors" / "encode"
CASES = [json.loads(path.read_text(encoding="ascii")) for path in sorted(FOLDER.glob("*.json"))]
DEFINITION = runpy.run_path(str(FOLDER / "generate.py"))
BY_LAYER = {layer: [case for case in CASES if case["layer"] == layer] for layer in (
    "positions", "diffusion", "majority", "code",
)}  # fmt: skip


def as_words(text: str) -> NDArray[np.uint64]:
    return np.frombuffer(bytes.fromhex(text), dtype="<u8").astype(np.uint64).reshape(1, -1)


def as_hex(words: NDArray[np.uint64]) -> str:
    return words.astype("<u8").tobytes().hex()


class VectorKeys:
    """The keys that a vector states."""

    def __init__(self, case: dict[str, Any]) -> None:
        self._spaces, self._hardening = case["space_keys"], case["hardening_key"]

    def space_key(self, space: str) -> bytes:
        return bytes.fromhex(self._spaces[space])

    def hardening_key(self) -> bytes:
        return bytes.fromhex(self._hardening)

    def block_key(self, _label: str) -> bytes:
        return bytes(32)

    def exact_key(self, _space: str) -> bytes:
        return bytes(32)


@cache
def schema_of(text: str) -> LinkageSchema:
    return LinkageSchema.model_validate({"name": "v", **json.loads(text)})


@cache
def encoder_of(schema: str, keys: str) -> Encoder:
    return Encoder(schema_of(schema), VectorKeys(json.loads(keys)), os.urandom)


def parts_of(case: dict[str, Any]) -> tuple[LinkageSchema, Encoder, dict[str, FlaggedColumn]]:
    """Schema, encoder and the columns of the one record of a vector."""
    text = json.dumps(case["schema"])
    keys = {name: case[name] for name in ("space_keys", "hardening_key")}
    schema = schema_of(text)
    columns = {a.name: column(case["record"].get(a.name, [])) for a in schema.attributes}
    return schema, encoder_of(text, json.dumps(keys)), columns


def column(words: list[tuple[str, int]]) -> FlaggedColumn:
    return FlaggedColumn(
        [word for word, _ in words],
        np.arange(len(words), dtype=np.int32),
        np.array([0, len(words)]),
        np.zeros(1, dtype=np.uint32),
        np.array([word_class for _, word_class in words], dtype=np.uint8),
    )


def test_how_many_there_are() -> None:
    counts = Counter(case["layer"] for case in CASES)
    assert counts == {"positions": 3, "diffusion": 5, "majority": 10, "code": 24}
    assert len({case["desc"] for case in CASES}) == len(CASES)
    schemes = Counter(case["schema"]["encoding"]["scheme"] for case in BY_LAYER["code"])
    assert schemes == {"clk": 17, "diffused": 2, "saul": 5}


def test_the_files_are_what_the_generator_writes() -> None:
    written = [json.loads(json.dumps(case)) for case in DEFINITION["cases"]()]
    assert sorted(written, key=lambda case: case["desc"]) == sorted(
        CASES, key=lambda case: case["desc"]
    )


@pytest.mark.parametrize("case", BY_LAYER["positions"], ids=lambda case: case["desc"])
def test_positions_of_a_token(case: dict[str, Any]) -> None:
    key = bytes.fromhex(case["key"])
    got = token_positions(key, case["token"], case["n_positions"], case["bits"])
    assert got.tolist() == case["expect"]


@pytest.mark.parametrize("case", BY_LAYER["diffusion"], ids=lambda case: case["desc"])
def test_diffusion_of_a_filter(case: dict[str, Any]) -> None:
    sets = index_sets(bytes.fromhex(case["key"]), case["bits"], case["order"])
    filters = as_words(case["filter"])
    codes = np.empty_like(filters)
    diffuse(filters, sets, codes)
    assert as_hex(codes) == case["expect"]


@pytest.mark.parametrize("case", BY_LAYER["majority"], ids=lambda case: case["desc"])
def test_majorities_of_set_positions(case: dict[str, Any]) -> None:
    mean = np.array(case["mean"], dtype=np.int64)
    keyed = KeyedMajority(bytes.fromhex(case["key"]), mean, case["bits"], case["order"])
    members = np.array(case["positions"], dtype=np.uint16)
    got = keyed.encode(members, np.array([0, len(members)]))
    assert as_hex(got) == case["expect"]


@pytest.mark.parametrize("case", BY_LAYER["code"], ids=lambda case: case["desc"])
def test_positions_per_token_of_a_record(case: dict[str, Any]) -> None:
    schema, _, columns = parts_of(case)
    bases = base_positions(schema)
    for attribute in schema.attributes:
        of_record = columns[attribute.name]
        tokens = token_ids(of_record.vocabulary, attribute.of_type.kind)
        per_token = positions_of_tokens(of_record, tokens, attribute, bases[attribute.name])
        per_word = np.split(per_token, tokens.offsets[1:-1]) if of_record.vocabulary else []
        expected = case["positions_per_token"].get(attribute.name, [])
        # Tokens that come twice in a word are stated once: compare the numbers alone.
        assert [set(k.tolist()) for k in per_word] == [set(k.values()) for k in expected]


@pytest.mark.parametrize("case", BY_LAYER["code"], ids=lambda case: case["desc"])
def test_filter_and_code_of_a_record(case: dict[str, Any]) -> None:
    _, encoder, columns = parts_of(case)
    assert as_hex(encoder.filters(columns)) == case["filter"]
    assert encoder.codes(columns).tobytes().hex() == case["expect"]


@pytest.mark.parametrize("number", range(2))
def test_the_mean_filter_is_that_of_the_definition(number: int) -> None:
    described = [DEFINITION["SAUL_PERSON"], DEFINITION["SAUL_OTHERS"]][number]
    schema = schema_of(json.dumps(described))
    bases, n_bits = base_positions(schema), schema.encoding.filter_length
    kinds = {a.of_type.space: a.of_type.kind for a in schema.attributes}
    most = most_positions(max(bases.values()))
    keys = {space: DEFINITION["key"](space) for space in kinds}
    tables = {s: PositionTable(keys[s], kind, most, n_bits) for s, kind in kinds.items()}
    got = mean_filter(schema, bases, tables, n_bits)
    expected = DEFINITION["mean_filter"](described, keys)
    # Sums of fractions in another order may round to the next unit.
    assert np.abs(got - expected).max() <= 1
    assert 0 <= got.min() < got.max() <= UNIT


@pytest.mark.parametrize("language", ["any", "indonesian", "foreign"])
def test_shares_of_words_are_those_of_the_definition(language: str) -> None:
    got, expected = public.word_shares(language), DEFINITION["shares"](language)
    assert got.share.keys() == expected.keys()
    assert all(got.share[word] == pytest.approx(expected[word]) for word in got.share)
    assert sum(got.share.values()) == pytest.approx(1)
    assert got.mean_information == pytest.approx(DEFINITION["mean_information"](language))


@pytest.mark.parametrize("name", DEFINITION["TYPES"])
def test_the_generators_table_is_that_of_the_types(name: str) -> None:
    entry = ATTRIBUTE_TYPES[name]
    facts = (entry.space, entry.kind, entry.weight, entry.mean_tokens)
    assert facts == DEFINITION["TYPES"][name]


@pytest.mark.parametrize("n_bits", [512, 1024, 1088, 8192, 32768])
def test_positions_are_those_of_the_definition(n_bits: int) -> None:
    for token in ("_A", "y1990", "é", "_" * 200):
        for k in (1, 2, 31, 200):
            got = token_positions(b"k" * 32, token, k, n_bits).tolist()
            assert got == DEFINITION["positions"](b"k" * 32, token, k, n_bits)
