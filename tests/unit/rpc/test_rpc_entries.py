"""Entries that a matcher sends are those that were asked for, whatever its checkpoint says."""

import itertools
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from linkage.agent.client import MatcherClient
from linkage.audit.live import MatcherLog
from linkage.errors import MalformedMessageError
from linkage.rpc.entries import entries_in
from linkage.v1 import log_pb2, log_pb2_grpc

_HUGE = 2**52


def _answers(*indexes: int) -> Iterator[log_pb2.GetEntriesResponse]:
    return (log_pb2.GetEntriesResponse(index=index, leaf=b"%d" % index) for index in indexes)


def test_what_was_asked_for_is_returned() -> None:
    assert [entry.index for entry in entries_in(_answers(3, 4, 5), 3, 6)] == [3, 4, 5]
    assert entries_in(_answers(), 3, 3) == []


@pytest.mark.parametrize("sent", [(), (3, 4), (3, 5, 4), (4, 5, 6), (3, 4, 5, 6), (3, 4, 5, 5)])
def test_other_entries_are_refused(sent: tuple[int, ...]) -> None:
    with pytest.raises(MalformedMessageError, match="other leaves"):
        entries_in(_answers(*sent), 3, 6)


def test_a_stream_without_an_end_is_not_read_to_it() -> None:
    endless = (log_pb2.GetEntriesResponse(index=index) for index in itertools.count(3))
    with pytest.raises(MalformedMessageError):
        entries_in(endless, 3, 6)
    assert next(endless).index == 7


class _Few(log_pb2_grpc.LogServiceServicer):
    """A log of three entries, whatever is asked for."""

    calls = 0

    def GetEntries(  # noqa: N802 -- the protocol's name
        self, request: log_pb2.GetEntriesRequest, context: grpc.ServicerContext
    ) -> Iterator[log_pb2.GetEntriesResponse]:
        del context
        self.calls += 1
        return _answers(*range(request.start, 3))


@pytest.mark.parametrize("client", [MatcherClient, MatcherLog])
def test_a_checkpoint_of_an_enormous_size_is_an_error_at_once(
    client: type[MatcherClient | MatcherLog],
) -> None:
    server, few = grpc.server(futures.ThreadPoolExecutor(1)), _Few()
    log_pb2_grpc.add_LogServiceServicer_to_server(few, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            asked = client(channel, 1.0)
            assert [entry.leaf for entry in asked.entries(0, 3)] == [b"0", b"1", b"2"]
            with pytest.raises(MalformedMessageError, match="other leaves"):
                list(asked.entries(0, _HUGE))
        assert few.calls == 2
    finally:
        server.stop(None)
