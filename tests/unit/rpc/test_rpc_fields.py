"""The allow-list of text and byte fields: complete, without stale lines, and enforced."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

from linkage import v1
from linkage.batch import MAX_CHUNK_BYTES, MAX_CHUNKS
from linkage.blockentry import MAX_ENTRIES
from linkage.errors import MalformedMessageError
from linkage.job import MAX_EXACT_SLOTS, MAX_PARTIES
from linkage.rpc.fields import FIELDS, check_fields, field_name, holds_text_or_bytes
from linkage.rpc.limits import MAX_MESSAGE_BYTES
from linkage.v1 import (
    batch_pb2,
    document_pb2,
    job_pb2,
    log_pb2,
    lookup_pb2,
    progress_pb2,
    refine_pb2,
    result_pb2,
)

MODULES = (
    batch_pb2,
    document_pb2,
    job_pb2,
    log_pb2,
    lookup_pb2,
    progress_pb2,
    refine_pb2,
    result_pb2,
)
FILES = [module.DESCRIPTOR for module in MODULES]


def messages(files: list[FileDescriptor] = FILES) -> Iterator[Descriptor]:
    waiting = [message for file in files for message in file.message_types_by_name.values()]
    while waiting:
        message = waiting.pop()
        waiting += message.nested_types
        yield message


DESCRIPTORS = {
    field_name(field): field
    for message in messages()
    for field in message.fields
    if holds_text_or_bytes(field)
}


def test_every_proto_file_of_the_package_is_looked_at() -> None:
    names = {file.name for file in FILES}
    for file in FILES:
        names |= {other.name for other in file.dependencies if "linkage/v1" in other.name}
    assert names == {file.name for file in FILES}
    package = Path(v1.__file__).parent
    assert names == {f"linkage/v1/{path.stem[:-4]}.proto" for path in package.glob("*_pb2.py")}
    assert len(list(messages())) >= 30
    assert len(DESCRIPTORS) >= 35


def test_every_text_and_byte_field_is_listed_and_no_other() -> None:
    assert set(FIELDS) == set(DESCRIPTORS)


def test_no_message_has_a_map_or_an_any() -> None:
    # In these a text could hide that the list above cannot see.
    for message in messages():
        assert not message.GetOptions().map_entry
        for field in message.fields:
            if field.message_type is not None:
                assert field.message_type.full_name.startswith("linkage.v1.")


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_says_what_it_holds_and_how_much(name: str) -> None:
    field = FIELDS[name]
    assert field.content
    assert 0 < field.max_bytes <= MAX_CHUNK_BYTES
    assert field.max_count >= 1
    if not DESCRIPTORS[name].is_repeated and field.max_count != 1:
        assert field.max_count == MAX_PARTIES  # one entry serves names of one and of many parties


@pytest.mark.parametrize("name", FIELDS)
def test_a_full_field_fits_into_one_message(name: str) -> None:
    field = FIELDS[name]
    count = field.max_count if DESCRIPTORS[name].is_repeated else 1
    assert (field.max_bytes + 8) * count <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_its_greatest_length_passes_and_one_byte_more_does_not(name: str) -> None:
    descriptor, limit = DESCRIPTORS[name], FIELDS[name].max_bytes
    check_fields(message_with(descriptor, limit))
    with pytest.raises(MalformedMessageError) as caught:
        check_fields(message_with(descriptor, limit + 1))
    assert str(caught.value) == f"{name}: {limit + 1} bytes, at most {limit}"


@pytest.mark.parametrize("name", [name for name in FIELDS if DESCRIPTORS[name].is_repeated])
def test_a_field_with_its_greatest_count_passes_and_one_more_does_not(name: str) -> None:
    descriptor, count = DESCRIPTORS[name], FIELDS[name].max_count
    check_fields(message_with(descriptor, 1, count))
    with pytest.raises(MalformedMessageError) as caught:
        check_fields(message_with(descriptor, 1, count + 1))
    assert str(caught.value) == f"{name}: {count + 1} values, at most {count}"


def message_with(descriptor: FieldDescriptor, n_bytes: int, count: int = 1) -> object:
    """A message with one field filled."""
    message = descriptor.containing_type._concrete_class()
    value = "a" * n_bytes if descriptor.type == FieldDescriptor.TYPE_STRING else b"a" * n_bytes
    if descriptor.is_repeated:
        getattr(message, descriptor.name).extend([value] * count)
    else:
        setattr(message, descriptor.name, value)
    return message


def test_the_length_counts_bytes_not_characters() -> None:
    check_fields(job_pb2.GetJobRequest(job_id="é" * 16))
    with pytest.raises(MalformedMessageError, match="34 bytes"):
        check_fields(job_pb2.GetJobRequest(job_id="é" * 17))


def test_every_value_of_a_repeated_field_is_measured() -> None:
    with pytest.raises(MalformedMessageError, match=r"JobSpec\.parties: 33 bytes"):
        check_fields(job_pb2.JobSpec(parties=["a", "b", "c" * 33]))


@pytest.mark.parametrize(
    "message",
    [
        job_pb2.RequestJobRequest(spec=job_pb2.JobSpec(agreement_id="a" * 65)),
        job_pb2.RequestJobRequest(spec=job_pb2.JobSpec(codes=job_pb2.CodeId(scheme="a" * 17))),
        job_pb2.ListJobsResponse(jobs=[job_pb2.Job(), job_pb2.Job(job_id="a" * 33)]),
        result_pb2.FetchResultsResponse(chunk=result_pb2.ResultChunk(counterpart="a" * 33)),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_field_of_an_inner_message_is_measured(message: object) -> None:
    with pytest.raises(MalformedMessageError):
        check_fields(message)  # type: ignore[arg-type]


def unknown(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value


def test_an_unknown_field_is_refused() -> None:
    message = job_pb2.GetJobRequest.FromString(unknown(15, b"SENTINEL"))
    with pytest.raises(MalformedMessageError, match="does not know") as caught:
        check_fields(message)
    assert "SENTINEL" not in str(caught.value)


def test_an_unknown_number_is_refused_too() -> None:
    message = log_pb2.GetCheckpointRequest.FromString(b"\x78\x05")
    with pytest.raises(MalformedMessageError):
        check_fields(message)


@pytest.mark.parametrize(
    "path",
    [
        (2,),  # RequestJobRequest.spec
        (2, 3),  # RequestJobRequest.spec.codes
    ],
)
def test_an_unknown_field_of_an_inner_message_is_refused(path: tuple[int, ...]) -> None:
    content = unknown(15, b"hidden")
    for number in reversed(path):
        content = unknown(number, content)
    with pytest.raises(MalformedMessageError):
        check_fields(job_pb2.RequestJobRequest.FromString(content))


def test_an_unknown_field_in_a_list_of_messages_is_refused() -> None:
    content = job_pb2.ListJobsResponse(jobs=[job_pb2.Job(job_id="a")]).SerializeToString()
    message = job_pb2.ListJobsResponse.FromString(content + unknown(1, unknown(15, b"hidden")))
    with pytest.raises(MalformedMessageError):
        check_fields(message)


def test_an_empty_message_passes() -> None:
    for message in messages():
        check_fields(message._concrete_class())


def test_a_field_that_is_sent_empty_passes() -> None:
    check_fields(job_pb2.JobSpec(parties=[""]))


def test_the_largest_manifest_fits_into_one_message() -> None:
    manifest = batch_pb2.Manifest(
        chunk_sha256=[b"h" * 32] * MAX_CHUNKS,
        n_tickets=[2**40] * (MAX_PARTIES - 1) * (MAX_ENTRIES + MAX_EXACT_SLOTS),
    )
    check_fields(manifest)
    assert manifest.ByteSize() < MAX_MESSAGE_BYTES
