"""Field filters: constant popcounts, counts by definition, nothing shared by two keys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.compare.fields import CHANCE, field_counts
from linkage.encode.fields import FieldEncoder, Side
from linkage.fieldrow import FILTER_BYTES, N_BITS, N_CLASSES, N_SET
from linkage.normalise.attributes import normalise_column
from linkage.normalise.options import NormaliseOptions
from linkage.schema import LinkageSchema, parse_schema

TYPES = ("given_name", "surname", "date", "sex", "place", "postcode", "age")
SCHEMA = parse_schema(
    'name = "f"\n'
    + "\n".join(f'[[attributes]]\nname = "{name}"\ntype = "{name}"' for name in TYPES)
)
SPACES = [attribute.of_type.space for attribute in SCHEMA.fuzzy]
TEXT = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ ", max_size=40)
RECORD = st.fixed_dictionaries(
    {
        "given_name": TEXT,
        "surname": TEXT,
        "date": st.dates().map(str) | st.just(""),
        "sex": st.sampled_from(["L", "P", ""]),
        "place": TEXT,
        "postcode": st.text("0123456789", max_size=12),
        "age": st.integers(1, 99).map(str) | st.just(""),
    }
)


def encoder_of(schema: LinkageSchema, records: list[dict[str, str]]) -> FieldEncoder:
    options = NormaliseOptions(reference_year=2020)
    columns = {
        a.name: normalise_column([r[a.name] for r in records], a.type, options)
        for a in schema.fuzzy
    }
    return FieldEncoder(schema, columns)


def keys_of(seed: int, n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, 32), dtype=np.uint8)


def positions(row: NDArray[np.uint8], attribute: int) -> set[int]:
    """The set positions of one filter, by the plainest reading of its bytes."""
    number = int.from_bytes(
        row[attribute * FILTER_BYTES : (attribute + 1) * FILTER_BYTES].tobytes(), "little"
    )
    return {i for i in range(N_BITS) if number >> i & 1}


@given(
    st.lists(RECORD, min_size=1, max_size=5),
    st.integers(0, 2**32),
    st.sampled_from(["left", "right"]),
)
def test_every_filter_has_the_same_number_of_positions(
    records: list[dict[str, str]], seed: int, side: Side
) -> None:
    encoder = encoder_of(SCHEMA, records)
    rows = encoder.encode(np.arange(len(records)), keys_of(seed, len(records)), side)
    for record, row in zip(records, rows, strict=True):
        for a, name in enumerate(TYPES):
            n = len(positions(row, a))
            assert n in (0, N_SET)
            if name not in ("date", "sex"):
                assert (n == 0) == (record[name].strip() == "") or n == 0


@given(RECORD, RECORD, st.integers(0, 2**32))
def test_counts_agree_with_the_definition(
    one: dict[str, str], other: dict[str, str], seed: int
) -> None:
    encoder, key = encoder_of(SCHEMA, [one, other]), keys_of(seed, 1)
    left = encoder.encode(np.array([0]), key, "left")
    right = encoder.encode(np.array([1]), key, "right")
    counts = field_counts(left, right, SPACES)

    def common(a: int, b: int) -> int:
        x, y = positions(left[0], a), positions(right[0], b)
        return len(x & y) if x and y else -1

    for a, space in enumerate(SPACES):
        others = [b for b, s in enumerate(SPACES) if s == space and b != a]
        assert counts.straight[0, a] == common(a, a)
        assert counts.crossed[0, a] == max((common(a, b) for b in others), default=-1)
    assert SPACES.count("name") == 2


@settings(max_examples=25)
@given(st.lists(RECORD, min_size=1, max_size=4), st.data())
def test_a_row_follows_from_value_key_and_side_alone(
    records: list[dict[str, str]], data: st.DataObject
) -> None:
    pairs = data.draw(st.lists(st.integers(0, len(records) - 1), max_size=9))
    encoder, keys = encoder_of(SCHEMA, records), keys_of(7, len(pairs))
    together = encoder.encode(np.array(pairs, dtype=np.int64), keys, "left")
    for i, record in enumerate(pairs):
        alone = encoder_of(SCHEMA, [records[record]]).encode(np.array([0]), keys[i : i + 1], "left")
        assert (alone[0] == together[i]).all()


@given(st.lists(st.sampled_from(["BUDI", "SANTOSO", "SRI", "AYU", "QXZ"]), min_size=1, max_size=4))
def test_the_order_of_words_is_nothing(words: list[str]) -> None:
    schema = parse_schema('name = "p"\n[[attributes]]\nname = "place"\ntype = "text"')
    records = [{"place": " ".join(words)}, {"place": " ".join(reversed(words))}]
    encoder, key = encoder_of(schema, records), keys_of(1, 1)
    rows = [encoder.encode(np.array([i]), key, "left") for i in (0, 1)]
    assert (rows[0] == rows[1]).all()


@pytest.fixture(scope="module")
def crossing() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Common positions of filters under 4,000 pairs of unlike keys: of one value, of two."""
    schema = parse_schema('name = "p"\n[[attributes]]\nname = "n"\ntype = "surname"')
    encoder = encoder_of(schema, [{"n": "SIMANJUNTAK"}, {"n": "WIJAYA KUSUMA"}])
    n = 4_000
    one, two = keys_of(1, n), keys_of(2, n)

    def bits(record: int, keys: NDArray[np.uint8]) -> NDArray[np.uint8]:
        rows = encoder.encode(np.full(n, record), keys, "left")
        return np.unpackbits(rows[:, :FILTER_BYTES], axis=1)

    same = (bits(0, one) & bits(0, two)).sum(axis=1).astype(np.int64)
    unlike = (bits(0, one) & bits(1, two)).sum(axis=1).astype(np.int64)
    return same, unlike


