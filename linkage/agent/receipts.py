"""Receipts of results: files that show, without the matcher, that the log has them.

Beside the result of job J, in the folder of results:

    J.tlog-proof    that the log has the result's leaf, and who has cosigned that
    J.leaf.json     the leaf, byte for byte
    J.body.json     what the leaf committed to, and what opens the commitment

A result comes under a checkpoint with the lines of its job's parties. Where the trust file asks for
more witnesses than those, the receipt is `J.partial.tlog-proof` at first; a later run replaces it
by a whole one, once enough of them have cosigned.

Source: C2SP tlog-proof v1.
"""

import os
from pathlib import Path
from typing import Protocol

from linkage.agent.mirror import Mirror
from linkage.agent.result import VerifiedResult
from linkage.errors import ProofError, SignatureError
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.cosigned import newest_cosigned
from linkage.log.entry import format_body
from linkage.log.note import parse_note
from linkage.log.policy import NO_QUORUM, Policy
from linkage.log.receipt import SUFFIX, Receipt, format_receipt, parse_receipt, verify_receipt
from linkage.store.log_copy import LogSource

_PARTIAL = f".partial{SUFFIX}"
_LEAF, _BODY = ".leaf.json", ".body.json"


class CosignedSource(LogSource, Protocol):
    """Where the log comes from, with the checkpoints that parties have cosigned."""

    def cosigned(self, before: int) -> bytes:
        """Return the newest cosigned checkpoint of fewer entries than that, or nothing."""


class Receipts:
    """The receipts in a folder of results.

    Args:
        folder: of the results.
        trust: the trust file.
        mirror: the own copy of the log.
    """

    def __init__(self, folder: Path, trust: Policy, mirror: Mirror) -> None:
        self._folder, self._trust, self._mirror = folder, trust, mirror

    def of(self, job_id: str) -> Path | None:
        """Return the receipt of a job's result, whole or partial; None where there is none."""
        names = (job_id + SUFFIX, job_id + _PARTIAL)
        return next((path for name in names if (path := self._folder / name).exists()), None)

    def write(self, result: VerifiedResult) -> Path:
        """Write the receipt of a result, with its leaf and body; return its file."""
        receipt = Receipt(result.leaf_index, result.proof, result.note)
        self._put(result.job_id + _LEAF, result.leaf)
        self._put(result.job_id + _BODY, format_body(result.opening, result.body))
        return self._put_receipt(result.job_id, receipt, result.leaf)

    def complete(self, source: CosignedSource) -> list[Path]:
        """Replace partial receipts by whole ones where there is a checkpoint for them by now.

        Raises:
            VerificationError: a checkpoint contradicts the own copy of the log.
        """
        waiting = sorted(self._folder.glob(f"*{_PARTIAL}"))
        if not waiting or self._trust.quorum == NO_QUORUM:
            return []
        try:
            note = newest_cosigned(source.cosigned, self._trust)
        except SignatureError:
            return []  # not yet
        self._mirror.follow(note, source)
        size, done = parse_checkpoint(parse_note(note).text).size, []
        for path in waiting:
            job_id, index = path.name.removesuffix(_PARTIAL), parse_receipt(path.read_bytes()).index
            if index < size:
                proof = tuple(self._mirror.copy.inclusion_proof(index, size))
                leaf = (self._folder / f"{job_id}{_LEAF}").read_bytes()
                done.append(self._put_receipt(job_id, Receipt(index, proof, note), leaf))
        return [path for path in done if not path.name.endswith(_PARTIAL)]

    def _put_receipt(self, job_id: str, receipt: Receipt, leaf: bytes) -> Path:
        """Write a receipt under the name that it deserves."""
        data, partial = format_receipt(receipt), self._folder / f"{job_id}{_PARTIAL}"
        try:
            verify_receipt(data, leaf, self._trust)
        except SignatureError:
            return self._put(partial.name, data)
        except ProofError as error:
            # What came with the result was checked before: this one is of the own copy.
            raise self._mirror.copy.damaged() from error
        whole = self._put(job_id + SUFFIX, data)
        partial.unlink(missing_ok=True)
        return whole

    def _put(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        temporary = path.with_name(f".{name}.part")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return temporary.replace(path)
