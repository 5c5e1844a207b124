"""Lookups of one party: calls to the matcher, and values of one person to their code.

Values stay here; what leaves is a code and exact tokens, as of every record.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import grpc
import pyarrow as pa

from keys.dsse import Envelope, parse_envelope
from linkage.agent.client import MatcherClient
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.requests import Requests
from linkage.agent.session import Session
from linkage.agreement.request import request_digest
from linkage.encode.encoder import Encoder
from linkage.encode.exacttokens import ExactTokens
from linkage.errors import DeniedError, MalformedMessageError, RecordError, SignatureError
from linkage.job import CodeId
from linkage.log.vkey import ED25519, VerifierKey
from linkage.lookup import (
    ANSWER_TYPE,
    LOOKUP_METHOD,
    SALT_BYTES,
    Answer,
    Grade,
    LookupQuestion,
)
from linkage.register import RegisterChunk, RegisterManifest
from linkage.rpc.channel import outgoing, repeated, sent, translated
from linkage.rpc.convert import codes_to_proto, lookup_to_proto
from linkage.rpc.patience import Patience
from linkage.v1 import job_pb2, lookup_pb2, lookup_pb2_grpc

T = TypeVar("T")
_DEADLINE_S = 30.0
_STREAM_DEADLINE_S = 3600.0
# How old what was seen of the log may be when a lookup is signed.
_FRESH_S = 60.0
_GRADES = {
    lookup_pb2.GRADE_NO_MATCH: Grade.NO_MATCH,
    lookup_pb2.GRADE_UNDETERMINED: Grade.UNDETERMINED,
    lookup_pb2.GRADE_MATCH: Grade.MATCH,
}
_WORDS = {Grade.NO_MATCH: "no", Grade.UNDETERMINED: "undetermined", Grade.MATCH: "yes"}


@dataclass(frozen=True)
class LookupAnswer:
    """What a lookup was answered.

    Attributes:
        level: result level.
        answer: yes, no or undetermined.
        grade: the grade behind it.
        needs_human_decision: always true: it is evidence for an official.
        method: version of matcher and method.
        grant: name of the grant under which it was asked.
        sequence: one more with every answer under the grant.
        revision: of the register.
        overlooked: probability that a record whose code alone is just a match was overlooked.
    """

    level: str
    answer: str
    grade: str
    needs_human_decision: bool
    method: str
    grant: str
    sequence: int
    revision: int
    overlooked: float


class LookupClient:
    """Calls of one party.

    Args:
        channel: an open channel to the matcher.
        patience_s: how long to try again while the matcher cannot be reached.
        requests: signs lookups; without it a register can be kept, and nothing looked up.
        log_keys: keys of the log, which signs answers.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        patience_s: float,
        requests: Requests | None = None,
        log_keys: Sequence[VerifierKey] = (),
    ) -> None:
        self._patience, self._requests = Patience(patience_s), requests
        self._log_keys = log_keys
        self._log = MatcherClient(channel, self._patience)
        self._stub = lookup_pb2_grpc.LookupServiceStub(channel)

    def upload(
        self,
        manifest: RegisterManifest,
        chunk: Callable[[int], RegisterChunk],
        on_chunk: Callable[[int], None] = lambda _index: None,
    ) -> tuple[int, int]:
        """Send an upload of the own register, from wherever an earlier try stopped.

        Args:
            manifest: what the upload is.
            chunk: returns the chunk of an index.
            on_chunk: told each index that is being sent.

        Returns:
            The index of its leaf, and the revision of the register.
        """
        opening = lookup_pb2.OpenRegisterRequest(manifest=_manifest_to_proto(manifest))

        def send() -> str:
            opened = self._stub.OpenRegister(opening, timeout=_DEADLINE_S)
            remaining = range(opened.next_chunk, len(manifest.chunk_sha256))

            def messages() -> Iterator[lookup_pb2.UploadRegisterRequest]:
                for index in remaining:
                    on_chunk(index)
                    yield _chunk_to_proto(opened.upload_id, index, chunk(index))

            if remaining:
                sent(partial(self._stub.UploadRegister, timeout=_STREAM_DEADLINE_S), messages())
            return opened.upload_id

        upload_id = repeated(send, self._patience)
        request = lookup_pb2.CommitRegisterRequest(upload_id=upload_id)
        done = repeated(
            lambda: self._stub.CommitRegister(request, timeout=2 * _DEADLINE_S), self._patience
        )
        return done.leaf_index, done.revision

    def find(self, question: LookupQuestion) -> LookupAnswer:
        """Return the answer to one lookup.

        Raises:
            DeniedError: the caller may not look this register up.
            QuotaExceededError: too many lookups in this minute.
            SchemaMismatchError: encoded under another schema than the register.
            KeyMismatchError: encoded under another key than the register.
            SignatureError: the answer is not signed by the log.
        """
        try:
            return self._found(question, _FRESH_S)
        except DeniedError as error:
            # The agreement has another version than when the log was fetched.
            if error.code not in ("SEEN_STALE", "AGREEMENT_OTHER_VERSION"):
                raise
        return self._found(question, 0.0)

    def find_all(self, questions: Iterable[LookupQuestion]) -> Iterator[LookupAnswer]:
        """Yield the answers to many lookups over one stream, in their order.

        Raises:
            LinkageError: as `find`, of the first that is refused; those before are answered.
                What `questions` itself raises, or signing, comes out likewise.
        """
        digests: deque[bytes] = deque()

        def messages() -> Iterator[lookup_pb2.LookupRequest]:
            for question in questions:
                request = self._signed(question, _FRESH_S)
                digests.append(request_digest(parse_envelope(request)))
                yield lookup_to_proto(question, request)

        with outgoing(messages()) as stream, translated():
            for response in self._stub.StreamLookups(stream, timeout=_STREAM_DEADLINE_S):
                yield self._answer(response, digests.popleft())

    def _found(self, question: LookupQuestion, fresh_s: float) -> LookupAnswer:
        digests: list[bytes] = []

        def ask() -> lookup_pb2.LookupResponse:
            # Each try is signed: a request is answered once.
            request = self._signed(question, fresh_s)
            digests.append(request_digest(parse_envelope(request)))
            return self._stub.Lookup(lookup_to_proto(question, request), timeout=_DEADLINE_S)

        response = repeated(ask, self._patience)
        return self._answer(response, digests[-1])

    def _signed(self, question: LookupQuestion, fresh_s: float) -> bytes:
        if self._requests is None:
            raise ValueError("a client without a signer looks nothing up")
        return self._requests.sign(self._log, LOOKUP_METHOD, question.to_bytes(), fresh_s)

    def _answer(self, message: lookup_pb2.LookupResponse, request: bytes) -> LookupAnswer:
        """Return an answer, whose signature is checked."""
        grade = _GRADES.get(message.grade)
        if grade is None or message.level != job_pb2.RESULT_LEVEL_R1:
            raise MalformedMessageError("the matcher answered with a grade or level of its own")
        answer = Answer(
            grade,
            message.grant,
            message.sequence,
            message.revision,
            message.overlooked,
            message.method_version,
        )
        check_answer(answer, message.signature, request, self._log_keys)
        return LookupAnswer(
            "R1",
            _WORDS[grade],
            grade.value,
            needs_human_decision=message.needs_human_decision,
            method=answer.method,
            grant=answer.grant,
            sequence=answer.sequence,
            revision=answer.revision,
            overlooked=answer.overlooked,
        )


