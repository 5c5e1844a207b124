"""Who opens keystore files: one small interface, and the provider that needs nothing.

A provider wraps and unwraps the data keys of keystore files under a key-encryption key
that it alone holds. It never sees what a file protects, and a file never holds what the
provider keeps. `keys.door` opens all of them by their settings.
"""

import os
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import KeystoreError
from keys.files import read_private_file, write_new_file

__all__ = [
    "FileProvider",
    "KeyProvider",
    "create_key_file",
    "read_key_file",
    "seal_data_key",
    "unseal_data_key",
    "write_new_file",
]

NONCE_BYTES, TAG_BYTES, KEY_BYTES = 12, 16, 32
_MAX_KEY_FILE_BYTES = 4096


class KeyProvider(Protocol):
    """Wraps data keys under a key that it alone holds."""

    @property
    def name(self) -> str:
        """A short name, written into the header of the files it wraps."""

    def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        """Return `data_key` sealed; `context` must be given again to open it.

        Raises:
            KeystoreError: the provider is out of reach, locked or sealed.
        """

    def unwrap(self, wrapped: bytes, context: bytes) -> bytearray:
        """Return the data key.

        Raises:
            KeystoreError: the provider's key is another, a byte was changed, or the
                provider is out of reach, locked or sealed.
        """

    def close(self) -> None:
        """Forget the key, as far as Python allows; nothing is opened after this."""


class FileProvider:
    """A key-encryption key in a file, for example a systemd credential.

    Args:
        path: file of exactly 32 bytes, readable by its owner only.

    Raises:
        KeystoreError: the file is missing, of another length, or open to others.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        self._key = read_key_file(path)

    def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        """See `KeyProvider.wrap`."""
        return seal_data_key(self._key, data_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytearray:
        """See `KeyProvider.unwrap`."""
        return unseal_data_key(
            self._key, wrapped, context, "the key-encryption key does not open this file"
        )

    def close(self) -> None:
        """See `KeyProvider.close`."""
        self._key[:] = bytes(len(self._key))
        self._key.clear()


def create_key_file(path: Path) -> None:
    """Write a new random key-encryption key, readable by its owner only.

    Raises:
        KeystoreError: the file exists already: a key is never overwritten.
    """
    write_new_file(path, os.urandom(KEY_BYTES))


def read_key_file(path: Path) -> bytearray:
    """Return the key-encryption key in a file.

    Raises:
        KeystoreError: the file is missing, of another length, or open to others.
    """
    key = read_private_file(path, _MAX_KEY_FILE_BYTES)
    if len(key) != KEY_BYTES:
        raise KeystoreError(f"{path}: {len(key)} bytes, not the {KEY_BYTES} of a key")
    return key


def seal_data_key(key: bytes | bytearray, data_key: bytes | bytearray, context: bytes) -> bytes:
    """Return nonce and AES-256-GCM ciphertext of a data key under a key-encryption key."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data_key, context)


def unseal_data_key(
    key: bytes | bytearray, wrapped: bytes, context: bytes, refusal: str
) -> bytearray:
    """Return the data key that `seal_data_key` sealed.

    Raises:
        KeystoreError: the key or the context is another, or a byte was changed; says
            `refusal`, the likelier half of it.
    """
    data_key = bytearray(KEY_BYTES)
    try:
        if len(wrapped) != NONCE_BYTES + KEY_BYTES + TAG_BYTES:
            raise ValueError("cut, or longer than it was")
        AESGCM(key).decrypt_into(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context, data_key)
    except (InvalidTag, ValueError) as error:
        raise KeystoreError(f"{refusal}, or the file was changed") from error
    return data_key
