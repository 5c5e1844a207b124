"""Sealing a short secret to a key: HPKE with ML-KEM-768 and X25519.

Whoever breaks one of the two key agreements still opens nothing. A seal says nothing of
its maker (base mode): what must be known to come from somebody is signed by the caller,
over the digest of the ciphertext. What a seal is about goes into `info`; opened with
another one it does not open.

    public key   ML-KEM-768 encapsulation key (1,184 bytes) | X25519 (32 bytes)
    secret key   ML-KEM-768 seed d | z (64 bytes) | X25519 scalar (32 bytes)
    ciphertext   ML-KEM-768 ciphertext (1,088) | X25519 (32) | AES-256-GCM body (n + 16)

A secret key is a seed, so anyone who is shown it makes the public key again: that is how
a complaint is judged (`keys.blame`).

Source: RFC 9180 (base mode, HKDF-SHA-256, AES-256-GCM); draft-ietf-hpke-pq for the KEM;
FIPS 203; RFC 7748.
"""

from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from keys.errors import KeysError

PUBLIC_BYTES = 1184 + 32
SECRET_BYTES = 64 + 32
OVERHEAD_BYTES = 1088 + 32 + 16
"""How much longer a ciphertext is than what it seals."""

_MLKEM_PUBLIC_BYTES = 1184
_MLKEM_SEED_BYTES = 64
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealKey:
    """The secret half of a key that others seal to. Shows nothing of itself when printed.

    Args:
        secret: 96 random bytes; copied.

    Raises:
        KeysError: another number of bytes.
    """

    __slots__ = ("_private", "_secret", "public")

    def __init__(self, secret: bytes | bytearray) -> None:
        if len(secret) != SECRET_BYTES:
            raise KeysError(f"a seal key is made of {SECRET_BYTES} bytes, not {len(secret)}")
        self._secret = bytearray(secret)
        view = memoryview(self._secret)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(view[:_MLKEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(view[_MLKEM_SEED_BYTES:])
        self.public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self._private: MLKEM768X25519PrivateKey | None = MLKEM768X25519PrivateKey(mlkem, x25519)

    def __repr__(self) -> str:
        return "SealKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a seal key is not copied or pickled")

    def secret(self) -> bytearray:
        """Return a copy of the 96 bytes: for the keystore, or for all to see."""
        return bytearray(self._secret)

    def open(self, ciphertext: bytes, info: bytes) -> bytearray:
        """Return what was sealed.

        Raises:
            KeysError: it was sealed to another key, about something else, or changed; or
                this key was wiped.
        """
        if self._private is None:
            raise KeysError("this seal key was wiped: open its keystore again")
        try:
            return bytearray(_SUITE.decrypt(ciphertext, self._private, info=info))
        except (InvalidTag, ValueError) as error:
            raise KeysError("a seal that this key does not open") from error

    def wipe(self) -> None:
        """Overwrite the key, as far as Python allows; it opens nothing more."""
        self._secret[:] = bytes(len(self._secret))
        self._private = None


def seal(public: bytes, plaintext: bytes | bytearray, info: bytes) -> bytes:
    """Return a secret sealed to a public key; twice the same, it looks different.

    Raises:
        KeysError: not a public key of `SealKey`.
    """
    try:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC_BYTES:]),
        )
        return _SUITE.encrypt(plaintext, key, info=info)
    except ValueError as error:
        raise KeysError("not a key that anything can be sealed to") from error


def check_public(public: bytes) -> None:
    """Check that a public key can be sealed to.

    By sealing: so points of low order and coefficients out of range are refused by the
    very code that would stumble over them later.

    Raises:
        KeysError: it cannot.
    """
    seal(public, b"", b"")
