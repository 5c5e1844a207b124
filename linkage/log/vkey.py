"""Verifier keys: who may sign for a log, or as a witness of one, and with what.

Written `name+hexid+base64(type || public key)`. Of a log the name is its origin.
`SignatureError` is raised for every malformed byte.

Source: C2SP signed-note v1.0.0, "Verifier keys"; tlog-cosignature v1.1.0.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from linkage.errors import MalformedMessageError, SignatureError
from linkage.log.canonical import decode_base64, encode_base64

ED25519 = 0x01
"""Plain notes: the log itself."""
COSIGNATURE_ED25519 = 0x04
"""Checkpoints with a time: witnesses."""
COSIGNATURE_ML_DSA_44 = 0x06
"""Checkpoints with a time: witnesses, and the log beside its Ed25519 key."""
_PUBLIC_BYTES = {ED25519: 32, COSIGNATURE_ED25519: 32, COSIGNATURE_ML_DSA_44: 1312}

KEY_ID_BYTES = 4
_MAX_VKEY_CHARS = 4096
_NAME = re.compile(r"[!-*,-~]{1,255}")


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


def check_key_name(name: str) -> None:
    """Check a key name, which is also what an origin has to look like.

    Stricter than the format: what is not visible ASCII could deceive who reads a
    report, and would tie verifiers to one version of Unicode.

    Raises:
        SignatureError: empty, longer than 255 letters, or with anything but
            visible ASCII, or `+`.
    """
    if _NAME.fullmatch(name) is None:
        raise SignatureError("a key name is not 1 to 255 visible ASCII letters without +")


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
    try:
        data = decode_base64(encoded)
    except MalformedMessageError as error:
        raise SignatureError(f"{error}, where a verifier key should be") from error
    if not data:
        raise SignatureError("a verifier key without key")
    key = VerifierKey(name, data[0], data[1:])
    if key.key_id.hex() != hex_id:
        raise SignatureError(f"key {name}: the key id does not belong to the key")
    return key
