"""The passphrase provider: dear to guess, and the same on every keyboard."""

import struct
import unicodedata

import pytest

from keys.errors import KeystoreError
from keys.passphrase import Cost, PassphraseProvider

DATA_KEY = bytes(range(32))
CHEAPEST = Cost(64 * 1024, 1, 1)
PHRASE = "enam kata yang diundi"


def provider(phrase: str = PHRASE, cost: Cost = CHEAPEST) -> PassphraseProvider:
    return PassphraseProvider(bytearray(phrase.encode()), cost)


def test_a_wrapped_key_comes_back_in_its_context_only() -> None:
    wrapped = provider().wrap(DATA_KEY, b"context")
    assert provider().unwrap(wrapped, b"context") == DATA_KEY
    with pytest.raises(KeystoreError, match="passphrase does not open this file, or the file"):
        provider().unwrap(wrapped, b"Context")
    with pytest.raises(KeystoreError, match="passphrase does not open this file"):
        provider(PHRASE + " ").unwrap(wrapped, b"context")


def test_the_cost_stands_in_the_file_and_a_later_cost_does_not_matter() -> None:
    wrapped = provider().wrap(DATA_KEY, b"")
    assert struct.unpack_from(">IBB", wrapped) == (64 * 1024, 1, 1)
    assert provider(cost=Cost()).unwrap(wrapped, b"") == DATA_KEY


def test_the_default_cost_is_above_the_recommended_one() -> None:
    # RFC 9106, section 4, second recommended option: 64 MiB, 3 iterations, 4 lanes.
    assert (Cost().memory_kib, Cost().iterations, Cost().lanes) == (256 * 1024, 3, 4)


def test_two_wrappings_share_no_salt() -> None:
    one, other = (provider().wrap(DATA_KEY, b"") for _ in range(2))
    assert one[6:22] != other[6:22]


@pytest.mark.parametrize(
    "cost",
    [
        Cost(64 * 1024 - 1, 1, 1),
        Cost(8, 1, 1),
        Cost(2**20 + 1, 1, 1),
        Cost(2**32 - 1, 1, 1),
        Cost(64 * 1024, 0, 1),
        Cost(64 * 1024, 17, 1),
        Cost(64 * 1024, 1, 0),
        Cost(64 * 1024, 1, 17),
    ],
)
def test_a_cost_out_of_bounds_is_refused_before_it_is_paid(cost: Cost) -> None:
    with pytest.raises(KeystoreError, match="out of its bounds"):
        provider(cost=cost)
    wrapped = provider().wrap(DATA_KEY, b"")
    forged = struct.pack(">IBB", cost.memory_kib, cost.iterations, cost.lanes) + wrapped[6:]
    with pytest.raises(KeystoreError, match="out of its bounds"):
        provider().unwrap(forged, b"")


def test_a_passphrase_is_the_same_however_its_accents_are_typed() -> None:
    phrase = "caf\u00e9 di kota lama"
    wrapped = provider(unicodedata.normalize("NFC", phrase)).wrap(DATA_KEY, b"")
    assert provider(unicodedata.normalize("NFD", phrase)).unwrap(wrapped, b"") == DATA_KEY


def test_a_short_passphrase_seals_nothing_and_is_not_shown() -> None:
    with pytest.raises(KeystoreError, match="11 characters: take at least 12") as caught:
        provider("rahasia1234").wrap(DATA_KEY, b"")
    assert "rahasia" not in str(caught.value)


def test_what_is_no_utf8_is_refused_and_not_shown_anywhere() -> None:
    with pytest.raises(KeystoreError, match="UTF-8") as caught:
        PassphraseProvider(bytearray(b"rahasia sekali \xff"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_passphrase_is_taken_over_and_forgotten() -> None:
    typed = bytearray(PHRASE.encode())
    one = PassphraseProvider(typed, CHEAPEST)
    assert typed == bytes(len(typed))
    wrapped = one.wrap(DATA_KEY, b"")
    one.close()
    with pytest.raises(KeystoreError, match="was forgotten"):
        one.unwrap(wrapped, b"")


def test_a_provider_shows_nothing_of_its_passphrase() -> None:
    assert repr(provider()) == "PassphraseProvider(...)"
