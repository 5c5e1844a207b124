"""Revoked and replaced keys, on connections that are open at that moment."""

import asyncio
import datetime
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from guarded import aio_channel, guarded_server
from in_process import Service, people
from members import NOW, Members, call, signed, uri

import linkage.rpc.guard
from keys.identity import key_digest, parse_identity
from linkage.agreement.payload import KeyRevocation
from linkage.cli.demo_site import DOMAIN, ORIGIN
from linkage.errors import DeniedError
from linkage.matcher.documents import Documents
from linkage.rpc.channel import open_channel, translated
from linkage.rpc.guard import Guard
from linkage.rpc.limits import POLICIES
from linkage.v1 import document_pb2, document_pb2_grpc, progress_pb2, progress_pb2_grpc

CHECK = "/grpc.health.v1.Health/Check"
# How long to wait for what has to come; nothing here is about how fast it comes.
PATIENCE_S = 60.0
NAMES = ("party/dukcapil", "party/imigrasi", "office/dukcapil/tawau", "auditor/bpk")


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    made = Members(tmp_path)
    made.prepare()
    made.submit(*(made.enrolment(path) for path in NAMES))
    with made.running():
        yield made


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(DeniedError, match="NOT_ADMITTED"), translated():
        yield


def test_the_next_call_on_an_open_channel_is_refused(members: Members) -> None:
    own = members.credentials["party/imigrasi"]
    with members.channel(own) as channel, members.channel(own) as second:
        call(channel, CHECK)
        members.bring("auditor/bpk", members.revocation("party/imigrasi", own))
        with refused():
            call(channel, CHECK)
        with refused():
            call(second, CHECK)
    with members.channel(members.credentials["party/dukcapil"]) as channel:
        call(channel, CHECK)


