"""Everything that is derived from the linkage key of one agreement and epoch.

HKDF-Expand (RFC 5869) with length-prefixed labels: no two uses can meet in one
label. Bound in are the use, the agreement, the schema id, the purpose and the
epoch, so encodings made under another of them have nothing in common.
"""

import struct
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keys.errors import KeysError

KEY_BYTES = 32
KEY_CHECK_BYTES = 8
_DOMAIN = b"padan/v1"


class Use(Enum):
    """What a derived key is for. There is no other use of a linkage key."""

    ENCODE = "encode"
    HARDEN = "harden"
    BLOCK = "block"
    EXACT = "exact"
    REFINE = "refine"
    NAME = "name"
    NOTICE = "notice"
    KEY_CHECK = "kcv"


@dataclass(frozen=True)
class KeyContext:
    """What a linkage key is bound to.

    Attributes:
        agreement_id: the agreement whose parties hold the key.
        schema_id: SHA-256 of the resolved linkage schema, 32 bytes.
        purpose: the purpose code of the agreement.
        epoch: counts the keys of an agreement, from 1.
    """

    agreement_id: str
    schema_id: bytes
    purpose: str
    epoch: int


class LinkageKey:
    """The key of one agreement and epoch, held only by its parties' agents.

    Shows nothing of itself when printed. `wipe` overwrites it, as far as Python
    allows: copies that the interpreter made are out of reach.

    Args:
        secret: the key, 32 bytes; copied.
        context: what it is bound to.

    Raises:
        KeysError: the secret has another length, or the epoch is out of range.
    """

    __slots__ = ("_context", "_secret")

    def __init__(self, secret: bytes | bytearray, context: KeyContext) -> None:
        if len(secret) != KEY_BYTES:
            raise KeysError(f"a linkage key has {KEY_BYTES} bytes, this one {len(secret)}")
        if not 0 <= context.epoch < 2**32:
            raise KeysError("an epoch is a number from 0 to 2^32 - 1")
        self._secret = bytearray(secret)
        self._context = context

    def __repr__(self) -> str:
        return "LinkageKey(...)"

    def __reduce__(self) -> NoReturn:
        # A copy would outlive `wipe`, and a pickle would hold the key in the clear.
        raise TypeError("a linkage key is not copied or pickled: open its keystore again")

    def space_key(self, space: str) -> bytes:
        """Return the key of one token space, 32 bytes."""
        return self._expand(Use.ENCODE, space.encode(), KEY_BYTES)

    def hardening_key(self) -> bytes:
        """Return the key of the hardening of filters, 32 bytes."""
        return self._expand(Use.HARDEN, b"", KEY_BYTES)

    def block_key(self, label: str) -> bytes:
        """Return a key of the block tokens, 32 bytes."""
        return self._expand(Use.BLOCK, label.encode(), KEY_BYTES)

    def exact_key(self, space: str) -> bytes:
        """Return the key of the exact tokens of one space, 32 bytes."""
        return self._expand(Use.EXACT, space.encode(), KEY_BYTES)

    def refine_key(self, job_id: str, left: str, right: str) -> bytes:
        """Return the key of the one-time keys of a job and two parties, 32 bytes.

        Args:
            job_id: the job.
            left: the party of the two that the job names first.
            right: the other one.
        """
        return self._expand(Use.REFINE, _prefixed(job_id, left, right), KEY_BYTES)

    def name_key(self, job_id: str, left: str, right: str, what: str) -> bytes:
        """Return a key under which a job's records are named to be opened, 32 bytes.

        Args:
            job_id: the job.
            left: the party of the two that the job names first.
            right: the other one.
            what: what it makes.
        """
        return self._expand(Use.NAME, _prefixed(job_id, left, right, what), KEY_BYTES)

    def notice_key(self, sender: str, to: str) -> bytes:
        """Return the key under which one party names links to another in a notice, 32 bytes."""
        return self._expand(Use.NOTICE, _prefixed(sender, to), KEY_BYTES)

    def key_check(self) -> bytes:
        """Return 8 bytes that are equal at parties with the same key and context."""
        return self._expand(Use.KEY_CHECK, b"", KEY_CHECK_BYTES)

    def wipe(self) -> None:
        """Overwrite the key; any further use of this object fails."""
        self._secret[:] = bytes(len(self._secret))
        self._secret = bytearray()

    def _expand(self, use: Use, label: bytes, n_bytes: int) -> bytes:
        if not self._secret:
            raise KeysError("this linkage key was wiped: open its keystore again")
        context = self._context
        info = _DOMAIN + b"".join(
            _length_prefixed(part)
            for part in (
                use.value.encode(),
                context.agreement_id.encode(),
                context.schema_id,
                context.purpose.encode(),
                struct.pack(">I", context.epoch),
                label,
            )
        )
        # The linkage key is uniform already, so HKDF's extract step has nothing to add.
        return HKDFExpand(SHA256(), n_bytes, info).derive(self._secret)


def _prefixed(*parts: str) -> bytes:
    return b"".join(_length_prefixed(part.encode()) for part in parts)


def _length_prefixed(part: bytes) -> bytes:
    return struct.pack(">H", len(part)) + part
