"""From the shares of all parties to the linkage key, and the tags that confirm it.

    linkage secret = HKDF(salt = C, c_1 | .. | c_N, info = "padan/exchange/v1", "linkage")
    confirm key    = HKDF(salt = C, c_1 | .. | c_N, info = "padan/exchange/v1", "confirm")
    tag of party i = HMAC(confirm key, "padan/confirm/v1", i, T)

C is the hash over all commitments, and nothing later: all that makes the key is fixed when
the last commitment is in the log, while at least one share is known to its own party only.
A salt that covers the sealed shares too would let the last to seal try one ciphertext after
another until it likes the key. T covers all messages; it is in the tags.

Pure functions: the matcher has this code and never a share, but those that a complaint
opens to all, after which their key is worth nothing.

Source: RFC 5869 (concatenated shares are its keying material), RFC 2104.
"""

import hmac
import struct

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES = 32
TAG_BYTES = 32


def bound(label: str, *parts: bytes | bytearray) -> bytes:
    """Return a label and parts, each with its length before it: no two lists look alike."""
    return b"".join(struct.pack(">H", len(part)) + part for part in (label.encode(), *parts))


def linkage_secret(shares: bytearray, commits_hash: bytes) -> bytearray:
    """Return the secret that the linkage key of an epoch is made of, 32 bytes.

    Args:
        shares: c_1 | .. | c_N in the order of the parties' names, 32 bytes each.
        commits_hash: C.
    """
    return _derived(shares, commits_hash, b"linkage")


def confirm_key(shares: bytearray, commits_hash: bytes) -> bytearray:
    """Return the key of the tags, 32 bytes; arguments as of `linkage_secret`."""
    return _derived(shares, commits_hash, b"confirm")


def confirm_tag(key: bytearray, party: str, transcript_hash: bytes) -> bytes:
    """Return the tag by which a party says that it has the key of this transcript."""
    return hmac.digest(key, bound("padan/confirm/v1", party.encode(), transcript_hash), "sha256")


def _derived(shares: bytearray, commits_hash: bytes, use: bytes) -> bytearray:
    made = bytearray(SECRET_BYTES)
    # Both steps of HKDF at once, into a buffer of ours: nothing between them is left behind.
    HKDF(SHA256(), SECRET_BYTES, commits_hash, bound("padan/exchange/v1", use)).derive_into(
        shares, made
    )
    return made
