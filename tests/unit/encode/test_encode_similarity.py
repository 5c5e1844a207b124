"""What two codes have in common, and what a code must not say. All data is seeded."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.encode.bloom import PositionTable, set_bits
from linkage.encode.encoder import Encoder
from linkage.encode.occupancy import UNIT, mean_filter, token_occupancy
from linkage.encode.public import word_shares
from linkage.encode.saul import KeyedMajority
from linkage.encode.weights import base_positions, most_positions
from linkage.schema import LinkageSchema

ENCODINGS: dict[str, dict[str, Any]] = {
    "clk": {"scheme": "clk"},
    "diffused": {"scheme": "diffused", "bits": 4096, "order": 4},
    "saul": {"scheme": "saul", "bits": 4096, "order": 3, "filter_bits": 2048},
}
PERSON = [{"name": t, "type": t} for t in ("name", "date", "sex", "mother_name")]
RECORD = {
    "name": ["BUDI", "SANTOSO"],
    "date": ["1990-02-13"],
    "sex": ["L"],
    "mother_name": ["SITI", "AMINAH"],
}
STRANGER = {
    "name": ["AGUS", "WIJAYA"],
    "date": ["1971-12-31"],
    "sex": ["P"],
    "mother_name": ["YULIANTI"],
}
TWO_NAMES = [
    {"name": "depan", "type": "given_name"},
    {"name": "belakang", "type": "surname", "weight": 0.85},
]


def schema_of(scheme: str, attributes: Sequence[dict[str, Any]]) -> LinkageSchema:
    return LinkageSchema.model_validate(
        {"name": "a", "encoding": ENCODINGS[scheme], "attributes": list(attributes)}
    )


def bits_of(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.unpackbits(codes, axis=-1, bitorder="little").astype(np.int64)


def dice(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    a, b = bits_of(one), bits_of(two)
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def agreement(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    return float((bits_of(one) == bits_of(two)).mean())


def above_chance(similarity: float, n_bits: int) -> float:
    """How many standard deviations two codes agree more than codes of strangers."""
    return (similarity - 0.5) * 2 * math.sqrt(n_bits)


@pytest.mark.parametrize("scheme", ["diffused", "saul"])
def test_hardened_codes_of_strangers_agree_by_chance_and_those_of_one_person_do_not(
    scheme: str, codes_of: Any
) -> None:
    schema = schema_of(scheme, PERSON)
    typo = {**RECORD, "name": ["BUDI", "SANTOSA"]}
    missing = {name: words for name, words in RECORD.items() if name != "mother_name"}
    one, two, three, other = codes_of(schema, RECORD, typo, missing, STRANGER)
    assert agreement(one, two) > 0.7
    assert above_chance(agreement(one, three), 4096) > 6.4
    assert agreement(one, two) > schema.threshold < agreement(one, three)
    assert abs(above_chance(agreement(one, other), 4096)) < 6.4


def test_one_letter_changes_a_plain_code_little_and_another_person_much(codes_of: Any) -> None:
    typo = {**RECORD, "name": ["BUDI", "SANTOSA"]}
    one, two, other = codes_of(schema_of("clk", PERSON), RECORD, typo, STRANGER)
    assert dice(one, two) > 0.9 > 0.6 > dice(one, other)


def test_names_of_a_person_and_of_the_mother_share_no_tokens(codes_of: Any) -> None:
    own, mothers = codes_of(schema_of("clk", PERSON), {"name": ["SITI"]}, {"mother_name": ["SITI"]})
    assert dice(own, mothers) < 0.3


@pytest.mark.parametrize("scheme", ENCODINGS)
def test_a_swap_of_given_name_and_surname_keeps_codes_alike(scheme: str, codes_of: Any) -> None:
    schema = schema_of(scheme, TWO_NAMES)
    bases = base_positions(schema)
    assert bases["depan"] > 1.3 * bases["belakang"]
    one, two, other = codes_of(
        schema,
        {"depan": ["MARIA"], "belakang": ["GORETTI"]},
        {"depan": ["GORETTI"], "belakang": ["MARIA"]},
        {"depan": ["WIBOWO"], "belakang": ["KUSUMA"]},
    )
    if scheme == "clk":
        assert dice(one, two) > 0.8 > 0.5 > dice(one, other)
    else:
        assert agreement(one, two) > 0.6 > schema.threshold > agreement(one, other)


def test_a_shared_rare_name_says_more_than_a_shared_common_one(codes_of: Any) -> None:
    rarity = word_shares("any").rarity
    assert rarity("MUHAMMAD") < 0.5
    assert rarity("MARJATTA") == 1
    schema = schema_of("clk", PERSON[:1])
    common, common_too, rare, rare_too = codes_of(
        schema,
        {"name": ["MUHAMMAD", "BUDI"]},
        {"name": ["MUHAMMAD", "WIYONO"]},
        {"name": ["MARJATTA", "BUDI"]},
        {"name": ["MARJATTA", "WIYONO"]},
    )
    assert dice(rare, rare_too) > dice(common, common_too) + 0.1


@pytest.mark.parametrize("scheme", ENCODINGS)
def test_under_another_key_codes_are_unrelated(scheme: str, codes_of: Any) -> None:
    schema = schema_of(scheme, PERSON)
    (mine,), (theirs,) = codes_of(schema, RECORD), codes_of(schema, RECORD, under="other")
    a, b = bits_of(mine), bits_of(theirs)
    n_bits = len(a)
    by_chance = a.sum() * b.sum() / n_bits
    # Five standard deviations of the overlap of two independent sets.
    slack = 5 * math.sqrt(by_chance * (1 - a.mean()) * (1 - b.mean()))
    assert abs((a & b).sum() - by_chance) < slack
    assert 0.2 < a.mean() < 0.6


def names_of(rng: np.random.Generator, n: int, language: str = "any") -> list[list[str]]:
    """Names of people, as the public tables have them: one to three words each."""
    shares = word_shares(language).share
    words = list(shares)
    p = np.fromiter(shares.values(), dtype=np.float64)
    counts = rng.choice([1, 2, 3], n, p=[0.2, 0.5, 0.3])
    return [[words[i] for i in rng.choice(len(words), k, p=p)] for k in counts]


def people_of(rng: np.random.Generator, n: int) -> list[dict[str, list[str]]]:
    days = np.datetime64("1940-01-01") + rng.integers(0, 80 * 365, n)
    return [
        {"name": name, "date": [str(day)], "sex": ["LP"[int(sex)]]}
        for name, day, sex in zip(names_of(rng, n), days, rng.integers(0, 2, n), strict=True)
    ]


def test_the_number_of_ones_of_a_hardened_code_says_nothing_of_its_length(codes_of: Any) -> None:
    rng = np.random.default_rng(11)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    words = ["".join(rng.choice(letters, 7)) for _ in range(1600)]
    lengths = rng.integers(1, 9, 300)
    records = [{"name": list(rng.choice(words, n))} for n in lengths]
    ones = {
        scheme: bits_of(codes_of(schema_of(scheme, PERSON[:1]), *records)).sum(axis=1)
        for scheme in ("clk", "saul")
    }
    assert np.corrcoef(ones["clk"], lengths)[0, 1] > 0.9
    # Six standard deviations of a correlation of nothing over 300 records.
    assert abs(np.corrcoef(ones["saul"], lengths)[0, 1]) < 6 / math.sqrt(300)
    assert np.abs(ones["saul"] - 4096 / 2).max() < 6 * math.sqrt(4096) / 2
    assert ones["saul"].std() == pytest.approx(math.sqrt(4096) / 2, rel=0.3)


def tables_of(schema: LinkageSchema, keys: Any) -> dict[str, PositionTable]:
    bases = base_positions(schema)
    return {
        a.of_type.space: PositionTable(
            keys.space_key(a.of_type.space),
            a.of_type.kind,
            most_positions(bases[a.name]),
            schema.encoding.filter_length,
        )
        for a in schema.attributes
    }


def mean_agreement(majority: KeyedMajority, filters: NDArray[np.uint64]) -> float:
    """Mean agreement of the codes of all pairs of filters."""
    offsets = np.concatenate([[0], np.cumsum(np.bitwise_count(filters).sum(1, dtype=np.int64))])
    codes = majority.encode(set_bits(filters, offsets), offsets)
    ones = bits_of(codes.astype("<u8").view(np.uint8)).sum(axis=0)
    n = len(filters)
    alike = (ones * (ones - 1) + (n - ones) * (n - ones - 1)) / (n * (n - 1))
    return float(alike.mean())


@pytest.mark.parametrize("attributes", [PERSON[:1], PERSON[:3]], ids=["names", "people"])
def test_centred_codes_of_strangers_agree_in_a_half(
    attributes: list[dict[str, Any]], named_keys: Any, columns_of: Any
) -> None:
    # One majority alone: every further one brings the agreement nearer to a half.
    schema = schema_of("saul", attributes)
    keys = named_keys("k")
    records = people_of(np.random.default_rng(12), 300)
    filters = Encoder(schema, keys, os.urandom).filters(columns_of(schema, records))
    mean = mean_filter(schema, base_positions(schema), tables_of(schema, keys), 2048)
    centred, uncentred = (
        mean_agreement(KeyedMajority(keys.hardening_key(), centre, 4096, 1), filters)
        for centre in (mean, np.zeros_like(mean))
    )
    assert abs(centred - 0.5) < 0.006
    assert uncentred > 0.53


def test_the_mean_filter_is_about_that_of_people(named_keys: Any, columns_of: Any) -> None:
    schema = schema_of("saul", PERSON[:3])
    keys = named_keys("k")
    tables = tables_of(schema, keys)
    mean = mean_filter(schema, base_positions(schema), tables, 2048)
    assert mean.dtype == np.int64
    assert 0 <= mean.min() <= mean.max() <= UNIT
    # It is drawn from public facts and the keys alone, so it is the same wherever it is made.
    again = mean_filter(schema, base_positions(schema), tables_of(schema, keys), 2048)
    assert (mean == again).all()
    other = mean_filter(schema, base_positions(schema), tables_of(schema, named_keys("o")), 2048)
    assert np.corrcoef(mean, other)[0, 1] < 0.2
    records = people_of(np.random.default_rng(13), 1000)
    filters = Encoder(schema, keys, os.urandom).filters(columns_of(schema, records))
    seen = bits_of(filters.astype("<u8").view(np.uint8)).mean(axis=0)
    assert np.corrcoef(mean, seen)[0, 1] > 0.97
    assert mean.sum() / UNIT == pytest.approx(seen.sum(), rel=0.08)


@pytest.mark.parametrize(
    "type_", ["name", "mother_name", "place", "address", "date", "year", "sex", "postcode", "phone"]
)
def test_occupancies_are_probabilities_that_fall_along_a_token(type_: str) -> None:
    (attribute,) = schema_of("saul", [{"name": "a", "type": type_}]).attributes
    for base in (0.3, 2.5, 12.0):
        occupied = token_occupancy(attribute, base)
        assert occupied.shape[1] == most_positions(base)
        assert 0 <= occupied.min() < occupied.max() <= 1
        assert (np.diff(occupied, axis=1) <= 1e-12).all()
