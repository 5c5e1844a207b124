"""The agent's calls to the matcher, in the project's own types."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import grpc

from linkage.batch import Chunk, Manifest, Question
from linkage.errors import MalformedMessageError, UnavailableError
from linkage.job import Job, JobSpec, JobState
from linkage.result import Part
from linkage.rpc import convert
from linkage.rpc.channel import repeated, sent, translated
from linkage.rpc.entries import entries_in
from linkage.rpc.patience import Patience
from linkage.store.log_copy import Logged, LogSource
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

T = TypeVar("T")
_DEADLINE_S = 30.0
_STREAM_DEADLINE_S = 3600.0
# A matcher that is gone without a word, with its machine, never ends a stream.
_WATCH_DEADLINE_S = 300.0
_ENTRIES_AT_ONCE = 4096


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        state: where it is on its way.
        done: steps done: batches while collecting, comparisons later.
        total: steps in all.
        per_s: steps a second.
        waiting_for: parties whose upload is missing.
    """

    state: JobState
    done: int
    total: int
    per_s: float
    waiting_for: tuple[str, ...]


class SignsRequests(Protocol):
    """Signs requests: `agent.requests.Requests`."""

    def sign(self, source: LogSource, method: str, body: bytes) -> bytes:
        """Return the envelope of a request."""


