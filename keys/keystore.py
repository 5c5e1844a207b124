"""Keystore files: one key in one file, sealed, with a header that cannot be changed.

    PADANKEY | version (1 byte) | u32 header length | header (JSON)
             | u16 wrapped length | wrapped data key | nonce (12) | AES-256-GCM body

The header says what the key is and is the associated data of the body; its digest
is the context of the wrapped data key. So no byte of the file can be changed, and
no part of one file be put into another, without the file being refused.
"""

import hashlib
import json
import os
import struct
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import KeystoreError
from keys.providers import KeyProvider, write_new_file

_MAGIC = b"PADANKEY"
_VERSION = 1
_NONCE_BYTES = 12
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
    """

    key_id: str
    kind: str
    agreement_id: str
    epoch: int
    created: str
    provider: str


def write_keystore(path: Path, secret: bytes, header: KeyHeader, provider: KeyProvider) -> None:
    """Seal a key into a new file, or not at all: the file appears whole.

    Raises:
        KeystoreError: the file exists already: a key is never overwritten; or its
            folder cannot be made or takes no file.
    """
    head = json.dumps(asdict(header), sort_keys=True, separators=(",", ":")).encode()
    data_key, nonce = AESGCM.generate_key(256), os.urandom(_NONCE_BYTES)
    wrapped = provider.wrap(data_key, hashlib.sha256(head).digest())
    content = b"".join(
        (
            _MAGIC,
            bytes([_VERSION]),
            struct.pack(">I", len(head)),
            head,
            struct.pack(">H", len(wrapped)),
            wrapped,
            nonce,
            AESGCM(data_key).encrypt(nonce, secret, head),
        )
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise KeystoreError(f"{path}: its folder cannot be made: {error.strerror}") from error
    write_new_file(path, content)


def read_header(path: Path) -> KeyHeader:
    """Return what a keystore file says about its key, unverified.

    Raises:
        KeystoreError: the file is missing or malformed.
    """
    return _parse(path)[0]


def open_keystore(path: Path, provider: KeyProvider) -> tuple[KeyHeader, bytes]:
    """Return the header and the key of a keystore file.

    Raises:
        KeystoreError: the file is missing, malformed, changed, or not the provider's.
    """
    header, head, wrapped, nonce, body = _parse(path)
    if header.provider != provider.name:
        raise KeystoreError(
            f"{path}: sealed by provider {header.provider!r}, not {provider.name!r}"
        )
    try:
        data_key = provider.unwrap(wrapped, hashlib.sha256(head).digest())
        return header, AESGCM(data_key).decrypt(nonce, body, head)
    except InvalidTag as error:
        raise KeystoreError(f"{path}: the file was changed: restore it from a backup") from error
    except KeystoreError as error:
        raise KeystoreError(f"{path}: {error}") from error


def _parse(path: Path) -> tuple[KeyHeader, bytes, bytes, bytes, bytes]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KeystoreError(f"{path}: {error.strerror}: name a readable keystore file") from error
    try:
        if content[:9] != _MAGIC + bytes([_VERSION]):
            raise ValueError("no keystore file of a version known here")
        (head_length,) = struct.unpack_from(">I", content, 9)
        if head_length > _MAX_HEADER_BYTES:
            raise ValueError("the header is too long")
        at = 13 + head_length
        head = content[13:at]
        (wrapped_length,) = struct.unpack_from(">H", content, at)
        wrapped = content[at + 2 : at + 2 + wrapped_length]
        at += 2 + wrapped_length
        nonce, body = content[at : at + _NONCE_BYTES], content[at + _NONCE_BYTES :]
        if len(nonce) != _NONCE_BYTES or len(body) <= 16:
            raise ValueError("the file ends early")
        header = _header_of(head)
    except (ValueError, struct.error, TypeError, RecursionError) as error:
        raise KeystoreError(f"{path}: not a keystore file, or damaged: {error}") from error
    return header, head, wrapped, nonce, body


def _header_of(head: bytes) -> KeyHeader:
    header = KeyHeader(**json.loads(head))
    for field in fields(header):
        if type(getattr(header, field.name)) is not field.type:
            raise ValueError(f"{field.name} in the header has another type")
    return header
