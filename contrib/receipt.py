#!/usr/bin/env python3
"""Verify a receipt of Padan's match log offline: that the log has an entry, and who says so.

    python receipt.py RECEIPT.tlog-proof --leaf ENTRY --trust FILE [--body FILE] [--json]

Needs `verify.py` beside it, whose keys, checkpoints and trust files these are, and nothing else
of Padan. With the body of a confidential entry it shows what the entry committed to. Exit codes: 0
all of it holds, 2 the command or the trust file cannot be used, 3 anything else.
"""

import argparse
import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from verify import (
    BadError,
    Checkpoint,
    Leaf,
    Trust,
    TrustFileError,
    decimal,
    read_hash,
    read_json,
    write_json,
)

MAX_HASHES = 63


def verify_receipt(data: bytes, entry: bytes, trust: Trust) -> tuple[int, Checkpoint]:
    """Where a log has an entry, and the checkpoint that says so (C2SP tlog-proof v1)."""
    head, blank, note = data.partition(b"\n\n")
    match head.decode("ascii", "replace").split("\n"):
        case ["c2sp.org/tlog-proof@v1", place, *lines] if blank and place.startswith("index "):
            index, proof = decimal(place.removeprefix("index ")), [read_hash(at) for at in lines]
        case _:
            raise BadError("not a receipt: header, index, hashes and checkpoint")
    checkpoint = Checkpoint(note)
    log_keys = trust.log_keys(checkpoint.origin)
    signed = checkpoint.signed_by([*log_keys, *trust.witnesses.values()], strict=False)
    if not log_keys or {key.type for key in log_keys} != {k.type for k in log_keys if k in signed}:
        raise BadError("the log has not signed with each type of its keys")
    if not trust.met(trust.quorum, signed):
        raise BadError(f"the cosignatures do not make up {trust.quorum}")
    if len(proof) > MAX_HASHES or root_by(entry, index, checkpoint.size, proof) != checkpoint.root:
        raise BadError("the log does not have this entry there")
    return index, checkpoint


def root_by(entry: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """The root of a tree in which the entry has this place; None if the proof is of no tree."""
    node, last = hashlib.sha256(b"\x00" + entry).digest(), size - 1
    if index > last:
        return None
    for sibling in proof:  # RFC 9162, 2.1.3.2
        if last == 0:
            return None
        if index & 1 or index == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    return node if last == 0 else None


def open_body(data: bytes, leaf: Leaf) -> Any:
    """What a leaf committed to, from the file that opens the commitment."""
    fields = read_json(data)
    if not isinstance(fields, dict) or fields.keys() != {"body", "opening"}:
        raise BadError("not an object of body and opening")
    made = hmac.digest(
        read_hash(fields["opening"]), write_json(fields["body"], 0).encode(), "sha256"
    )
    if leaf.commitment is None or not hmac.compare_digest(made, leaf.commitment):
        raise BadError("a body that the entry did not commit to")
    return fields["body"]


def main() -> int:
    """Run as a program; returns the exit code."""
    parser = argparse.ArgumentParser(description="Verify a receipt of a match log offline.")
    parser.add_argument("receipt", type=Path, help="*.tlog-proof")
    parser.add_argument("--leaf", type=Path, required=True, help="the bytes of the entry")
    parser.add_argument("--trust", type=Path, required=True, help="trust file, out of band")
    parser.add_argument("--body", type=Path, help="what a confidential entry committed to")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    options = parser.parse_args()
    try:
        trust = Trust(options.trust.read_bytes())
        entry, data = options.leaf.read_bytes(), options.receipt.read_bytes()
        body_data = options.body.read_bytes() if options.body else None
    except (OSError, TrustFileError) as error:
        print(f"receipt: {error}", file=sys.stderr)
        return 2
    try:
        index, checkpoint = verify_receipt(data, entry, trust)
        leaf = Leaf(entry)
        body = open_body(body_data, leaf) if body_data is not None else None
    except BadError as error:
        print(f"receipt: it does not hold: {error}", file=sys.stderr)
        return 3
    found = {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
    found |= {"index": index, "type": leaf.type, "body": body}
    if options.json:
        print(json.dumps(found))
        return 0
    print(f"OK\nleaf {index}, {leaf.type}: in the log {checkpoint.origin} at {checkpoint.size} "
          f"entries, root {checkpoint.root.hex()}")  # fmt: skip
    if body is not None:
        print(json.dumps(body, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