class MatcherClient:
    """Calls of one party.

    Args:
        channel: an open channel to the matcher.
        patience: how long to try again while the matcher cannot be reached, in seconds, or as
            a `Patience`.
        requests: signs what is asked for; jobs and uploads need it.

    Attributes:
        patience: of all its calls.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        patience: float | Patience,
        requests: SignsRequests | None = None,
    ) -> None:
        self.patience = patience if isinstance(patience, Patience) else Patience(patience)
        self._requests = requests
        self._jobs = job_pb2_grpc.JobServiceStub(channel)
        self._batches = batch_pb2_grpc.BatchServiceStub(channel)
        self._progress = progress_pb2_grpc.ProgressServiceStub(channel)
        self._results = result_pb2_grpc.ResultServiceStub(channel)
        self._refine = refine_pb2_grpc.RefineServiceStub(channel)
        self._log = log_pb2_grpc.LogServiceStub(channel)
        self._documents = document_pb2_grpc.DocumentServiceStub(channel)

    def request_job(self, spec: JobSpec) -> Job:
        """Ask for a job, and return it: it may have been denied."""
        request = job_pb2.RequestJobRequest(
            request=self._signed("JobService/RequestJob", spec.to_bytes()),
            spec=convert.spec_to_proto(spec),
        )
        response = self._call(lambda: self._jobs.RequestJob(request, timeout=_DEADLINE_S))
        return convert.job_from_proto(response.job)

    def job(self, job_id: str) -> Job:
        """Return a job."""
        request = job_pb2.GetJobRequest(job_id=job_id)
        response = self._call(lambda: self._jobs.GetJob(request, timeout=_DEADLINE_S))
        job = convert.job_from_proto(response.job)
        # One-time keys are made of the id: under another job's they would serve twice.
        if job.job_id != job_id:
            raise MalformedMessageError("the matcher answered with another job than was asked for")
        return job

    def jobs(self, limit: int = 0) -> list[Job]:
        """Return jobs that the party takes part in, newest first.

        Where the matcher leaves some out, those that go on are there before those that ended.
        """
        request = job_pb2.ListJobsRequest(limit=limit)
        response = self._call(lambda: self._jobs.ListJobs(request, timeout=_DEADLINE_S))
        jobs = map(convert.job_from_proto, response.jobs)
        return sorted(jobs, key=lambda job: (job.requested_at, job.job_id), reverse=True)

    def cancel(self, job_id: str) -> Job:
        """End a job before its release."""
        request = job_pb2.CancelJobRequest(job_id=job_id)
        response = self._call(lambda: self._jobs.CancelJob(request, timeout=_DEADLINE_S))
        return convert.job_from_proto(response.job)

    def upload(
        self,
        job_id: str,
        manifest: Manifest,
        chunk: Callable[[int], Chunk],
        on_chunk: Callable[[int], None] = lambda _index: None,
        gate: bytes = b"",
    ) -> int:
        """Send a batch, from wherever an earlier try stopped; return its leaf index.

        Args:
            job_id: the job.
            manifest: what the batch is.
            chunk: returns the chunk of an index.
            on_chunk: told each index that is being sent.
            gate: the result of the risk gate that the manifest names.
        """
        opening = batch_pb2.OpenBatchRequest(
            job_id=job_id,
            manifest=convert.manifest_to_proto(manifest),
            request=self._signed("BatchService/OpenBatch", job_id.encode() + manifest.digest()),
            gate=gate,
        )

        furthest = -1

        def send() -> str:
            nonlocal furthest
            opened = self._batches.OpenBatch(opening, timeout=_DEADLINE_S)
            if opened.next_chunk > furthest:
                # However often the line breaks: some of it got over each time.
                furthest = opened.next_chunk
                self.patience.reached()
            remaining = range(opened.next_chunk, len(manifest.chunk_sha256))

            def messages() -> Iterator[batch_pb2.UploadChunksRequest]:
                for index in remaining:
                    on_chunk(index)
                    yield convert.chunk_to_proto(opened.batch_id, index, chunk(index))

            if remaining:
                call = partial(self._batches.UploadChunks, timeout=_STREAM_DEADLINE_S)
                sent(call, messages())
            return opened.batch_id

        batch_id = self._call(send)
        request = batch_pb2.CommitBatchRequest(batch_id=batch_id)
        return self._call(
            lambda: self._batches.CommitBatch(request, timeout=2 * _DEADLINE_S)
        ).leaf_index

    def questions(self, job_id: str) -> Iterator[Question]:
        """Yield what the party is asked in the second round now."""
        request = refine_pb2.FetchQuestionsRequest(job_id=job_id)
        with translated():
            for message in self._refine.FetchQuestions(request, timeout=_STREAM_DEADLINE_S):
                yield convert.question_from_proto(message)

    def answer(self, job_id: str, answers: Iterable[tuple[Question, bytes]]) -> None:
        """Send answers, in the order of their questions.

        Args:
            job_id: the job.
            answers: questions, and the answer to each.
        """
        messages = (
            convert.answer_to_proto(job_id, question, content) for question, content in answers
        )
        with translated():
            sent(partial(self._refine.SendAnswers, timeout=24 * _STREAM_DEADLINE_S), messages)

    def watch(self, job_id: str) -> Iterator[Progress]:
        """Yield every change of a job until it ends.

        A stream lives no longer than its connection, which the matcher closes from
        time to time, so a broken one is opened again, until nothing has come for the
        client's patience.
        """
        request = progress_pb2.WatchProgressRequest(job_id=job_id)
        last: Progress | None = None
        while last is None or not last.state.final:
            try:
                with translated():
                    for message in self._progress.WatchProgress(request, timeout=_WATCH_DEADLINE_S):
                        self.patience.reached()
                        seen = _progress_from_proto(message)
                        if seen != last:
                            yield seen
                        last = seen
            except UnavailableError as error:
                self.patience.wait(error)

    def results(self, job_id: str) -> tuple[result_pb2.ResultHeader, list[Part]]:
        """Return the receipt of what the party is told, and the pieces of that.

        Raises:
            MalformedMessageError: the stream is not a header and chunks.
        """
        request = result_pb2.FetchResultsRequest(job_id=job_id)

        def fetch() -> list[result_pb2.FetchResultsResponse]:
            return list(self._results.FetchResults(request, timeout=_STREAM_DEADLINE_S))

        messages = self._call(fetch)
        if not messages or messages[0].WhichOneof("part") != "header":
            raise MalformedMessageError("result: it does not begin with its receipt")
        if any(message.WhichOneof("part") != "chunk" for message in messages[1:]):
            raise MalformedMessageError("result: a part that is no chunk")
        return messages[0].header, [convert.part_from_proto(m.chunk) for m in messages[1:]]

    def checkpoint(self, *, to_cosign: bool = False) -> bytes:
        """Return the last signed checkpoint of the log, or the one that parties cosign now."""
        request = log_pb2.GetCheckpointRequest(to_cosign=to_cosign)
        return self._call(lambda: self._log.GetCheckpoint(request, timeout=_DEADLINE_S)).checkpoint

    def cosigned(self, before: int) -> bytes:
        """Return the newest cosigned checkpoint of fewer entries than that, or nothing."""
        request = log_pb2.GetCheckpointRequest(cosigned_before=before)
        return self._call(lambda: self._log.GetCheckpoint(request, timeout=_DEADLINE_S)).checkpoint

    def add_cosignature(self, note: bytes) -> None:
        """Send a checkpoint with the line of the party."""
        request = log_pb2.AddCosignatureRequest(checkpoint=note)
        self._call(lambda: self._log.AddCosignature(request, timeout=_DEADLINE_S))

    def entries(self, start: int, end: int) -> Iterator[Logged]:
        """Yield entries of the log, in their order, with the bodies that the party may read.

        Raises:
            MalformedMessageError: the matcher sent others than were asked for.
        """
        # In parts: a line that breaks costs one of them, and not all that came before.
        for first in range(start, end, _ENTRIES_AT_ONCE):
            part = log_pb2.GetEntriesRequest(start=first, end=min(first + _ENTRIES_AT_ONCE, end))
            for entry in self._call(partial(self._entries_of, part)):
                yield Logged(entry.leaf, entry.opening, entry.body)

    def submit_document(self, envelope: bytes, sealed: Sequence[bytes] = ()) -> int:
        """Put a signed document into the log, and return its leaf index.

        Args:
            envelope: the document; the same bytes again change nothing.
            sealed: of a seal in a key exchange, the ciphertexts that it names.
        """
        request = document_pb2.SubmitDocumentRequest(envelope=envelope, sealed=sealed)
        response = self._call(lambda: self._documents.SubmitDocument(request, timeout=_DEADLINE_S))
        return response.leaf_index

    def sealed(self, agreement_id: str, epoch: int, digests: Sequence[bytes]) -> list[bytes]:
        """Return those ciphertexts of a key exchange that the matcher has.

        Args:
            agreement_id: whose key is made.
            epoch: its number.
            digests: SHA-256 of each.
        """
        request = document_pb2.FetchSealedRequest(
            agreement_id=agreement_id, epoch=epoch, sha256=digests
        )

        def fetch() -> list[bytes]:
            stream = self._documents.FetchSealed(request, timeout=_DEADLINE_S)
            return [message.sealed for message in stream]

        return self._call(fetch)

    def _signed(self, method: str, body: bytes) -> bytes:
        if self._requests is None:
            raise ValueError("a client without a signer asks for nothing")
        return self._requests.sign(self, f"/linkage.v1.{method}", body)

    def _entries_of(self, request: log_pb2.GetEntriesRequest) -> list[log_pb2.GetEntriesResponse]:
        answers = self._log.GetEntries(request, timeout=_STREAM_DEADLINE_S)
        return entries_in(answers, request.start, request.end)

    def _call(self, call: Callable[[], T]) -> T:
        return repeated(call, self.patience)


def _progress_from_proto(message: progress_pb2.WatchProgressResponse) -> Progress:
    return Progress(
        state=convert.state_from_proto(message.state),
        done=message.done,
        total=message.total,
        per_s=message.per_s,
        waiting_for=tuple(message.waiting_for),
    )
