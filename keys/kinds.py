"""The kinds of keys that a role makes for itself, and their public halves.

    sign       Ed25519 seed (32): signs agreements, requests and key messages of a party
    witness    Ed25519 seed (32): cosigns checkpoints, and signs nothing else
    witness-ml-dsa-44    ML-DSA-44 seed (32): the same, beside the first
    seal       ML-KEM-768 seed and X25519 scalar (96): others seal shares and keys to it

Signing and cosigning never share a key: a cosignature does not say in which role it was
made. Other kinds come from elsewhere: `linkage` from the exchange, `log-signing` (Ed25519),
`log-signing-ml-dsa-44`, `pair` and `data` from who uses them.
"""

import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from keys.errors import KeysError
from keys.sealing import SECRET_BYTES, SealKey

_ED25519_BYTES = 32
_ML_DSA_44_BYTES = 32
WITNESS, WITNESS_ML_DSA = "witness", "witness-ml-dsa-44"
_SECRET_BYTES = {
    "sign": _ED25519_BYTES,
    WITNESS: _ED25519_BYTES,
    WITNESS_ML_DSA: _ML_DSA_44_BYTES,
    "seal": SECRET_BYTES,
}
KINDS = tuple(_SECRET_BYTES)
LOG_SIGNING, LOG_SIGNING_ML_DSA = "log-signing", "log-signing-ml-dsa-44"
_ED25519_KINDS = frozenset({"sign", WITNESS, LOG_SIGNING})
_ML_DSA_44_KINDS = frozenset({WITNESS_ML_DSA, LOG_SIGNING_ML_DSA})


def new_secret(kind: str) -> bytearray:
    """Return the secret of a new key.

    Raises:
        KeysError: keys of this kind are not made alone.
    """
    if kind not in _SECRET_BYTES:
        raise KeysError(f"a {kind} key is not made alone: here are made {', '.join(KINDS)}")
    return bytearray(os.urandom(_SECRET_BYTES[kind]))


def public_half(kind: str, secret: bytes | bytearray) -> bytes | None:
    """Return the public half of a key.

    Returns:
        32 bytes of Ed25519, 1,312 of ML-DSA-44, or 1,184 | 32 to seal to; None for a kind
        without a public half.

    Raises:
        KeysError: the secret is none of its kind.
    """
    if kind in _ED25519_KINDS:
        try:
            private = Ed25519PrivateKey.from_private_bytes(secret)
        except ValueError as error:
            raise KeysError(f"a {kind} key of another length") from error
        return private.public_key().public_bytes_raw()
    if kind in _ML_DSA_44_KINDS:
        try:
            lattice = MLDSA44PrivateKey.from_seed_bytes(secret)
        except ValueError as error:
            raise KeysError(f"a {kind} key of another length") from error
        return lattice.public_key().public_bytes_raw()
    if kind == "seal":
        key = SealKey(secret)
        try:
            return key.public
        finally:
            key.wipe()
    return None
