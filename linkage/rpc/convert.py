"""Messages to the project's own types and back. Nothing here decides anything."""

from collections.abc import Iterator

from linkage.batch import (
    MAX_CHUNK_BYTES,
    Chunk,
    Manifest,
    Question,
    QuestionKind,
)
from linkage.errors import MalformedMessageError
from linkage.job import (
    REFERENCE_BYTES,
    RESULT_LEVELS,
    SCHEMES,
    CodeId,
    Job,
    JobCounts,
    JobSpec,
    JobState,
    Refinement,
)
from linkage.lookup import LookupQuestion
from linkage.result import LINK_ID_BYTES, Part
from linkage.schema import Cardinality, Scheme
from linkage.v1 import batch_pb2, job_pb2, lookup_pb2, refine_pb2, result_pb2

_CARDINALITY: dict[job_pb2.Cardinality.ValueType, Cardinality] = {
    job_pb2.CARDINALITY_MANY_TO_MANY: "many-to-many",
    job_pb2.CARDINALITY_ONE_TO_MANY: "one-to-many",
    job_pb2.CARDINALITY_ONE_TO_ONE: "one-to-one",
}
_KIND_NUMBER = {
    QuestionKind.FIELDS: refine_pb2.QUESTION_KIND_FIELDS,
    QuestionKind.NAMES: refine_pb2.QUESTION_KIND_NAMES,
}
_LEVEL_NUMBER = {
    level: job_pb2.ResultLevel.Value(f"RESULT_LEVEL_{level}") for level in RESULT_LEVELS
}
_LINKS_PER_MESSAGE = 16_384
_CARDINALITY_NUMBER = {name: number for number, name in _CARDINALITY.items()}


def codes_from_proto(message: job_pb2.CodeId) -> CodeId:
    """Return what codes must share.

    Raises:
        MalformedMessageError: the scheme is unknown.
    """
    return CodeId(
        schema_id=message.schema_id,
        epoch=message.epoch,
        key_check=message.key_check,
        scheme=_scheme(message.scheme),
        code_bits=message.code_bits,
        block_entries=message.block_entries,
        block_copies=message.block_copies,
        block_bytes=message.block_bytes,
        exact_slots=message.exact_slots,
    )


def codes_to_proto(codes: CodeId) -> job_pb2.CodeId:
    """Return the message of what codes must share."""
    return job_pb2.CodeId(
        schema_id=codes.schema_id,
        epoch=codes.epoch,
        key_check=codes.key_check,
        scheme=codes.scheme,
        code_bits=codes.code_bits,
        block_entries=codes.block_entries,
        block_copies=codes.block_copies,
        block_bytes=codes.block_bytes,
        exact_slots=codes.exact_slots,
    )


def spec_from_proto(message: job_pb2.JobSpec) -> JobSpec:
    """Return the specification in a message, checked.

    Raises:
        MalformedMessageError: it breaks a rule of `JobSpec.check`, or names what there is not.
    """
    cardinality = _CARDINALITY.get(message.cardinality)
    if cardinality is None:
        raise MalformedMessageError("job specification: no cardinality")
    spec = JobSpec(
        agreement_id=message.agreement_id,
        agreement_sha256=message.agreement_sha256,
        purpose=message.purpose,
        attributes=tuple((one.name, one.element) for one in message.attributes),
        parties=tuple(message.parties),
        codes=codes_from_proto(message.codes),
        threshold=message.threshold,
        cardinality=cardinality,
        collect_timeout_s=message.collect_timeout_s,
        refinement=_refinement_from_proto(message.refinement)
        if message.HasField("refinement")
        else None,
        results=tuple(
            (told.source, told.recipient, _level_from_proto(told.level)) for told in message.results
        ),
    )
    spec.check()
    return spec


def lookup_from_proto(message: lookup_pb2.LookupRequest) -> LookupQuestion:
    """Return the question of a lookup.

    Raises:
        MalformedMessageError: the scheme is unknown.
    """
    return LookupQuestion(
        agreement_id=message.agreement_id,
        register=message.register,
        codes=codes_from_proto(message.codes),
        code=message.code,
        exact=message.exact,
        salt=message.salt,
        exhaustive=message.exhaustive,
    )


def lookup_to_proto(question: LookupQuestion, request: bytes) -> lookup_pb2.LookupRequest:
    """Return the message of a lookup and its signed request."""
    return lookup_pb2.LookupRequest(
        agreement_id=question.agreement_id,
        register=question.register,
        codes=codes_to_proto(question.codes),
        code=question.code,
        exact=question.exact,
        salt=question.salt,
        exhaustive=question.exhaustive,
        request=request,
    )


