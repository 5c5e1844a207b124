"""Words to tokens: what two spellings of one value have in common."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.encode.tokenids import token_ids
from linkage.encode.tokens import bigrams, date_tokens, tokens_of_word, year_tokens
from linkage.normalise.attributes import normalise_column
from linkage.types import Kind

WORDS = st.text("ABCDEFGHIJ", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ALI", ["_A", "AL", "LI"]),
        ("A", ["_A"]),
        ("", []),
        ("ANANAN", ["_A", "AN", "NA"]),
        ("AAA", ["_A", "AA"]),
        ("É1", ["_É", "É1"]),
    ],
)
def test_bigrams_have_a_start_marker_and_no_end_marker(word: str, expected: list[str]) -> None:
    assert bigrams(word) == expected


@given(WORDS)
def test_bigrams_are_distinct_and_cover_the_word(word: str) -> None:
    got = bigrams(word)
    assert len(set(got)) == len(got)
    marked = "_" + word
    assert set(got) == {a + b for a, b in pairwise(marked)}


@given(WORDS, WORDS)
def test_one_letter_more_costs_at_most_one_bigram(start: str, end: str) -> None:
    assert len(set(bigrams(start + end[0])) - set(bigrams(start))) <= 1


def test_a_whole_date_has_eight_distinct_tokens() -> None:
    got = date_tokens("1990-02-13")
    assert got == ["y1990", "y9.", "y.0", "m02", "d13", "d1.", "d.3", "02/13"]
    assert len(set(got)) == 8


def test_the_century_has_no_digit_token() -> None:
    # Nearly all of a register shares it.
    nineteen, twenty = set(date_tokens("1990-02-13")), set(date_tokens("2090-02-13"))
    assert nineteen ^ twenty == {"y1990", "y2090"}


def test_a_swap_of_day_and_month_keeps_their_unordered_token_and_the_year() -> None:
    one, two = set(date_tokens("1990-03-11")), set(date_tokens("1990-11-03"))
    assert {"y1990", "y9.", "y.0", "03/11"} == one & two


@pytest.mark.parametrize(
    ("one", "two", "lost"),
    [
        ("1990-02-13", "1991-02-13", 2),
        ("1990-02-13", "1980-02-13", 2),
        ("1990-02-13", "1990-02-14", 3),
        ("1990-02-13", "1990-03-13", 2),
    ],
)
def test_a_slip_in_one_digit_leaves_most_tokens(one: str, two: str, lost: int) -> None:
    assert len(set(date_tokens(one)) - set(date_tokens(two))) == lost


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("1990-02---", ["y1990", "y9.", "y.0", "m02"]),
        ("1990------", ["y1990", "y9.", "y.0"]),
        ("1990----13", ["y1990", "y9.", "y.0", "d13", "d1.", "d.3"]),
        ("-----02-13", ["m02", "d13", "d1.", "d.3", "02/13"]),
        ("-----02---", ["m02"]),
        ("----------", []),
        ("", []),
    ],
)
def test_a_missing_part_has_no_token(word: str, expected: list[str]) -> None:
    assert date_tokens(word) == expected


def test_tokens_of_day_month_and_year_are_never_mixed_up() -> None:
    # The year 2012 in December on the 12th: each says where it belongs.
    assert len(set(date_tokens("2012-12-12"))) == 8


def test_a_year_has_the_tokens_of_a_dates_year() -> None:
    assert year_tokens("1990") == ["y1990", "y9.", "y.0"]
    assert set(year_tokens("1990")) <= set(date_tokens("1990-02-13"))


@pytest.mark.parametrize("kind", ["name", "text", "code"])
def test_text_becomes_bigrams(kind: Kind) -> None:
    assert tokens_of_word("ALI", kind) == bigrams("ALI")


def test_other_kinds_have_their_own_tokens() -> None:
    assert tokens_of_word("1990-02-13", "date") == date_tokens("1990-02-13")
    assert tokens_of_word("1990------", "year") == year_tokens("1990")
    assert tokens_of_word("L", "sex") == ["L"]


def test_an_identifier_is_never_tokenised() -> None:
    with pytest.raises(ValueError, match="never tokenised") as caught:
        tokens_of_word("0073010203900001", "identifier")
    assert "3273" not in str(caught.value)


@pytest.mark.parametrize("value", ["90", "199", "0", "19O", "----------"])
def test_a_year_that_is_none_has_no_tokens(value: str) -> None:
    vocabulary = normalise_column([value], "year").vocabulary
    assert [tokens_of_word(word, "year") for word in vocabulary] == []
    assert len(token_ids(vocabulary, "year").ids) == 0
