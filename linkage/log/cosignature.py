r"""Cosignatures: a witness says that it saw this checkpoint, and when.

The line of a witness carries eight bytes of time and then the signature. A log
with an ML-DSA-44 key signs its own checkpoints in the same form, beside its plain
Ed25519 line. What is signed:

    0x04 Ed25519     cosignature/v1\ntime <time>\n<the three lines of the checkpoint>
    0x06 ML-DSA-44   subtree/v1\n\0, name, time, origin, first leaf 0, size, root

The Ed25519 form does not bind the name of its key: two roles never share one.
An agency that counts only with both of its keys is a group `all` of two witnesses
in the trust file.

Source: C2SP tlog-cosignature v1.1.0; FIPS 204 (ML-DSA, empty context).
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from linkage.errors import MalformedMessageError, SignatureError
from linkage.log.canonical import decode_base64, parse_decimal
from linkage.log.hashing import HASH_BYTES
from linkage.log.vkey import COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44, VerifierKey

TIME_BYTES = 8
_MAX_TIME = 2**63 - 1

Clock = Callable[[], float]
"""Seconds since 1970."""


class Cosigner:
    """A witness with a key in memory, or a log with its ML-DSA-44 key; a `note.Signer`.

    Args:
        name: of the witness, the same for all its keys; of a log its origin.
        private: its key. An Ed25519 key is of one witness and never a log's own.
        clock: whose time the cosignatures carry.
    """

    __slots__ = ("_clock", "_private", "key")

    def __init__(
        self, name: str, private: Ed25519PrivateKey | MLDSA44PrivateKey, clock: Clock
    ) -> None:
        self._private, self._clock = private, clock
        classic = isinstance(private, Ed25519PrivateKey)
        algorithm = COSIGNATURE_ED25519 if classic else COSIGNATURE_ML_DSA_44
        self.key = VerifierKey(name, algorithm, private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Return the time and the signature over the text of a checkpoint.

        Raises:
            SignatureError: the text is no checkpoint.
        """
        time = int(self._clock())
        return _stamp(time) + self._private.sign(cosigned_message(self.key, time, text))


def cosigned_message(key: VerifierKey, time: int, text: bytes) -> bytes:
    """Return the bytes that a cosignature of `key` at `time` signs.

    Args:
        key: of type 0x04 or 0x06.
        time: seconds since 1970.
        text: of the checkpoint, without signature lines.

    Raises:
        SignatureError: the text is no checkpoint.
    """
    origin, size, root = _checkpoint_fields(text)
    if key.algorithm == COSIGNATURE_ED25519:
        return b"cosignature/v1\ntime %d\n" % time + text
    return b"".join(
        (
            b"subtree/v1\n\0",
            _short(key.name.encode()),
            _stamp(time),
            _short(origin),
            bytes(8),
            size.to_bytes(8),
            root,
        )
    )


def verify_cosignature(key: VerifierKey, text: bytes, stamped: bytes) -> int:
    """Check a cosignature, and return its time in seconds since 1970.

    Args:
        key: of type 0x04 or 0x06.
        text: of the checkpoint, without signature lines.
        stamped: time and signature, as they stand in the line.

    Raises:
        SignatureError: it does not verify, or the text is no checkpoint.
    """
    time, signature = int.from_bytes(stamped[:TIME_BYTES]), stamped[TIME_BYTES:]
    if len(stamped) < TIME_BYTES or time > _MAX_TIME:
        raise SignatureError(f"the cosignature of {key.name} has no time")
    message = cosigned_message(key, time, text)
    try:
        if key.algorithm == COSIGNATURE_ED25519:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
        else:
            MLDSA44PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(f"the signature of {key.name} does not verify") from error
    return time


def _checkpoint_fields(text: bytes) -> tuple[bytes, int, bytes]:
    """Return origin, size and root; `linkage.log.checkpoint` is stricter about them."""
    try:
        origin, size, root, end = text.split(b"\n")
        fields = origin, parse_decimal(size.decode()), decode_base64(root.decode())
    except (ValueError, MalformedMessageError) as error:
        raise SignatureError("only a checkpoint of three lines can be cosigned") from error
    if end or len(fields[2]) != HASH_BYTES or not 0 < len(origin) < 256:
        raise SignatureError("only a checkpoint of three lines can be cosigned")
    return fields


def _short(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _stamp(time: int) -> bytes:
    return time.to_bytes(TIME_BYTES)
