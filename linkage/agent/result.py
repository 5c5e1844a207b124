"""A result: checked against the log before it is believed, then joined to own records."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from linkage.agent.references import References
from linkage.errors import MalformedMessageError, ProofError, VerificationError
from linkage.log.checkpoint import Checkpoint, verify_checkpoint
from linkage.log.entry import parse_entry, verify_body
from linkage.log.hashing import leaf_hash
from linkage.log.policy import Policy
from linkage.log.proof import verify_inclusion
from linkage.solve.links import LINK_ID_BYTES, MATCH, Links, links_digest
from linkage.v1 import result_pb2


@dataclass(frozen=True)
class VerifiedResult:
    """Links that the log vouches for.

    Attributes:
        job_id: the job.
        links: own links, one part for each counterpart.
        checkpoint: the checkpoint that covers the result's leaf.
        note: the same, signed.
        method_version: version of matcher and solver.
        notes: what is doubtful of the result, in words of the matcher.
    """

    job_id: str
    links: list[Links]
    checkpoint: Checkpoint
    note: bytes
    method_version: str
    notes: tuple[str, ...]


def verify_result(
    header: result_pb2.ResultHeader,
    pieces: Sequence[Links],
    *,
    trust: Policy,
    party: str,
    job_id: str,
) -> VerifiedResult:
    """Check that the log, under a checkpoint that we trust, commits to exactly these links.

    Args:
        header: the receipt.
        pieces: the links as they came.
        trust: the trust file.
        party: whose result it should be.
        job_id: of which job.

    Raises:
        VerificationError: signature, proof, commitment or digest does not hold.
    """
    keys = [line.key for line in trust.logs]
    checkpoint = verify_checkpoint(header.checkpoint, keys)
    if checkpoint.size <= header.leaf_index:
        raise ProofError("the checkpoint does not cover the result")
    verify_inclusion(
        leaf_hash(header.leaf),
        header.leaf_index,
        checkpoint.size,
        list(header.inclusion_proof),
        checkpoint.root,
    )
    try:
        entry = parse_entry(header.leaf)
        verify_body(entry, header.opening, header.body)
        body = json.loads(header.body)
        logged = (entry.type, body["job"], body["results"][party])
        notes = tuple(str(note) for note in body["notes"])
    except (MalformedMessageError, ValueError, KeyError, TypeError) as error:
        raise VerificationError("the logged result is malformed or is not ours") from error
    links = _joined(pieces)
    if logged != ("result", job_id, links_digest(links).hex()):
        raise VerificationError("the links that came are not the ones that were logged")
    return VerifiedResult(
        job_id, links, checkpoint, header.checkpoint, header.method_version, notes
    )


def _joined(pieces: Sequence[Links]) -> list[Links]:
    """Put the pieces of each counterpart together again, in the order of arrival."""
    parts: dict[str, list[Links]] = {}
    for piece in pieces:
        parts.setdefault(piece.counterpart, []).append(piece)
    return [
        Links(
            name,
            b"".join(piece.references for piece in part),
            b"".join(piece.link_ids for piece in part),
            b"".join(piece.grades for piece in part),
        )
        for name, part in parts.items()
    ]


def write_links(path: Path, result: VerifiedResult, references: References) -> int:
    """Write own links as CSV (record_id, counterpart, link_id, ...), and return their number.

    Every row says that it is evidence for an official and no decision.

    Raises:
        RecordError: a link names a record that was not uploaded.
    """
    record_ids: list[str] = []
    counterparts: list[str] = []
    link_ids: list[str] = []
    grades: list[str] = []
    for part in result.links:
        record_ids += references.record_ids(part.references)
        counterparts += [part.counterpart] * len(part)
        link_ids += [
            part.link_ids[i : i + LINK_ID_BYTES].hex()
            for i in range(0, len(part.link_ids), LINK_ID_BYTES)
        ]
        grades += ["match" if grade == MATCH else "undetermined" for grade in part.grades]
    n = len(record_ids)
    table = pa.table(
        {
            "record_id": pa.array(record_ids, pa.string()),
            "counterpart": pa.array(counterparts, pa.string()),
            "link_id": pa.array(link_ids, pa.string()),
            "grade": pa.array(grades, pa.string()),
            "method": pa.array([result.method_version] * n, pa.string()),
            "needs_human_decision": pa.array(["yes"] * n, pa.string()),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    pa_csv.write_csv(table, temporary)
    temporary.replace(path)
    return n
