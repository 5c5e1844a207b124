"""Every text and byte field of the protocol: what it holds, and how long it may be.

The matcher must never receive raw personal data. A value of a person cannot hide in
a field whose content is stated here and whose length is bounded; a field that is
not listed here is refused by a test over the descriptors, and by `check_fields` at
run time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from linkage.batch import MAX_CHUNK_BYTES, MAX_CHUNKS
from linkage.errors import MalformedMessageError
from linkage.job import DIGEST_BYTES, KEY_CHECK_BYTES, MAX_PARTIES
from linkage.result import SALT_BYTES

ID_CHARS = 32
AGREEMENT_CHARS = 64
# A leaf is bounded by the uint16 length prefix of the tile format.
MAX_LEAF_BYTES = 65_535
MAX_PROOF_HASHES = 64
MAX_SEALED_BYTES = 2_048


@dataclass(frozen=True)
class Field:
    """What one field holds.

    Attributes:
        max_bytes: greatest length of one value, in bytes of its encoding.
        content: what it holds.
        max_count: greatest number of values of a repeated field.
    """

    max_bytes: int
    content: str
    max_count: int = 1


_HASHES = Field(DIGEST_BYTES, "hashes of the match log", MAX_PROOF_HASHES)
_JOB_ID = Field(ID_CHARS, "random name of a job, given by the matcher")
_UPLOAD_ID = Field(ID_CHARS, "random name of an upload of a register, given by the matcher")
_BATCH_ID = Field(ID_CHARS, "random name of a batch, given by the matcher")
_KEY_CHECK = Field(KEY_CHECK_BYTES, "derived from the linkage key; tells whether keys differ")
_LEAF = Field(MAX_LEAF_BYTES, "a leaf of the match log")
_OPENING = Field(32, "random bytes that open a leaf's commitment")
_BODY = Field(MAX_LEAF_BYTES, "what a leaf commits to: ids, counts and digests")
_PARTY = Field(ID_CHARS, "name of a party", MAX_PARTIES)
_SIGNED = Field(4_096, "a signed request: ids, digests and times")
_GRANT = Field(ID_CHARS, "random name of a grant")
_SCHEMA_ID = Field(DIGEST_BYTES, "SHA-256 of the resolved linkage schema")
_SCHEME = Field(16, "name of an encoding scheme")

FIELDS = {
    "JobSpec.agreement_id": Field(AGREEMENT_CHARS, "name of an agreement"),
    "JobSpec.agreement_sha256": Field(DIGEST_BYTES, "digest of an agreement"),
    "JobSpec.purpose": Field(AGREEMENT_CHARS, "purpose code of an agreement"),
    "Attribute.name": Field(40, "name of an attribute, from the agreement"),
    "Attribute.element": Field(40, "row of the matrix of data needs"),
    "JobSpec.parties": _PARTY,
    "CodeId.schema_id": _SCHEMA_ID,
    "CodeId.key_check": _KEY_CHECK,
    "CodeId.scheme": _SCHEME,
    "Job.job_id": _JOB_ID,
    "Job.requester": _PARTY,
    "Job.office": Field(ID_CHARS, "name of an office"),
    "Job.uploaded": _PARTY,
    "Job.reason_code": Field(64, "code of a reason, from a fixed set"),
    "Job.reason": Field(512, "fixed text with names of parties and fields, from the matcher"),
    "RequestJobRequest.request": _SIGNED,
    "GetJobRequest.job_id": _JOB_ID,
    "CancelJobRequest.job_id": _JOB_ID,
    "Manifest.chunk_sha256": Field(DIGEST_BYTES, "digests of the chunks", MAX_CHUNKS),
    "Manifest.gate_sha256": Field(DIGEST_BYTES, "digest of a risk gate's result"),
    "OpenBatchRequest.job_id": _JOB_ID,
    "OpenBatchRequest.request": _SIGNED,
    "OpenBatchRequest.gate": Field(1 << 19, "result of a risk gate: figures about attacks"),
    "OpenBatchResponse.batch_id": _BATCH_ID,
    "UploadChunksRequest.batch_id": _BATCH_ID,
    "UploadChunksRequest.references": Field(MAX_CHUNK_BYTES, "16 random bytes for each record"),
    "UploadChunksRequest.codes": Field(MAX_CHUNK_BYTES, "the code of each record"),
    "UploadChunksRequest.tokens": Field(MAX_CHUNK_BYTES, "block tokens, tickets, or noise"),
    "UploadChunksRequest.exact": Field(MAX_CHUNK_BYTES, "keyed tokens of identifiers, or noise"),
    "CommitBatchRequest.batch_id": _BATCH_ID,
    "Refinement.types": Field(16, "name of a type of attribute, from a fixed table", 32),
    "Refinement.identifiers": Field(16, "name of a type of attribute, from a fixed table", 8),
    "FetchQuestionsRequest.job_id": _JOB_ID,
    "FetchQuestionsResponse.counterpart": _PARTY,
    "FetchQuestionsResponse.tickets": Field(MAX_CHUNK_BYTES, "one-time block tokens and marks"),
    "FetchQuestionsResponse.shares": Field(MAX_CHUNK_BYTES, "random bytes"),
    "SendAnswersRequest.job_id": _JOB_ID,
    "SendAnswersRequest.counterpart": _PARTY,
    "SendAnswersRequest.answer": Field(
        MAX_CHUNK_BYTES, "field filters under one-time keys, or tags and masked references"
    ),
    "WatchProgressRequest.job_id": _JOB_ID,
    "WatchProgressResponse.waiting_for": _PARTY,
    "FetchResultsRequest.job_id": _JOB_ID,
    "ResultHeader.leaf": _LEAF,
    "ResultHeader.opening": _OPENING,
    "ResultHeader.body": _BODY,
    "ResultHeader.inclusion_proof": _HASHES,
    "ResultHeader.checkpoint": Field(1 << 20, "signed note of a checkpoint"),
    "ResultHeader.salt": Field(SALT_BYTES, "random bytes that go into the digest of a result"),
    "ResultChunk.counterpart": _PARTY,
    "ResultChunk.references": Field(MAX_CHUNK_BYTES, "16 random bytes for each linked record"),
    "ResultChunk.link_ids": Field(MAX_CHUNK_BYTES, "16 bytes of HMAC output for each link"),
    "ResultChunk.grades": Field(MAX_CHUNK_BYTES, "the grade of each link"),
    "ResultChunk.comparisons": Field(
        MAX_CHUNK_BYTES, "references of own linked records, tags, masked comparison levels"
    ),
    "Told.source": _PARTY,
    "Told.recipient": Field(ID_CHARS, "name of a party, or `coordinator`"),
    "RegisterManifest.agreement_id": Field(AGREEMENT_CHARS, "name of an agreement"),
    "RegisterManifest.chunk_sha256": Field(DIGEST_BYTES, "digests of the chunks", MAX_CHUNKS),
    "OpenRegisterResponse.upload_id": _UPLOAD_ID,
    "UploadRegisterRequest.upload_id": _UPLOAD_ID,
    "UploadRegisterRequest.references": Field(MAX_CHUNK_BYTES, "16 random bytes for each record"),
    "UploadRegisterRequest.codes": Field(MAX_CHUNK_BYTES, "the code of each record"),
    "UploadRegisterRequest.exact": Field(MAX_CHUNK_BYTES, "keyed tokens of identifiers, or noise"),
    "UploadRegisterRequest.removed": Field(MAX_CHUNK_BYTES, "16 random bytes for each record"),
    "CommitRegisterRequest.upload_id": _UPLOAD_ID,
    "LookupRequest.agreement_id": Field(AGREEMENT_CHARS, "name of an agreement"),
    "LookupRequest.register": Field(ID_CHARS, "name of a party"),
    "LookupRequest.code": Field(4_096, "the code of one record"),
    "LookupRequest.exact": Field(128, "keyed tokens of identifiers, or noise"),
    "LookupRequest.salt": Field(16, "random bytes"),
    "LookupRequest.request": _SIGNED,
    "LookupResponse.method_version": Field(64, "version of matcher and method"),
    "LookupResponse.grant": _GRANT,
    "LookupResponse.signature": Field(64, "signature of the matcher"),
    "FetchLookupsResponse.grant": _GRANT,
    "FetchLookupsResponse.request": _SIGNED,
    "SubmitDocumentRequest.envelope": Field(MAX_LEAF_BYTES, "a signed document, for the log"),
    "SubmitDocumentRequest.sealed": Field(
        MAX_SEALED_BYTES, "ciphertexts of a key exchange", MAX_PARTIES
    ),
    "FetchSealedRequest.agreement_id": Field(AGREEMENT_CHARS, "name of an agreement"),
    "FetchSealedRequest.sha256": Field(DIGEST_BYTES, "digests of ciphertexts", MAX_PARTIES),
    "FetchSealedResponse.sealed": Field(MAX_SEALED_BYTES, "a ciphertext of a key exchange"),
    "GetCheckpointResponse.checkpoint": Field(1 << 20, "signed note of a checkpoint"),
    "AddCosignatureRequest.checkpoint": Field(1 << 18, "signed note of a checkpoint"),
    "GetEntriesResponse.leaf": _LEAF,
    "GetEntriesResponse.opening": _OPENING,
    "GetEntriesResponse.body": _BODY,
    "GetInclusionProofResponse.hashes": _HASHES,
    "GetConsistencyProofResponse.hashes": _HASHES,
}  # fmt: skip

_PACKAGE = "linkage.v1."


def field_name(descriptor: FieldDescriptor) -> str:
    """Return the name of a field as it stands in `FIELDS`."""
    return descriptor.full_name.removeprefix(_PACKAGE)


def holds_text_or_bytes(descriptor: FieldDescriptor) -> bool:
    """Return whether a field must stand in `FIELDS`."""
    return descriptor.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def check_fields(message: Message) -> None:
    """Check every text and byte field of a message, and of the messages in it.

    Raises:
        MalformedMessageError: a field is too long, occurs too often, or is unknown.
    """
    if len(UnknownFieldSet(message)):
        raise MalformedMessageError("the message has fields that this version does not know")
    for descriptor, value in message.ListFields():
        if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
            parts = value if _is_repeated(descriptor) else (value,)
            for part in cast("Iterable[Message]", parts):
                check_fields(part)
        elif holds_text_or_bytes(descriptor):
            _check_field(descriptor, value if _is_repeated(descriptor) else (value,))


def _check_field(descriptor: FieldDescriptor, values: Sequence[str | bytes]) -> None:
    name = field_name(descriptor)
    field = FIELDS[name]
    if len(values) > field.max_count:
        raise MalformedMessageError(f"{name}: {len(values)} values, at most {field.max_count}")
    for value in values:
        size = len(value.encode() if isinstance(value, str) else value)
        if size > field.max_bytes:
            raise MalformedMessageError(f"{name}: {size} bytes, at most {field.max_bytes}")


def _is_repeated(descriptor: FieldDescriptor) -> bool:
    return bool(descriptor.is_repeated)
