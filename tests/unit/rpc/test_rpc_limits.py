"""Policies of calls: every RPC has one, and no policy is left of an old one."""

import importlib
from pathlib import Path
from typing import get_args

import pytest
from grpc_health.v1 import health_pb2

from keys.identity import Role
from linkage import v1
from linkage.batch import MAX_CHUNK_BYTES
from linkage.rpc.limits import CLIENT_OPTIONS, MAX_MESSAGE_BYTES, POLICIES, SERVER_OPTIONS
from linkage.v1 import batch_pb2

# All there are, so that a service in a new file is not overlooked.
MODULES = [
    importlib.import_module(f"linkage.v1.{path.stem}")
    for path in sorted(Path(v1.__file__).parent.glob("*_pb2.py"))
]
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for module in (*MODULES, health_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
OURS = [name for name in POLICIES if name.startswith("/linkage.v1.")]
ROLES = frozenset(get_args(Role))

# Blueprint, section 1: what each role does. A party makes every call but those of auditors.
CALLS = {
    "office": {
        "/linkage.v1.DocumentService/SubmitDocument",
        "/linkage.v1.DocumentService/FetchSealed",
        "/linkage.v1.LookupService/Lookup",
        "/linkage.v1.LookupService/StreamLookups",
        # Its own jobs: all but registers and cosignatures.
        *(f"/linkage.v1.JobService/{name}" for name in ("RequestJob", "GetJob", "ListJobs")),
        "/linkage.v1.JobService/CancelJob",
        *(f"/linkage.v1.BatchService/{name}" for name in ("OpenBatch", "UploadChunks")),
        "/linkage.v1.BatchService/CommitBatch",
        "/linkage.v1.RefineService/FetchQuestions",
        "/linkage.v1.RefineService/SendAnswers",
        "/linkage.v1.ProgressService/WatchProgress",
        "/linkage.v1.ResultService/FetchResults",
    },
    "coordinator": {
        "/linkage.v1.DocumentService/SubmitDocument",
        # Counts, of jobs that tell it some.
        "/linkage.v1.ResultService/FetchResults",
    },
    "auditor": {
        "/linkage.v1.DocumentService/SubmitDocument",
        "/linkage.v1.LookupService/FetchLookups",
    },
    "matcher": set[str](),
}
FOR_AUDITORS = {"/linkage.v1.LookupService/FetchLookups"}
READS_THE_LOG = {"office", "coordinator", "auditor"}


def test_every_rpc_has_a_policy_and_no_policy_is_stale() -> None:
    assert set(POLICIES) == set(METHODS)
    assert len(OURS) >= 22


@pytest.mark.parametrize("name", POLICIES)
def test_every_call_has_callers_and_an_end(name: str) -> None:
    policy = POLICIES[name]
    assert policy.roles
    assert policy.roles <= ROLES
    assert 0 < policy.deadline_s <= 86_400


@pytest.mark.parametrize("name", OURS)
def test_a_call_that_streams_nothing_ends_within_a_minute(name: str) -> None:
    method = METHODS[name]
    if not (method.client_streaming or method.server_streaming):
        assert POLICIES[name].deadline_s <= 60


@pytest.mark.parametrize("name", OURS)
def test_a_party_may_make_every_call_of_ours_but_those_of_auditors(name: str) -> None:
    assert ("party" in POLICIES[name].roles) != (name in FOR_AUDITORS)


@pytest.mark.parametrize("role", CALLS)
def test_another_role_makes_its_own_calls_and_reads_the_log_if_it_may(role: str) -> None:
    log = {name for name in OURS if "/linkage.v1.LogService/Get" in name}
    expected = CALLS[role] | (log if role in READS_THE_LOG else set())
    assert {name for name in OURS if role in POLICIES[name].roles} == expected


def test_everybody_enrolled_may_ask_whether_the_matcher_is_well() -> None:
    assert [POLICIES[name].roles for name in POLICIES if name not in OURS] == [ROLES] * 3


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
