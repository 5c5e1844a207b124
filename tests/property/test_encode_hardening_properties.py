"""Diffusion and majorities agree with their definitions, at every size."""

import hashlib
import hmac
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.encode.bloom import set_bits
from linkage.encode.diffusion import diffuse, index_sets
from linkage.encode.occupancy import UNIT
from linkage.encode.saul import KeyedMajority

KEYS = st.binary(min_size=32, max_size=32)
SEEDS = st.integers(0, 2**32)
# Around the 64 records that diffusion takes at once.
N_RECORDS = st.sampled_from([0, 1, 2, 63, 64, 65, 127, 128, 129])


def packed(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def unpacked(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, bitorder="little")


def offsets_of(filters: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(filters.sum(axis=1, dtype=np.int64))])


@given(SEEDS, st.integers(0, 40), st.integers(1, 9), st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_set_bits_say_all_of_a_filter(seed: int, n: int, n_words: int, fill: float) -> None:
    filters = (np.random.default_rng(seed).random((n, 64 * n_words)) < fill).astype(np.uint8)
    got = set_bits(packed(filters), offsets_of(filters))
    assert got.dtype == np.uint16
    assert got.tolist() == np.nonzero(filters)[1].tolist()
    again = np.zeros_like(filters)
    again[np.repeat(np.arange(n), np.diff(offsets_of(filters))), got] = 1
    assert (again == filters).all()


@given(KEYS, st.integers(1, 300), st.integers(1, 16))
def test_index_sets_use_every_position_equally_often(key: bytes, n_bits: int, order: int) -> None:
    sets = index_sets(key, n_bits, order)
    assert sets.shape == (n_bits, order)
    assert np.bincount(sets.ravel(), minlength=n_bits).tolist() == [order] * n_bits
    # Each filling of the pool holds every position once.
    for filling in sets.ravel().reshape(order, n_bits):
        assert sorted(filling.tolist()) == list(range(n_bits))


def test_index_sets_follow_from_the_key() -> None:
    one, again, other = (index_sets(bytes([k]) * 32, 512, 8) for k in (1, 1, 2))
    assert (one == again).all()
    assert (one == other).mean() < 0.01


@settings(max_examples=60)
@given(KEYS, SEEDS, N_RECORDS, st.integers(1, 6), st.integers(1, 16))
def test_diffusion_is_that_of_the_definition(
    key: bytes, seed: int, n: int, n_words: int, order: int
) -> None:
    filters = np.random.default_rng(seed).integers(0, 2, (n, 64 * n_words), dtype=np.uint8)
    sets = index_sets(key, 64 * n_words, order)
    codes = np.empty((n, n_words), dtype=np.uint64)
    diffuse(packed(filters), sets, codes)
    expected = filters[:, sets].sum(axis=2, dtype=np.int64) % 2
    assert (unpacked(codes) == expected).all()


@given(KEYS, SEEDS, st.integers(1, 8))
def test_diffusion_is_linear(key: bytes, seed: int, order: int) -> None:
    # That is its weakness; and so a whole filter's code is that of its single bits.
    filters = np.random.default_rng(seed).integers(0, 2**64, (2, 4), dtype=np.uint64)
    three = np.concatenate([filters, filters[:1] ^ filters[1:]])
    codes = np.empty_like(three)
    diffuse(three, index_sets(key, 256, order), codes)
    assert (codes[2] == codes[0] ^ codes[1]).all()


def signs(key: bytes, number: int, n_columns: int) -> NDArray[np.int64]:
    seed = hmac.new(key, b"saul" + number.to_bytes(4, "big"), hashlib.sha256).digest()
    stream = np.frombuffer(hashlib.shake_256(seed).digest(n_columns // 8), dtype=np.uint8)
    return 2 * np.unpackbits(stream, bitorder="little").astype(np.int64) - 1


def majorities(
    key: bytes,
    mean: NDArray[np.int64],
    n_bits: int,
    order: int,
    filters: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """The definition, in units of 1 / (2 UNIT): sums of whole rows of +1 and -1."""
    n_columns = n_bits * order
    tie = signs(key, len(mean), n_columns)
    rows = np.array([signs(key, i, n_columns) for i in range(len(mean))])
    centre = sum(int(m) * row for m, row in zip(mean, rows, strict=True))
    codes = np.zeros((len(filters), n_bits), dtype=np.uint8)
    for code, members in zip(codes, filters, strict=True):
        if members.any():
            total = rows[members.astype(bool)].sum(axis=0)
            positive = 2 * UNIT * total - 2 * centre + UNIT * tie > 0
            code[:] = positive.reshape(order, n_bits).sum(axis=0) % 2
    return codes


# The range that the means of an example lie in, in units of 1 / UNIT.
MEANS = st.sampled_from([(0, 0), (0, 2), (UNIT // 2, UNIT // 2), (0, UNIT), (UNIT, UNIT)])


@pytest.mark.parametrize("n_bits", [1024, 2048])
@pytest.mark.parametrize("order", range(1, 7))
@settings(max_examples=6)
@given(KEYS, SEEDS, MEANS, st.integers(0, 200))
def test_majorities_are_those_of_the_definition(
    n_bits: int, order: int, key: bytes, seed: int, means: tuple[int, int], n_set: int
) -> None:
    rng = np.random.default_rng(seed)
    n_positions = 200 + int(rng.integers(0, 9))
    mean = rng.integers(means[0], means[1] + 1, n_positions)
    filters = np.zeros((4, n_positions), dtype=np.uint8)
    # Beside the drawn number of set bits: none, one, and one more, of other parity.
    for row, n in zip(filters, (n_set, 0, 1, min(n_set + 1, 200)), strict=True):
        row[rng.permutation(n_positions)[:n]] = 1
    members = np.nonzero(filters)[1].astype(np.uint16)
    got = KeyedMajority(key, mean, n_bits, order).encode(members, offsets_of(filters))
    assert (unpacked(got) == majorities(key, mean, n_bits, order, filters)).all()


def test_majorities_of_every_number_of_set_bits() -> None:
    # All remainders of the groups of eight, and every number of bit planes on the way.
    n_positions, rng = 201, np.random.default_rng(3)
    mean = rng.integers(0, UNIT, n_positions)
    filters = np.tri(n_positions, dtype=np.uint8)
    majority = KeyedMajority(b"k" * 32, mean, 1024, 1)
    expected = majorities(b"k" * 32, mean, 1024, 1, filters)
    together = majority.encode(np.nonzero(filters)[1].astype(np.uint16), offsets_of(filters))
    assert (unpacked(together) == expected).all()
    for row, code in zip(filters, expected, strict=True):
        members = np.flatnonzero(row).astype(np.uint16)
        alone = majority.encode(members, np.array([0, len(members)]))
        assert (unpacked(alone)[0] == code).all()


def test_no_filters_have_no_codes() -> None:
    majority = KeyedMajority(b"k" * 32, np.zeros(64, dtype=np.int64), 1024, 2)
    assert majority.encode(np.zeros(0, np.uint16), np.zeros(1, np.int64)).shape == (0, 16)
    diffuse(np.zeros((0, 2), np.uint64), index_sets(b"k" * 32, 128, 3), np.zeros((0, 2), np.uint64))


def test_majorities_of_filters_whose_sums_need_more_planes() -> None:
    n_positions, rng = 3000, np.random.default_rng(5)
    filters = (rng.random((5, n_positions)) < [[0.1], [0.5], [0.9], [1], [0]]).astype(np.uint8)
    mean = rng.integers(0, UNIT, n_positions)
    majority = KeyedMajority(b"k" * 32, mean, 1024, 2)
    got = majority.encode(np.nonzero(filters)[1].astype(np.uint16), offsets_of(filters))
    assert (unpacked(got) == majorities(b"k" * 32, mean, 1024, 2, filters)).all()


_ON_PLAIN_PROCESSOR = """
import numpy as np
from linkage.encode.saul import KeyedMajority
majority = KeyedMajority(b"k" * 32, np.full(300, 9000), 1024, 3)
positions = np.arange(0, 300, 2, dtype=np.uint16)
print(majority.encode(positions, np.array([0, 37, 150])).tobytes().hex())
"""


def test_majorities_are_equal_without_vector_instructions(tmp_path: Path) -> None:
    outcomes = set()
    for settings_of in ({}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), **settings_of}
        command = [sys.executable, "-c", _ON_PLAIN_PROCESSOR]
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        outcomes.add(done.stdout)
    assert len(outcomes) == 1
    assert len(outcomes.pop().strip()) == 2 * 2 * 1024 // 8
