"""What an owner is sent and sends where likely pairs are named: shares and rows, their layout.

A share is four random words for a ticket: the own one, and one for each band, by which the
other's record opens. Of a pair of band v, 1 the likeliest and 3 the least, the own word of
either is the v-th of the other; all else, and all of pairs that are not likely, was drawn for
itself. So the four words of an owner never say anything, and none can be computed from others.
Where somebody is told how attributes compare, as many bytes more as the steps of a comparison and
their check take: right's are left's, exclusive or the steps.

A row is an answer to a share. It is 112 bytes and the steps, one for each ticket, in the order
of the tags, numbers little-endian:

    tag         8    of the ticket: both owners know whose it is, and the matcher does not
    check       8    of the own word
    reference  16    the own one, under the mask of the own word
    seal        8    of mask and reference: whoever spoils either closes the pair
    checks    3*8    what the check at the other is if the pair is of band 1, 2, 3
    masks    3*16    what then unmasks its reference
    steps       n    the own share of the steps, under a mask of its own

Owners make rows (`encode.names`), the matcher opens them (`engine.disclosure`): neither
imports the other, and the matcher needs no key.
"""

import hashlib
import hmac
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.errors import MalformedMessageError
from linkage.job import REFERENCE_BYTES, JobSpec
from linkage.types import NEVER_TOLD

N_BANDS = 3
TAG_BYTES = 8
CHECK_KEY_BYTES = 16
_SEAL_BYTES = 8
_CHECK_BYTES = 4
_STEPS_PER_BYTE = 4
_STEP_BITS = np.array([0, 2, 4, 6], dtype=np.uint8)


@dataclass(frozen=True)
class NameForm:
    """What shares, rows and told comparisons hold.

    Attributes:
        steps_bytes: length of the steps of a comparison with their check, 0 where nobody is
            told them.
    """

    steps_bytes: int = 0

    @classmethod
    def between(cls, spec: JobSpec, one: str, other: str) -> "NameForm":
        """Return the form for two parties of a job."""
        levels = spec.told(one).get(other), spec.told(other).get(one)
        return cls.of_steps(sum(told_types(spec))) if "R2" in levels else cls()

    @classmethod
    def of_steps(cls, n_steps: int) -> "NameForm":
        """Return the form for so many attributes of which a party is told how they compare."""
        return cls(-(-n_steps // _STEPS_PER_BYTE) + _CHECK_BYTES)

    @property
    def share(self) -> np.dtype[np.void]:
        """A share."""
        return np.dtype(
            [
                ("own", "<u8"),
                ("opens", "<u8", (N_BANDS,)),
                ("steps", "u1", (self.steps_bytes,)),
            ]
        )

    @property
    def row(self) -> np.dtype[np.void]:
        """An answer to a share."""
        return np.dtype(
            [
                ("tag", "<u8"),
                ("check", "<u8"),
                ("reference", "u1", (REFERENCE_BYTES,)),
                ("seal", "<u8"),
                ("checks", "<u8", (N_BANDS,)),
                ("masks", "u1", (N_BANDS, REFERENCE_BYTES)),
                ("steps", "u1", (self.steps_bytes,)),
            ]
        )

    @property
    def compared(self) -> np.dtype[np.void]:
        """What a result says of a linked pair: own reference, tag, steps under both masks."""
        return np.dtype(
            [
                ("reference", "u1", (REFERENCE_BYTES,)),
                ("tag", "<u8"),
                ("steps", "u1", (self.steps_bytes,)),
            ]
        )

    def shares(self, content: bytes | bytearray) -> NDArray[np.void]:
        """Return shares from their bytes.

        Raises:
            MalformedMessageError: it is not a whole number of them.
        """
        return _read(content, self.share, "shares")

    def rows(self, content: bytes) -> NDArray[np.void]:
        """Return rows from their bytes.

        Raises:
            MalformedMessageError: it is not a whole number of them.
        """
        return _read(content, self.row, "rows")


def seals(masks: NDArray[np.uint8], references: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the seals of references, shape (n,): the first 8 bytes of SHA-256(mask || reference).

    Who has no mask learns nothing from one.

    Args:
        masks: of the own words, shape (n, 16).
        references: unmasked, shape (n, 16).
    """
    content = np.concatenate([masks, references], axis=1).tobytes()
    width = 2 * REFERENCE_BYTES
    made = (
        hashlib.sha256(content[at : at + width]).digest()[:_SEAL_BYTES]
        for at in range(0, len(content), width)
    )
    return np.frombuffer(b"".join(made), "<u8").astype(np.uint64)


def told_types(spec: JobSpec) -> list[bool]:
    """Return of each attribute that is compared whether anybody may be told how it compares."""
    if spec.refinement is None:
        return []
    kinds = (*spec.refinement.types, *spec.refinement.identifiers)
    return [kind not in NEVER_TOLD for kind in kinds]


def packed_steps(steps: NDArray[np.int8], key: bytes) -> NDArray[np.uint8]:
    """Return steps and their check, shape (n, steps_bytes).

    Four steps are a byte, the first lowest; then come the first 4 bytes of HMAC-SHA-256 of
    these. An owner holds one of two shares, and could turn the bits of what the other is told.

    Args:
        steps: of 0 to 3, shape (n, n_steps).
        key: of the check, which no owner has before the result, 16 bytes.
    """
    n, k = steps.shape
    whole = np.zeros((n, -(-k // _STEPS_PER_BYTE), _STEPS_PER_BYTE), dtype=np.uint8)
    whole.reshape(n, whole.shape[1] * _STEPS_PER_BYTE)[:, :k] = steps
    packed = np.bitwise_or.reduce(whole << _STEP_BITS, axis=2)
    return np.concatenate([packed, _checks(packed, key)], axis=1)


def unpacked_steps(
    packed: NDArray[np.uint8], n_steps: int, key: bytes
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the steps that `packed_steps` packed, shape (n, n_steps), and which have their check.

    An owner may spoil those of one pair, and not what is told of others.
    """
    steps, checks = packed[:, :-_CHECK_BYTES], packed[:, -_CHECK_BYTES:]
    parts = steps[:, :, None] >> _STEP_BITS & np.uint8(3)
    unpacked = parts.reshape(len(packed), steps.shape[1] * _STEPS_PER_BYTE)[:, :n_steps]
    return unpacked, (_checks(steps, key) == checks).all(axis=1)


def _checks(packed: NDArray[np.uint8], key: bytes) -> NDArray[np.uint8]:
    # Comparisons come in few kinds.
    kinds, kind_of = np.unique(packed, axis=0, return_inverse=True)
    made = b"".join(hmac.digest(key, kind.tobytes(), "sha256")[:_CHECK_BYTES] for kind in kinds)
    return np.frombuffer(made, np.uint8).reshape(-1, _CHECK_BYTES)[kind_of.reshape(-1)]


def _read(content: bytes | bytearray, form: np.dtype[np.void], what: str) -> NDArray[np.void]:
    if len(content) % form.itemsize:
        raise MalformedMessageError(f"not a whole number of {what}")
    return np.frombuffer(content, dtype=form)
