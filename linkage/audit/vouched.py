"""Who vouches: the signatures under a bundle's checkpoint, and under the pinned one.

Both are held against the trust file. What comes back is what is wrong, and when the
witnesses saw the tree, which is the only time in a log that is not the log's own word.
"""

from collections.abc import Mapping
from typing import NamedTuple

from linkage.audit import verdict
from linkage.audit.verdict import Finding
from linkage.errors import CheckpointError, SignatureError
from linkage.log.checkpoint import Checkpoint, check_signed_by_log, parse_checkpoint
from linkage.log.note import Note, parse_note, verified_signatures
from linkage.log.policy import Policy
from linkage.log.vkey import VerifierKey


class Vouched(NamedTuple):
    """What the signatures under the checkpoint of a bundle are worth.

    Args:
        findings: what is wrong with them.
        last_s: when the last witness cosigned, in seconds since 1970; None for no witness.
    """

    findings: list[Finding]
    last_s: int | None = None


class Pin(NamedTuple):
    """A checkpoint that was kept from an earlier verification.

    Args:
        checkpoint: what it says.
        first_s: when the first witness cosigned it, in seconds since 1970; None for no
            witness, or without a trust file.
    """

    checkpoint: Checkpoint
    first_s: int | None

    def is_contradicted(self, index: int, time_s: int) -> bool:
        """Return whether leaf `index` was not there yet when it claims to have been logged."""
        return index >= self.checkpoint.size and time_s < (self.first_s or 0)


def check_vouched(note: Note, checkpoint: Checkpoint, policy: Policy) -> Vouched:
    """Check the signatures under the checkpoint of a bundle: no line may be of a stranger."""
    log_keys = policy.log_keys(checkpoint.origin)
    if not log_keys:
        text = f"the trust file has no log {checkpoint.origin}"
        return Vouched([Finding(verdict.ORIGIN_MISMATCH, text)])
    keys = (*log_keys, *policy.witness_keys())
    try:
        signed = verified_signatures(note, keys, refuse_unknown=True)
    except SignatureError as error:
        return Vouched([Finding(verdict.SIGNATURE_INVALID, f"checkpoint: {error}")])
    findings = []
    try:
        check_signed_by_log(log_keys, signed)
    except SignatureError as error:
        findings.append(Finding(verdict.SIGNATURE_INVALID, f"checkpoint: {error}"))
    witnesses = policy.witness_names(signed)
    if not policy.quorum_met(witnesses):
        missing = ", ".join(sorted(policy.missing(witnesses)))
        text = f"the cosignatures do not make up {policy.quorum}; missing: {missing}"
        findings.append(Finding(verdict.QUORUM_NOT_MET, text))
    return Vouched(findings, max(_times(policy, signed), default=None))


def open_pin(data: bytes, policy: Policy | None, checkpoint: Checkpoint) -> Pin | Finding:
    """Return the pinned checkpoint, or why the bundle's cannot be compared with it.

    One signature of the log is enough here, and strangers' lines are passed over: the pin
    may be older than a key of the log, or a witness.
    """
    try:
        note = parse_note(data)
        pinned = parse_checkpoint(note.text)
        first_s = _first_cosigned(note, pinned, policy) if policy is not None else None
    except (SignatureError, CheckpointError) as error:
        return Finding(verdict.PIN_INVALID, f"the pinned checkpoint: {error}")
    if pinned.origin != checkpoint.origin:
        return Finding(verdict.ORIGIN_MISMATCH, f"the pinned checkpoint is of {pinned.origin}")
    if pinned.size > checkpoint.size:
        text = f"the log had {pinned.size} entries and now shows {checkpoint.size}"
        return Finding(verdict.INCONSISTENT_WITH_PINNED, text)
    return Pin(pinned, first_s)


def _first_cosigned(note: Note, pinned: Checkpoint, policy: Policy) -> int | None:
    log_keys = policy.log_keys(pinned.origin)
    signed = verified_signatures(note, (*log_keys, *policy.witness_keys()))
    if not set(log_keys).intersection(signed):
        raise SignatureError("the log itself has not signed")
    return min(_times(policy, signed), default=None)


def _times(policy: Policy, signed: Mapping[VerifierKey, int | None]) -> list[int]:
    """Return when the witnesses among `signed` cosigned; 0 says nothing of the time."""
    return [time for key in policy.witness_keys() if (time := signed.get(key))]