def check_answer(
    answer: Answer, signature: bytes, request: bytes, log_keys: Sequence[VerifierKey]
) -> None:
    """Check that the matcher gave an answer to a request.

    Args:
        answer: what it answered.
        signature: its signature.
        request: SHA-256 of the signed request.
        log_keys: of the trust file.

    Raises:
        SignatureError: no Ed25519 key of the log has signed this answer to this request.
    """
    for key in log_keys:
        if key.algorithm != ED25519:
            continue
        payload = answer.to_bytes(key.name, request)
        envelope = Envelope(ANSWER_TYPE, payload, ((key.name, signature),))
        if envelope.signers({key.name: key.public}):
            return
    raise SignatureError(
        "the answer is not signed by the log of the trust file: do not use it, and tell auditors"
    )


class Lookup:
    """Makes lookups of values, under one session.

    Making one takes a second or so, for the keys of the hardening; it serves any number.

    Args:
        session: the agent at work.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._codes = session, code_id(session)
        self._normaliser = RecordNormaliser(session.schema, session.source)
        self._encoder = Encoder(session.schema, session.key, os.urandom)
        self._exact = ExactTokens(session.schema, session.key.exact_key, os.urandom)

    def __repr__(self) -> str:
        return "Lookup(...)"

    def question(
        self, register: str, values: Mapping[str, str], exhaustive: bool = False
    ) -> LookupQuestion:
        """Return the question whether there is a person.

        Args:
            register: the party whose register is looked up.
            values: value of each attribute that is known.
            exhaustive: read every code whole, so that nothing is overlooked.

        Raises:
            RecordError: an attribute is none of the schema's, or no value says anything.
        """
        names = [attribute.name for attribute in self._session.schema.attributes]
        if n_unknown := len(set(values) - set(names)):
            # Not quoted: where a file has no line of column names, they are values.
            raise RecordError(
                f"{n_unknown} of the attributes given are none of the schema's: "
                f"it has {', '.join(names)}"
            )
        table = pa.table({name: pa.array([values.get(name, "")], pa.string()) for name in names})
        columns = self._normaliser.columns(table)
        if not any(len(columns[name].word_ids) for name in names):
            raise RecordError("none of the values says anything: give a name and a date at least")
        return LookupQuestion(
            agreement_id=self._session.config.agreement.id,
            register=register,
            codes=self._codes,
            code=self._encoder.codes(columns).tobytes(),
            exact=self._exact.tokens(columns).tobytes(),
            salt=os.urandom(SALT_BYTES),
            exhaustive=exhaustive,
        )


def code_id(session: Session) -> CodeId:
    """Return what the codes of a session's lookups and registers share.

    They are those of one round, whatever the schema has for jobs, and have no block tokens.
    """
    return replace(
        session.codes,
        block_entries=0,
        block_copies=0,
        block_bytes=0,
        exact_slots=len(session.schema.exact_attributes),
    )


def _manifest_to_proto(manifest: RegisterManifest) -> lookup_pb2.RegisterManifest:
    return lookup_pb2.RegisterManifest(
        agreement_id=manifest.agreement_id,
        codes=codes_to_proto(manifest.codes),
        threshold=manifest.threshold,
        base_revision=manifest.base_revision,
        n_records=manifest.n_records,
        n_removed=manifest.n_removed,
        n_record_chunks=manifest.n_record_chunks,
        chunk_sha256=manifest.chunk_sha256,
    )


def _chunk_to_proto(
    upload_id: str, index: int, chunk: RegisterChunk
) -> lookup_pb2.UploadRegisterRequest:
    return lookup_pb2.UploadRegisterRequest(
        upload_id=upload_id,
        index=index,
        references=chunk.references,
        codes=chunk.codes,
        exact=chunk.exact,
        removed=chunk.removed,
    )
