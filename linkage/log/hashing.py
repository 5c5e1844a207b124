"""The three hashes of the match log.

A leaf is H(0x00 || entry) and an interior node H(0x01 || left || right), so an
entry can never be passed off as a node. H is SHA-256; every hash has 32 bytes.

Source: RFC 6962, section 2.1.
"""

from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry as a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node over two subtrees, each given by its hash."""
    return sha256(b"\x01" + left + right).digest()
