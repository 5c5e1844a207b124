"""Anchors in a log: times that are not its own word, held against those that are.

A leaf before an anchor was there by that time, one after it was not there yet. So a leaf that
claims to be older than an anchor before it was dated back, by whoever it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from linkage.audit.verdict import ANCHOR_INVALID, TIME_INVALID, Finding
from linkage.audit.verify import Contents
from linkage.errors import MalformedMessageError, VerificationError
from linkage.log.checkpoint import Checkpoint, format_checkpoint
from linkage.log.timestamp import parse_anchor, verify_timestamp
from linkage.log.tree import History

# What clocks that someone looks after may differ by.
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Anchor:
    """A timestamp in the log that holds.

    Args:
        leaf: its index.
        size: how many entries there were at its time.
        time: the authority's.
    """

    leaf: int
    size: int
    time: datetime


def check_anchors(
    contents: Contents, origin: str, authorities: Sequence[x509.Certificate]
) -> tuple[list[Anchor], list[Finding]]:
    """Return the anchors of a log that hold, and what is wrong.

    Args:
        contents: of a bundle that was verified.
        origin: the name of the log.
        authorities: certificates of those whose timestamps count.
    """
    history = History()
    for leaf in contents.leaf_hashes:
        history.append(leaf)
    anchors: list[Anchor] = []
    findings: list[Finding] = []
    for index, entry in enumerate(contents.entries):
        if entry.type != "anchor":
            continue
        try:
            size, response = parse_anchor(entry.body or {})
            if size > index:
                raise VerificationError("it is over entries that come after it")
            text = format_checkpoint(Checkpoint(origin, size, history.root_at(size)))
            anchors.append(
                Anchor(index, size, verify_timestamp(response, text.encode(), authorities))
            )
        except (MalformedMessageError, VerificationError) as error:
            findings.append(Finding(ANCHOR_INVALID, f"leaf {index}: {error}"))
    return anchors, findings + _misdated(contents, anchors)


def _misdated(contents: Contents, anchors: Sequence[Anchor]) -> list[Finding]:
    findings = []
    for one in anchors:
        said = f"{one.time:%Y-%m-%d %H:%M:%S}Z"
        late = max(range(one.size), key=lambda index: contents.entries[index].time)
        if contents.entries[late].time > one.time + _SKEW:
            text = f"leaf {late}: later than the anchor of leaf {one.leaf}, which has it: {said}"
            findings.append(Finding(TIME_INVALID, text))
        after = range(one.size, len(contents.entries))
        early = min(after, key=lambda index: contents.entries[index].time, default=None)
        if early is not None and contents.entries[early].time + _SKEW < one.time:
            text = f"leaf {early}: dated back: leaf {one.leaf} is a timestamp without it of {said}"
            findings.append(Finding(TIME_INVALID, text))
    return findings
