"""An index finds what brute force finds; what a sieve leaves out is what it says."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.block.index import MOST_SHARING, Found, Index, Records
from linkage.block.scan import BLOCK, scan
from linkage.block.sieve import LINE_BITS, NO_CUT, Sieve, loss_at, sieve_of, stranger_floor

Rows = dict[bytes, tuple[bytes, bytes]]
"""Code and exact tokens by reference: a register as plain as can be."""

SLOTS = 2


def similarity_by_hand(a: bytes, b: bytes, agreement: bool) -> float:
    x, y = int.from_bytes(a), int.from_bytes(b)
    if agreement:
        return 1 - (x ^ y).bit_count() / (8 * len(a)) if x and y else 0.0
    return 2 * (x & y).bit_count() / max(x.bit_count() + y.bit_count(), 1)


def best_by_hand(
    rows: Rows, code: bytes, exact: bytes, k: int, floor: float, agreement: bool
) -> list[tuple[bytes, float, bool]]:
    """The definition: every record, one after another."""
    found = []
    for reference, (other, tokens) in rows.items():
        similarity = np.float32(similarity_by_hand(code, other, agreement))
        shared = any(tokens[at : at + 16] == exact[at : at + 16] for at in range(0, 16 * SLOTS, 16))
        if shared or similarity >= np.float32(floor):
            rank = (similarity + np.float32(1)) / np.float32(2) if shared else similarity
            found.append((-rank, reference, float(similarity), shared))
    found.sort()
    return [(reference, similarity, shared) for _, reference, similarity, shared in found[:k]]


def as_list(found: Found) -> list[tuple[bytes, float, bool]]:
    return [
        (reference.tobytes(), float(similarity), bool(shared))
        for reference, similarity, shared in zip(
            found.references, found.similarity, found.shared, strict=True
        )
    ]


def records_of(rows: Rows, n_words: int) -> Records:
    codes = b"".join(code for code, _ in rows.values())
    tokens = b"".join(exact for _, exact in rows.values())
    return Records.of(
        np.frombuffer(b"".join(rows), "V16"),
        np.frombuffer(codes, np.uint64).reshape(-1, n_words),
        np.frombuffer(tokens, np.uint8).reshape(-1, SLOTS, 16),
    )


def made_rows(rng: np.random.Generator, n: int, n_words: int, references: int = 1 << 30) -> Rows:
    """Records whose codes are more or less like one pattern, some of them empty or equal."""
    pattern = rng.integers(0, 2**64, n_words, dtype=np.uint64)
    rows: Rows = {}
    for _ in range(n):
        noise = rng.integers(0, 2**64, n_words, dtype=np.uint64)
        for _ in range(int(rng.integers(0, 4))):
            noise &= rng.integers(0, 2**64, n_words, dtype=np.uint64)
        code = pattern ^ noise if rng.random() > 0.05 else np.zeros(n_words, np.uint64)
        tokens = rng.integers(0, 4, SLOTS).astype(np.uint8).repeat(16)
        reference = int(rng.integers(references)).to_bytes(16, "big")
        rows[reference] = (code.tobytes(), tokens.tobytes())
    return rows


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(0, 60),
    st.sampled_from([1, 7, 8, 9, 16, 24]),
    st.sampled_from([0.3, 0.5, 0.55, 0.8, 1.0]),
    st.booleans(),
    st.sampled_from([1, 3, 100]),
)
def test_the_best_are_those_of_brute_force(
    seed: int, n: int, n_words: int, floor: float, agreement: bool, k: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = made_rows(rng, n, n_words)
    asked = made_rows(rng, 5, n_words)
    asked.update({b"%016d" % i: row for i, row in enumerate(list(rows.values())[:3])})
    index = Index(64 * n_words, agreement).updated(records_of(rows, n_words))
    queries = records_of(asked, n_words)
    words = np.frombuffer(b"".join(code for code, _ in asked.values()), np.uint64)
    got = index.best(words.reshape(-1, n_words), queries.exact, k, floor)
    expected = [
        best_by_hand(rows, code, exact, k, floor, agreement) for code, exact in asked.values()
    ]
    assert [as_list(found) for found in got] == expected


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 25), min_size=1, max_size=5))
def test_updates_leave_what_a_register_of_their_outcome_has(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    index, rows = Index(128, agreement=True), Rows()
    for size in sizes:
        update = made_rows(rng, size, 2, references=40)
        gone = [r for r in rows if r not in update and rng.random() < 0.3]
        index = index.updated(records_of(update, 2), np.frombuffer(b"".join(gone), "V16"))
        rows = {r: row for r, row in {**rows, **update}.items() if r not in gone}
        assert len(index) == len(rows)
    asked = made_rows(rng, 4, 2)
    words = np.frombuffer(b"".join(code for code, _ in asked.values()), np.uint64).reshape(-1, 2)
    got = index.best(words, records_of(asked, 2).exact, 50, 0.4)
    expected = [best_by_hand(rows, code, exact, 50, 0.4, True) for code, exact in asked.values()]
    assert [as_list(found) for found in got] == expected


def test_an_update_leaves_the_older_index_as_it_was() -> None:
    rng = np.random.default_rng(1)
    rows = made_rows(rng, 20, 2)
    older = Index(128, agreement=True).updated(records_of(rows, 2))
    older.updated(records_of({}, 2), np.frombuffer(b"".join(rows), "V16"))
    assert len(older) == len(rows)


def test_of_a_reference_that_comes_twice_the_later_record_counts() -> None:
    words = np.array([[1, 2], [3, 4]], dtype=np.uint64)
    twice = np.frombuffer(b"r" * 32, "V16")
    exact = np.zeros((2, 0, 16), np.uint8)
    index = Index(128, agreement=True).updated(Records.of(twice, words, exact))
    assert len(index) == 1
    (found,) = index.best(words[:1], exact[:1], 5, 0.1)
    assert float(found.similarity[0]) == pytest.approx(1 - 3 / 128)


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize("agreement", [True, False])
def test_pieces_and_threads_change_nothing(parts: int, agreement: bool) -> None:
    rng = np.random.default_rng(2)
    n = 2 * BLOCK + 17
    words = rng.integers(0, 2**64, (n, 8), dtype=np.uint64)
    references = np.frombuffer(rng.bytes(16 * n), "V16")
    index = Index(512, agreement).updated(
        Records.of(references, words, np.zeros((n, 0, 16), np.uint8))
    )
    asked = words[[0, n - 1, BLOCK]] ^ np.uint64(0b101)
    none = np.zeros((3, 0, 16), np.uint8)
    # A low floor: more hits than fit into one answer of the kernel.
    expected = [as_list(found) for found in index.best(asked, none, n, 0.45)]
    assert len(expected[0]) > BLOCK
    with ThreadPoolExecutor(3) as pool:
        got = index.best(asked, none, n, 0.45, spread=pool.map, parts=parts)
    assert [as_list(found) for found in got] == expected


def test_a_token_that_very_many_share_is_no_evidence() -> None:
    n = MOST_SHARING + 1
    rng = np.random.default_rng(3)
    words = rng.integers(0, 2**64, (n, 8), dtype=np.uint64)
    references = np.frombuffer(rng.bytes(16 * n), "V16")
    for rows, found in ((n, 0), (n - 1, MOST_SHARING)):
        exact = np.zeros((rows, 1, 16), np.uint8)
        index = Index(512, agreement=True).updated(
            Records.of(references[:rows], words[:rows], exact)
        )
        (best,) = index.best(~words[:1], exact[:1], n, 0.99)
        assert len(best) == found


def test_what_does_not_fit_is_refused() -> None:
    empty = records_of({}, 2)
    with pytest.raises(ValueError, match="128 bits, not 64"):
        Index(64, agreement=True).updated(empty)
    query, none = np.zeros((1, 2), np.uint64), np.zeros((1, SLOTS, 16), np.uint8)
    sieve = sieve_of(128, 0.7, 0.01)
    with pytest.raises(ValueError, match="sieve"):
        Index(128, agreement=False).updated(empty).best(query, none, 1, 0.7, sieve)


# What a sieve leaves out.


def kept_by_hand(lines: list[int], most: int, cuts: list[int]) -> Fraction:
    """Probability that a pair passes every cut, by counting every way, exactly."""
    ways = {0: 1}
    for length, cut in zip(lines, cuts, strict=True):
        grown: dict[int, int] = {}
        for before, n in ways.items():
            for x in range(min(length, most - before) + 1):
                if before + x <= cut:
                    grown[before + x] = grown.get(before + x, 0) + n * comb(length, x)
        ways = grown
    return Fraction(ways.get(most, 0), comb(sum(lines), most))


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([1_024, 1_088, 1_536]),
    st.floats(0.51, 0.7),
    st.sampled_from([0.2, 0.05, 0.01, 1e-4]),
)
def test_the_loss_is_computed_and_within_what_is_allowed(
    n_bits: int, threshold: float, loss: float
) -> None:
    sieve = sieve_of(n_bits, threshold, loss)
    lines = [LINE_BITS] * (n_bits // LINE_BITS)
    lines += [n_bits % LINE_BITS] if n_bits % LINE_BITS else []
    assert len(sieve.cuts) == len(lines)
    assert sieve.loss <= loss
    lost = 1 - kept_by_hand(lines, sieve.cuts[-1], list(sieve.cuts))
    assert sieve.loss == pytest.approx(float(lost), rel=1e-6, abs=1e-9)
    # The more a pair is above the threshold, the less it is left out.
    assert loss_at(sieve, n_bits, threshold + 0.02) <= sieve.loss + 1e-12


def lines_of_pair(rng: np.random.Generator, n: int, n_bits: int, most: int) -> NDArray[np.uint64]:
    """Differences of pairs of codes that differ in exactly so many bits, in lines."""
    bits = np.zeros((n, n_bits), dtype=np.uint8)
    bits[:, :most] = 1
    shuffled = rng.permuted(bits, axis=1)
    packed = np.packbits(shuffled, axis=1).view(np.uint64).reshape(n, -1, 8)
    return np.ascontiguousarray(packed.transpose(1, 0, 2))


def passing(lines: NDArray[np.uint64], sieve: Sieve) -> int:
    """How many codes pass against the code 0, by the compiled loop."""
    n_lines, n, _ = lines.shape
    room = [np.empty(n + BLOCK, np.int32) for _ in range(3)]
    cuts = np.array([sieve.cuts], dtype=np.int64)
    found, end = scan(lines, np.zeros((1, n_lines, 8), np.uint64), cuts, 0, n, *room)
    assert end == n
    return found


def test_pairs_at_the_floor_are_left_out_as_often_as_stated() -> None:
    n_bits, n = 4_096, 12_000
    floor = stranger_floor(n_bits, 1_000_000, 0.01)
    sieve = sieve_of(n_bits, floor, 0.05)
    assert 0.03 < sieve.loss <= 0.05
    lines = lines_of_pair(np.random.default_rng(4), n, n_bits, sieve.cuts[-1])
    lost = 1 - passing(lines, sieve) / n
    assert lost == pytest.approx(sieve.loss, abs=4 * (0.05 / n) ** 0.5)


def test_strangers_are_let_in_as_often_as_stated() -> None:
    n = 40_000
    sieve = sieve_of(4_096, 0.55, 0.02)
    rng = np.random.default_rng(5)
    lines = rng.integers(0, 2**64, (8, n, 8), dtype=np.uint64)
    for line in range(8):
        open_end = Sieve((*sieve.cuts[: line + 1], *[NO_CUT] * (7 - line)), 0.0, ())
        got = passing(lines, open_end) / n
        assert got == pytest.approx(sieve.strangers[line], abs=4 * (0.25 / n) ** 0.5)


def test_the_floor_is_where_strangers_are_as_rare_as_asked() -> None:
    n_bits, n_records, chance = 1_024, 1_000, 0.01
    floor = stranger_floor(n_bits, n_records, chance)
    differing = round((1 - floor) * n_bits)

    def expected(most: int) -> Fraction:
        return n_records * Fraction(sum(comb(n_bits, x) for x in range(most + 1)), 2**n_bits)

    assert expected(differing) <= Fraction(1, 100) < expected(differing + 1)


def test_no_loss_reads_everything() -> None:
    sieve = sieve_of(4_096, 0.55, 0.0)
    assert sieve.loss == 0.0
    assert set(sieve.cuts[:-1]) == {NO_CUT}


@pytest.mark.parametrize("loss", [-0.1, 1.0])
def test_a_loss_that_is_no_probability_is_refused(loss: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        sieve_of(1_024, 0.6, loss)


def test_a_sieve_finds_a_part_of_what_is_found_without_one() -> None:
    rng = np.random.default_rng(6)
    n, n_bits = 3_000, 4_096
    words = rng.integers(0, 2**64, (n, n_bits // 64), dtype=np.uint64)
    none = np.zeros((n, 0, 16), np.uint8)
    index = Index(n_bits, agreement=True).updated(
        Records.of(np.frombuffer(rng.bytes(16 * n), "V16"), words, none)
    )
    flips = np.packbits(rng.random((200, n_bits)) < 0.45, axis=1).view(np.uint64)
    asked, floor = words[:200] ^ flips, stranger_floor(n_bits, n, 0.01)
    sieve = sieve_of(n_bits, floor, 0.2)
    whole = index.best(asked, none[:200], 9, floor)
    part = index.best(asked, none[:200], 9, floor, sieve)
    for all_of, some in zip(whole, part, strict=True):
        assert set(as_list(some)) <= set(as_list(all_of))
    found = [sum(map(len, side)) for side in (whole, part)]
    # At the floor one in five is left out at most, above it fewer.
    assert 0.75 * found[0] < found[1] <= found[0]


def test_the_kernel_takes_rows_in_order_only() -> None:
    lines = np.zeros((8, 2, 8), np.uint64).transpose(1, 0, 2)
    out: list[Any] = [np.empty(BLOCK, np.int32) for _ in range(3)]
    with pytest.raises(ValueError, match="C-ordered"):
        scan(lines, np.zeros((1, 2, 8), np.uint64), np.zeros((1, 2), np.int64), 0, 1, *out)


def reversed_spread(function: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterable[Any]:
    """Works on the last piece first, and answers in order, as a pool may."""
    done = [function(piece) for piece in reversed(list(pieces))]
    return reversed(done)


def test_the_order_of_work_changes_nothing() -> None:
    rng = np.random.default_rng(7)
    n = BLOCK + 5
    words = rng.integers(0, 2**64, (n, 8), dtype=np.uint64)
    none = np.zeros((n, 0, 16), np.uint8)
    index = Index(512, agreement=True).updated(
        Records.of(np.frombuffer(rng.bytes(16 * n), "V16"), words, none)
    )
    got, expected = (
        index.best(words[:2], none[:2], 20, 0.52, spread=spread, parts=2)
        for spread in (reversed_spread, map)
    )
    assert [as_list(found) for found in got] == [as_list(found) for found in expected]
