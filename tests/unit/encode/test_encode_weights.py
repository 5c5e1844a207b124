"""How many positions tokens set: by attribute, rarity and what normalising says."""

from typing import Any

import numpy as np
import pytest

from linkage.encode.public import HIGHEST_RARITY, LOWEST_RARITY, UNKNOWN_RARITY, word_shares
from linkage.encode.tokenids import token_ids, token_text
from linkage.encode.weights import base_positions, most_positions, rarities, token_positions
from linkage.normalise.attributes import normalise_column
from linkage.normalise.columns import WordColumn
from linkage.schema import LinkageSchema
from linkage.types import ATTRIBUTE_TYPES

LANGUAGES = ["any", "indonesian", "foreign"]


def schema_of(*attributes: dict[str, Any], **encoding: Any) -> LinkageSchema:
    return LinkageSchema.model_validate(
        {"name": "a", "encoding": encoding, "attributes": list(attributes)}
    )


@pytest.mark.parametrize(
    "types",
    [
        ["name"],
        ["name", "date", "sex"],
        ["given_name", "surname", "date", "mother_name", "place", "address"],
        [t.name for t in ATTRIBUTE_TYPES.values() if t.kind != "identifier"],
    ],
)
@pytest.mark.parametrize("scheme", ["clk", "diffused"])
def test_a_usual_record_fills_half_of_its_filter(types: list[str], scheme: str) -> None:
    schema = schema_of(*({"name": t, "type": t} for t in types), scheme=scheme)
    n_bits = schema.encoding.filter_length
    bases = base_positions(schema)
    drawn = sum(bases[a.name] * a.of_type.mean_tokens for a in schema.attributes)
    assert 1 - (1 - 1 / n_bits) ** drawn == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("scheme", ["clk", "diffused", "saul"])
def test_positions_go_by_the_square_of_the_weight(scheme: str) -> None:
    schema = schema_of(
        {"name": "nama", "type": "name", "weight": 1.5},
        {"name": "ibu", "type": "mother_name", "weight": 0.5},
        scheme=scheme,
    )
    bases = base_positions(schema)
    assert bases["nama"] == pytest.approx(9 * bases["ibu"])


def test_a_hardened_filter_is_sparse_whatever_else_is_in_the_record() -> None:
    name = {"name": "nama", "type": "name"}
    alone, beside = schema_of(name), schema_of(name, {"name": "tgl", "type": "date"})
    assert base_positions(alone) == {"nama": 10}
    assert base_positions(beside)["nama"] == 10
    assert base_positions(schema_of(name, filter_bits=8192)) == {"nama": 20}


def test_a_light_attribute_keeps_one_position() -> None:
    schema = schema_of({"name": "kota", "type": "place", "weight": 0.001})
    assert most_positions(base_positions(schema)["kota"]) == 1
    column = WordColumn(["BANDUNG"], np.zeros(1, np.int32), np.array([0, 1]))
    tokens = token_ids(column.vocabulary, "text")
    got = token_positions(column, tokens, schema.attributes[0], 1e-5)
    assert got.tolist() == [1] * 7


@pytest.mark.parametrize("language", LANGUAGES)
def test_rarity_is_bounded_and_about_one_in_the_mean(language: str) -> None:
    shares = word_shares(language)
    values = {word: shares.rarity(word) for word in shares.share}
    assert min(values.values()) >= LOWEST_RARITY
    assert max(values.values()) == HIGHEST_RARITY
    mean = sum(share * values[word] for word, share in shares.share.items())
    assert 0.85 < mean <= 1
    assert shares.rarity("XQZWYV") == UNKNOWN_RARITY
    assert "" not in shares.share


def test_a_common_name_says_little_and_a_rare_one_much() -> None:
    shares = word_shares("indonesian")
    common, middle, rare = (shares.rarity(word) for word in ("MUHAMMAD", "BUDI", "ZUMAROH"))
    assert common < 0.5 < middle < rare == 1
    assert word_shares("foreign").rarity("SMITH") < 0.8
    assert word_shares("any") is word_shares("any")


def test_rarity_is_weighed_where_the_schema_asks_for_it() -> None:
    schema = schema_of(
        {"name": "nama", "type": "name"},
        {"name": "kota", "type": "place"},
        {"name": "alias", "type": "alias", "rarity": False},
        {"name": "kampung", "type": "place", "rarity": True},
    )
    weighed = [rarities(["MUHAMMAD"], a)[0] < 1 for a in schema.attributes]
    assert weighed == [True, False, False, True]


def positions_of(type_: str, value: str, base: float = 100) -> dict[str, int]:
    """Tokens of a value, as it is normalised, with their positions."""
    (attribute,) = schema_of({"name": "a", "type": type_, "rarity": False}).attributes
    kind = attribute.of_type.kind
    column = normalise_column([value], type_ if type_ in ("place", "sex") else kind)
    tokens = token_ids(column.vocabulary, kind)
    texts = [token_text(number, kind) for number in tokens.ids.tolist()]
    return dict(zip(texts, token_positions(column, tokens, attribute, base).tolist(), strict=True))


def test_an_initial_counts_less_than_a_word() -> None:
    assert positions_of("name", "B Suharto") == {
        "_B": 40,
        **dict.fromkeys(["_S", "SU", "UH", "HA", "AR", "RT", "TO"], 100),
    }


def test_a_birthday_that_is_no_placeholder_counts_in_full() -> None:
    assert set(positions_of("date", "1990-02-13").values()) == {100}


@pytest.mark.parametrize("value", ["1990-01-01", "1990-07-01", "1990-12-31"])
def test_a_placeholder_birthday_counts_less_but_for_its_year(value: str) -> None:
    for token, k in positions_of("date", value).items():
        assert k == (100 if token.startswith("y") else 40)


def test_half_a_position_is_rounded_to_even_and_never_to_none() -> None:
    assert [most_positions(base) for base in (0.1, 0.5, 1.4, 2.5, 3.5)] == [1, 1, 1, 2, 4]
    assert set(positions_of("sex", "L", base=0.2).values()) == {1}
