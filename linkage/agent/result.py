"""A result: checked against the log before it is believed, then joined to own records."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from linkage.agent.compared import Compared
from linkage.agent.references import References
from linkage.errors import MalformedMessageError, ProofError, VerificationError
from linkage.job import REFERENCE_BYTES
from linkage.log.checkpoint import Checkpoint, verify_checkpoint
from linkage.log.entry import parse_entry, verify_body
from linkage.log.hashing import leaf_hash
from linkage.log.policy import Policy
from linkage.log.proof import verify_inclusion
from linkage.result import LINK_ID_BYTES, MATCH, Part, result_digest
from linkage.v1 import result_pb2

READ_ME = """\
A result is evidence for the official who decides. It decides nothing.
"no", and a record that is not listed, mean that nothing alike was found among the records that
were compared. That is NEVER evidence that a person is not a citizen.
A count under 10, and one from which such a count would follow, is "withheld"; others are
rounded down to tens.

Hasil adalah bahan bagi pejabat yang memutus. Hasil tidak memutuskan apa pun.
"no", dan rekaman yang tidak tercantum, berarti tidak ditemukan yang serupa di antara rekaman
yang dibandingkan. Itu TIDAK PERNAH menjadi bukti bahwa seseorang bukan warga negara.
Jumlah di bawah 10, dan jumlah yang dapat mengungkapnya, ditulis "withheld" (ditahan); yang
lain dibulatkan ke bawah ke puluhan.
"""
_READ_ME_FILE = "README-BACA-SAYA.txt"


@dataclass(frozen=True)
class VerifiedResult:
    """A result that the log vouches for.

    Attributes:
        job_id: the job.
        parts: what the party is told of each other one.
        checkpoint: the checkpoint that covers the result's leaf.
        note: the same, signed.
        method_version: version of matcher and solver.
        bands: the range of scores that each grade stands for.
        notes: what is doubtful of the result, in words of the matcher.
    """

    job_id: str
    parts: list[Part]
    checkpoint: Checkpoint
    note: bytes
    method_version: str
    bands: Mapping[str, str]
    notes: tuple[str, ...]


def verify_result(
    header: result_pb2.ResultHeader,
    pieces: Sequence[Part],
    *,
    trust: Policy,
    party: str,
    job_id: str,
    told: Mapping[str, str],
) -> VerifiedResult:
    """Check that the log, under a checkpoint that we trust, commits to exactly this result.

    Args:
        header: the receipt.
        pieces: the result as it came.
        trust: the trust file.
        party: whose result it should be.
        job_id: of which job.
        told: the level at which the job tells the party of each other one.

    Raises:
        VerificationError: signature, proof, commitment or digest does not hold, or it holds
            another level than the job's.
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
        method, notes = str(body["method"]), tuple(str(note) for note in body["notes"])
        bands = {str(grade): str(band) for grade, band in body["bands"].items()}
    except (MalformedMessageError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerificationError("the logged result is malformed or is not ours") from error
    parts = _joined(pieces)
    if logged != ("result", job_id, result_digest(header.salt, parts).hex()):
        raise VerificationError("the result that came is not the one that was logged")
    if {part.counterpart: part.level for part in parts} != dict(told):
        raise VerificationError("the result has other levels than the job")
    try:
        for part in parts:
            part.check()
    except MalformedMessageError as error:
        raise VerificationError(f"the logged result is none: {error}") from error
    return VerifiedResult(job_id, parts, checkpoint, header.checkpoint, method, bands, notes)


def _joined(pieces: Sequence[Part]) -> list[Part]:
    """Put the pieces of each counterpart and level together again, in the order of arrival."""
    pieces_of: dict[tuple[str, str], list[Part]] = {}
    for piece in pieces:
        pieces_of.setdefault((piece.counterpart, piece.level), []).append(piece)
    return [
        Part(
            counterpart,
            level,
            b"".join(piece.references for piece in part),
            b"".join(piece.grades for piece in part),
            b"".join(piece.link_ids for piece in part),
            b"".join(piece.comparisons for piece in part),
            tuple(count for piece in part for count in piece.counts),
        )
        for (counterpart, level), part in pieces_of.items()
    ]


def write_result(
    folder: Path,
    result: VerifiedResult,
    references: References,
    own: Sequence[str],
    compared: Compared | None,
) -> dict[str, Path]:
    """Write a result, one file for each level, and return the files by level.

    Every row says that it is evidence for an official and no decision.

    Args:
        folder: where.
        result: what the log vouches for.
        references: leads back to the own records.
        own: all own records of the job.
        compared: reads how attributes compare; None in a job of one round.

    Raises:
        RecordError: a result names a record that was not uploaded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _READ_ME_FILE).write_text(READ_ME, encoding="utf-8")
    levels, files = sorted({part.level for part in result.parts}), dict[str, Path]()
    for level in levels:
        parts = [part for part in result.parts if part.level == level]
        rows = [row for part in parts for row in _rows(part, result, references, own, compared)]
        # Without a row there are columns, all the same: a file that can be read.
        names = [*_columns(level, compared), "method", "needs_human_decision"]
        ends = {"method": result.method_version, "needs_human_decision": "yes"}
        columns = {
            name: pa.array([{**row, **ends}.get(name) for row in rows], pa.string())
            for name in names
        }
        files[level] = file_of(folder, result.job_id, level)
        _write(files[level], pa.table(columns))
    return files


def file_of(folder: Path, job_id: str, level: str) -> Path:
    """Return the file for what a job tells at one level."""
    suffix = ".csv" if level == "R3" else f".{level.lower()}.csv"
    return folder / f"{job_id}{suffix}"


def _columns(level: str, compared: Compared | None) -> list[str]:
    match level:
        case "R0":
            return ["counterpart", "records", "match", "undetermined"]
        case "R1":
            return ["record_id", "counterpart", "found", "band"]
        case "R2":
            names = compared.columns if compared else []
            return ["record_id", "counterpart", "grade", "band", *names]
        case _:
            return ["record_id", "counterpart", "link_id", "grade", "band"]


def _rows(
    part: Part,
    result: VerifiedResult,
    references: References,
    own: Sequence[str],
    compared: Compared | None,
) -> Iterator[dict[str, str]]:
    if part.level == "R0":
        records, *cells = part.counts
        told = [f"at least {count}" if count else "withheld" for count in cells]
        yield {
            "counterpart": part.counterpart,
            "records": str(records),
            "match": told[0],
            "undetermined": told[1],
        }
        return
    linked = references.record_ids(part.references)
    words = ["match" if grade == MATCH else "undetermined" for grade in part.grades]
    graded = [
        {
            "record_id": record_id,
            "counterpart": part.counterpart,
            "grade": word,
            "band": result.bands.get(word, ""),
        }
        for record_id, word in zip(linked, words, strict=True)
    ]
    match part.level:
        case "R1":
            yield from _answers(part, graded, own)
        case "R2" if compared is not None:
            of_record = compared.read(part)
            for reference, row in zip(
                _split(part.references, REFERENCE_BYTES), graded, strict=True
            ):
                for steps in of_record.get(reference, [{}]):
                    yield row | steps
        case _:
            ids = _split(part.link_ids, LINK_ID_BYTES)
            for link_id, row in zip(ids, graded, strict=True):
                yield row | {"link_id": link_id.hex()}


def _answers(
    part: Part, graded: Iterable[dict[str, str]], record_ids: Iterable[str]
) -> Iterator[dict[str, str]]:
    """Yield yes, no or undetermined for every own record."""
    by_record = {row["record_id"]: row for row in graded}
    for record_id in record_ids:
        row = by_record.get(record_id, {"grade": "no", "band": "none"})
        yield {
            "record_id": record_id,
            "counterpart": part.counterpart,
            "found": "yes" if row["grade"] == "match" else row["grade"],
            "band": row["band"],
        }


def _split(content: bytes, width: int) -> list[bytes]:
    return [content[at : at + width] for at in range(0, len(content), width)]


def _write(path: Path, table: pa.Table) -> None:
    temporary = path.with_suffix(".part")
    pa_csv.write_csv(table, temporary)
    temporary.replace(path)
