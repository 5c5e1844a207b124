"""The bytes of a keystore file: one key, sealed, under a header that cannot be changed.

    PADANKEY | version (1 byte) | u32 header length | header (JSON)
             | u16 wrapped length | wrapped data key | nonce (12) | AES-256-GCM body

The header says what the key is and in which state; the digest of everything up to its end
is the context of the wrapped data key, and everything before the nonce is associated
data of the body. So no byte of the file can be changed, and no part of one file be put
into another, without the file being refused.
"""

import hashlib
import json
import os
import struct
from dataclasses import asdict, dataclass, fields, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import KeystoreError
from keys.providers import KEY_BYTES, NONCE_BYTES, TAG_BYTES, KeyProvider
from keys.states import KeyState

MAGIC = b"PADANKEY"
_VERSION = 2
_MAX_HEADER_BYTES = 4096


@dataclass(frozen=True)
class KeyHeader:
    """What a keystore file says openly about its key.

    Attributes:
        key_id: a random name.
        kind: what the key is, for example `linkage` or `data`.
        agreement_id: the agreement it belongs to, or "".
        epoch: its epoch, or 0.
        created: RFC 3339 time.
        provider: name of the provider that opens it.
        state: where the key is in its life.
        since: RFC 3339 time of the last change of state, or "" if there was none.
        revision: counts the changes of the file.
    """

    key_id: str
    kind: str
    agreement_id: str
    epoch: int
    created: str
    provider: str
    state: KeyState = KeyState.ACTIVE
    since: str = ""
    revision: int = 0


@dataclass(frozen=True, repr=False)
class SealedKey:
    """The parts of a keystore file.

    Attributes:
        header: what the file says of its key; verified once `open` has returned.
        context: what the wrapped data key is bound to.
        wrapped: the data key, as the provider wrapped it.
        associated: everything before the nonce.
        nonce: 12 bytes.
        body: the sealed key.
    """

    header: KeyHeader
    context: bytes
    wrapped: bytes
    associated: bytes
    nonce: bytes
    body: bytes

    def open(self, provider: KeyProvider) -> bytearray:
        """Return the key.

        Raises:
            KeystoreError: the file is not the provider's, or was changed.
        """
        if self.header.provider != provider.name:
            raise KeystoreError(
                f"sealed by provider {self.header.provider!r}, not {provider.name!r}"
            )
        data_key = provider.unwrap(self.wrapped, self.context)
        secret = bytearray(len(self.body) - TAG_BYTES)
        try:
            AESGCM(data_key).decrypt_into(self.nonce, self.body, self.associated, secret)
        except (InvalidTag, ValueError) as error:
            raise KeystoreError("the file was changed: restore it from a backup") from error
        finally:
            wipe(data_key)
        return secret


def seal_key(secret: bytes | bytearray, header: KeyHeader, provider: KeyProvider) -> bytes:
    """Return the bytes of a keystore file, after opening them once.

    A provider that wraps what it cannot unwrap would cost the key.

    Raises:
        KeystoreError: the provider fails.
        ValueError: the header is longer than can be read back.
    """
    head = _format_header(header)
    prefix = MAGIC + bytes([_VERSION]) + struct.pack(">I", len(head)) + head
    data_key = bytearray(os.urandom(KEY_BYTES))
    try:
        wrapped = provider.wrap(data_key, hashlib.sha256(prefix).digest())
        associated = prefix + struct.pack(">H", len(wrapped)) + wrapped
        nonce = os.urandom(NONCE_BYTES)
        content = associated + nonce + AESGCM(data_key).encrypt(nonce, secret, associated)
    finally:
        wipe(data_key)
    opened = parse_key_file(content).open(provider)
    same = opened == secret
    wipe(opened)
    if not same:
        raise KeystoreError("the provider does not give back what it wrapped: nothing was changed")
    return content


def parse_key_file(content: bytes) -> SealedKey:
    """Return the parts of a keystore file; nothing vouches for them yet.

    Raises:
        ValueError: not such a file, or damaged.
    """
    if content[:9] != MAGIC + bytes([_VERSION]):
        raise ValueError("no keystore file of a version known here")
    try:
        (head_length,) = struct.unpack_from(">I", content, 9)
        if head_length > _MAX_HEADER_BYTES:
            raise ValueError("the header is too long")
        prefix = content[: 13 + head_length]
        header = _header_of(prefix[13:])
        (wrapped_length,) = struct.unpack_from(">H", content, len(prefix))
    except (struct.error, TypeError, RecursionError) as error:
        raise ValueError("its header is cut or malformed") from error
    associated = content[: len(prefix) + 2 + wrapped_length]
    body_at = len(associated) + NONCE_BYTES
    nonce, body = content[len(associated) : body_at], content[body_at:]
    if len(body) < TAG_BYTES:
        raise ValueError("the file ends early")
    context = hashlib.sha256(prefix).digest()
    return SealedKey(header, context, associated[len(prefix) + 2 :], associated, nonce, body)


def wipe(secret: bytearray) -> None:
    """Overwrite a secret; copies that a library made are out of reach."""
    secret[:] = bytes(len(secret))


def _format_header(header: KeyHeader) -> bytes:
    members = {**asdict(header), "state": header.state.value}
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode()


def _header_of(head: bytes) -> KeyHeader:
    header = KeyHeader(**json.loads(head))
    for field in fields(header):
        expected = str if field.type is KeyState else field.type
        if type(getattr(header, field.name)) is not expected:
            raise ValueError(f"{field.name} in the header has another type")
    header = replace(header, state=KeyState(header.state))
    if _format_header(header) != head:
        raise ValueError("the header has a second spelling")
    return header
