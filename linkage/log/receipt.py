"""Receipts: an inclusion proof with its cosigned checkpoint, in one file of text.

What an agency keeps for every action of its own, so that it can show later, to
anyone with the trust file and without asking the matcher, that the log has it.

    c2sp.org/tlog-proof@v1
    index <index>
    <one hash a line, in base64>

    <the checkpoint with all its signatures>

The optional `extra` line is not written and not accepted: nothing vouches for it.

Source: C2SP tlog-proof v1.
"""

from dataclasses import dataclass

from linkage.errors import MalformedMessageError
from linkage.log.canonical import decode_base64, encode_base64, parse_decimal
from linkage.log.cosigned import CosignedCheckpoint, verify_cosigned
from linkage.log.hashing import leaf_hash
from linkage.log.policy import Policy
from linkage.log.proof import verify_inclusion

SUFFIX = ".tlog-proof"
_HEADER = "c2sp.org/tlog-proof@v1"
# A path in the largest tree there can be.
_MAX_HASHES = 63


@dataclass(frozen=True)
class Receipt:
    """Where an entry is, and who says so.

    Args:
        index: of the leaf.
        proof: its audit path in the tree of the checkpoint.
        note: the checkpoint, signed and cosigned.
    """

    index: int
    proof: tuple[bytes, ...]
    note: bytes


def format_receipt(receipt: Receipt) -> bytes:
    """Return the file of a receipt, named `*.tlog-proof`.

    Raises:
        MalformedMessageError: it would not parse.
    """
    lines = [_HEADER, f"index {receipt.index}", *map(encode_base64, receipt.proof), "", ""]
    data = "\n".join(lines).encode() + receipt.note
    if parse_receipt(data) != receipt:
        raise MalformedMessageError("a receipt that would be read differently")
    return data


def parse_receipt(data: bytes) -> Receipt:
    """Return the receipt in a file; nothing in it is verified yet.

    Raises:
        MalformedMessageError: anything `format_receipt` would not write.
    """
    head, blank, note = data.partition(b"\n\n")
    try:
        header, index, *lines = head.decode("ascii").split("\n")
    except ValueError as error:
        raise MalformedMessageError("not a receipt: header and index are missing") from error
    if not blank or header != _HEADER or not index.startswith("index "):
        raise MalformedMessageError(f"not a receipt: {_HEADER}, index, proof and checkpoint")
    if len(lines) > _MAX_HASHES:
        raise MalformedMessageError("not a receipt: no tree is that high")
    proof = tuple(decode_base64(line) for line in lines)
    return Receipt(parse_decimal(index.removeprefix("index ")), proof, note)


def verify_receipt(data: bytes, entry: bytes, policy: Policy) -> CosignedCheckpoint:
    """Check that the log has `entry`, and that the quorum vouches for it.

    Args:
        data: the receipt.
        entry: the bytes of the leaf.
        policy: the trust file.

    Returns:
        The checkpoint with its witnesses and their times.

    Raises:
        MalformedMessageError: the receipt does not parse.
        CheckpointError: its checkpoint is none.
        SignatureError: the log or too many witnesses of the trust file did not sign.
        ProofError: the entry is not in the tree at that index.
    """
    receipt = parse_receipt(data)
    cosigned = verify_cosigned(receipt.note, policy)
    head = cosigned.checkpoint
    verify_inclusion(leaf_hash(entry), receipt.index, head.size, receipt.proof, head.root)
    return cosigned
