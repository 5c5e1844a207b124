"""The gRPC service of lookups: decode, call a handler, encode.

Who is calling, and what an error becomes, is the guard's; what is allowed is the
handlers'.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc.aio

from linkage.agreement.decision import Decision
from linkage.lookup import Grade
from linkage.matcher.decisions import Decisions, denied
from linkage.matcher.lookup_counts import LookupCounts
from linkage.matcher.lookups import Lookups, SignedAnswer
from linkage.matcher.precedence import Precedence
from linkage.matcher.registers import Registers
from linkage.register import RegisterChunk, RegisterManifest
from linkage.rpc import convert
from linkage.rpc.peer import Peer, party_of, peer_of
from linkage.v1 import job_pb2, lookup_pb2, lookup_pb2_grpc

if TYPE_CHECKING:
    # Generic for type checkers only.
    _Context = grpc.aio.ServicerContext[Any, Any]

# Lookups of one stream that are on their way at once.
_AT_ONCE = 16
_GRADES = {
    Grade.NO_MATCH: lookup_pb2.GRADE_NO_MATCH,
    Grade.UNDETERMINED: lookup_pb2.GRADE_UNDETERMINED,
    Grade.MATCH: lookup_pb2.GRADE_MATCH,
}


class LookupService(lookup_pb2_grpc.LookupServiceServicer):
    """Standing registers, and lookups in them."""

    def __init__(
        self,
        registers: Registers,
        lookups: Lookups,
        counts: LookupCounts,
        decisions: Decisions,
        precedence: Precedence,
    ) -> None:
        self._registers, self._lookups = registers, lookups
        self._counts, self._decisions = counts, decisions
        self._precedence = precedence

    def _ask(self, peer: Peer, request: lookup_pb2.LookupRequest) -> asyncio.Future[SignedAnswer]:
        question = convert.lookup_from_proto(request)
        answer = asyncio.wrap_future(self._lookups.ask(peer, question, request.request))
        self._precedence.lookup(answer)
        return answer

    async def OpenRegister(  # noqa: N802 -- the names of the protocol, here and below
        self, request: lookup_pb2.OpenRegisterRequest, context: _Context
    ) -> lookup_pb2.OpenRegisterResponse:
        """Open an upload, or find it again."""
        peer, manifest = peer_of(context), _manifest_from_proto(request.manifest)

        def check_agreement() -> None:
            _check(self._decisions.register(peer, manifest.agreement_id, manifest.codes))

        upload_id, next_chunk = await asyncio.to_thread(
            self._registers.open, peer.identity.party, manifest, check_agreement
        )
        return lookup_pb2.OpenRegisterResponse(upload_id=upload_id, next_chunk=next_chunk)

    async def UploadRegister(  # noqa: N802
        self, request_iterator: AsyncIterator[lookup_pb2.UploadRegisterRequest], context: _Context
    ) -> lookup_pb2.UploadRegisterResponse:
        """Store chunks in order; what arrived before an error stays."""
        party, next_chunk = party_of(context), 0
        async for request in request_iterator:
            chunk = RegisterChunk(request.references, request.codes, request.exact, request.removed)
            async with self._precedence.piece():
                next_chunk = await asyncio.to_thread(
                    self._registers.put_chunk, party, request.upload_id, request.index, chunk
                )
        return lookup_pb2.UploadRegisterResponse(next_chunk=next_chunk)

    async def CommitRegister(  # noqa: N802
        self, request: lookup_pb2.CommitRegisterRequest, context: _Context
    ) -> lookup_pb2.CommitRegisterResponse:
        """Close an upload; it is looked up once this is answered."""
        leaf, revision = await asyncio.to_thread(
            self._registers.commit, party_of(context), request.upload_id
        )
        return lookup_pb2.CommitRegisterResponse(leaf_index=leaf, revision=revision)

    async def Lookup(  # noqa: N802
        self, request: lookup_pb2.LookupRequest, context: _Context
    ) -> lookup_pb2.LookupResponse:
        """Answer one lookup."""
        return _answer_to_proto(await self._ask(peer_of(context), request))

    async def StreamLookups(  # noqa: N802
        self, request_iterator: AsyncIterator[lookup_pb2.LookupRequest], context: _Context
    ) -> AsyncIterator[lookup_pb2.LookupResponse]:
        """Answer lookups in their order, some of them on their way at once."""
        caller = peer_of(context)
        waiting: asyncio.Queue[asyncio.Future[SignedAnswer] | None] = asyncio.Queue()
        room = asyncio.Semaphore(_AT_ONCE)

        async def take() -> None:
            try:
                async for request in request_iterator:
                    await room.acquire()
                    waiting.put_nowait(self._ask(caller, request))
            finally:  # never waits: after an error nobody takes anything out any more
                waiting.put_nowait(None)

        taking = asyncio.create_task(take())
        try:
            while (answer := await waiting.get()) is not None:
                yield _answer_to_proto(await answer)
                room.release()
            await taking
        finally:
            taking.cancel()
            await asyncio.wait([taking])  # it reads no more when the stream of questions is closed

    async def FetchLookups(  # noqa: N802
        self, request: lookup_pb2.FetchLookupsRequest, context: _Context
    ) -> AsyncIterator[lookup_pb2.FetchLookupsResponse]:
        """Stream the signed requests of a minute."""
        del context
        for row in await asyncio.to_thread(self._counts.requests_of, request.leaf_index):
            yield lookup_pb2.FetchLookupsResponse(
                grant=row.grant_id, sequence=row.sequence, request=row.request
            )


def _check(decision: Decision) -> None:
    """Raise what a denial tells the caller."""
    if not decision.allowed:
        raise denied(decision)


def _manifest_from_proto(message: lookup_pb2.RegisterManifest) -> RegisterManifest:
    return RegisterManifest(
        agreement_id=message.agreement_id,
        codes=convert.codes_from_proto(message.codes),
        threshold=message.threshold,
        base_revision=message.base_revision,
        n_records=message.n_records,
        n_removed=message.n_removed,
        n_record_chunks=message.n_record_chunks,
        chunk_sha256=tuple(message.chunk_sha256),
    )


def _answer_to_proto(signed: SignedAnswer) -> lookup_pb2.LookupResponse:
    answer = signed.answer
    return lookup_pb2.LookupResponse(
        level=job_pb2.RESULT_LEVEL_R1,
        grade=_GRADES[answer.grade],
        needs_human_decision=True,
        method_version=answer.method,
        sequence=answer.sequence,
        revision=answer.revision,
        overlooked=answer.overlooked,
        grant=answer.grant,
        signature=signed.signature,
    )
