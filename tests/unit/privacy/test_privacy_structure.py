import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.privacy.frequency import best_alignments
from linkage.privacy.lint import Finding, lint
from linkage.privacy.spectral import leading_vectors, separations
from linkage.privacy.tuples import probe


def random_codes(n: int, n_words: int, seed: int = 0) -> NDArray[np.uint64]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**64, (n, n_words), dtype=np.uint64)


def tokens_of(n: int, seed: int = 1) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(20, 60, n)


def exceeded(findings: list[Finding]) -> set[str]:
    return {finding.name.split(" ")[0] for finding in findings if finding.exceeded}


def test_codes_without_structure_are_clean() -> None:
    assert exceeded(lint(random_codes(1500, 16), tokens_of(1500))) == set()


def test_set_bits_that_grow_with_the_record_are_found() -> None:
    codes, n_tokens = random_codes(1500, 16), tokens_of(1500)
    for row, tokens in enumerate(n_tokens):
        # The longer the record, the fewer words lose half of their bits.
        codes[row, : (60 - tokens) // 4] &= np.uint64(0x5555555555555555)
    assert "set" in exceeded(lint(codes, n_tokens))


def test_a_constant_column_is_found() -> None:
    codes = random_codes(1500, 16)
    codes[:, 3] |= np.uint64(1)
    assert "a" in exceeded(lint(codes, tokens_of(1500)))


def test_two_equal_columns_are_found() -> None:
    codes = random_codes(1500, 16)
    codes[:, 5] = codes[:, 4]
    assert "two" in exceeded(lint(codes, tokens_of(1500)))


def test_codes_that_repeat_are_found() -> None:
    codes = random_codes(1500, 16)
    codes[7] = codes[1]
    assert "codes" in exceeded(lint(codes, tokens_of(1500)))


def test_a_linear_code_longer_than_its_filter_is_found() -> None:
    filters, matrix = random_codes(1200, 8, 1), random_codes(512, 16, 2)
    bits = np.unpackbits(filters.view(np.uint8), axis=1)
    rows = [np.bitwise_xor.reduce(matrix[of_row.astype(bool)], axis=0) for of_row in bits]
    assert "linear" in exceeded(lint(np.stack(rows), tokens_of(1200)))


@pytest.mark.parametrize("planted", [False, True])
def test_a_group_that_the_codes_tell_is_found(planted: bool) -> None:
    rng = np.random.default_rng(4)
    codes, group = random_codes(1000, 16, 5), rng.random(1000) < 0.3
    if planted:
        # A sixteenth of the bits lean one way in the group.
        codes[group] |= random_codes(int(group.sum()), 16, 6) & np.uint64(0x1111111111111111)
    (told,) = separations(leading_vectors(codes, 1), {"group": group})
    assert told.exceeded == planted


def test_nobody_and_everybody_are_no_groups() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 6))
    groups = {"all": np.ones(50, np.bool_), "none": np.zeros(50, np.bool_)}
    assert separations(vectors, groups) == []


def values_by_rank(n: int = 4000) -> NDArray[np.uint64]:
    shares = 1 / np.arange(1, 61)
    rng = np.random.default_rng(2)
    return rng.choice(60, n, p=shares / shares.sum()).astype(np.uint64) + np.uint64(1)


def test_tokens_that_keep_frequencies_are_read() -> None:
    values = values_by_rank()
    tokens = values * np.uint64(0x9E3779B97F4A7C15)
    (found,) = best_alignments({"name": tokens[:, None]}, {"names": values})
    assert found.exceeded
    assert found.table == "names"
    assert found.hits >= 5


def test_tokens_that_stand_once_are_not_read() -> None:
    values = values_by_rank()
    tokens = np.random.default_rng(3).integers(1, 2**63, (len(values), 3), dtype=np.uint64)
    (found,) = best_alignments({"name": tokens}, {"names": values})
    assert (found.hits, found.most) == (0, 1)


def test_values_of_one_frequency_have_no_rank() -> None:
    values = np.arange(1000, dtype=np.uint64) // np.uint64(2) + np.uint64(1)
    (found,) = best_alignments({"number": values[:, None]}, {"numbers": values})
    assert not found.exceeded


def test_halves_that_add_up_show_as_rectangles() -> None:
    firsts, seconds = random_codes(12, 16, 7), random_codes(12, 16, 8)
    cell = np.array([(i, j) for i in range(12) for j in range(12) if (i * j) % 3 == 0])
    linear = firsts[cell[:, 0]] ^ seconds[cell[:, 1]]
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
    planted = np.stack([firsts[corners[:, 0]] ^ seconds[corners[:, 1]]] * 5)
    found = probe(planted, linear, cell)
    assert found.found == 1
    unlike = probe(random_codes(20, 16).reshape(5, 4, 16), random_codes(len(cell), 16, 9), cell)
    assert unlike.found <= unlike.found_limit
    assert unlike.n_rectangles == found.n_rectangles
    # Without planted ones, those of the grid are weighed.
    none = np.zeros((0, 4, 16), np.uint64)
    assert probe(none, linear, cell).z_most > 4
    assert probe(none, linear[:1], cell[:1]).z_most == 0
