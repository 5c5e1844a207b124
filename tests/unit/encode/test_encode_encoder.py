"""Codes of records: their form, and that records alone decide them."""

import math
import os
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.encode.bloom import PositionTable, token_positions
from linkage.encode.encoder import Encoder, resolve_schema, schema_id
from linkage.schema import LinkageSchema

ENCODINGS: dict[str, dict[str, Any]] = {
    "clk": {"scheme": "clk", "bits": 2048},
    "diffused": {"scheme": "diffused", "bits": 1088, "order": 4},
    "saul": {"scheme": "saul", "bits": 1024, "order": 3, "filter_bits": 1024},
}
ATTRIBUTES = [
    {"name": "nama", "type": "name"},
    {"name": "tgl_lahir", "type": "date"},
    {"name": "jk", "type": "sex"},
    {"name": "ibu", "type": "mother_name"},
]
RECORD = {
    "nama": ["BUDI", "SANTOSO"],
    "tgl_lahir": ["1990-02-13"],
    "jk": ["L"],
    "ibu": ["SITI", "AMINAH"],
}
OTHER = {"nama": ["AGUS"], "tgl_lahir": ["1971-12-31"]}
TWO_NAMES = [{"name": "depan", "type": "given_name"}, {"name": "belakang", "type": "surname"}]


def schema_of(scheme: str, attributes: list[dict[str, Any]] = ATTRIBUTES) -> LinkageSchema:
    return LinkageSchema.model_validate(
        {"name": "a", "encoding": ENCODINGS[scheme], "attributes": attributes}
    )


CLK = schema_of("clk")


@pytest.fixture(params=ENCODINGS)
def schema(request: pytest.FixtureRequest) -> LinkageSchema:
    return schema_of(request.param)


def set_bits(code: NDArray[np.uint8]) -> set[int]:
    return set(np.flatnonzero(np.unpackbits(code, bitorder="little")).tolist())


