"""A key-encryption key from a passphrase, by Argon2id.

    memory in KiB (u32) | iterations (u8) | lanes (u8) | salt (16)
        | nonce (12) | AES-256-GCM over the data key

Each wrapping has its own salt and carries its cost, so that files sealed at an older cost
still open. Cost and salt are bound to the rest: another cost gives another key.

Source: RFC 9106 (Argon2), section 4: 3 iterations and 4 lanes, here over 256 MiB, four
times the memory of its second recommended option; about half a second.
"""

import os
import struct
import unicodedata
from dataclasses import dataclass

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.errors import KeystoreError
from keys.providers import KEY_BYTES, seal_data_key, unseal_data_key

MIN_PASSPHRASE_CHARS = 12
_PREFIX = struct.Struct(">IBB16s")
_SALT_BYTES = 16
_MIN_MEMORY_KIB, _MAX_MEMORY_KIB = 64 * 1024, 1024 * 1024
_MAX_ITERATIONS, _MAX_LANES = 16, 16


@dataclass(frozen=True)
class Cost:
    """What one guess of a passphrase costs.

    Attributes:
        memory_kib: memory, from 64 MiB; a file that asks for over 1 GiB is refused.
        iterations: passes over the memory.
        lanes: parallel lanes.
    """

    memory_kib: int = 256 * 1024
    iterations: int = 3
    lanes: int = 4

    def verify(self) -> None:
        """Check the bounds, before anything is paid.

        Raises:
            KeystoreError: cheaper than is safe, or dearer than any file of ours.
        """
        if not (
            _MIN_MEMORY_KIB <= self.memory_kib <= _MAX_MEMORY_KIB
            and 1 <= self.iterations <= _MAX_ITERATIONS
            and 1 <= self.lanes <= _MAX_LANES
        ):
            raise KeystoreError(
                "the cost of the passphrase is out of its bounds: the file was changed"
            )


class PassphraseProvider:
    """A provider whose key comes from a passphrase.

    Args:
        passphrase: UTF-8; taken over, and overwritten by `close`.
        cost: what wrapping costs from now on.

    Raises:
        KeystoreError: the passphrase is no UTF-8, or the cost is out of its bounds.
    """

    name = "passphrase"

    def __init__(self, passphrase: bytearray, cost: Cost | None = None) -> None:
        self._cost = cost or Cost()
        self._cost.verify()
        try:
            text = passphrase.decode()
        except UnicodeDecodeError:
            # No `from`: that error holds the passphrase.
            raise KeystoreError("the passphrase is not written in UTF-8") from None
        # One keyboard sends é as one character, another as two (RFC 8265, OpaqueString).
        self._passphrase = bytearray(unicodedata.normalize("NFC", text).encode())
        self._n_chars = len(text)
        passphrase[:] = bytes(len(passphrase))

    def __repr__(self) -> str:
        return "PassphraseProvider(...)"

    def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        """See `KeyProvider.wrap`; a passphrase too short to seal anything under is refused."""
        if self._n_chars < MIN_PASSPHRASE_CHARS:
            raise KeystoreError(
                f"a passphrase of {self._n_chars} characters: take at least "
                f"{MIN_PASSPHRASE_CHARS}, better six random words"
            )
        salt = os.urandom(_SALT_BYTES)
        prefix = _PREFIX.pack(self._cost.memory_kib, self._cost.iterations, self._cost.lanes, salt)
        key = self._derive(self._cost, salt)
        try:
            return prefix + seal_data_key(key, data_key, prefix + context)
        finally:
            key[:] = bytes(len(key))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytearray:
        """See `KeyProvider.unwrap`."""
        prefix, sealed = wrapped[: _PREFIX.size], wrapped[_PREFIX.size :]
        if len(prefix) != _PREFIX.size:
            raise KeystoreError("the wrapped key is cut: the file was changed")
        *numbers, salt = _PREFIX.unpack(prefix)
        cost = Cost(*numbers)
        cost.verify()
        key = self._derive(cost, salt)
        try:
            return unseal_data_key(
                key, sealed, prefix + context, "the passphrase does not open this file"
            )
        finally:
            key[:] = bytes(len(key))

    def close(self) -> None:
        """See `KeyProvider.close`."""
        self._passphrase[:] = bytes(len(self._passphrase))
        self._passphrase.clear()

    def _derive(self, cost: Cost, salt: bytes) -> bytearray:
        if not self._passphrase:
            raise KeystoreError("the passphrase was forgotten: open the provider again")
        key = bytearray(KEY_BYTES)
        kdf = Argon2id(
            salt=salt,
            length=KEY_BYTES,
            iterations=cost.iterations,
            lanes=cost.lanes,
            memory_cost=cost.memory_kib,
        )
        # The library takes `bytes` alone: one copy that nobody can wipe.
        kdf.derive_into(bytes(self._passphrase), key)
        return key
