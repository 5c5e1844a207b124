"""What a stream holds is given back when its call ends, not when garbage is collected."""

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from guarded import aio_channel, guarded_server
from members import Members, uri

from keys.identity import parse_identity
from linkage.errors import MalformedMessageError
from linkage.rpc.guard import Guard
from linkage.rpc.rates import Volumes
from linkage.v1 import batch_pb2

METHOD = "/linkage.v1.BatchService/UploadChunks"
PATIENCE_S = 60.0


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The collector of garbage does not run."""
    gc.disable()
    yield
    gc.enable()


async def refuse(messages: AsyncIterator[Any], _: Any) -> None:
    """Read one message of many, and find it bad; what failed and its trace hold each other."""
    bad = MalformedMessageError("bad")
    async for _message in messages:
        raise bad


@pytest.mark.usefixtures("uncollected")
async def test_a_refused_stream_holds_nothing_that_the_collector_has_to_find(
    tmp_path: Path,
) -> None:
    """The collector stops a thread where it stands, also where it holds the lock of the counts."""
    members = Members(tmp_path)
    members.prepare()
    credential = members.authority.issue(parse_identity(uri("party/imigrasi")))
    request = batch_pb2.UploadChunksRequest(batch_id="x" * 32, codes=bytes(100)).SerializeToString()
    guard = Guard(lambda _: True, volumes=Volumes(at_hand=len(request)))
    handler = grpc.stream_unary_rpc_method_handler(
        refuse, request_deserializer=batch_pb2.UploadChunksRequest.FromString
    )
    server, address = await guarded_server(members, guard, METHOD, handler)
    try:
        async with aio_channel(members, credential, address) as channel:
            for _ in range(20):
                made = channel.stream_unary(METHOD)(iter([request] * 3), timeout=PATIENCE_S)
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await made
                assert caught.value.details() == "bad"
    finally:
        await server.stop(None)
