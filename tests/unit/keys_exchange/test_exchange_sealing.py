"""Seals: opened by their key and about their matter, and by nothing else."""

import copy
import pickle

import pytest

from keys.errors import KeysError
from keys.sealing import OVERHEAD_BYTES, PUBLIC_BYTES, SECRET_BYTES, SealKey, check_public, seal

KEY, OTHER = SealKey(bytes(range(96))), SealKey(bytes(range(1, 97)))


@pytest.mark.parametrize("length", [0, 1, 32, 64, 1000])
def test_what_is_sealed_is_opened(length: int) -> None:
    made = seal(KEY.public, bytes(length), b"info")
    assert len(made) == length + OVERHEAD_BYTES
    assert KEY.open(made, b"info") == bytes(length)
    assert seal(KEY.public, bytes(length), b"info") != made


def test_a_seal_opens_under_its_key_and_info_only() -> None:
    made = seal(KEY.public, b"share", b"info")
    for key, info in ((OTHER, b"info"), (KEY, b"inf"), (KEY, b"info "), (KEY, b"")):
        with pytest.raises(KeysError, match="does not open"):
            key.open(made, info)


def test_a_seal_with_any_byte_changed_does_not_open() -> None:
    made = seal(KEY.public, b"share", b"info")
    for at in range(len(made)):
        changed = made[:at] + bytes([made[at] ^ 0x80]) + made[at + 1 :]
        # The last bit of an X25519 coordinate means nothing (RFC 7748, section 5): the
        # ciphertext with it set is another one, whose digest nobody has signed.
        if at != 1088 + 31:
            with pytest.raises(KeysError):
                KEY.open(changed, b"info")
    for cut in (b"", made[:-1], made[:1120], made + b"\0"):
        with pytest.raises(KeysError):
            KEY.open(cut, b"info")


def test_each_half_of_the_key_is_needed() -> None:
    secret, other = KEY.secret(), OTHER.secret()
    made = seal(KEY.public, b"share", b"info")
    for half in (secret[:64] + other[64:], other[:64] + secret[64:]):
        with pytest.raises(KeysError):
            SealKey(half).open(made, b"info")


def test_the_public_half_follows_from_the_secret_one() -> None:
    assert len(KEY.public) == PUBLIC_BYTES
    assert SealKey(KEY.secret()).public == KEY.public
    assert len(KEY.secret()) == SECRET_BYTES
    # Whoever is shown a secret half can judge by it, for it makes one public half only.
    for at in range(SECRET_BYTES):
        changed = KEY.secret()
        changed[at] ^= 0x10
        same = SealKey(changed).public == KEY.public
        # The second half of an ML-KEM seed is not in the public key; it only says what a
        # ciphertext gives that does not fit.
        assert same == (32 <= at < 64)


def test_keys_of_other_lengths_are_refused() -> None:
    for length in (0, 32, 95, 97):
        with pytest.raises(KeysError, match="96 bytes"):
            SealKey(bytes(length))
    for public in (b"", KEY.public[:-1], KEY.public + b"\0", b"\xff" * PUBLIC_BYTES):
        with pytest.raises(KeysError, match="sealed to"):
            check_public(public)


def test_a_seal_key_is_not_shown_copied_or_used_after_wiping() -> None:
    key = SealKey(bytes(range(96)))
    assert repr(key) == "SealKey(...)"
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            refused(key)
    made = seal(key.public, b"share", b"info")
    key.wipe()
    assert key.secret() == bytes(96)
    with pytest.raises(KeysError, match="wiped"):
        key.open(made, b"info")
