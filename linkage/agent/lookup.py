"""Lookups of one party: calls to the matcher, and values of one person to their code.

Values stay here; what leaves is a code and exact tokens, as of every record.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import grpc
import pyarrow as pa

from linkage.agent.encoding import RecordNormaliser
from linkage.agent.session import Session
from linkage.encode.encoder import Encoder
from linkage.encode.exacttokens import ExactTokens
from linkage.errors import MalformedMessageError, RecordError
from linkage.job import CodeId
from linkage.register import RegisterChunk, RegisterManifest
from linkage.rpc.channel import repeated, sent, translated
from linkage.rpc.convert import codes_to_proto
from linkage.v1 import lookup_pb2, lookup_pb2_grpc

T = TypeVar("T")
_DEADLINE_S = 30.0
_STREAM_DEADLINE_S = 3600.0
_ANSWERS = {
    lookup_pb2.GRADE_NO_MATCH: ("no", "no match"),
    lookup_pb2.GRADE_UNDETERMINED: ("undetermined", "undetermined"),
    lookup_pb2.GRADE_MATCH: ("yes", "match"),
}


@dataclass(frozen=True)
class LookupAnswer:
    """What a lookup was answered.

    Attributes:
        level: result level.
        answer: yes, no or undetermined.
        grade: the grade behind it.
        needs_human_decision: always true: it is evidence for an official.
        method: version of matcher and method.
        sequence: one more with every answer of the matcher under the agreement.
        revision: of the register.
        overlooked: probability that a record whose code alone is just a match was overlooked.
    """

    level: str
    answer: str
    grade: str
    needs_human_decision: bool
    method: str
    sequence: int
    revision: int
    overlooked: float


class LookupClient:
    """Calls of one party.

    Args:
        channel: an open channel to the matcher.
        patience_s: how long to try again while the matcher cannot be reached.
    """

    def __init__(self, channel: grpc.Channel, patience_s: float) -> None:
        self._patience_s = patience_s
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

        upload_id = repeated(send, self._patience_s)
        request = lookup_pb2.CommitRegisterRequest(upload_id=upload_id)
        done = repeated(
            lambda: self._stub.CommitRegister(request, timeout=2 * _DEADLINE_S), self._patience_s
        )
        return done.leaf_index, done.revision

    def find(self, request: lookup_pb2.LookupRequest) -> LookupAnswer:
        """Return the answer to one lookup.

        Raises:
            DeniedError: the party may not look this register up.
            QuotaExceededError: too many lookups in this minute.
            SchemaMismatchError: encoded under another schema than the register.
            KeyMismatchError: encoded under another key than the register.
        """
        call = self._stub.Lookup
        response = repeated(lambda: call(request, timeout=_DEADLINE_S), self._patience_s)
        return _answer_from_proto(response)

    def find_all(self, requests: Iterable[lookup_pb2.LookupRequest]) -> Iterator[LookupAnswer]:
        """Yield the answers to many lookups over one stream, in their order.

        Raises:
            LinkageError: as `find`, of the first that is refused; those before are answered.
        """
        with translated():
            answers = self._stub.StreamLookups(iter(requests), timeout=_STREAM_DEADLINE_S)
            for response in answers:
                yield _answer_from_proto(response)


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

    def request(
        self, register: str, values: Mapping[str, str], exhaustive: bool = False
    ) -> lookup_pb2.LookupRequest:
        """Return the message that asks for a person.

        Args:
            register: the party whose register is looked up.
            values: value of each attribute that is known.
            exhaustive: read every code whole, so that nothing is overlooked.

        Raises:
            RecordError: an attribute is none of the schema's, or no value says anything.
        """
        names = [attribute.name for attribute in self._session.schema.attributes]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise RecordError(
                f"no attribute {', '.join(unknown)}: the schema has {', '.join(names)}"
            )
        table = pa.table({name: pa.array([values.get(name, "")], pa.string()) for name in names})
        columns = self._normaliser.columns(table)
        if not any(len(columns[name].word_ids) for name in names):
            raise RecordError("none of the values says anything: give a name and a date at least")
        return lookup_pb2.LookupRequest(
            agreement_id=self._session.config.agreement.id,
            register=register,
            codes=codes_to_proto(self._codes),
            code=self._encoder.codes(columns).tobytes(),
            exact=self._exact.tokens(columns).tobytes(),
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


def _answer_from_proto(message: lookup_pb2.LookupResponse) -> LookupAnswer:
    known = _ANSWERS.get(message.grade)
    if known is None or message.level != lookup_pb2.RESULT_LEVEL_R1:
        raise MalformedMessageError("the matcher answered with a grade or level of its own")
    return LookupAnswer(
        "R1",
        *known,
        needs_human_decision=message.needs_human_decision,
        method=message.method_version,
        sequence=message.sequence,
        revision=message.revision,
        overlooked=message.overlooked,
    )