def test_one_value_under_two_keys_is_as_two_values(
    crossing: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Counts of independent random sets: hypergeometric, with mean and variance known."""
    spread = CHANCE * (1 - N_SET / N_BITS) * (N_BITS - N_SET) / (N_BITS - 1)
    for counts in crossing:
        deviations = (counts.mean() - CHANCE) / np.sqrt(spread / len(counts))
        assert abs(deviations) < 4
        assert abs(counts.var() / spread - 1) < 0.1
    histograms = [np.bincount(np.minimum(c, 13), minlength=14) for c in crossing]
    # Two samples of 4,000: chi-squared of at most 13 degrees, 45 has a chance of 2e-5.
    difference, both = histograms[0] - histograms[1], histograms[0] + histograms[1]
    assert (difference[both > 0] ** 2 / both[both > 0]).sum() < 45


def test_every_position_is_as_likely() -> None:
    one_round = 'name = "p"\nmatch = {rounds = 1}\n'
    schema = parse_schema(one_round + '[[attributes]]\nname = "n"\ntype = "sex"')
    n = 8_000
    rows = encoder_of(schema, [{"n": "P"}]).encode(np.zeros(n, np.int64), keys_of(3, n), "left")
    counts = np.unpackbits(rows[:, :FILTER_BYTES], axis=1).sum(axis=0)
    expected = n * N_SET / N_BITS
    # 255 degrees of freedom, less than that for a fixed sum of each row: 350 is 4 deviations.
    assert ((counts - expected) ** 2 / expected).sum() < 350


def test_a_class_shows_of_equal_values_only() -> None:
    schema = parse_schema('name = "p"\n[[attributes]]\nname = "n"\ntype = "name"')
    encoder = encoder_of(schema, [{"n": "QXQXQ ZWZWZ"}, {"n": "MUHAMMAD"}])
    n = 4_000
    keys = keys_of(4, n)
    rare, common = np.zeros(n, np.int64), np.ones(n, np.int64)
    sent = encoder.encode(rare, keys, "left")
    equal = field_counts(sent, encoder.encode(rare, keys, "right"), ["name"])
    assert (equal.straight == N_SET).all()
    assert (equal.rarity == N_CLASSES - 1).all()
    unlike = field_counts(sent, encoder.encode(common, keys, "right"), ["name"])
    for seen in (unlike.rarity[:, 0], sent[:, FILTER_BYTES]):
        shares = np.bincount(seen, minlength=N_CLASSES)
        mean = n / N_CLASSES
        assert ((shares - mean) ** 2 / mean).sum() < 18  # 1 degree of freedom: 2e-5
