"""Messages and the project's own types: there and back changes nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.batch import Chunk, Manifest, Question, QuestionKind
from linkage.errors import MalformedMessageError
from linkage.job import (
    MAX_COLLECT_S,
    MAX_EXACT_SLOTS,
    MAX_PARTIES,
    CodeId,
    Job,
    JobCounts,
    JobSpec,
    JobState,
    Refinement,
)
from linkage.result import Part
from linkage.rpc import convert
from linkage.rpc.fields import check_fields
from linkage.schema import MAX_ATTRIBUTES, MAX_CANDIDATES
from linkage.types import ATTRIBUTE_TYPES
from linkage.v1 import batch_pb2, job_pb2, refine_pb2, result_pb2

IDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
U32 = st.integers(min_value=0, max_value=2**32 - 1)
U64 = st.integers(min_value=0, max_value=2**64 - 1)
CODES = st.builds(
    CodeId,
    schema_id=st.binary(min_size=32, max_size=32),
    epoch=st.integers(min_value=1, max_value=2**32 - 1),
    key_check=st.binary(min_size=8, max_size=8),
    scheme=st.just("clk"),
    code_bits=st.integers(min_value=8, max_value=128).map(lambda n: 64 * n),
    exact_slots=st.integers(min_value=0, max_value=8),
)
WITH_TOKENS = st.builds(
    replace,
    CODES,
    block_entries=st.integers(min_value=1, max_value=64),
    block_copies=st.integers(min_value=1, max_value=16),
    block_bytes=st.integers(min_value=2, max_value=8),
)
TYPES = st.sampled_from([name for name, t in ATTRIBUTE_TYPES.items() if t.kind != "identifier"])


IDENTIFIERS = st.sampled_from([n for n, t in ATTRIBUTE_TYPES.items() if t.kind == "identifier"])
REFINEMENTS = st.builds(
    Refinement,
    st.integers(1, MAX_CANDIDATES),
    st.booleans(),
    st.lists(TYPES, min_size=1, max_size=MAX_ATTRIBUTES).map(tuple),
    st.lists(IDENTIFIERS, max_size=MAX_EXACT_SLOTS).map(tuple),
)


def with_refinement(spec: JobSpec) -> st.SearchStrategy[JobSpec]:
    """The job, or one of two rounds, which has tokens and no exact slots."""
    if not spec.codes.block_entries:
        return st.just(spec)
    codes = replace(spec.codes, exact_slots=0)
    two = REFINEMENTS.map(lambda refinement: replace(spec, codes=codes, refinement=refinement))
    return st.just(spec) | two


def with_results(spec: JobSpec) -> st.SearchStrategy[JobSpec]:
    """The job with some results: each source and recipient once, R2 with two rounds only."""
    levels = ["R0", "R1", "R3", "R4", *(["R2"] if spec.refinement else [])]
    pairs = [(a, b) for a in spec.parties for b in spec.parties if a != b][:20]
    told = st.dictionaries(st.sampled_from(pairs), st.sampled_from(levels), max_size=6)
    return told.map(lambda found: replace(spec, results=tuple((*p, at) for p, at in found.items())))


SPECS = (
    st.builds(
        JobSpec,
        agreement_id=IDS,
        agreement_sha256=st.binary(min_size=32, max_size=32),
        purpose=IDS,
        attributes=st.dictionaries(
            st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True),
            st.sampled_from(("nama", "kelahiran", "nik")),
            min_size=1,
            max_size=MAX_ATTRIBUTES,
        ).map(lambda found: tuple(found.items())),
        parties=st.lists(IDS, min_size=2, max_size=MAX_PARTIES, unique=True).map(tuple),
        codes=CODES | WITH_TOKENS,
        threshold=st.floats(min_value=0, max_value=1, exclude_min=True),
        cardinality=st.sampled_from(["many-to-many", "one-to-many", "one-to-one"]),
        collect_timeout_s=st.integers(min_value=1, max_value=MAX_COLLECT_S),
    )
    .flatmap(with_refinement)
    .flatmap(with_results)
)
# What was found is not told.
COUNTS = st.builds(
    JobCounts, U64, U64, st.just(0), st.just(0), st.floats(min_value=0, max_value=1e12)
)
SECONDS = st.integers(min_value=0, max_value=2**62)
JOBS = st.builds(
    Job,
    job_id=IDS,
    requester=IDS,
    spec=SPECS,
    state=st.sampled_from(JobState),
    requested_at=SECONDS,
    collect_until=SECONDS,
    uploaded=st.lists(IDS, max_size=MAX_PARTIES).map(tuple),
    reason_code=IDS,
    reason=st.text(max_size=100),
    counts=COUNTS,
)
MANIFESTS = st.builds(
    Manifest,
    codes=CODES | WITH_TOKENS,
    n_records=st.integers(min_value=0, max_value=2**53 - 1),
    n_record_chunks=U32,
    chunk_sha256=st.lists(st.binary(min_size=32, max_size=32), max_size=5).map(tuple),
    n_tickets=st.lists(st.integers(0, 2**53 - 1), max_size=5).map(tuple),
    gate_sha256=st.just(b"") | st.binary(min_size=32, max_size=32),
)
PARTS = st.binary(max_size=64)
CHUNKS = st.builds(Chunk, references=PARTS, codes=PARTS, exact=PARTS, tokens=PARTS)


@given(CODES | WITH_TOKENS)
def test_what_codes_share_comes_back(codes: CodeId) -> None:
    assert convert.codes_from_proto(convert.codes_to_proto(codes)) == codes


@given(SPECS)
def test_a_specification_comes_back(spec: JobSpec) -> None:
    message = convert.spec_to_proto(spec)
    check_fields(message)
    assert convert.spec_from_proto(message) == spec
    again = job_pb2.JobSpec.FromString(message.SerializeToString())
    assert convert.spec_from_proto(again) == spec


@given(JOBS)
def test_a_job_comes_back(job: Job) -> None:
    message = convert.job_to_proto(job)
    check_fields(message)
    assert convert.job_from_proto(job_pb2.Job.FromString(message.SerializeToString())) == job


@given(MANIFESTS)
def test_a_manifest_comes_back_with_its_digest(manifest: Manifest) -> None:
    back = convert.manifest_from_proto(convert.manifest_to_proto(manifest))
    assert back == manifest
    assert back.digest() == manifest.digest()
    assert convert.manifest_from_bytes(convert.manifest_to_bytes(manifest)) == manifest


@given(IDS, U32, CHUNKS)
def test_a_chunk_comes_back(batch_id: str, index: int, chunk: Chunk) -> None:
    message = convert.chunk_to_proto(batch_id, index, chunk)
    assert (message.batch_id, message.index) == (batch_id, index)
    assert convert.chunk_from_proto(message) == chunk


QUESTIONS = st.builds(
    Question,
    IDS,
    st.sampled_from(QuestionKind),
    U32,
    st.binary(max_size=70),
    st.booleans(),
    st.binary(max_size=70),
)


@given(QUESTIONS)
def test_a_question_comes_back(question: Question) -> None:
    message = convert.question_to_proto(question)
    check_fields(message)
    assert convert.question_from_proto(message) == question


@given(QUESTIONS, st.binary(max_size=70))
def test_an_answer_says_what_it_answers(question: Question, content: bytes) -> None:
    message = convert.answer_to_proto("ab" * 16, question, content)
    check_fields(message)
    assert (message.job_id, message.answer) == ("ab" * 16, content)
    of_whom = message.counterpart, convert.kind_from_proto(message.kind), message.index
    assert of_whom == (question.counterpart, question.kind, question.index)


@pytest.mark.parametrize("kind", QuestionKind)
def test_every_kind_of_question_has_its_number(kind: QuestionKind) -> None:
    assert convert.kind_from_proto(convert.kind_to_proto(kind)) is kind
    numbers = set(refine_pb2.QuestionKind.values())
    assert {convert.kind_to_proto(k) for k in QuestionKind} == numbers - {0}


@pytest.mark.parametrize("number", [0, 3, -1, 2**31 - 1])
def test_an_unknown_kind_of_question_is_refused(number: int) -> None:
    with pytest.raises(MalformedMessageError, match="knows no such kind"):
        convert.kind_from_proto(number)  # type: ignore[arg-type]
    with pytest.raises(MalformedMessageError, match="knows no such kind"):
        convert.question_from_proto(
            refine_pb2.FetchQuestionsResponse(counterpart="b", kind=number)  # type: ignore[arg-type]
        )


PARTS = st.one_of(
    st.builds(Part, IDS, st.just("R0"), counts=st.tuples(U64, U64, U64)),
    st.integers(0, 5).flatmap(
        lambda n: st.builds(
            Part,
            IDS,
            st.sampled_from(["R1", "R2", "R3"]),
            st.binary(min_size=16 * n, max_size=16 * n),
            st.binary(min_size=n, max_size=n),
            st.binary(min_size=16 * n, max_size=16 * n),
            st.binary(max_size=50),
        )
    ),
)


@given(PARTS)
def test_a_part_of_a_result_comes_back(part: Part) -> None:
    messages = list(convert.part_to_proto(part))
    for message in messages:
        check_fields(message)
    pieces = [convert.part_from_proto(message) for message in messages]
    assert {(piece.counterpart, piece.level) for piece in pieces} == {
        (part.counterpart, part.level)
    }
    for name in ("references", "grades", "link_ids", "comparisons"):
        assert b"".join(getattr(piece, name) for piece in pieces) == getattr(part, name)
    assert [count for piece in pieces for count in piece.counts] == list(part.counts)


@pytest.mark.parametrize("number", [0, 6, -1, 2**31 - 1])
def test_an_unknown_result_level_is_refused(number: int) -> None:
    with pytest.raises(MalformedMessageError, match="knows no such level"):
        convert.part_from_proto(result_pb2.ResultChunk(level=number))  # type: ignore[arg-type]


@pytest.mark.parametrize("state", JobState)
def test_every_state_has_its_number(state: JobState) -> None:
    assert convert.state_from_proto(convert.state_to_proto(state)) is state


def test_every_number_but_zero_is_a_state() -> None:
    numbers = set(job_pb2.JobState.values())
    assert {convert.state_to_proto(state) for state in JobState} == numbers - {0}


@pytest.mark.parametrize("number", [0, 16, -1, 2**31 - 1])
def test_an_unknown_number_of_a_state_is_refused(number: int) -> None:
    with pytest.raises(MalformedMessageError):
        convert.state_from_proto(number)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, 4, 99])
def test_an_unknown_cardinality_is_refused(number: int) -> None:
    codes = CodeId(bytes(32), 1, bytes(8), "clk", 512)
    message = convert.spec_to_proto(
        JobSpec("a", bytes(32), "p", (("a", "b"),), ("a", "b"), codes, 0.5, "one-to-one", 60)
    )
    message.cardinality = number  # type: ignore[assignment]
    with pytest.raises(MalformedMessageError, match="cardinality"):
        convert.spec_from_proto(message)


@pytest.mark.parametrize("scheme", ["", "CLK", "clk ", "saul2"])
def test_an_unknown_scheme_is_refused(scheme: str) -> None:
    with pytest.raises(MalformedMessageError, match="scheme") as caught:
        convert.codes_from_proto(job_pb2.CodeId(scheme=scheme))
    assert repr(scheme) not in str(caught.value)


def test_an_empty_specification_is_refused() -> None:
    with pytest.raises(MalformedMessageError):
        convert.spec_from_proto(job_pb2.JobSpec())
    with pytest.raises(MalformedMessageError):
        convert.manifest_from_proto(batch_pb2.Manifest())