def test_who_brings_the_revocation_of_its_own_key_is_told_that_it_was_taken(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, checks = members.credentials["party/imigrasi"], threading.Semaphore(0)
    recheck, submit = Guard.recheck, Documents.submit

    def checked(guard: Guard) -> None:
        recheck(guard)
        checks.release()

    def told_late(documents: Documents, *document: Any) -> int:
        leaf = submit(documents, *document)
        while checks.acquire(blocking=False):
            pass
        assert all(checks.acquire(timeout=PATIENCE_S) for _ in range(2))
        return leaf

    monkeypatch.setattr(Guard, "recheck", checked)
    monkeypatch.setattr(Documents, "submit", told_late)
    leaf = members.bring("party/imigrasi", members.revocation("party/imigrasi", own))
    assert leaf > len(NAMES)
    with members.channel(own) as channel, refused():
        call(channel, CHECK)


def test_a_revoked_key_is_refused_after_a_restart_too(tmp_path: Path) -> None:
    members = Members(tmp_path)
    members.prepare()
    members.submit(*(members.enrolment(path) for path in NAMES))
    own = members.credentials["party/imigrasi"]
    with members.running():
        members.bring("party/dukcapil", members.revocation("party/imigrasi", own))
    with members.running():
        with members.channel(own) as channel, refused():
            call(channel, CHECK)
        with members.channel(members.credentials["party/dukcapil"]) as channel:
            call(channel, CHECK)


def test_an_office_goes_with_its_party(members: Members) -> None:
    with members.channel(members.credentials["office/dukcapil/tawau"]) as channel:
        call(channel, CHECK)
        members.bring("auditor/bpk", members.revocation("party/dukcapil"))
        with refused():
            call(channel, CHECK)


# Streams that stay open by themselves, or as long as their caller says nothing more.
OPEN = (
    "/grpc.health.v1.Health/Watch",
    "/linkage.v1.LookupService/StreamLookups",
    "/linkage.v1.LookupService/UploadRegister",
    "/linkage.v1.BatchService/UploadChunks",
    "/linkage.v1.RefineService/SendAnswers",
)


@contextmanager
def open_calls(channel: Any) -> Iterator[dict[str, Any]]:
    """Calls that wait, one of each kind."""
    over = threading.Event()

    def silence() -> Iterator[bytes]:
        over.wait(PATIENCE_S)
        yield from ()

    calls: dict[str, Any] = {OPEN[0]: channel.unary_stream(OPEN[0])(b"", timeout=PATIENCE_S)}
    calls[OPEN[1]] = channel.stream_stream(OPEN[1])(silence(), timeout=PATIENCE_S)
    for method in OPEN[2:]:
        calls[method] = channel.stream_unary(method).future(silence(), timeout=PATIENCE_S)
    assert next(calls[OPEN[0]]) is not None
    try:
        yield calls
    finally:
        for made in calls.values():
            made.cancel()
        over.set()


@pytest.mark.parametrize("whole", [False, True], ids=["key", "principal"])
def test_open_streams_end_with_a_status_and_those_of_others_go_on(
    members: Members, whole: bool
) -> None:
    own, other = (members.credentials[f"party/{party}"] for party in ("imigrasi", "dukcapil"))
    document = members.revocation("party/imigrasi", *([] if whole else [own]))
    with (
        members.channel(own) as channel,
        members.channel(other) as others_channel,
        open_calls(channel) as calls,
        open_calls(others_channel) as others,
    ):
        members.bring("auditor/bpk", document)
        for method, made in calls.items():
            assert made.code() is grpc.StatusCode.PERMISSION_DENIED, method  # waits for its end
            assert made.details() == "NOT_ADMITTED: this certificate may not make this call"
        assert all(made.is_active() if method in OPEN[:2] else made.running()
                   for method, made in others.items())  # fmt: skip
        call(others_channel, CHECK)


def test_a_progress_stream_ends_for_the_revoked_party_alone(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(dukcapil=people(5), imigrasi=people(5))
    certificate = (service.folder("imigrasi") / "certificate.pem").read_bytes()
    revocation = KeyRevocation(
        log=ORIGIN,
        principal=uri("party/imigrasi", DOMAIN),
        serial=1,
        keys=(key_digest(certificate),),
        reason="compromised",
    )
    with service.running():
        watched = progress_pb2.WatchProgressRequest(job_id=service.request("dukcapil"))
        with (
            open_channel(service.site.address, service.session("dukcapil").tls) as channel,
            open_channel(service.site.address, service.session("imigrasi").tls) as revoked_channel,
        ):
            stub = progress_pb2_grpc.ProgressServiceStub(channel)
            kept = stub.WatchProgress(watched, timeout=PATIENCE_S)
            stub = progress_pb2_grpc.ProgressServiceStub(revoked_channel)
            cut = stub.WatchProgress(watched, timeout=PATIENCE_S)
            assert next(kept) == next(cut)
            document_pb2_grpc.DocumentServiceStub(channel).SubmitDocument(
                document_pb2.SubmitDocumentRequest(
                    envelope=signed(revocation, service.site.administrator).to_bytes()
                )
            )
            with refused():
                next(cut)
            assert kept.is_active()
            kept.cancel()


# A caller who does not read: the matcher waits for it in the middle of an answer.


class Endless:
    """A server whose one method answers without end, behind a guard.

    Attributes:
        admitted: whether its callers are.
        guard: what ends their calls.
        sent: how many messages the method has given.
        closed: set once the method knows that its caller is gone.
    """

    METHOD = "/linkage.v1.LogService/GetEntries"

    def __init__(self) -> None:
        self.admitted, self.sent, self.closed = True, 0, asyncio.Event()
        self.guard = Guard(lambda _: self.admitted)

    async def start(self, members: Members) -> tuple[grpc.aio.Server, str]:
        handler = grpc.unary_stream_rpc_method_handler(self._answer)
        return await guarded_server(members, self.guard, self.METHOD, handler)

    async def _answer(self, _: bytes, __: Any) -> AsyncIterator[bytes]:
        try:
            while True:
                self.sent += 1
                yield bytes(1 << 20)
        finally:
            self.closed.set()


async def until_stuck(endless: Endless) -> None:
    """Wait until the server has sent what the connection takes."""
    sent = -1
    while sent != endless.sent:
        sent = endless.sent
        await asyncio.sleep(0.3)


async def read_on(made: Any) -> None:
    while await made.read() is not grpc.aio.EOF:
        pass


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Endless:
    decoded: Any = lambda data, **_: data  # noqa: E731 -- its messages are bytes
    monkeypatch.setattr(linkage.rpc.guard, "_decoded", decoded)
    return Endless()


STATUS = {
    "revoked": grpc.StatusCode.PERMISSION_DENIED,
    "too long": grpc.StatusCode.DEADLINE_EXCEEDED,
}


@pytest.mark.parametrize("why", STATUS)
async def test_a_call_ends_with_a_status_also_while_its_caller_does_not_read(
    endless: Endless, tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "too long":
        policy = replace(POLICIES[Endless.METHOD], deadline_s=1.0)
        monkeypatch.setitem(POLICIES, Endless.METHOD, policy)
    members = Members(tmp_path)
    members.prepare()
    credential = members.authority.issue(parse_identity(uri("party/imigrasi")))
    server, address = await endless.start(members)
    try:
        async with aio_channel(members, credential, address) as channel:
            made = channel.unary_stream(Endless.METHOD)(b"", timeout=PATIENCE_S)
            assert len(await made.read()) == 1 << 20
            await until_stuck(endless)
            if why == "revoked":
                endless.admitted = False
                endless.guard.recheck()
            await asyncio.wait_for(endless.closed.wait(), PATIENCE_S)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await asyncio.wait_for(read_on(made), PATIENCE_S)
    finally:
        await server.stop(None)
    assert caught.value.code() is STATUS[why]
    assert not endless.guard._calls


# Rotation


def test_a_replaced_certificate_counts_until_its_time_beside_the_new_one(
    members: Members,
) -> None:
    old = members.credentials["party/imigrasi"]
    members.bring("party/dukcapil", members.rotation("party/imigrasi"))
    new = members.credentials["party/imigrasi"]
    with members.channel(old) as old_channel, members.channel(new) as new_channel:
        call(old_channel, CHECK)
        call(new_channel, CHECK)
        watch = health_pb2.HealthCheckRequest()
        cut, kept = (
            health_pb2_grpc.HealthStub(channel).Watch(watch, timeout=PATIENCE_S)
            for channel in (old_channel, new_channel)
        )
        assert next(cut) == next(kept)
        members.ahead_s = datetime.timedelta(days=1, minutes=1).total_seconds()
        with refused():
            call(old_channel, CHECK)
        with refused():
            next(cut)
        assert kept.is_active()
        call(new_channel, CHECK)
        kept.cancel()


def test_a_principal_renews_its_own_certificate_with_its_signing_key(members: Members) -> None:
    document = members.rotation("office/dukcapil/tawau")
    own = members.signers["office/dukcapil/tawau"]
    unsigned = replace(document, signatures=()).with_signature(own)
    members.bring("auditor/bpk", unsigned)
    with members.channel(members.credentials["office/dukcapil/tawau"]) as channel:
        call(channel, CHECK)


def test_a_certificate_that_nobody_enrolled_does_not_help_the_one_it_replaces(
    members: Members,
) -> None:
    thief = members.authority.issue(parse_identity(uri("party/imigrasi")))
    with members.channel(thief) as channel, refused():
        call(channel, CHECK)
    with members.channel(members.credentials["party/imigrasi"]) as channel:
        call(channel, CHECK)


def test_the_overlap_is_as_long_as_the_document_says(members: Members) -> None:
    old = members.credentials["party/imigrasi"]
    ended = members.rotation("party/imigrasi", old_until=NOW - datetime.timedelta(minutes=1))
    with members.channel(old) as channel:
        call(channel, CHECK)
        members.bring("party/dukcapil", ended)
        with refused():
            call(channel, CHECK)
    with members.channel(members.credentials["party/imigrasi"]) as channel:
        call(channel, CHECK)
