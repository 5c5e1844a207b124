"""Who may call what, on a real server with real certificates."""

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from google.protobuf import descriptor_pool
from in_process import Service, people

from keys.identity import Identity, ThrowawayAuthority
from linkage.agent.run import request_job
from linkage.errors import DeniedError, LinkageError, MalformedMessageError, UnavailableError
from linkage.log.checkpoint import verify_checkpoint
from linkage.log.hashing import leaf_hash
from linkage.log.policy import parse_policy
from linkage.log.proof import verify_consistency, verify_inclusion
from linkage.log.tree import root_of
from linkage.rpc.channel import open_channel, translated
from linkage.rpc.limits import CLIENT_OPTIONS, MAX_MESSAGE_BYTES, POLICIES
from linkage.v1 import batch_pb2, batch_pb2_grpc, job_pb2, job_pb2_grpc, log_pb2, log_pb2_grpc

DOMAIN = "padan.test"
NOW = datetime.datetime.now(datetime.UTC)


METHODS = sorted(POLICIES)


def call(channel: grpc.Channel, method: str) -> None:
    """Call a method with an empty request, whatever its kind, and wait for its end."""
    service_name, name = method[1:].split("/")
    descriptor = descriptor_pool.Default().FindServiceByName(service_name)
    found = descriptor.methods_by_name[name]
    request = b""
    if found.client_streaming:
        channel.stream_unary(method)(iter([request]), timeout=10)
    elif found.server_streaming:
        list(channel.unary_stream(method)(request, timeout=10))
    else:
        channel.unary_unary(method)(request, timeout=10)


@contextmanager
def channel_with(service: Service, certificate: bytes, key: bytes) -> Iterator[grpc.Channel]:
    # Not `open_channel`: it would refuse bad files here, and the matcher is on trial.
    authority = (service.site.root / "matcher" / "authority.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    with grpc.secure_channel(service.site.address, credentials, CLIENT_OPTIONS) as channel:
        yield channel


def identity(uri_role: str, name: str, domain: str = "padan.demo") -> Identity:
    return Identity(domain, uri_role, name)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "who",
    [
        identity("party", "setneg"),
        identity("party", "dukcapil", "other.domain"),
        identity("auditor", "nobody"),
        identity("matcher", "dukcapil"),
    ],
    ids=["unknown party", "other domain", "unknown auditor", "matcher's role"],
)
def test_a_stranger_with_a_valid_certificate_may_call_nothing(
    service: Service, who: Identity, method: str
) -> None:
    credential = service.site.authority.issue(who)
    with (
        channel_with(service, credential.certificate, credential.private_key) as channel,
        pytest.raises(DeniedError, match="NOT_ADMITTED"),
        translated(),
    ):
        call(channel, method)


@pytest.mark.parametrize(
    "method",
    [m for m in METHODS if "party" in POLICIES[m].roles and "auditor" not in POLICIES[m].roles],
)
def test_an_auditor_may_not_do_what_parties_do(service: Service, method: str) -> None:
    credential = service.site.authority.issue(identity("auditor", "auditor"))
    with (
        channel_with(service, credential.certificate, credential.private_key) as channel,
        pytest.raises(DeniedError, match="NOT_ADMITTED"),
        translated(),
    ):
        call(channel, method)


@pytest.mark.parametrize("method", METHODS)
def test_a_certificate_of_another_authority_is_refused_in_the_handshake(
    service: Service, method: str
) -> None:
    other = ThrowawayAuthority(NOW - datetime.timedelta(minutes=5))
    credential = other.issue(identity("party", "dukcapil"))
    with (
        channel_with(service, credential.certificate, credential.private_key) as channel,
        pytest.raises(UnavailableError),
        translated(),
    ):
        call(channel, method)


def test_no_certificate_is_refused_in_the_handshake(service: Service) -> None:
    authority = (service.site.root / "matcher" / "authority.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(authority)
    with (
        grpc.secure_channel(service.site.address, credentials) as channel,
        pytest.raises(UnavailableError),
        translated(),
    ):
        call(channel, "/linkage.v1.JobService/ListJobs")


def test_an_expired_certificate_is_refused_in_the_handshake(service: Service) -> None:
    certificate, key = crooked(
        service.site.authority,
        ("spiffe://padan.demo/party/dukcapil",),
        ExtendedKeyUsageOID.CLIENT_AUTH,
        until=NOW - datetime.timedelta(minutes=1),
    )
    # Past the client's own check, which would already refuse it.
    credentials = grpc.ssl_channel_credentials(service.site.authority.certificate, key, certificate)
    with (
        grpc.secure_channel(service.site.address, credentials) as channel,
        pytest.raises(UnavailableError),
        translated(),
    ):
        call(channel, "/linkage.v1.JobService/ListJobs")


@pytest.mark.parametrize(
    ("uris", "usage"),
    [
        ((), ExtendedKeyUsageOID.CLIENT_AUTH),
        (
            ("spiffe://padan.demo/party/dukcapil", "spiffe://padan.demo/party/imigrasi"),
            ExtendedKeyUsageOID.CLIENT_AUTH,
        ),
        (("spiffe://padan.demo/party/dukcapil",), None),
    ],
    ids=["no URI, common name only", "two URIs", "no extended key usage"],
)
def test_a_certificate_that_names_nobody_clearly_is_refused(
    service: Service,
    uris: tuple[str, ...],
    usage: x509.ObjectIdentifier | None,
) -> None:
    certificate, key = crooked(service.site.authority, uris, usage)
    with (
        channel_with(service, certificate, key) as channel,
        pytest.raises(DeniedError, match="UNAUTHENTICATED"),
        translated(),
    ):
        call(channel, "/linkage.v1.JobService/ListJobs")


def crooked(
    authority: ThrowawayAuthority,
    uris: tuple[str, ...],
    usage: x509.ObjectIdentifier | None,
    until: datetime.datetime = NOW + datetime.timedelta(days=1),
) -> tuple[bytes, bytes]:
    """A certificate that only the tests' access to the authority's key can make."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.UniformResourceIdentifier(uri) for uri in uris] or [x509.DNSName("dukcapil")]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dukcapil")]))
        .issuer_name(authority._name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(minutes=5))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    certificate = builder.sign(authority._key, hashes.SHA256())
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


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
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with open_channel(service.site.address, service.session("dukcapil").tls) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_bodies_of_a_job_go_to_its_parties_and_auditors_only(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(dukcapil=people(5), imigrasi=people(5), kemenlu=people(5))

    def bodies(channel: grpc.Channel) -> int:
        request = log_pb2.GetEntriesRequest(start=0, end=3)
        return sum(bool(e.body) for e in log_pb2_grpc.LogServiceStub(channel).GetEntries(request))

    with service.running():
        with service.client("dukcapil") as client:
            parties = ("dukcapil", "imigrasi")
            request_job(service.session("dukcapil"), client, parties, 600)
        for party, expected in (("dukcapil", 2), ("imigrasi", 2), ("kemenlu", 0)):
            with open_channel(service.site.address, service.session(party).tls) as channel:
                assert bodies(channel) == expected
        credential = service.site.authority.issue(identity("auditor", "auditor"))
        with channel_with(service, credential.certificate, credential.private_key) as channel:
            assert bodies(channel) == 2


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
