"""What a verification found, as codes for programs and sentences for people."""

from dataclasses import dataclass, field
from typing import NamedTuple

OK = "OK"
UNPINNED = "UNPINNED"
UNREADABLE = "UNREADABLE"
MALFORMED = "MALFORMED"
MANIFEST_MISMATCH = "MANIFEST_MISMATCH"
FILE_MISSING = "FILE_MISSING"
FILE_UNEXPECTED = "FILE_UNEXPECTED"
ORIGIN_MISMATCH = "ORIGIN_MISMATCH"
SIGNATURE_INVALID = "SIGNATURE_INVALID"
QUORUM_NOT_MET = "QUORUM_NOT_MET"
TILE_MISMATCH = "TILE_MISMATCH"
ROOT_MISMATCH = "ROOT_MISMATCH"
LEAF_INVALID = "LEAF_INVALID"
TIME_INVALID = "TIME_INVALID"
BODY_MISMATCH = "BODY_MISMATCH"
PIN_INVALID = "PIN_INVALID"
INCONSISTENT_WITH_PINNED = "INCONSISTENT_WITH_PINNED"
ANCHOR_INVALID = "ANCHOR_INVALID"

MEANING = {
    OK: "the log is whole, and the trust file vouches for its checkpoint",
    UNPINNED: "nothing is wrong in itself, and nobody vouches for it: no trust file was given",
    UNREADABLE: "the bundle could not be read from disk",
    MALFORMED: "a file is not in its one accepted form",
    MANIFEST_MISMATCH: "a file differs from what the manifest lists",
    FILE_MISSING: "a tile that the checkpoint implies is not there",
    FILE_UNEXPECTED: "a file is there that the checkpoint does not imply",
    ORIGIN_MISMATCH: "the checkpoint is of a log that the trust file or the pin does not name",
    SIGNATURE_INVALID: "a signature is wrong, missing, or of a key outside the trust file",
    QUORUM_NOT_MET: "too few witnesses of the trust file have cosigned",
    TILE_MISMATCH: "a hash tile is not what the entries give",
    ROOT_MISMATCH: "the entries do not give the root of the checkpoint",
    LEAF_INVALID: "an entry is not a leaf in its one accepted form",
    TIME_INVALID: "a leaf claims a time that its place in the log, or every witness, contradicts",
    BODY_MISMATCH: "a body is not what its leaf committed to",
    PIN_INVALID: "the pinned checkpoint cannot be used",
    INCONSISTENT_WITH_PINNED: "the log does not extend the pinned checkpoint",
    ANCHOR_INVALID: "a timestamp in the log does not hold",
}


class Finding(NamedTuple):
    """One thing that is wrong."""

    code: str
    text: str


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of a verification.

    Args:
        verdict: `OK`, or the code of the first finding.
        origin: the log that the checkpoint names; empty where none could be read.
        size: the entries it counts.
        root: the root it claims, in hex.
        since: the size of the pinned checkpoint that the log was shown to extend.
        entries: the number of valid leaves by type.
        bodies: the bodies that were found to be what their leaves committed to.
        findings: in the order of the checks; what could not be reached is not there.
    """

    verdict: str
    origin: str = ""
    size: int = 0
    root: str = ""
    since: int | None = None
    entries: dict[str, int] = field(default_factory=dict)
    bodies: int = 0
    findings: list[Finding] = field(default_factory=list)
