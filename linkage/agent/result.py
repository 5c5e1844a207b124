"""A result: checked against the log before it is believed, then joined to own records."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

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
from linkage.result import COUNTS, LINK_ID_BYTES, MATCH, Part, result_digest
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
_Columns: TypeAlias = "dict[str, list[str] | list[str | None]]"


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
        leaf_index: where the log has the result.
        leaf: the leaf.
        opening: opens its commitment.
        body: what it committed to.
        proof: the hashes that lead from the leaf to the checkpoint.
    """

    job_id: str
    parts: list[Part]
    checkpoint: Checkpoint
    note: bytes
    method_version: str
    bands: Mapping[str, str]
    notes: tuple[str, ...]
    leaf_index: int
    leaf: bytes
    opening: bytes
    body: bytes
    proof: tuple[bytes, ...]


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
    return VerifiedResult(
        job_id,
        parts,
        checkpoint,
        header.checkpoint,
        method,
        bands,
        notes,
        header.leaf_index,
        header.leaf,
        header.opening,
        header.body,
        tuple(header.inclusion_proof),
    )


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
    files = dict[str, Path]()
    for level in sorted({part.level for part in result.parts}):
        parts = [part for part in result.parts if part.level == level]
        tables = [_table(part, result, references, own, compared) for part in parts]
        files[level] = file_of(folder, result.job_id, level)
        _write(files[level], pa.concat_tables(tables))
    return files


def file_of(folder: Path, job_id: str, level: str) -> Path:
    """Return the file for what a job tells at one level."""
    suffix = ".csv" if level == "R3" else f".{level.lower()}.csv"
    return folder / f"{job_id}{suffix}"


def _table(
    part: Part,
    result: VerifiedResult,
    references: References,
    own: Sequence[str],
    compared: Compared | None,
) -> pa.Table:
    """Return what a part tells, joined to own records."""
    if part.level == "R0":
        columns = _counts(part)
    else:
        linked = references.record_ids(part.references)
        words = ["match" if grade == MATCH else "undetermined" for grade in part.grades]
        match part.level:
            case "R1":
                columns = _answers(dict(zip(linked, words, strict=True)), own, result.bands)
            case "R2" if compared is not None:
                columns = _comparisons(part, linked, words, result.bands, compared)
            case _:
                columns = {
                    "record_id": linked,
                    "link_id": [one.hex() for one in _split(part.link_ids, LINK_ID_BYTES)],
                    **_graded(words, result.bands),
                }
    n = len(next(iter(columns.values())))
    columns |= {"method": [result.method_version] * n, "needs_human_decision": ["yes"] * n}
    names = list(columns)
    # Whose record it is stands beside whose it was compared with.
    names.insert(names[0] == "record_id", "counterpart")
    columns["counterpart"] = [part.counterpart] * n
    return pa.table({name: pa.array(columns[name], pa.string()) for name in names})


def _counts(part: Part) -> _Columns:
    records, *cells = part.counts
    told = [f"at least {count}" if count else "withheld" for count in cells]
    return dict(zip(COUNTS, ([text] for text in (str(records), *told)), strict=True))


def _answers(
    found: Mapping[str, str], record_ids: Sequence[str], bands: Mapping[str, str]
) -> _Columns:
    """Return yes, no or undetermined for every own record."""
    grades = [found.get(record_id, "no") for record_id in record_ids]
    return {
        "record_id": list(record_ids),
        "found": ["yes" if grade == "match" else grade for grade in grades],
        "band": ["none" if grade == "no" else bands.get(grade, "") for grade in grades],
    }


def _comparisons(
    part: Part,
    linked: list[str],
    words: list[str],
    bands: Mapping[str, str],
    compared: Compared,
) -> _Columns:
    """Return a row for each linked pair of a record, or one without comparisons."""
    of_record = compared.read(part)
    rows = [
        (number, steps)
        for number, reference in enumerate(_split(part.references, REFERENCE_BYTES))
        for steps in of_record.get(reference, [{}])
    ]
    return {
        "record_id": [linked[number] for number, _ in rows],
        **_graded([words[number] for number, _ in rows], bands),
        **{name: [steps.get(name) for _, steps in rows] for name in compared.columns},
    }


def _graded(words: list[str], bands: Mapping[str, str]) -> _Columns:
    return {"grade": list(words), "band": [bands.get(word, "") for word in words]}


def _split(content: bytes, width: int) -> list[bytes]:
    return [content[at : at + width] for at in range(0, len(content), width)]


def _write(path: Path, table: pa.Table) -> None:
    temporary = path.with_suffix(".part")
    pa_csv.write_csv(table, temporary)
    temporary.replace(path)
