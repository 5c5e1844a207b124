"""Signed notes and the keys that sign them.

A note is text, a blank line, and one line per signature:

    — <key name> base64(key id || signature)

A verifier key is written `name+hexid+base64(type || public key)`. Key types are
those of the log and its witnesses; the only one that signs plain notes is
Ed25519, 0x01. `SignatureError` is raised for every malformed byte, and for every
signature that does not hold.

Source: C2SP signed-note v1.0.0.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linkage.errors import MalformedMessageError, SignatureError
from linkage.log.canonical import decode_base64, encode_base64

ED25519 = 0x01
COSIGNATURE_ED25519 = 0x04
COSIGNATURE_ML_DSA_44 = 0x06
_PUBLIC_BYTES = {ED25519: 32, COSIGNATURE_ED25519: 32, COSIGNATURE_ML_DSA_44: 1312}

KEY_ID_BYTES = 4
# Every agency with two keys, and the log: a note with more is made to cost time.
MAX_SIGNATURES = 64
MAX_NOTE_BYTES = 1 << 20
_MAX_VKEY_CHARS = 4096
_DASH = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class VerifierKey:
    """A public key under a name: what a trust file lists.

    Args:
        name: printable, without white space and `+`; of a log, its origin.
        algorithm: the signature type byte.
        public: the raw public key.

    Raises:
        SignatureError: a bad name, an unknown type, or a key of the wrong length.
    """

    name: str
    algorithm: int
    public: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if self.algorithm not in _PUBLIC_BYTES:
            raise SignatureError(f"key {self.name}: unknown signature type {self.algorithm:#04x}")
        if len(self.public) != _PUBLIC_BYTES[self.algorithm]:
            raise SignatureError(f"key {self.name}: a public key of {len(self.public)} bytes")

    @property
    def key_id(self) -> bytes:
        """Four bytes that pick the key out of a note; not a fingerprint."""
        head = f"{self.name}\n".encode() + bytes([self.algorithm])
        return sha256(head + self.public).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True)
class NoteSignature:
    """One signature line, not yet checked."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """A text, ending in a newline, with its signature lines."""

    text: str
    signatures: tuple[NoteSignature, ...]


class Signer(Protocol):
    """Whoever can sign a note: a key in memory, or one in a device."""

    @property
    def key(self) -> VerifierKey:
        """The key that verifies what this signer signs."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return the signature over the note text, without the key id."""
        ...


class Ed25519Signer:
    """A signer of plain notes with an Ed25519 key in memory."""

    __slots__ = ("_key", "_private")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._key = VerifierKey(name, ED25519, private.public_key().public_bytes_raw())

    @property
    def key(self) -> VerifierKey:
        """The key that verifies what this signer signs."""
        return self._key

    def sign(self, text: bytes) -> bytes:
        """Return the 64 bytes of the signature over `text`."""
        return self._private.sign(text)


def check_key_name(name: str) -> None:
    """Check a key name, which is also what an origin has to look like.

    Stricter than the format: what does not print could deceive who reads a report.

    Raises:
        SignatureError: empty, or with white space, `+` or what does not print.
    """
    if not name or not name.isprintable() or " " in name or "+" in name:
        raise SignatureError("a key name is empty, or holds white space, + or what cannot be shown")


def format_vkey(key: VerifierKey) -> str:
    """Return the key as `name+hexid+base64`."""
    return f"{key.name}+{key.key_id.hex()}+{encode_base64(bytes([key.algorithm]) + key.public)}"


def parse_vkey(text: str) -> VerifierKey:
    """Return the key that `format_vkey` writes as `text`.

    Raises:
        SignatureError: malformed, of an unknown type, or with another key id.
    """
    if len(text) > _MAX_VKEY_CHARS or text.count("+") < 2:
        raise SignatureError("a verifier key is not name+hexid+base64")
    name, hex_id, encoded = text.split("+", 2)
    data = _decode(encoded)
    if not data:
        raise SignatureError("a verifier key without key")
    key = VerifierKey(name, data[0], data[1:])
    if key.key_id.hex() != hex_id:
        raise SignatureError(f"key {name}: the key id does not belong to the key")
    return key


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """Return the note of `text` with one signature line per signer.

    Raises:
        SignatureError: the text or a name does not fit the format, or there is no
            signer.
    """
    signed = text.encode()
    lines = tuple(NoteSignature(s.key.name, s.key.key_id, s.sign(signed)) for s in signers)
    return format_note(Note(text, lines))


def format_note(note: Note) -> bytes:
    """Return the bytes of `note`.

    Raises:
        SignatureError: they would not parse.
    """
    lines = [f"{_DASH}{s.name} {encode_base64(s.key_id + s.signature)}\n" for s in note.signatures]
    data = "".join((note.text, "\n", *lines)).encode()
    if parse_note(data) != note:
        raise SignatureError("a note that would be read differently")
    return data


def parse_note(data: bytes) -> Note:
    """Return the note in `data`; nothing in it is verified yet.

    Raises:
        SignatureError: not UTF-8, a control character, no signature or more than
            `MAX_SIGNATURES`, two lines of one key, a line in a second spelling,
            or bytes before or after.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise SignatureError(f"a note of more than {MAX_NOTE_BYTES} bytes")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SignatureError("a note is not UTF-8") from error
    if _CONTROL.search(whole):
        raise SignatureError("a note holds a control character")
    text, blank, tail = whole.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise SignatureError("a note without signature lines, or cut short")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise SignatureError(f"a note with more than {MAX_SIGNATURES} signatures")
    signatures = tuple(_parse_line(line) for line in lines)
    if len({(s.name, s.key_id) for s in signatures}) != len(signatures):
        raise SignatureError("a note with two signatures of one key")
    return Note(text + "\n", signatures)


def verified_keys(
    note: Note, keys: Sequence[VerifierKey], *, refuse_unknown: bool = False
) -> tuple[VerifierKey, ...]:
    """Return those of `keys` that signed `note`, in the order of its lines.

    Args:
        note: parsed, not trusted.
        keys: those that may sign it.
        refuse_unknown: whether a line of any other key refuses the note; the
            format has verifiers skip it, a bundle does not.

    Raises:
        SignatureError: a line of one of `keys` does not verify, no line is of one
            of them, or a line is of no key where that is refused.
    """
    by_id = {(key.name, key.key_id): key for key in keys}
    text = note.text.encode()
    verified = []
    for line in note.signatures:
        key = by_id.get((line.name, line.key_id))
        if key is not None:
            _verify(key, text, line.signature)
            verified.append(key)
        elif refuse_unknown:
            raise SignatureError(f"a signature of an unknown key {line.name}")
    if not verified:
        raise SignatureError("no signature of a known key")
    return tuple(verified)


def _verify(key: VerifierKey, text: bytes, signature: bytes) -> None:
    if key.algorithm != ED25519:
        raise SignatureError(f"key {key.name}: cannot check signature type {key.algorithm:#04x}")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(f"the signature of {key.name} does not verify") from error


def _parse_line(line: str) -> NoteSignature:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise SignatureError("a signature line is not: dash, key name, base64")
    name, encoded = parts
    check_key_name(name)
    data = _decode(encoded)
    if len(data) <= KEY_ID_BYTES:
        raise SignatureError(f"a signature line of {name} without signature")
    return NoteSignature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _decode(text: str) -> bytes:
    try:
        return decode_base64(text)
    except MalformedMessageError as error:
        raise SignatureError("a signature or key is not base64 in its one spelling") from error
