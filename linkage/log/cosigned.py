"""Checkpoints held against the trust file: the log has signed, and enough witnesses.

What an agency asks of a checkpoint before it uses anything that hangs on it. A
job needs the cosignatures of all parties of its agreement besides: their names are
then among `CosignedCheckpoint.met`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from linkage.errors import CheckpointError, SignatureError
from linkage.log.checkpoint import Checkpoint, check_signed_by_log, parse_checkpoint
from linkage.log.note import Note, format_note, parse_note, verified_signatures
from linkage.log.policy import Policy

_ANY_SIZE = 2**63


@dataclass(frozen=True)
class CosignedCheckpoint:
    """A checkpoint that was found to be vouched for.

    Args:
        checkpoint: origin, size and root.
        times: by name of witness, when it cosigned, in seconds since 1970.
        met: names of the witnesses and groups of the trust file that have cosigned.
    """

    checkpoint: Checkpoint
    times: Mapping[str, int]
    met: frozenset[str]


def read_cosigned(data: bytes, policy: Policy) -> CosignedCheckpoint:
    """Return a checkpoint with its witnesses, whether or not they are enough yet.

    Lines of keys outside the trust file are skipped.

    Raises:
        CheckpointError: the text is no checkpoint.
        SignatureError: the note is malformed, a line of a trusted key does not
            verify, or the log itself has not signed.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    log_keys = policy.log_keys(checkpoint.origin)
    signed = verified_signatures(note, (*log_keys, *policy.witness_keys()))
    check_signed_by_log(log_keys, signed)
    times = {
        line.name: time for line in policy.witnesses if (time := signed.get(line.key)) is not None
    }
    return CosignedCheckpoint(checkpoint, times, policy.met_by(times.keys()))


def cut_to(data: bytes, policy: Policy) -> bytes:
    """Return a checkpoint without the lines of keys that a trust file does not name.

    Raises:
        CheckpointError: the text is no checkpoint.
        SignatureError: the note is malformed, or no line is left.
    """
    note = parse_note(data)
    origin = parse_checkpoint(note.text).origin
    known = {(key.name, key.key_id) for key in (*policy.log_keys(origin), *policy.witness_keys())}
    kept = tuple(line for line in note.signatures if (line.name, line.key_id) in known)
    return format_note(Note(note.text, kept))


def verify_cosigned(data: bytes, policy: Policy) -> CosignedCheckpoint:
    """Return a checkpoint that the log has signed and the quorum has cosigned.

    Raises:
        CheckpointError: the text is no checkpoint.
        SignatureError: as `read_cosigned`, or the quorum is not met; the text names
            the witnesses that are missing.
    """
    read = read_cosigned(data, policy)
    if policy.quorum not in read.met:
        missing = ", ".join(sorted(policy.missing(read.times.keys())))
        raise SignatureError(f"the cosignatures do not make up {policy.quorum}; missing: {missing}")
    return read


def newest_cosigned(checkpoint: Callable[[int], bytes], trust: Policy) -> bytes:
    """Return the newest checkpoint that the trust file's quorum has cosigned.

    Args:
        checkpoint: returns the newest cosigned one of fewer entries than its argument, or nothing.
        trust: the trust file.

    Raises:
        CheckpointError: what came is no checkpoint, or another than was asked for.
        SignatureError: there is none; naming who is missing under the newest.
    """
    refused: SignatureError | None = None
    below = _ANY_SIZE
    while note := checkpoint(below):
        try:
            verify_cosigned(note, trust)
        except SignatureError as error:
            refused = refused or error
        else:
            return note
        size = parse_checkpoint(parse_note(note).text).size
        if size >= below:
            raise CheckpointError("the matcher shows another checkpoint than was asked for")
        below = size
    raise refused or SignatureError(
        f"nobody has cosigned the log yet, and the trust file asks for {trust.quorum}: have the "
        "parties run `padan agent cosign`"
    )
