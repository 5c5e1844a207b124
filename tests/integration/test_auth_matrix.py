"""Every wrong caller at every RPC of every listener, and every right one.

Wrong callers come in three kinds: those that TLS refuses in the handshake, those whose
certificate names nobody clearly, and those whom the log does not admit. All of the first have
an enrolled key, so that nothing else is wrong with them.
"""

import contextlib
import datetime
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from members import NOW, Members, call, uri

import linkage.matcher.server
from keys.identity import Credential, Role, ThrowawayAuthority, key_digest, parse_identity
from linkage.errors import LinkageError
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.note import parse_note
from linkage.rpc.channel import translated
from linkage.rpc.guard import Guard
from linkage.rpc.limits import POLICIES
from linkage.v1 import log_pb2, log_pb2_grpc

METHODS = sorted(POLICIES)
LISTENERS = ("listen",)
DAY = datetime.timedelta(days=1)
# One of each role, enrolled as one has to be.
RIGHT: dict[str, str] = {
    "party": "party/dukcapil",
    "office": "office/dukcapil/tawau",
    "coordinator": "coordinator/kemenko",
    "auditor": "auditor/bpk",
    "matcher": "matcher/server",
}


class WatchedGuard(Guard):
    """The guard, and what passed it: the handlers that ran, and how TLS was for each."""

    ran: ClassVar[list[str]] = []
    tls: ClassVar[list[dict[str, list[bytes]]]] = []

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)

        async def watched(_: Any) -> Any:
            return handler and WatchedHandler(handler, handler_call_details.method)

        return await super().intercept_service(watched, handler_call_details)


class WatchedHandler:
    """A handler that notes that it ran, before it runs."""

    def __init__(self, handler: Any, method: str) -> None:
        self._handler, self._method = handler, method

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._handler, name)
        if found is None or name not in KINDS:
            return found

        def noted(request: Any, context: Any) -> Any:
            WatchedGuard.ran.append(self._method)
            WatchedGuard.tls.append(dict(context.auth_context()))
            return found(request, context)

        return noted


KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


@dataclass(frozen=True)
class Refusal:
    """How a wrong caller is refused: the same for all methods, whoever else there is."""

    status: grpc.StatusCode
    text: str
    trailing: dict[str, str]


HANDSHAKE = None
NOBODY = Refusal(
    grpc.StatusCode.PERMISSION_DENIED,
    "UNAUTHENTICATED: no certificate of a member of this service: "
    "enrol first, or use the right certificate",
    {"padan-error": "DeniedError", "padan-code": "UNAUTHENTICATED"},
)
NOT_ADMITTED = Refusal(
    grpc.StatusCode.PERMISSION_DENIED,
    "NOT_ADMITTED: this certificate may not make this call",
    {"padan-error": "DeniedError", "padan-code": "NOT_ADMITTED"},
)


class Cast(Members):
    """The right callers, and all that wrong ones need.

    Attributes:
        addresses: of every listener.
        listening: ports that the matcher listens on, as the system has it.
    """

    addresses: dict[str, str]
    listening: set[int]

    def enrol_all(self) -> None:
        documents = [self.enrolment(path) for path in RIGHT.values()]
        documents += [
            self.enrolment(path)
            for path in ("party/imigrasi", "party/lost", "party/gone", "office/gone/tawau")
        ]
        stranger = self.authority.issue(parse_identity(uri("party/ahu", "other.domain")))
        self.credentials["other domain"] = stranger
        documents.append(
            self.enrolment(
                "party/ahu",
                principal=uri("party/ahu", "other.domain"),
                tls_keys=(key_digest(stranger.certificate),),
            )
        )
        self.credentials["revoked key"] = self.credentials["party/lost"]
        documents += [
            self.rotation("party/lost"),
            self.revocation("party/lost", self.credentials["revoked key"], serial=2),
            self.revocation("party/gone"),
        ]
        self.submit(*documents)

    def certificate(self, *names: x509.GeneralName, **own: Any) -> Credential:
        """A certificate of the right authority for the party's enrolled key."""
        enrolled = self.credentials[RIGHT["party"]]
        return self.crooked(list(names), enrolled.private_key, **own)


