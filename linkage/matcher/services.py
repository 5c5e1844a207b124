"""The gRPC services: decode, call a handler, encode.

Who is calling, and what an error becomes, is the guard's; what is allowed is the
handlers'. Handlers block on database and disk, so each call gets a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc.aio

from keys.identity import Identity
from linkage.errors import MalformedMessageError
from linkage.job import Job, JobState
from linkage.matcher.batches import Batches
from linkage.matcher.cosignatures import Cosignatures
from linkage.matcher.documents import Documents
from linkage.matcher.jobs import Jobs
from linkage.matcher.log_reader import LogReader
from linkage.matcher.precedence import Precedence
from linkage.matcher.refinements import Refinements
from linkage.matcher.refusals import path_of
from linkage.matcher.results import Results
from linkage.rpc import convert
from linkage.rpc.peer import party_of, peer_of
from linkage.v1 import (
    batch_pb2,
    batch_pb2_grpc,
    document_pb2,
    document_pb2_grpc,
    job_pb2,
    job_pb2_grpc,
    log_pb2,
    log_pb2_grpc,
    progress_pb2,
    progress_pb2_grpc,
    refine_pb2,
    refine_pb2_grpc,
    result_pb2,
    result_pb2_grpc,
)

if TYPE_CHECKING:
    # Generic for type checkers only.
    _Context = grpc.aio.ServicerContext[Any, Any]

MAX_LISTED = 1000
_POLL_S = 0.2


class DocumentService(document_pb2_grpc.DocumentServiceServicer):
    """Signed documents."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def SubmitDocument(  # noqa: N802 -- the names of the protocol, here and below
        self, request: document_pb2.SubmitDocumentRequest, context: _Context
    ) -> document_pb2.SubmitDocumentResponse:
        """Put a document into the log."""
        index = await asyncio.to_thread(
            self._documents.submit,
            path_of(peer_of(context)),
            request.envelope,
            tuple(request.sealed),
        )
        return document_pb2.SubmitDocumentResponse(leaf_index=index)

    async def FetchSealed(  # noqa: N802
        self, request: document_pb2.FetchSealedRequest, context: _Context
    ) -> AsyncIterator[document_pb2.FetchSealedResponse]:
        """Stream ciphertexts of a key exchange."""
        sealed = self._documents.sealed(
            party_of(context), request.agreement_id, request.epoch, tuple(request.sha256)
        )
        while (one := await asyncio.to_thread(next, sealed, None)) is not None:
            yield document_pb2.FetchSealedResponse(sealed=one)