def spec_to_proto(spec: JobSpec) -> job_pb2.JobSpec:
    """Return the message of a specification."""
    return job_pb2.JobSpec(
        agreement_id=spec.agreement_id,
        agreement_sha256=spec.agreement_sha256,
        purpose=spec.purpose,
        attributes=[
            job_pb2.Attribute(name=name, element=element) for name, element in spec.attributes
        ],
        parties=spec.parties,
        codes=codes_to_proto(spec.codes),
        threshold=spec.threshold,
        cardinality=_CARDINALITY_NUMBER[spec.cardinality],
        collect_timeout_s=spec.collect_timeout_s,
        refinement=None if spec.refinement is None else _refinement_to_proto(spec.refinement),
        results=[
            job_pb2.Told(source=source, recipient=recipient, level=_LEVEL_NUMBER[level])
            for source, recipient, level in spec.results
        ],
    )


def _refinement_from_proto(message: job_pb2.Refinement) -> Refinement:
    return Refinement(
        candidates=message.candidates,
        decoys=message.decoys,
        types=tuple(message.types),
        identifiers=tuple(message.identifiers),
    )


def _refinement_to_proto(refinement: Refinement) -> job_pb2.Refinement:
    return job_pb2.Refinement(
        candidates=refinement.candidates,
        decoys=refinement.decoys,
        types=refinement.types,
        identifiers=refinement.identifiers,
    )


def state_to_proto(state: JobState) -> job_pb2.JobState.ValueType:
    """Return the number of a state."""
    return job_pb2.JobState.Value(f"JOB_STATE_{state.name}")


def state_from_proto(number: job_pb2.JobState.ValueType) -> JobState:
    """Return the state of a number.

    Raises:
        MalformedMessageError: there is none.
    """
    try:
        return JobState[job_pb2.JobState.Name(number).removeprefix("JOB_STATE_")]
    except (KeyError, ValueError) as error:
        raise MalformedMessageError(f"job state {number} is unknown") from error


def job_to_proto(job: Job) -> job_pb2.Job:
    """Return the message of a job."""
    return job_pb2.Job(
        job_id=job.job_id,
        requester=job.requester,
        spec=spec_to_proto(job.spec),
        state=state_to_proto(job.state),
        uploaded=job.uploaded,
        reason_code=job.reason_code,
        reason=job.reason,
        requested_at_s=job.requested_at,
        collect_until_s=job.collect_until,
        counts=job_pb2.JobCounts(
            comparisons_planned=job.counts.comparisons_planned,
            comparisons_done=job.counts.comparisons_done,
            comparing_s=job.counts.comparing_s,
        ),
        office=job.office,
    )


def job_from_proto(message: job_pb2.Job) -> Job:
    """Return the job in a message.

    Raises:
        MalformedMessageError: its specification or state is none.
    """
    counts = message.counts
    return Job(
        job_id=message.job_id,
        requester=message.requester,
        spec=spec_from_proto(message.spec),
        state=state_from_proto(message.state),
        requested_at=message.requested_at_s,
        collect_until=message.collect_until_s,
        uploaded=tuple(message.uploaded),
        reason_code=message.reason_code,
        reason=message.reason,
        counts=JobCounts(
            comparisons_planned=counts.comparisons_planned,
            comparisons_done=counts.comparisons_done,
            comparing_s=counts.comparing_s,
        ),
        office=message.office,
    )


def manifest_from_proto(message: batch_pb2.Manifest) -> Manifest:
    """Return the manifest in a message; the matcher checks it against its job.

    Raises:
        MalformedMessageError: its scheme is unknown.
    """
    return Manifest(
        codes=codes_from_proto(message.codes),
        n_records=message.n_records,
        n_record_chunks=message.n_record_chunks,
        chunk_sha256=tuple(message.chunk_sha256),
        n_tickets=tuple(message.n_tickets),
        gate_sha256=message.gate_sha256,
    )


def manifest_to_proto(manifest: Manifest) -> batch_pb2.Manifest:
    """Return the message of a manifest."""
    return batch_pb2.Manifest(
        codes=codes_to_proto(manifest.codes),
        n_records=manifest.n_records,
        n_record_chunks=manifest.n_record_chunks,
        chunk_sha256=manifest.chunk_sha256,
        n_tickets=manifest.n_tickets,
        gate_sha256=manifest.gate_sha256,
    )


