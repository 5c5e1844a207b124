"""Words that people compare: all different, and hard to mistake for each other."""

import os
from itertools import combinations

import pytest

from keys.errors import KeysError
from keys.words import WORDS, check_of, words_of


def one_letter_apart(left: str, right: str) -> bool:
    """Whether one letter changed, left out, put in or moved makes one of the other."""
    if len(left) == len(right):
        differ = [at for at in range(len(left)) if left[at] != right[at]]
        swapped = len(differ) == 2 and left[differ[0]] == right[differ[1]]
        return len(differ) == 1 or (swapped and left[differ[1]] == right[differ[0]])
    short, long = sorted((left, right), key=len)
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))


def test_the_list_has_a_word_for_each_byte() -> None:
    assert len(WORDS) == 256
    assert list(WORDS) == sorted(set(WORDS))
    assert all(word.isascii() and word.isalpha() and word.islower() for word in WORDS)
    assert all(4 <= len(word) <= 7 for word in WORDS)


def test_no_word_is_mistaken_for_another() -> None:
    assert len({word[:4] for word in WORDS}) == 256
    assert [pair for pair in combinations(WORDS, 2) if one_letter_apart(*pair)] == []
    assert one_letter_apart("ahli", "alhi")


def test_words_are_read_back() -> None:
    every = bytes(range(256))
    assert check_of(words_of(every)) == every
    for _ in range(100):
        check = os.urandom(8)
        assert check_of("  " + words_of(check).upper().replace(" ", "\n")) == check


def test_a_word_of_no_list_is_refused() -> None:
    with pytest.raises(KeysError, match="spelling"):
        check_of("dahan kenari surat")
