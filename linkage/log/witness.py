"""The witness: it cosigns a checkpoint if that extends all it has cosigned before.

What an agency's agent does for the others: the log cannot show two of them two
histories, for each cosigns only one. `judge` decides and is pure: state and request
in, new state or a named refusal out. `Witness` adds the order that makes it safe:
the new state is on disk before anyone gets the cosignature, and it is written only
in place of the very state that the decision was made on, so that of two requests at
once the older one can never roll the state back.

A witness whose state was lost must not go on with its key: it could sign a fork.

Source: C2SP tlog-witness v1.1.0 (add-checkpoint; the status numbers are its, but that a
fork is named whatever old size comes with it).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from linkage.errors import (
    CheckpointError,
    MalformedMessageError,
    ProofError,
    SignatureError,
)
from linkage.log.canonical import decode_base64, encode_base64, parse_decimal
from linkage.log.checkpoint import check_signed_by_log, parse_checkpoint
from linkage.log.hashing import EMPTY_ROOT
from linkage.log.note import (
    Signer,
    format_lines,
    parse_note,
    signed_line,
    verified_signatures,
)
from linkage.log.proof import verify_consistency
from linkage.log.vkey import VerifierKey

MAX_PROOF_LINES = 63
_MAX_REQUEST_BYTES = 1 << 21


@dataclass(frozen=True)
class WitnessRequest:
    """A checkpoint to cosign.

    Args:
        old: the size that the witness cosigned last, as the log believes.
        proof: that the checkpoint extends the tree of that size.
        note: the checkpoint, signed by the log.
    """

    old: int
    proof: tuple[bytes, ...]
    note: bytes


@dataclass(frozen=True)
class WitnessState:
    """The newest checkpoint of one log that a witness has cosigned.

    Args:
        size: its number of leaves.
        root: the root over them.
        note: the checkpoint as the log signed it; nothing at the start.
    """

    size: int = 0
    root: bytes = EMPTY_ROOT
    note: bytes = b""


class Refusal(Enum):
    """Why a witness does not cosign; the value is the HTTP status of tlog-witness."""

    MALFORMED = 400, "the request is not in its one form"
    OLD_SIZE_TOO_LARGE = 400, "the old size is larger than the checkpoint"
    SIGNATURE_INVALID = 403, "the log has not signed the checkpoint"
    ORIGIN_UNKNOWN = 404, "the checkpoint is of a log that is not witnessed here"
    OLD_SIZE_STALE = 409, "another size was cosigned last"
    FORK = 422, "another tree of the same size was cosigned before"
    NOT_CONSISTENT = 422, "the checkpoint is not shown to extend what was cosigned last"

    def __init__(self, status: int, meaning: str) -> None:
        self.status = status
        self.meaning = meaning


@dataclass(frozen=True)
class Evidence:
    """A checkpoint of the log that could not be reconciled with an earlier one.

    Two roots for one size, both signed by the log, prove that it forked: anyone can
    check that. A proof that does not hold proves it only once the log, asked again,
    has no better one: it may have been altered on its way.

    Args:
        refusal: `FORK` or `NOT_CONSISTENT`.
        cosigned: the checkpoint that was cosigned last, signed by the log.
        request: what was refused, as `format_request` writes it.
    """

    refusal: Refusal
    cosigned: bytes
    request: bytes


@dataclass(frozen=True)
class Accepted:
    """The checkpoint may be cosigned, once `state` has replaced the old one."""

    state: WitnessState


@dataclass(frozen=True)
class Refused:
    """The checkpoint is not cosigned.

    Args:
        refusal: why.
        size: the size that was cosigned last, where that is why: ask again from there.
        evidence: to be kept, where the log's own signature stands against it.
    """

    refusal: Refusal
    size: int | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Cosigned:
    """The checkpoint is cosigned.

    Args:
        state: what is on disk now.
        lines: the signature lines of this witness, for `checkpoint.add_cosignatures`.
    """

    state: WitnessState
    lines: bytes


class WitnessStore(Protocol):
    """What a witness needs of its disk. Whatever returns is durable."""

    def read(self, origin: str) -> WitnessState:
        """Return the state of a log; of one never cosigned, `WitnessState()`."""
        ...

    def replace(self, origin: str, old: WitnessState, new: WitnessState) -> bool:
        """Write `new` if the state is still `old`, at once; return whether it was."""
        ...

    def keep(self, origin: str, evidence: Evidence) -> None:
        """Keep evidence for good; what is kept already need not be kept twice."""
        ...


def format_request(request: WitnessRequest) -> bytes:
    """Return the body of an add-checkpoint request."""
    lines = [f"old {request.old}", *map(encode_base64, request.proof), "", ""]
    return "\n".join(lines).encode() + request.note


def parse_request(data: bytes) -> WitnessRequest:
    """Return the request whose body is `data`; nothing in it is verified yet.

    Raises:
        MalformedMessageError: anything `format_request` would not write, or more than
            63 proof lines.
    """
    head, blank, note = data.partition(b"\n\n")
    if not blank or len(data) > _MAX_REQUEST_BYTES:
        raise MalformedMessageError("a witness request without checkpoint, or too long")
    try:
        old, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedMessageError("a witness request that is not ASCII") from error
    if not old.startswith("old ") or len(lines) > MAX_PROOF_LINES:
        raise MalformedMessageError("a witness request without old size, or with too many hashes")
    proof = tuple(decode_base64(line) for line in lines)
    return WitnessRequest(parse_decimal(old.removeprefix("old ")), proof, note)


def request_origin(data: bytes) -> str:
    """Return the origin that the checkpoint of a request names: whose state to read.

    Raises:
        MalformedMessageError: the request does not parse.
        SignatureError: its checkpoint is no note.
        CheckpointError: its checkpoint is none.
    """
    return parse_checkpoint(parse_note(parse_request(data).note).text).origin


def judge(state: WitnessState, data: bytes, log_keys: Sequence[VerifierKey]) -> Accepted | Refused:
    """Decide whether to cosign the checkpoint in a request.

    Args:
        state: of the log that the request names.
        data: the request.
        log_keys: the keys of the logs that are witnessed; one of each type that is
            among them has to have signed.

    Returns:
        The state that has to be on disk before the cosignature leaves, or a refusal.
    """
    try:
        request = parse_request(data)
        note = parse_note(request.note)
        new = parse_checkpoint(note.text)
    except (MalformedMessageError, SignatureError, CheckpointError):
        return Refused(Refusal.MALFORMED)
    keys = [key for key in log_keys if key.name == new.origin]
    if not keys:
        return Refused(Refusal.ORIGIN_UNKNOWN)
    try:
        check_signed_by_log(keys, verified_signatures(note, keys))
    except SignatureError:
        return Refused(Refusal.SIGNATURE_INVALID)
    if request.old > new.size:
        return Refused(Refusal.OLD_SIZE_TOO_LARGE)
    if new.size == state.size and new.root != state.root:
        # Before the old size is looked at: a fork is a fork, whatever the log asks for.
        return _against_the_log(Refusal.FORK, state, data)
    if request.old != state.size:
        return Refused(Refusal.OLD_SIZE_STALE, size=state.size)
    try:
        verify_consistency(state.size, new.size, request.proof, state.root, new.root)
    except ProofError:
        return _against_the_log(Refusal.NOT_CONSISTENT, state, data)
    return Accepted(WitnessState(new.size, new.root, request.note))


class Witness:
    """One witness: its keys, the logs it witnesses, and its store.

    Any number of threads may call it, and any number of processes with one store.

    Args:
        store: where its states are.
        log_keys: the keys of the logs that are witnessed.
        cosigners: its own keys: Ed25519, ML-DSA-44 or both.
    """

    def __init__(
        self, store: WitnessStore, log_keys: Sequence[VerifierKey], cosigners: Sequence[Signer]
    ) -> None:
        self._store = store
        self._log_keys = tuple(log_keys)
        self._cosigners = tuple(cosigners)

    def add_checkpoint(self, data: bytes) -> Cosigned | Refused:
        """Cosign the checkpoint in a request, or say why not.

        Evidence is kept before this returns.

        Raises:
            OSError: the store failed; nothing was signed.
        """
        try:
            origin = request_origin(data)
        except (MalformedMessageError, SignatureError, CheckpointError):
            return Refused(Refusal.MALFORMED)
        while True:
            state = self._store.read(origin)
            answer = judge(state, data, self._log_keys)
            if isinstance(answer, Refused):
                if answer.evidence is not None:
                    self._store.keep(origin, answer.evidence)
                return answer
            if self._store.replace(origin, state, answer.state):
                return Cosigned(answer.state, self._sign(answer.state.note))

    def _sign(self, note: bytes) -> bytes:
        text = parse_note(note).text.encode()
        return format_lines([signed_line(text, cosigner) for cosigner in self._cosigners])


def _against_the_log(refusal: Refusal, state: WitnessState, data: bytes) -> Refused:
    return Refused(refusal, state.size, Evidence(refusal, state.note, data))
