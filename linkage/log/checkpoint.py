"""Checkpoints: the size and root of the log, signed.

The text has three lines and no extension lines, which witnesses with ML-DSA keys
would not cover:

    origin
    size
    base64(root)

Source: C2SP tlog-checkpoint v1.0.0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from linkage.errors import CheckpointError, MalformedMessageError, SignatureError
from linkage.log.canonical import decode_base64, encode_base64, parse_decimal
from linkage.log.hashing import EMPTY_ROOT, HASH_BYTES
from linkage.log.note import (
    Signer,
    VerifierKey,
    check_key_name,
    parse_note,
    sign_note,
    verified_keys,
)


@dataclass(frozen=True)
class Checkpoint:
    """What a log claims to be.

    Args:
        origin: the name of the log, which is also the name of its keys.
        size: the number of leaves.
        root: the root over them.
    """

    origin: str
    size: int
    root: bytes


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text that is signed.

    Raises:
        CheckpointError: a field that would not parse.
    """
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{encode_base64(checkpoint.root)}\n"
    if parse_checkpoint(text) != checkpoint:
        raise CheckpointError("a checkpoint that would be read differently")
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint of a note's text.

    Raises:
        CheckpointError: other than three lines in their one spelling, an origin
            that cannot name a key, or an empty tree with another root.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise CheckpointError("a checkpoint is not exactly three lines")
    try:
        check_key_name(lines[0])
        size = parse_decimal(lines[1])
        root = decode_base64(lines[2])
    except (MalformedMessageError, SignatureError) as error:
        raise CheckpointError("a checkpoint with a malformed origin, size or root") from error
    if len(root) != HASH_BYTES or (size == 0 and root != EMPTY_ROOT):
        raise CheckpointError("a checkpoint with a root that no tree of this size has")
    return Checkpoint(lines[0], size, root)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return the checkpoint as a note signed by the log.

    The caller makes sure that it extends everything this key has signed before.

    Raises:
        CheckpointError: a field that would not parse.
        SignatureError: the signer is not a key of this origin.
    """
    if signer.key.name != checkpoint.origin:
        raise SignatureError(f"{signer.key.name} is not a key of {checkpoint.origin}")
    return sign_note(format_checkpoint(checkpoint), [signer])


def verify_checkpoint(data: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Return the checkpoint in a signed note, once a key of its own log vouches for it.

    Lines of keys that are not of the checkpoint's origin are skipped.

    Raises:
        CheckpointError: the text is no checkpoint.
        SignatureError: the note is malformed, or not signed by one of `keys` under
            the checkpoint's origin.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    verified_keys(note, [key for key in keys if key.name == checkpoint.origin])
    return checkpoint
