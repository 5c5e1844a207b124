"""What those who are admitted can send and read; whom the guard admits: `test_auth_matrix`."""

from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from in_process import Service, people

from keys.dsse import sign
from keys.identity import Credential, Identity, Role, key_digest
from linkage.agent.run import request_job
from linkage.agreement.payload import Enrolment
from linkage.cli.demo_site import DOMAIN, ORIGIN
from linkage.errors import LinkageError, MalformedMessageError
from linkage.log.checkpoint import parse_checkpoint, verify_checkpoint
from linkage.log.hashing import leaf_hash
from linkage.log.note import parse_note
from linkage.log.policy import parse_policy
from linkage.log.proof import verify_consistency, verify_inclusion
from linkage.log.tree import root_of
from linkage.rpc.channel import open_channel, translated
from linkage.rpc.limits import MAX_MESSAGE_BYTES, POLICIES
from linkage.v1 import (
    batch_pb2,
    batch_pb2_grpc,
    document_pb2,
    document_pb2_grpc,
    job_pb2,
    job_pb2_grpc,
    log_pb2,
    log_pb2_grpc,
)

METHODS = sorted(POLICIES)


def test_an_overlong_field_is_refused_by_name(service: Service) -> None:
    with (
        open_channel(service.site.address, service.session("dukcapil").tls) as channel,
        pytest.raises(MalformedMessageError, match=r"GetJobRequest\.job_id"),
        translated(),
    ):
        job_pb2_grpc.JobServiceStub(channel).GetJob(job_pb2.GetJobRequest(job_id="x" * 33))


# Field 15, wire type 2: eight bytes of something nobody agreed on.
SMUGGLED = b"\x7a\x08Budi San"


def test_an_unknown_field_is_refused(service: Service) -> None:
    with (
        open_channel(service.site.address, service.session("dukcapil").tls) as channel,
        pytest.raises(MalformedMessageError, match="does not know"),
        translated(),
    ):
        channel.unary_unary("/linkage.v1.JobService/GetJob")(SMUGGLED, timeout=10)


def test_an_oversized_message_is_refused(service: Service) -> None:
    chunk = batch_pb2.UploadChunksRequest(batch_id="0" * 32, codes=bytes(MAX_MESSAGE_BYTES + 1))
    with (
        open_channel(service.site.address, service.session("dukcapil").tls) as channel,
        pytest.raises(LinkageError),
        translated(),
    ):
        batch_pb2_grpc.BatchServiceStub(channel).UploadChunks(iter([chunk]), timeout=20)


def test_bytes_that_are_no_message_get_a_status_and_no_traceback(service: Service) -> None:
    with open_channel(service.site.address, service.session("dukcapil").tls) as channel:
        for method in METHODS:
            if method.startswith("/linkage.v1.") and "Upload" not in method:
                with pytest.raises(grpc.RpcError) as caught:
                    call_with(channel, method, b"\xff\xff\xff\xff")
                assert "Traceback" not in caught.value.details()


def call_with(channel: grpc.Channel, method: str, content: bytes) -> None:
    service_name, name = method[1:].split("/")
    found = descriptor_pool.Default().FindServiceByName(service_name).methods_by_name[name]
    if found.server_streaming:
        list(channel.unary_stream(method)(content, timeout=10))
    else:
        channel.unary_unary(method)(content, timeout=10)


def test_the_health_service_answers_members(service: Service) -> None:
    with open_channel(service.site.address, service.session("dukcapil").tls) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def bodies(channel: grpc.Channel) -> int:
    """How many bodies of confidential leaves the log gives to who calls."""
    stub = log_pb2_grpc.LogServiceStub(channel)
    note = stub.GetCheckpoint(log_pb2.GetCheckpointRequest()).checkpoint
    size = parse_checkpoint(parse_note(note).text).size
    entries = stub.GetEntries(log_pb2.GetEntriesRequest(start=0, end=size))
    return sum(bool(entry.body) for entry in entries)


@pytest.fixture(scope="module")
def with_a_job(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service of three parties, with a job of two of them."""
    service = new_service(dukcapil=people(5), imigrasi=people(5), kemenlu=people(5))
    with service.running():
        with service.client("dukcapil") as client:
            parties = ("dukcapil", "imigrasi")
            request_job(service.session("dukcapil"), client, parties, 600, "R3")
        yield service


@pytest.mark.parametrize(("party", "n_bodies"), [("dukcapil", 2), ("imigrasi", 2), ("kemenlu", 0)])
def test_bodies_of_a_job_go_to_its_own_parties(
    with_a_job: Service, party: str, n_bodies: int
) -> None:
    tls = with_a_job.session(party).tls
    with open_channel(with_a_job.site.address, tls) as channel:
        assert bodies(channel) == n_bodies


@pytest.mark.parametrize(
    ("role", "name", "n_bodies"),
    [
        ("auditor", "bpk", 2),
        ("coordinator", "kemenko", 0),
        ("office", "dukcapil/tawau", 0),
        # The name of a party opens nothing to another role.
        ("coordinator", "dukcapil", 0),
    ],
)
def test_bodies_of_a_job_go_to_auditors_and_to_no_other_role(
    with_a_job: Service, role: Role, name: str, n_bodies: int
) -> None:
    own = enrol(with_a_job, role, name)
    credentials = grpc.ssl_channel_credentials(
        with_a_job.site.authority.certificate, own.private_key, own.certificate
    )
    with grpc.secure_channel(with_a_job.site.address, credentials) as channel:
        assert bodies(channel) == n_bodies


def enrol(service: Service, role: Role, name: str) -> Credential:
    """Enrol somebody while the matcher runs; return the certificate."""
    identity = Identity(DOMAIN, role, name)
    own = service.site.authority.issue(identity)
    wanted = Enrolment(log=ORIGIN, principal=identity.uri, tls_keys=(key_digest(own.certificate),))
    document = sign(Enrolment.TYPE, wanted.to_bytes(), [service.site.administrator])
    with open_channel(service.site.address, service.session("dukcapil").tls) as channel:
        document_pb2_grpc.DocumentServiceStub(channel).SubmitDocument(
            document_pb2.SubmitDocumentRequest(envelope=document.to_bytes())
        )
    return own


def test_the_log_proves_its_entries_and_its_growth(service: Service) -> None:
    service.run_all(service.request("dukcapil"))
    with open_channel(service.site.address, service.session("dukcapil").tls) as channel:
        stub = log_pb2_grpc.LogServiceStub(channel)
        note = stub.GetCheckpoint(log_pb2.GetCheckpointRequest()).checkpoint
        keys = [line.key for line in parse_policy(service.site.trust.read_bytes()).logs]
        head = verify_checkpoint(note, keys)
        entries = list(stub.GetEntries(log_pb2.GetEntriesRequest(start=0, end=head.size)))
        leaves = [leaf_hash(entry.leaf) for entry in entries]
        for index, leaf in enumerate(leaves):
            asked = log_pb2.GetInclusionProofRequest(index=index, tree_size=head.size)
            proof = list(stub.GetInclusionProof(asked).hashes)
            verify_inclusion(leaf, index, head.size, proof, head.root)
        for old in range(1, head.size + 1):
            grown = log_pb2.GetConsistencyProofRequest(old_size=old, new_size=head.size)
            proof = list(stub.GetConsistencyProof(grown).hashes)
            verify_consistency(old, head.size, proof, root_of(leaves[:old]), head.root)
