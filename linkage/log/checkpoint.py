"""Checkpoints: the size and root of the log, signed.

The text has three lines and no extension lines, which ML-DSA signatures would not
cover:

    origin
    size
    base64(root)

Under it stand the lines of the log, Ed25519 and, once it has such a key, ML-DSA-44,
and then those of witnesses. Who verifies with keys of both types asks for both: an
attacker who breaks one of them could else leave the other one out.

Source: C2SP tlog-checkpoint v1.0.0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from linkage.errors import CheckpointError, MalformedMessageError, SignatureError
from linkage.log.canonical import decode_base64, encode_base64, parse_decimal
from linkage.log.hashing import EMPTY_ROOT, HASH_BYTES
from linkage.log.note import (
    Note,
    Signer,
    format_note,
    parse_lines,
    parse_note,
    sign_note,
    verified_signatures,
)
from linkage.log.vkey import VerifierKey, check_key_name


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


def sign_checkpoint(checkpoint: Checkpoint, *signers: Signer) -> bytes:
    """Return the checkpoint as a note signed by the log, one line for each of its keys.

    The caller makes sure that it extends everything these keys have signed before.

    Args:
        checkpoint: what is signed.
        signers: the keys of the log, each of another type, in the order of their lines.

    Raises:
        CheckpointError: a field that would not parse.
        SignatureError: a signer is not a key of this origin, or there is none.
    """
    for signer in signers:
        if signer.key.name != checkpoint.origin:
            raise SignatureError(f"{signer.key.name} is not a key of {checkpoint.origin}")
    return sign_note(format_checkpoint(checkpoint), signers)


def verify_checkpoint(
    data: bytes, keys: Sequence[VerifierKey], *, every_type: bool = True
) -> Checkpoint:
    """Return the checkpoint in a signed note, once its own log vouches for it.

    Lines of keys that are not of the checkpoint's origin are skipped: witnesses are
    `linkage.log.cosigned`'s.

    Args:
        data: the note.
        keys: of logs.
        every_type: whether a key of each type that is among them has to have signed; of a
            checkpoint that was verified and kept before, one is enough: it may be older
            than the log's second key.

    Raises:
        CheckpointError: the text is no checkpoint.
        SignatureError: the note is malformed, or not signed under the checkpoint's
            origin by the keys that are asked for.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    log_keys = [key for key in keys if key.name == checkpoint.origin]
    signed = verified_signatures(note, log_keys)
    if every_type:
        check_signed_by_log(log_keys, signed)
    return checkpoint


def check_signed_by_log(log_keys: Iterable[VerifierKey], signed: Iterable[VerifierKey]) -> None:
    """Check that the log has signed with a key of each type that is known of it.

    Args:
        log_keys: those of the log that are trusted; two of one type while it changes keys.
        signed: those whose signature was found to hold.

    Raises:
        SignatureError: a type has no signature, or there is no key.
    """
    given = set(signed)
    types = {key.algorithm for key in log_keys}
    missing = types - {key.algorithm for key in given.intersection(log_keys)}
    if missing or not types:
        names = ", ".join(f"{algorithm:#04x}" for algorithm in sorted(missing))
        raise SignatureError(f"the log itself has not signed; missing types: {names or 'all'}")


def add_cosignatures(data: bytes, lines: bytes, keys: Sequence[VerifierKey]) -> bytes:
    """Return a checkpoint with what a witness answered, each line verified.

    Lines of other keys are left out, as the format asks. A key that has a line
    already keeps the one it has.

    Args:
        data: the signed checkpoint.
        lines: signature lines, from `linkage.log.witness`.
        keys: of the witnesses that may answer.

    Raises:
        SignatureError: a line of one of `keys` does not verify, none is of them, or
            something is malformed.
    """
    note = parse_note(data)
    answer = Note(note.text, parse_lines(lines))
    wanted = {(key.name, key.key_id) for key in verified_signatures(answer, keys)}
    wanted -= {(line.name, line.key_id) for line in note.signatures}
    added = [line for line in answer.signatures if (line.name, line.key_id) in wanted]
    return format_note(Note(note.text, (*note.signatures, *added)))
