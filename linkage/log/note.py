"""Signed notes: a text, and who vouches for it.

A note is text, a blank line, and one line per signature:

    — <key name> base64(key id || signature)

A key of type 0x01 signs the text as it is; what the others sign is in
`linkage.log.cosignature`. `SignatureError` is raised for every malformed byte, and
for every signature that does not hold.

Source: C2SP signed-note v1.0.0.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linkage.errors import MalformedMessageError, SignatureError
from linkage.log.canonical import decode_base64, encode_base64
from linkage.log.cosignature import verify_cosignature
from linkage.log.vkey import ED25519, KEY_ID_BYTES, VerifierKey, check_key_name

# Two keys of every agency, and of the log: a note with more is made to cost time.
MAX_SIGNATURES = 64
MAX_NOTE_BYTES = 1 << 20
_DASH = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


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
    """Whoever can sign a note: a key in memory, or one in a device, of a log or a witness."""

    @property
    def key(self) -> VerifierKey:
        """The key that verifies what this signer signs."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return what a line over the note text holds after the key id."""
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


def is_signed_by(note: Note, keys: Sequence[VerifierKey]) -> bool:
    """Return whether any of some keys has signed a note."""
    try:
        return bool(verified_signatures(note, keys))
    except SignatureError:
        return False


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """Return the note of `text` with one signature line per signer.

    Raises:
        SignatureError: the text or a name does not fit the format, or there is no
            signer.
    """
    signed = text.encode()
    return format_note(Note(text, tuple(signed_line(signed, signer) for signer in signers)))


def signed_line(text: bytes, signer: Signer) -> NoteSignature:
    """Return the line of one signer under a note's text."""
    return NoteSignature(signer.key.name, signer.key.key_id, signer.sign(text))


def format_note(note: Note) -> bytes:
    """Return the bytes of `note`.

    Raises:
        SignatureError: they would not parse.
    """
    data = f"{note.text}\n".encode() + format_lines(note.signatures)
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


def verified_signatures(
    note: Note, keys: Sequence[VerifierKey], *, refuse_unknown: bool = False
) -> dict[VerifierKey, int | None]:
    """Return which of `keys` signed `note`, in the order of its lines, and when.

    Args:
        note: parsed, not trusted.
        keys: those that may sign it.
        refuse_unknown: whether a line of any other key refuses the note; the
            format has verifiers skip it, a bundle does not.

    Returns:
        By key the time of its cosignature in seconds since 1970; None for a plain
        signature, which has none.

    Raises:
        SignatureError: a line of one of `keys` does not verify, no line is of one
            of them, or a line is of no key where that is refused.
    """
    by_id = {(key.name, key.key_id): key for key in keys}
    text = note.text.encode()
    verified = {}
    for line in note.signatures:
        key = by_id.get((line.name, line.key_id))
        if key is not None:
            verified[key] = _verify(key, text, line.signature)
        elif refuse_unknown:
            raise SignatureError(f"a signature of an unknown key {line.name}")
    if not verified:
        raise SignatureError("no signature of a known key")
    return verified


def format_lines(signatures: Sequence[NoteSignature]) -> bytes:
    """Return signature lines by themselves: what a witness answers."""
    return "".join(
        f"{_DASH}{s.name} {encode_base64(s.key_id + s.signature)}\n" for s in signatures
    ).encode()


def parse_lines(data: bytes) -> tuple[NoteSignature, ...]:
    """Return the signature lines that `format_lines` writes as `data`.

    Raises:
        SignatureError: as `parse_note`.
    """
    note = parse_note(b"\n\n" + data)
    if note.text != "\n":
        raise SignatureError("signature lines with text before them")
    return note.signatures


def _verify(key: VerifierKey, text: bytes, signature: bytes) -> int | None:
    if key.algorithm != ED25519:
        return verify_cosignature(key, text, signature)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(f"the signature of {key.name} does not verify") from error
    return None


def _parse_line(line: str) -> NoteSignature:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise SignatureError("a signature line is not: dash, key name, base64")
    name, encoded = parts
    check_key_name(name)
    try:
        data = decode_base64(encoded)
    except MalformedMessageError as error:
        raise SignatureError(f"a signature line of {name}: {error}") from error
    if len(data) <= KEY_ID_BYTES:
        raise SignatureError(f"a signature line of {name} without signature")
    return NoteSignature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])