def test_codes_are_packed_rows_of_the_schemas_length(schema: LinkageSchema, codes_of: Any) -> None:
    got = codes_of(schema, RECORD, {}, RECORD)
    assert got.dtype == np.uint8
    assert got.shape == (3, schema.encoding.code_bits // 8)
    assert (got[0] == got[2]).all()
    assert got[0].any()


def test_a_record_without_any_word_has_the_code_zero(schema: LinkageSchema, codes_of: Any) -> None:
    got = codes_of(schema, {}, RECORD, {})
    assert [bool(code.any()) for code in got] == [False, True, False]
    assert codes_of(schema).shape == (0, schema.encoding.code_bits // 8)


@pytest.mark.parametrize("missing", RECORD)
def test_a_missing_value_adds_nothing(missing: str, codes_of: Any) -> None:
    whole, without, alone = (
        set_bits(code)
        for code in codes_of(
            CLK,
            RECORD,
            {name: words for name, words in RECORD.items() if name != missing},
            {missing: RECORD[missing]},
        )
    )
    assert whole == without | alone
    assert without < whole


def test_the_order_and_repetition_of_words_say_nothing(
    schema: LinkageSchema, codes_of: Any
) -> None:
    one, two, three = codes_of(
        schema,
        {"nama": ["BUDI", "SANTOSO"]},
        {"nama": ["SANTOSO", "BUDI"]},
        {"nama": ["SANTOSO", "BUDI", "SANTOSO"]},
    )
    assert (one == two).all()
    assert (one == three).all()


# Around the 64 records of diffusion and the 512 of a batch of majorities.
@pytest.mark.parametrize("before", [0, 1, 63, 64, 511, 512, 1025])
def test_a_record_is_encoded_alike_in_any_chunk_and_company(
    before: int, schema: LinkageSchema, codes_of: Any
) -> None:
    (alone,) = codes_of(schema, RECORD)
    got = codes_of(schema, *[({}, OTHER)[i % 2] for i in range(before)], RECORD)
    assert (got[-1] == alone).all()


def test_two_encoders_of_one_key_agree_whatever_they_met_before(
    schema: LinkageSchema, codes_of: Any, columns_of: Any, named_keys: Any
) -> None:
    # Positions are drawn when a token is first met.
    (expected,) = codes_of(schema, RECORD)
    fresh = Encoder(schema, named_keys("k"), os.urandom)
    assert (fresh.codes(columns_of(schema, [RECORD]))[0] == expected).all()


def test_filters_are_the_codes_of_the_plain_scheme_alone(columns_of: Any, encoder_of: Any) -> None:
    for scheme in ENCODINGS:
        schema = schema_of(scheme)
        columns = columns_of(schema, [RECORD, {}])
        filters = encoder_of(schema).filters(columns)
        assert filters.shape == (2, schema.encoding.filter_length // 64)
        same = filters.tobytes() == encoder_of(schema).codes(columns).tobytes()
        assert same == (scheme == "clk")


def test_two_attributes_of_one_type_share_their_tokens_when_swapped(codes_of: Any) -> None:
    for scheme in ENCODINGS:
        one, two = codes_of(
            schema_of(scheme, TWO_NAMES),
            {"depan": ["MARIA"], "belakang": ["GORETTI"]},
            {"depan": ["GORETTI"], "belakang": ["MARIA"]},
        )
        assert (one == two).all()


def test_every_space_has_its_own_key_and_only_hardening_another(named_keys: Any) -> None:
    for scheme in ENCODINGS:
        hardened = [] if scheme == "clk" else ["(hardening)"]
        keys = named_keys("k")
        Encoder(schema_of(scheme), keys, os.urandom)
        assert sorted(set(keys.asked)) == [*hardened, "date", "mother_name", "name", "sex"]
        keys = named_keys("k")
        Encoder(schema_of(scheme, TWO_NAMES), keys, os.urandom)
        assert sorted(set(keys.asked)) == [*hardened, "name"]


def test_nothing_that_holds_keys_shows_itself(schema: LinkageSchema, encoder_of: Any) -> None:
    assert repr(encoder_of(schema)) == "Encoder(...)"
    assert repr(PositionTable(b"k" * 32, "sex", 3, 512)) == "PositionTable(...)"


def test_the_resolved_schema_states_everything_that_decides_a_code() -> None:
    resolved = resolve_schema(schema_of("saul"))
    assert resolved["encoding"] == {
        "scheme": "saul", "bits": 1024, "order": 3, "filter_bits": 1024,
    }  # fmt: skip
    tables = resolved["versions"]["tables"]
    assert {"name_words.csv.gz", "encode_western_names.csv.gz"} <= set(tables)
    assert all(len(bytes.fromhex(digest)) == 32 for digest in tables.values())
    ids = {schema_id(schema_of(scheme)) for scheme in ENCODINGS}
    assert len(ids) == len(ENCODINGS)


@pytest.mark.parametrize(
    "change",
    [{"weight": 1.01}, {"rarity": False}, {"language": "indonesian"}, {"without": ["N05"]}],
)
def test_what_an_attribute_states_is_in_the_schema_id(change: dict[str, Any]) -> None:
    changed = schema_of("saul", [{**ATTRIBUTES[0], **change}, *ATTRIBUTES[1:]])
    assert schema_id(changed) != schema_id(schema_of("saul"))


def test_more_positions_of_a_token_begin_with_the_fewer() -> None:
    many = token_positions(b"k" * 32, "_A", 50, 2048)
    for k in range(1, 50):
        assert (token_positions(b"k" * 32, "_A", k, 2048) == many[:k]).all()


@pytest.mark.parametrize("n_bits", [512, 1088, 8128])
def test_positions_are_spread_evenly(n_bits: int) -> None:
    positions = np.concatenate(
        [token_positions(b"k" * 32, f"t{i}", 400, n_bits) for i in range(500)]
    )
    assert positions.max() < n_bits
    counts = np.bincount(positions, minlength=n_bits)
    mean = len(positions) / n_bits
    # Chi-squared with n_bits - 1 degrees of freedom, within six standard deviations.
    chi2 = float(((counts - mean) ** 2).sum() / mean)
    assert abs(chi2 - (n_bits - 1)) < 6 * math.sqrt(2 * n_bits)


def test_a_table_draws_positions_as_tokens_are_met() -> None:
    table = PositionTable(b"k" * 32, "sex", 5, 512)
    assert not table.positions.any()
    for ids in ([12], [16, 12], []):
        table.draw(np.array(ids, dtype=np.int32))
    for number, token in ((12, "L"), (16, "P")):
        expected = token_positions(b"k" * 32, token, 5, 512)
        assert (table.positions[number] == expected).all()
    assert np.flatnonzero(table.positions.any(axis=1)).tolist() == [12, 16]
