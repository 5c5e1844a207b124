"""What one caller may ask of a matcher, and what a hostile one can do: on loopback, bounded."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from members import Members, call

import linkage.rpc.guard
from linkage.errors import MalformedMessageError, QuotaExceededError
from linkage.rpc.channel import repeated, translated
from linkage.rpc.limits import MAX_MESSAGE_BYTES
from linkage.rpc.patience import Patience
from linkage.v1 import document_pb2

CHECK = "/grpc.health.v1.Health/Check"
SUBMIT = "/linkage.v1.DocumentService/SubmitDocument"
UPLOAD = "/linkage.v1.BatchService/UploadChunks"
PARTY, OTHER, OFFICE = "party/dukcapil", "party/imigrasi", "office/dukcapil/tawau"
PARTY_BYTES, OFFICE_BYTES = 40_000, 12_000
CALLS_AT_HAND = 8
# Half of a hello that never ends.
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    made = Members(tmp_path_factory.mktemp("members"))
    made.prepare()
    path: Path = made.root / "matcher" / "matcher.toml"
    limits = f"[limits]\nparty_bytes = {PARTY_BYTES}\noffice_bytes = {OFFICE_BYTES}\n"
    limits += f"calls_at_hand = {CALLS_AT_HAND}\n"
    path.write_text(path.read_text("utf-8") + limits, "utf-8")
    made.submit(*(made.enrolment(name) for name in (PARTY, OTHER, OFFICE)))
    with made.running():
        yield made


def document(n_bytes: int) -> bytes:
    whole = document_pb2.SubmitDocumentRequest(envelope=b"x" * n_bytes).SerializeToString()
    assert abs(len(whole) - n_bytes) < 10
    return whole


def status(work: Callable[[], Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as failed:
        work()
    return failed.value.code()  # type: ignore[no-any-return]


def test_an_office_and_its_party_share_the_bytes_of_a_day(members: Members) -> None:
    with (
        members.channel(members.credentials[OFFICE]) as office,
        members.channel(members.credentials[PARTY]) as party,
        members.channel(members.credentials[OTHER]) as other,
    ):
        for _ in range(2):  # refused as what they are, and counted
            with pytest.raises(MalformedMessageError), translated():
                call(office, UPLOAD, document(5_000))
        with pytest.raises(QuotaExceededError, match="this office has sent"), translated():
            call(office, UPLOAD, document(5_000))
        for _ in range(2):
            with pytest.raises(MalformedMessageError), translated():
                call(party, UPLOAD, document(14_000))
        with pytest.raises(QuotaExceededError, match="goes on where it stopped"), translated():
            call(party, UPLOAD, document(14_000))
        assert status(lambda: call(party, UPLOAD, document(14_000))) is (
            grpc.StatusCode.RESOURCE_EXHAUSTED
        )
        # What is no upload goes on: a document may revoke whoever sent all that; and nobody else
        # is hindered.
        call(party, CHECK)
        with pytest.raises(MalformedMessageError), translated():
            call(party, SUBMIT, document(14_000))
        with pytest.raises(MalformedMessageError), translated():
            call(other, UPLOAD, document(14_000))


@pytest.mark.parametrize("waiting", ["for an answer", "with a message"])
def test_calls_that_stay_open_hinder_their_caller_alone(members: Members, waiting: str) -> None:
    def begun(channel: grpc.Channel) -> Any:
        if waiting == "for an answer":
            return channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=60)
        return channel.stream_stream(CHECK)(iter(said.wait, None), timeout=60)

    said = threading.Event()
    with ExitStack() as stack:
        stack.callback(said.set)
        # Over many connections: they are counted together.
        office, *more = (
            stack.enter_context(members.channel(members.credentials[OFFICE])) for _ in range(3)
        )
        for channel in more * (CALLS_AT_HAND // 2):
            stack.callback(begun(channel).cancel)

        def asks_too_much() -> None:
            while True:
                call(office, CHECK)

        with pytest.raises(QuotaExceededError, match="8 calls at hand"), translated():
            asks_too_much()
        with members.channel(members.credentials[OTHER]) as other:
            call(other, CHECK)
    # Once they have ended it may call again.
    with members.channel(members.credentials[OFFICE]) as office:
        repeated(lambda: call(office, CHECK), Patience(20.0))


def test_offices_of_one_party_leave_as_many_calls_as_they_have(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linkage.rpc.guard, "MAX_CALLS", 2 * CALLS_AT_HAND)
    watch = "/grpc.health.v1.Health/Watch"
    with ExitStack() as stack:
        office, party, other = (
            stack.enter_context(members.channel(members.credentials[name]))
            for name in (OFFICE, PARTY, OTHER)
        )

        def stays_open(channel: grpc.Channel) -> None:
            call = channel.unary_stream(watch)(b"", timeout=60)
            stack.callback(call.cancel)
            next(call)  # it is at hand

        for _ in range(CALLS_AT_HAND - 1):
            stays_open(office)
        with pytest.raises(QuotaExceededError, match="left for all others"), translated():
            stays_open(office)
        # Its offices' are counted with the party's; what they leave is its own.
        for _ in range(2):
            stays_open(party)
        with pytest.raises(QuotaExceededError, match="left for all others"), translated():
            stays_open(party)
        for _ in range(CALLS_AT_HAND // 2):
            stays_open(other)
        with pytest.raises(QuotaExceededError, match="left for all others"), translated():
            stays_open(other)
    with members.channel(members.credentials[PARTY]) as party:
        repeated(lambda: call(party, CHECK), Patience(20.0))


def test_the_bytes_of_a_day_are_counted_on_after_a_restart(tmp_path: Path) -> None:
    members = Members(tmp_path)
    members.prepare()
    path = members.root / "matcher" / "matcher.toml"
    path.write_text(f"{path.read_text('utf-8')}[limits]\noffice_bytes = {OFFICE_BYTES}\n", "utf-8")
    members.submit(*(members.enrolment(name) for name in (PARTY, OFFICE)))
    for refused in (MalformedMessageError, MalformedMessageError, QuotaExceededError):
        with (
            members.running(),
            members.channel(members.credentials[OFFICE]) as office,
            pytest.raises(refused),
            translated(),
        ):
            call(office, UPLOAD, document(5_000))


def test_a_bomb_of_gzip_is_refused_by_its_length_unpacked(members: Members) -> None:
    bomb = document(8 * MAX_MESSAGE_BYTES)
    assert len(gzip.compress(bomb)) < MAX_MESSAGE_BYTES // 50
    with members.channel(members.credentials[OTHER]) as channel:
        send = channel.unary_unary(SUBMIT)
        compression = grpc.Compression.Gzip
        code = status(lambda: send(bomb, timeout=20, compression=compression))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        call(channel, CHECK)


def test_huge_metadata_is_refused(members: Members) -> None:
    with members.channel(members.credentials[OTHER]) as channel:
        send = channel.unary_unary(CHECK)
        code = status(lambda: send(b"", timeout=20, metadata=(("x-much", "x" * 64_000),)))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        call(channel, CHECK)


def test_half_open_sockets_keep_nobody_out(members: Members) -> None:
    host, _, port = members.address.rpartition(":")
    with ExitStack() as stack:
        for number in range(64):
            half = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            if number % 2:
                half.sendall(HELLO)
        with members.channel(members.credentials[OTHER]) as channel:
            call(channel, CHECK)


def test_calls_that_are_begun_and_dropped_leave_nothing(members: Members) -> None:
    with members.channel(members.credentials[OTHER]) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
        for _ in range(300):
            watch(b"", timeout=20).cancel()
        # gRPC itself refuses streams of such a connection for a moment: ask again, as agents do.
        repeated(lambda: call(channel, CHECK), Patience(20.0))
        with pytest.raises(MalformedMessageError), translated():
            call(channel, SUBMIT, document(1_000))