def manifest_from_bytes(content: bytes) -> Manifest:
    """Return the manifest in bytes that `manifest_to_bytes` made."""
    return manifest_from_proto(batch_pb2.Manifest.FromString(content))


def manifest_to_bytes(manifest: Manifest) -> bytes:
    """Return a manifest as bytes to keep."""
    return manifest_to_proto(manifest).SerializeToString(deterministic=True)


def chunk_from_proto(message: batch_pb2.UploadChunksRequest) -> Chunk:
    """Return the chunk in a message."""
    return Chunk(message.references, message.codes, message.exact, message.tokens)


def chunk_to_proto(batch_id: str, index: int, chunk: Chunk) -> batch_pb2.UploadChunksRequest:
    """Return the message of a chunk."""
    return batch_pb2.UploadChunksRequest(
        batch_id=batch_id,
        index=index,
        references=chunk.references,
        codes=chunk.codes,
        exact=chunk.exact,
        tokens=chunk.tokens,
    )


def question_from_proto(message: refine_pb2.FetchQuestionsResponse) -> Question:
    """Return the question in a message.

    Raises:
        MalformedMessageError: it asks for nothing that this version knows.
    """
    return Question(
        message.counterpart,
        kind_from_proto(message.kind),
        message.index,
        message.tickets,
        message.answered,
        message.shares,
    )


def question_to_proto(question: Question) -> refine_pb2.FetchQuestionsResponse:
    """Return the message of a question."""
    return refine_pb2.FetchQuestionsResponse(
        counterpart=question.counterpart,
        kind=kind_to_proto(question.kind),
        index=question.index,
        tickets=question.tickets,
        shares=question.shares,
        answered=question.answered,
    )


def answer_to_proto(
    job_id: str, question: Question, content: bytes
) -> refine_pb2.SendAnswersRequest:
    """Return the message of the answer to a question."""
    return refine_pb2.SendAnswersRequest(
        job_id=job_id,
        counterpart=question.counterpart,
        kind=kind_to_proto(question.kind),
        index=question.index,
        answer=content,
    )


def kind_from_proto(number: refine_pb2.QuestionKind.ValueType) -> QuestionKind:
    """Return what is asked.

    Raises:
        MalformedMessageError: the number stands for nothing.
    """
    for kind, known in _KIND_NUMBER.items():
        if number == known:
            return kind
    raise MalformedMessageError(f"question of kind {number}: this version knows no such kind")


def kind_to_proto(kind: QuestionKind) -> refine_pb2.QuestionKind.ValueType:
    """Return the number of what is asked."""
    return _KIND_NUMBER[kind]


def part_from_proto(message: result_pb2.ResultChunk) -> Part:
    """Return a piece of a result; whether it holds what its level holds is for the whole.

    Raises:
        MalformedMessageError: the level is none.
    """
    return Part(
        message.counterpart,
        _level_from_proto(message.level),
        message.references,
        message.grades,
        message.link_ids,
        message.comparisons,
        tuple(message.counts),
    )


def part_to_proto(part: Part) -> Iterator[result_pb2.ResultChunk]:
    """Yield the messages of a part, one at least."""
    level = _LEVEL_NUMBER[part.level]
    widths = {"references": REFERENCE_BYTES, "link_ids": LINK_ID_BYTES, "grades": 1}
    n_pieces = max(-(-len(part) // _LINKS_PER_MESSAGE), 1)
    for piece in range(n_pieces):
        first, end = piece * _LINKS_PER_MESSAGE, (piece + 1) * _LINKS_PER_MESSAGE
        fields = {
            name: getattr(part, name)[first * width : end * width] for name, width in widths.items()
        }
        counts = part.counts if not piece else ()
        yield result_pb2.ResultChunk(
            counterpart=part.counterpart, level=level, counts=counts, **fields
        )
    for at in range(0, len(part.comparisons), MAX_CHUNK_BYTES):
        yield result_pb2.ResultChunk(
            counterpart=part.counterpart,
            level=level,
            comparisons=part.comparisons[at : at + MAX_CHUNK_BYTES],
        )


def _level_from_proto(number: job_pb2.ResultLevel.ValueType) -> str:
    for level, known in _LEVEL_NUMBER.items():
        if number == known:
            return level
    raise MalformedMessageError(f"result level {number}: this version knows no such level")


def _scheme(name: str) -> Scheme:
    for scheme in SCHEMES:
        if name == scheme:
            return scheme
    raise MalformedMessageError(f"scheme: this version knows {', '.join(SCHEMES)}")