def name(path: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(uri(path))


PARTY = name("party/dukcapil")
# The authority of a wrong certificate is its own concern: here it is the right key and name.
WRONG: dict[str, tuple[Refusal | None, Callable[[Cast], Credential | None]]] = {
    "no certificate": (HANDSHAKE, lambda _: None),
    "expired": (HANDSHAKE, lambda cast: cast.certificate(PARTY, valid=(NOW - 2 * DAY, NOW - DAY))),
    "not yet valid": (
        HANDSHAKE,
        lambda cast: cast.certificate(PARTY, valid=(NOW + DAY, NOW + 2 * DAY)),
    ),
    "wrong authority": (HANDSHAKE, lambda _: other_authority()),
    "self-signed look-alike of the authority": (HANDSHAKE, lambda cast: look_alike(cast)),
    "for servers only": (
        HANDSHAKE,
        lambda cast: cast.certificate(PARTY, usages=(ExtendedKeyUsageOID.SERVER_AUTH,)),
    ),
    "any extended key usage": (
        HANDSHAKE,
        lambda cast: cast.certificate(PARTY, usages=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
    ),
    "no URI": (NOBODY, lambda cast: cast.certificate(x509.DNSName("dukcapil"))),
    "no names at all": (
        NOBODY,
        lambda cast: cast.crooked(None, cast.credentials[RIGHT["party"]].private_key),
    ),
    "two URIs": (NOBODY, lambda cast: cast.certificate(PARTY, name("party/imigrasi"))),
    "one URI twice": (NOBODY, lambda cast: cast.certificate(PARTY, PARTY)),
    "identity as common name": (
        NOBODY,
        lambda cast: cast.certificate(x509.DNSName("x"), common_name=uri("party/dukcapil")),
    ),
    "no extended key usage": (NOBODY, lambda cast: cast.certificate(PARTY, usages=None)),
    "role that there is not": (NOBODY, lambda cast: cast.certificate(name("root/dukcapil"))),
    # A stolen authority: the name is right, the key is the thief's.
    "unknown key": (NOT_ADMITTED, lambda cast: cast.crooked([PARTY])),
    "enrolled key, another's name": (
        NOT_ADMITTED,
        lambda cast: cast.certificate(name("party/imigrasi")),
    ),
    "enrolled key, another role": (
        NOT_ADMITTED,
        lambda cast: cast.certificate(name("auditor/dukcapil")),
    ),
    "common name of another": (
        NOT_ADMITTED,
        lambda cast: cast.certificate(name("party/nobody"), common_name=uri("party/dukcapil")),
    ),
    "nobody enrolled": (NOT_ADMITTED, lambda cast: cast.crooked([name("party/nobody")])),
    "auditor whom nobody enrolled": (
        NOT_ADMITTED,
        lambda cast: cast.crooked([name("auditor/nobody")]),
    ),
    "the role of the matcher": (
        NOT_ADMITTED,
        lambda cast: cast.crooked([name("matcher/dukcapil")]),
    ),
    "enrolled, of another domain": (NOT_ADMITTED, lambda cast: cast.credentials["other domain"]),
    "revoked key": (NOT_ADMITTED, lambda cast: cast.credentials["revoked key"]),
    "revoked principal": (NOT_ADMITTED, lambda cast: cast.credentials["party/gone"]),
    "office of a revoked party": (
        NOT_ADMITTED,
        lambda cast: cast.credentials["office/gone/tawau"],
    ),
}


def other_authority() -> Credential:
    return ThrowawayAuthority(NOW - DAY).issue(parse_identity(uri("party/dukcapil")))


def look_alike(cast: Cast) -> Credential:
    """A certificate for the enrolled key, by an authority of the same name and another key."""
    right, cast.authority = cast.authority, ThrowawayAuthority(NOW - DAY)
    try:
        return cast.certificate(PARTY)
    finally:
        cast.authority = right


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    members = Cast(tmp_path_factory.mktemp("cast"))
    members.prepare()
    members.enrol_all()
    before = listening()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkage.matcher.server, "Guard", WatchedGuard)
        with members.running():
            members.addresses = {"listen": members.address}
            members.listening = listening() - before
            yield members


def listening() -> set[int]:
    """The TCP ports that this process listens on; none if it may not look."""
    own = set[str]()
    if not os.access("/proc/self/fd", os.R_OK | os.X_OK):
        return set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            own.add(str(descriptor.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in own:
                found.add(int(local.rpartition(":")[2], 16))
    return found


def test_the_matrix_covers_every_listener(cast: Cast) -> None:
    assert tuple(cast.addresses) == LISTENERS
    if not cast.listening:
        pytest.skip("this process may not look at its own sockets")
    assert {port_of(address) for address in cast.addresses.values()} == cast.listening


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("who", WRONG)
def test_a_wrong_caller_is_refused_before_any_handler_runs(
    cast: Cast, who: str, method: str, listener: str
) -> None:
    expected, credential_of = WRONG[who]
    error = refused(cast, credential_of(cast), method, listener)
    if expected is HANDSHAKE:
        # There is no call whose status could be told: gRPC has this one for that.
        assert error.code() is grpc.StatusCode.UNAVAILABLE
    else:
        assert refusal_in(error) == expected


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize(
    ("role", "method"),
    [(role, method) for role in RIGHT for method in METHODS if role not in POLICIES[method].roles],
)
def test_a_wrong_role_is_refused_like_a_stranger(
    cast: Cast, role: str, method: str, listener: str
) -> None:
    error = refused(cast, cast.credentials[RIGHT[role]], method, listener)
    assert refusal_in(error) == NOT_ADMITTED


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize(
    ("role", "method"),
    [(role, method) for role in RIGHT for method in METHODS if role in POLICIES[method].roles],
)
def test_a_right_caller_reaches_the_handler(
    cast: Cast, role: str, method: str, listener: str
) -> None:
    WatchedGuard.ran.clear()
    credential = cast.credentials[RIGHT[role]]
    # An empty message is not what every handler needs: what it says to that is its own.
    with (
        cast.channel(credential, cast.addresses[listener]) as channel,
        contextlib.suppress(LinkageError),
        translated(),
    ):
        call(channel, method)
    assert WatchedGuard.ran == [method]


def test_a_call_without_a_policy_is_offered_to_nobody(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = "/grpc.health.v1.Health/Check"
    monkeypatch.delitem(POLICIES, method)
    for path in RIGHT.values():
        error = refused(cast, cast.credentials[path], method, "listen")
        assert refusal_in(error).text == "NO_POLICY: this call is not offered"


@pytest.mark.parametrize(
    "method",
    [
        "/linkage.v1.JobService/Nothing",
        "/linkage.v1.Nothing/ListJobs",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.channelz.v1.Channelz/GetServers",
        "/grpc.admin.v1.Admin/Get",
    ],
)
def test_nothing_is_served_beside_what_is_in_the_matrix(cast: Cast, method: str) -> None:
    with cast.channel(cast.credentials[RIGHT["party"]]) as channel:
        made: Any = channel.unary_unary(method)
        with pytest.raises(grpc.RpcError) as caught:
            made(b"", timeout=20)
    assert refusal_in(caught.value).status is grpc.StatusCode.UNIMPLEMENTED


def test_every_role_has_a_right_caller() -> None:
    assert set(RIGHT) == set(get_args(Role))


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("who", WRONG)
def test_who_is_refused_in_the_handshake_hears_nothing_of_the_protocol(
    cast: Cast, who: str, listener: str, tmp_path: Path
) -> None:
    expected, credential_of = WRONG[who]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=cast.authority.certificate.decode())
    context.set_alpn_protocols(["h2"])
    if credential := credential_of(cast):
        (tmp_path / "c.pem").write_bytes(credential.certificate)
        (tmp_path / "k.pem").write_bytes(credential.private_key)
        context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    host, _, port = cast.addresses[listener].rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        # A server of HTTP/2 begins with its settings; in TLS 1.3 the client is done before
        # its certificate is judged.
        assert bool(connection.recv(1)) == (expected is not HANDSHAKE)


def test_the_keys_of_tls_are_agreed_on_against_quantum_computers_too(cast: Cast) -> None:
    WatchedGuard.tls.clear()
    for role in RIGHT:
        with cast.channel(cast.credentials[RIGHT[role]]) as channel:
            call(channel, "/grpc.health.v1.Health/Check")
    assert [found["ssl_negotiated_key_exchange_group"] for found in WatchedGuard.tls] == (
        [[b"X25519MLKEM768"]] * len(RIGHT)
    )
    assert {tuple(found["ssl_tls_version"]) for found in WatchedGuard.tls} == {(b"TLSv1.3",)}


def test_who_is_refused_leaves_nothing_in_the_log(cast: Cast) -> None:
    before = size_of(cast)
    for expected, credential_of in WRONG.values():
        if expected is not HANDSHAKE:
            refused(cast, credential_of(cast), "/linkage.v1.JobService/RequestJob", "listen")
    assert size_of(cast) == before


def refused(cast: Cast, credential: Credential | None, method: str, listener: str) -> grpc.RpcError:
    WatchedGuard.ran.clear()
    with (
        cast.channel(credential, cast.addresses[listener]) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        call(channel, method)
    assert WatchedGuard.ran == []
    return caught.value


def refusal_in(error: grpc.RpcError) -> Refusal:
    made: Any = error  # which every error of a call that was made is
    return Refusal(made.code(), made.details(), dict(made.trailing_metadata()))


def size_of(cast: Cast) -> int:
    with cast.channel(cast.credentials[RIGHT["auditor"]]) as channel:
        note = log_pb2_grpc.LogServiceStub(channel).GetCheckpoint(log_pb2.GetCheckpointRequest())
    return parse_checkpoint(parse_note(note.checkpoint).text).size