class JobService(job_pb2_grpc.JobServiceServicer):
    """Requests for jobs, and what became of them."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def RequestJob(  # noqa: N802
        self, request: job_pb2.RequestJobRequest, context: _Context
    ) -> job_pb2.RequestJobResponse:
        """Decide on a request."""
        spec = convert.spec_from_proto(request.spec)
        job = await asyncio.to_thread(self._jobs.request, peer_of(context), request.request, spec)
        return job_pb2.RequestJobResponse(job=convert.job_to_proto(job))

    async def GetJob(  # noqa: N802
        self, request: job_pb2.GetJobRequest, context: _Context
    ) -> job_pb2.GetJobResponse:
        """Return one job."""
        job = await asyncio.to_thread(self._jobs.get, _who(context), request.job_id)
        return job_pb2.GetJobResponse(job=convert.job_to_proto(job))

    async def ListJobs(  # noqa: N802
        self, request: job_pb2.ListJobsRequest, context: _Context
    ) -> job_pb2.ListJobsResponse:
        """Return the jobs that go on, then the newest that ended."""
        limit = min(request.limit or MAX_LISTED, MAX_LISTED)
        jobs = await asyncio.to_thread(self._jobs.newest, _who(context), limit)
        return job_pb2.ListJobsResponse(jobs=[convert.job_to_proto(job) for job in jobs])

    async def CancelJob(  # noqa: N802
        self, request: job_pb2.CancelJobRequest, context: _Context
    ) -> job_pb2.CancelJobResponse:
        """End a job."""
        job = await asyncio.to_thread(self._jobs.cancel, _who(context), request.job_id)
        return job_pb2.CancelJobResponse(job=convert.job_to_proto(job))


class BatchService(batch_pb2_grpc.BatchServiceServicer):
    """Uploads."""

    def __init__(self, batches: Batches, precedence: Precedence) -> None:
        self._batches, self._precedence = batches, precedence

    async def OpenBatch(  # noqa: N802
        self, request: batch_pb2.OpenBatchRequest, context: _Context
    ) -> batch_pb2.OpenBatchResponse:
        """Open a batch, or find it again."""
        manifest = convert.manifest_from_proto(request.manifest)
        batch_id, next_chunk = await asyncio.to_thread(
            self._batches.open,
            peer_of(context),
            request.job_id,
            manifest,
            request.request,
            request.gate,
        )
        return batch_pb2.OpenBatchResponse(batch_id=batch_id, next_chunk=next_chunk)

    async def UploadChunks(  # noqa: N802
        self, request_iterator: AsyncIterator[batch_pb2.UploadChunksRequest], context: _Context
    ) -> batch_pb2.UploadChunksResponse:
        """Store chunks in order; what arrived before an error stays."""
        who, next_chunk = _who(context), 0
        async for request in request_iterator:
            async with self._precedence.piece():
                next_chunk = await asyncio.to_thread(
                    self._batches.put_chunk,
                    who,
                    request.batch_id,
                    request.index,
                    convert.chunk_from_proto(request),
                )
        return batch_pb2.UploadChunksResponse(next_chunk=next_chunk)

    async def CommitBatch(  # noqa: N802
        self, request: batch_pb2.CommitBatchRequest, context: _Context
    ) -> batch_pb2.CommitBatchResponse:
        """Close a batch."""
        leaf = await asyncio.to_thread(self._batches.commit, _who(context), request.batch_id)
        return batch_pb2.CommitBatchResponse(leaf_index=leaf)


class ProgressService(progress_pb2_grpc.ProgressServiceServicer):
    """How far a job is."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def WatchProgress(  # noqa: N802
        self, request: progress_pb2.WatchProgressRequest, context: _Context
    ) -> AsyncIterator[progress_pb2.WatchProgressResponse]:
        """Stream every change until the job ends."""
        who, last = _who(context), None
        while True:
            job = await asyncio.to_thread(self._jobs.get, who, request.job_id)
            progress = _progress_of(job)
            if progress != last:
                yield progress
                last = progress
            if job.state.final:
                return
            await asyncio.sleep(_POLL_S)


class RefineService(refine_pb2_grpc.RefineServiceServicer):
    """Second rounds."""

    def __init__(self, refinements: Refinements) -> None:
        self._refinements = refinements

    async def FetchQuestions(  # noqa: N802
        self, request: refine_pb2.FetchQuestionsRequest, context: _Context
    ) -> AsyncIterator[refine_pb2.FetchQuestionsResponse]:
        """Stream what the caller is asked."""
        questions = self._refinements.questions(_who(context), request.job_id)
        while (question := await asyncio.to_thread(next, questions, None)) is not None:
            yield convert.question_to_proto(question)

    async def SendAnswers(  # noqa: N802
        self, request_iterator: AsyncIterator[refine_pb2.SendAnswersRequest], context: _Context
    ) -> refine_pb2.SendAnswersResponse:
        """Keep answers in order; what arrived before an error stays."""
        who = _who(context)
        async for request in request_iterator:
            await asyncio.to_thread(
                self._refinements.answer,
                who,
                request.job_id,
                request.counterpart,
                convert.kind_from_proto(request.kind),
                request.index,
                request.answer,
            )
        return refine_pb2.SendAnswersResponse()


class ResultService(result_pb2_grpc.ResultServiceServicer):
    """Results, each to its owner."""

    def __init__(self, results: Results) -> None:
        self._results = results

    async def FetchResults(  # noqa: N802
        self, request: result_pb2.FetchResultsRequest, context: _Context
    ) -> AsyncIterator[result_pb2.FetchResultsResponse]:
        """Stream the receipt, then what the caller is told."""
        receipt, parts = await asyncio.to_thread(self._results.fetch, _who(context), request.job_id)
        yield result_pb2.FetchResultsResponse(
            header=result_pb2.ResultHeader(
                leaf_index=receipt.leaf_index,
                leaf=receipt.leaf,
                opening=receipt.opening,
                body=receipt.body,
                inclusion_proof=receipt.inclusion_proof,
                checkpoint=receipt.checkpoint,
                salt=receipt.salt,
            )
        )
        for part in parts:
            for piece in convert.part_to_proto(part):
                yield result_pb2.FetchResultsResponse(chunk=piece)


