"""Who is at fault when a key exchange ends without a key, shown to anybody.

A complaint is no claim: it opens all that its judge needs, and what anybody finds there
decides between the two parties.

- A sealed share that is not the committed one: base-mode HPKE gives the recipient no proof
  of what it found in a ciphertext. So every party draws a seal key for this one exchange,
  and a complaint shows the secret half: the judge makes the public half again, opens the
  signed ciphertext and compares with the commitment.
- A tag that the shares do not give: a complaint opens all commitments, and the judge makes
  the key and the tag.

Either way the shares are public then and the epoch is dead: nothing was encoded under it
yet. Whoever complains of what is right opened everything for nothing, and is blamed.

What is said of a party rests on its own signatures, but for `ABSENT` and `STRAY`, which rest
on what the log does not hold.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from keys.combine import confirm_key, confirm_tag
from keys.dsse import Envelope
from keys.errors import KeysError
from keys.messages import SHARE_BYTES, Commit, Confirm, Seal, ShareComplaint, TagComplaint
from keys.sealing import SealKey
from keys.terms import Terms


class Fault(Enum):
    """What a party did, or did not do."""

    EQUIVOCATION = "equivocation"
    """It signed two different messages of one kind."""
    WRONG_SHARE = "wrong-share"
    """What it sealed does not open, or is not what it committed to."""
    WRONG_TAG = "wrong-tag"
    """It confirmed a key that the committed shares do not give."""
    UNFOUNDED = "unfounded"
    """It complained of what is right, or of what is not in the log."""
    WITHDRAWN = "withdrawn"
    """It ended the exchange, which it may."""
    STRAY = "stray"
    """Its message builds on others than those in the log."""
    ABSENT = "absent"
    """Nothing of it was in the log in time; whether it was held back, nobody can tell."""


@dataclass(frozen=True)
class Blame:
    """One party, what it did, and the signed messages that show it to anybody.

    Attributes:
        party: who.
        fault: what.
        evidence: from these alone a `Transcript` comes to the same blame, but where the
            fault is that something is not in the log.
    """

    party: str
    fault: Fault
    evidence: tuple[Envelope, ...]


def share_is_wrong(
    terms: Terms, complaint: ShareComplaint, ours: Commit, theirs: Commit, seal: Seal
) -> bool:
    """Return whether the share that a complaint shows is wrong; if not, the complaint is.

    Args:
        terms: of the exchange.
        complaint: the complaint.
        ours: the commit of the party that complains.
        theirs: the commit of the party it is about, as its seal names it.
        seal: the seal of that party.
    """
    if sha256(complaint.ciphertext).digest() != seal.sealed[complaint.party]:
        return False  # nobody signed this ciphertext
    key = SealKey(complaint.seal_secret)
    if key.public != ours.seal_key:
        return False  # nothing was sealed to this key
    info = terms.share_info(seal.party, complaint.party, terms.commits_hash(seal.commits))
    try:
        opening = key.open(complaint.ciphertext, info)
    except KeysError:
        return True
    return terms.commitment(seal.party, opening) != theirs.commitment


def tag_is_wrong(
    terms: Terms,
    complaint: TagComplaint,
    commits: Sequence[Commit],
    digests: Sequence[bytes],
    confirm: Confirm,
) -> bool:
    """Return whether the tag that a complaint is about is wrong; if not, the complaint is.

    Args:
        terms: of the exchange.
        complaint: the complaint.
        commits: of all parties, in their order.
        digests: of the commits.
        confirm: what the complaint is about.
    """
    for commit, opening in zip(commits, complaint.openings, strict=True):
        if terms.commitment(commit.party, opening) != commit.commitment:
            return False  # not what was committed to
    shares = bytearray().join(opening[:SHARE_BYTES] for opening in complaint.openings)
    commits_hash = terms.commits_hash(digests)
    transcript_hash = terms.transcript_hash(commits_hash, confirm.seals)
    tag = confirm_tag(confirm_key(shares, commits_hash), confirm.party, transcript_hash)
    return not hmac.compare_digest(tag, confirm.tag)
