"""Signed documents: an envelope over exact bytes, with one signature or several.

What is signed is the payload as it was written, with its type (PAE); nobody ever writes it
again to check a signature. An envelope says which key signed; who may sign what is for
its reader to know.

Source: Dead Simple Signing Envelope 1.0.2 (protocol.md, envelope.md), with the stricter rule
that an envelope has one spelling: standard base64 with padding, members in the order of
RFC 8785, no unknown ones, no key twice.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from keys.errors import KeysError

MAX_SIGNATURES = 64
_MAX_TYPE_CHARS = 128


class Signer(Protocol):
    """Whoever can sign: a key in memory, or one in a device."""

    @property
    def key_id(self) -> str:
        """The name of the key: `key_id_of` its public half."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""


class Ed25519Signer:
    """A signer with an Ed25519 key in memory (RFC 8032)."""

    __slots__ = ("_private", "key_id", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public)

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.key_id})"

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._private.sign(message)


@dataclass(frozen=True)
class Envelope:
    """A payload, its type, and signatures over both.

    Attributes:
        payload_type: what the payload is, such as `application/vnd.padan.request+json`.
        payload: the signed bytes.
        signatures: pairs of key id and signature, ascending by key id.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def signers(self, keys: Mapping[str, bytes]) -> frozenset[str]:
        """Return the ids of those keys whose signature holds.

        Args:
            keys: raw Ed25519 public keys by their id; signatures of others do not count.
        """
        message = pae(self.payload_type, self.payload)
        return frozenset(
            key_id
            for key_id, signature in self.signatures
            if key_id in keys and _holds(keys[key_id], signature, message)
        )

    def with_signature(self, signer: Signer) -> "Envelope":
        """Return the envelope with one signature more, or with its own made again."""
        made = signer.sign(pae(self.payload_type, self.payload))
        signatures = {**dict(self.signatures), signer.key_id: made}
        return Envelope(self.payload_type, self.payload, tuple(sorted(signatures.items())))

    def merged(self, other: "Envelope") -> "Envelope":
        """Return the envelope with the signatures of both.

        Raises:
            KeysError: the other one is about other bytes.
        """
        if (other.payload_type, other.payload) != (self.payload_type, self.payload):
            raise KeysError("the envelopes are about different documents")
        signatures = {**dict(other.signatures), **dict(self.signatures)}
        return Envelope(self.payload_type, self.payload, tuple(sorted(signatures.items())))

    def to_json(self) -> dict[str, object]:
        """Return the members of the JSON object."""
        return {
            "payload": _encode(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": key, "sig": _encode(made)} for key, made in self.signatures],
        }

    def to_bytes(self) -> bytes:
        """Return the JSON of the envelope, in its one spelling."""
        return json.dumps(self.to_json(), separators=(",", ":")).encode()


@dataclass(frozen=True)
class CheckedEnvelope(Envelope):
    """An envelope whose signatures were checked before, perhaps in another process.

    Attributes:
        tried: raw public keys by id, with which they were checked.
        holding: ids of those whose signature holds.
    """

    tried: Mapping[str, bytes] = field(default_factory=dict)
    holding: frozenset[str] = frozenset()

    def signers(self, keys: Mapping[str, bytes]) -> frozenset[str]:
        """Return the ids of those keys whose signature holds; see `Envelope`."""
        known = {name for name, public in keys.items() if self.tried.get(name) == public}
        others = {name: public for name, public in keys.items() if name not in known}
        return (self.holding & known) | super().signers(others)


def check_envelope(envelope: Envelope, keys: Mapping[str, bytes]) -> CheckedEnvelope:
    """Return an envelope whose signatures were checked with those of some keys that it names."""
    tried = {name: keys[name] for name, _ in envelope.signatures if name in keys}
    holding = envelope.signers(tried)
    return CheckedEnvelope(
        envelope.payload_type, envelope.payload, envelope.signatures, tried, holding
    )


def sign(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> Envelope:
    """Return the envelope of a payload, signed by all of some."""
    envelope = Envelope(payload_type, payload, ())
    for signer in signers:
        envelope = envelope.with_signature(signer)
    return envelope


def parse_envelope(content: bytes) -> Envelope:
    """Return the envelope in bytes; its signatures are not checked yet.

    Raises:
        KeysError: anything that `Envelope.to_bytes` would not write.
    """
    try:
        envelope = envelope_in(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise KeysError("not an envelope: it is no JSON") from error
    if envelope.to_bytes() != content:
        raise KeysError("not an envelope: it has a second spelling")
    return envelope


def envelope_in(fields: object) -> Envelope:
    """Return the envelope in the members of a JSON object, as `Envelope.to_json` returns them.

    Raises:
        KeysError: other members, or signatures that are doubled, out of order or too many.
    """
    match fields:
        case {
            "payload": str(payload),
            "payloadType": str(kind),
            "signatures": list(found),
            **more,
        } if not more:
            pass
        case _:
            raise KeysError("not an envelope: payload, payloadType and signatures are needed")
    if not kind.isascii() or not 0 < len(kind) <= _MAX_TYPE_CHARS:
        raise KeysError("not an envelope: no type, or one too long")
    signatures = []
    for one in found:
        match one:
            case {"keyid": str(key_id), "sig": str(made), **more} if not more:
                signatures.append((key_id, _decode(made)))
            case _:
                raise KeysError("not an envelope: a signature is a keyid and a sig")
    ids = [key_id for key_id, _ in signatures]
    if ids != sorted(set(ids)) or len(ids) > MAX_SIGNATURES:
        raise KeysError("not an envelope: signatures doubled, out of order or too many")
    return Envelope(kind, _decode(payload), tuple(signatures))


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: both parts with their lengths before them."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id_of(public: bytes) -> str:
    """Return the name of a public key: SHA-256 of its raw bytes, in hexadecimal."""
    return sha256(public).hexdigest()


def _holds(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeysError("not an envelope: a part is no base64") from error
    if _encode(data) != text:
        raise KeysError("not an envelope: base64 in a second spelling")
    return data