class LogService(log_pb2_grpc.LogServiceServicer):
    """The match log."""

    def __init__(self, reader: LogReader, cosignatures: Cosignatures) -> None:
        self._reader, self._cosignatures = reader, cosignatures

    async def GetCheckpoint(  # noqa: N802
        self, request: log_pb2.GetCheckpointRequest, context: _Context
    ) -> log_pb2.GetCheckpointResponse:
        """Return the last published checkpoint, the one to cosign, or one that is cosigned."""
        del context
        read = self._cosignatures.head if request.to_cosign else self._reader.checkpoint
        if request.cosigned_before:
            read = partial(self._cosignatures.before, request.cosigned_before)
        return log_pb2.GetCheckpointResponse(checkpoint=await asyncio.to_thread(read))

    async def AddCosignature(  # noqa: N802
        self, request: log_pb2.AddCosignatureRequest, context: _Context
    ) -> log_pb2.AddCosignatureResponse:
        """Take the line of a party."""
        await asyncio.to_thread(
            self._cosignatures.add, peer_of(context).identity, request.checkpoint
        )
        return log_pb2.AddCosignatureResponse()

    async def GetEntries(  # noqa: N802
        self, request: log_pb2.GetEntriesRequest, context: _Context
    ) -> AsyncIterator[log_pb2.GetEntriesResponse]:
        """Stream leaves, with the bodies that are the caller's to read."""
        reader = peer_of(context).identity
        size = await asyncio.to_thread(self._reader.size)
        if not request.start < request.end <= size:
            raise MalformedMessageError(f"entries are read from 0 up to {size}")
        for start in range(request.start, request.end, LogReader.PAGE):
            end = min(start + LogReader.PAGE, request.end)
            for entry in await asyncio.to_thread(self._reader.entries, reader, start, end):
                yield log_pb2.GetEntriesResponse(
                    index=entry.index,
                    leaf=entry.leaf,
                    opening=entry.opening or b"",
                    body=entry.body or b"",
                )

    async def GetInclusionProof(  # noqa: N802
        self, request: log_pb2.GetInclusionProofRequest, context: _Context
    ) -> log_pb2.GetInclusionProofResponse:
        """Prove that a leaf is in a tree."""
        del context
        hashes = await asyncio.to_thread(
            self._reader.inclusion_proof, request.index, request.tree_size
        )
        return log_pb2.GetInclusionProofResponse(hashes=hashes)

    async def GetConsistencyProof(  # noqa: N802
        self, request: log_pb2.GetConsistencyProofRequest, context: _Context
    ) -> log_pb2.GetConsistencyProofResponse:
        """Prove that a tree grew out of a smaller one."""
        del context
        hashes = await asyncio.to_thread(
            self._reader.consistency_proof, request.old_size, request.new_size
        )
        return log_pb2.GetConsistencyProofResponse(hashes=hashes)


def _who(context: _Context) -> Identity:
    return peer_of(context).identity


def _progress_of(job: Job) -> progress_pb2.WatchProgressResponse:
    counts = job.counts
    message = progress_pb2.WatchProgressResponse(state=convert.state_to_proto(job.state))
    if job.state is JobState.COLLECTING:
        message.waiting_for.extend(job.missing)
        message.done, message.total = len(job.uploaded), len(job.spec.parties)
    elif job.state in (JobState.REFINING, JobState.NAMING):
        message.waiting_for.extend(job.silent)
        message.total = len(job.spec.parties)
        message.done = message.total - len(job.silent)
    else:
        message.done, message.total = counts.comparisons_done, counts.comparisons_planned
        if counts.comparing_s:
            message.per_s = counts.comparisons_done / counts.comparing_s
    return message
