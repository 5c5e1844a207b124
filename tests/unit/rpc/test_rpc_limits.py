"""Policies of calls: every RPC has one, and no policy is left of an old one."""

import pytest
from grpc_health.v1 import health_pb2

from linkage.batch import MAX_CHUNK_BYTES
from linkage.rpc.limits import CLIENT_OPTIONS, MAX_MESSAGE_BYTES, POLICIES, SERVER_OPTIONS
from linkage.v1 import (
    batch_pb2,
    job_pb2,
    log_pb2,
    lookup_pb2,
    progress_pb2,
    refine_pb2,
    result_pb2,
)

MODULES = (batch_pb2, job_pb2, log_pb2, lookup_pb2, progress_pb2, refine_pb2, result_pb2)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for module in (*MODULES, health_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
OURS = [name for name in POLICIES if name.startswith("/linkage.v1.")]


def test_every_rpc_has_a_policy_and_no_policy_is_stale() -> None:
    assert set(POLICIES) == set(METHODS)
    assert len(OURS) >= 13


@pytest.mark.parametrize("name", POLICIES)
def test_every_call_has_callers_and_an_end(name: str) -> None:
    policy = POLICIES[name]
    assert policy.roles
    assert policy.roles <= {"party", "auditor", "matcher"}
    assert 0 < policy.deadline_s <= 86_400


@pytest.mark.parametrize("name", OURS)
def test_a_call_that_streams_nothing_ends_within_a_minute(name: str) -> None:
    method = METHODS[name]
    if not (method.client_streaming or method.server_streaming):
        assert POLICIES[name].deadline_s <= 60


@pytest.mark.parametrize("name", OURS)
def test_an_auditor_reads_the_log_and_makes_no_other_call(name: str) -> None:
    assert ("auditor" in POLICIES[name].roles) == ("/linkage.v1.LogService/" in name)


@pytest.mark.parametrize("name", OURS)
def test_a_matcher_makes_none_of_our_calls(name: str) -> None:
    assert "matcher" not in POLICIES[name].roles


@pytest.mark.parametrize("options", [SERVER_OPTIONS, CLIENT_OPTIONS])
def test_the_size_of_messages_is_bounded_on_both_sides(
    options: tuple[tuple[str, int], ...],
) -> None:
    limits = dict(options)
    assert limits["grpc.max_receive_message_length"] == MAX_MESSAGE_BYTES
    assert limits["grpc.max_send_message_length"] == MAX_MESSAGE_BYTES
    assert len(limits) == len(options)


def test_a_chunk_of_greatest_size_fits_into_a_message() -> None:
    message = batch_pb2.UploadChunksRequest(
        batch_id="b" * 32,
        index=1 << 31,
        references=bytes(MAX_CHUNK_BYTES),
        codes=bytes(MAX_CHUNK_BYTES),
    )
    assert message.ByteSize() < MAX_MESSAGE_BYTES
