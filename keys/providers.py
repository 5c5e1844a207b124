"""Who opens a keystore file: one small interface, and the first provider.

A provider wraps and unwraps the data key of a keystore file. It never sees what
the file protects, and the file never holds what the provider keeps.
"""

import os
import tempfile
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import KeystoreError

_NONCE_BYTES = 12
_KEY_BYTES = 32


class KeyProvider(Protocol):
    """Wraps data keys under a key that it alone holds."""

    @property
    def name(self) -> str:
        """A short name, written into the header of the files it wraps."""

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Return `data_key` sealed; `context` must be given again to open it."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the data key.

        Raises:
            KeystoreError: the provider's key is another, or a byte was changed.
        """


class FileProvider:
    """A key-encryption key in a file, for example a systemd credential.

    Args:
        path: file of exactly 32 bytes, readable by its owner only.

    Raises:
        KeystoreError: the file is missing, of another length, or open to others.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        try:
            mode = path.stat().st_mode
            key = path.read_bytes()
        except OSError as error:
            raise KeystoreError(f"{path}: {error.strerror}: name a readable key file") from error
        if mode & 0o077:
            raise KeystoreError(f"{path}: readable by others: run chmod 600 on it")
        if len(key) != _KEY_BYTES:
            raise KeystoreError(f"{path}: {len(key)} bytes, not the {_KEY_BYTES} of a key")
        self._aead = AESGCM(key)

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """See `KeyProvider.wrap`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, data_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """See `KeyProvider.unwrap`."""
        try:
            return self._aead.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise KeystoreError(
                "the key-encryption key does not open this file, or the file was changed"
            ) from error


def create_key_file(path: Path) -> None:
    """Write a new random key-encryption key, readable by its owner only.

    Raises:
        KeystoreError: the file exists already: a key is never overwritten.
    """
    write_new_file(path, os.urandom(_KEY_BYTES))


def write_new_file(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read; it appears whole and durable, or not at all.

    Raises:
        KeystoreError: the file exists already, or the folder takes no file.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    except OSError as error:
        raise KeystoreError(f"{path}: {error.strerror}: name a folder that takes it") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, refuses to replace a key that is there.
        os.link(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise KeystoreError(f"{path}: exists; a key file is never overwritten") from error
    except OSError as error:
        raise KeystoreError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
