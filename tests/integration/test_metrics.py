"""What those who watch a matcher are told, and who may ask."""

import http.client
import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from members import Members
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from test_auth_matrix import other_authority

from linkage.cli import padan
from linkage.errors import UnavailableError
from linkage.matcher import metrics
from linkage.matcher.metrics import Metrics, MetricsServer
from linkage.matcher.opened import read_metadata
from linkage.matcher.status import Status, status_of
from linkage.v1 import job_pb2, job_pb2_grpc

PARTY = "party/dukcapil"


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    made = Members(tmp_path_factory.mktemp("watched"))
    made.prepare()
    made.submit(made.enrolment(PARTY))
    return made


def status(members: Members) -> Status:
    with read_metadata(members.config) as metadata:
        return status_of(members.config, metadata)


def values_in(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def get(url: str, context: ssl.SSLContext | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:  # noqa: S310 -- ours
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def shown(members: Members, *options: str) -> dict[str, Any]:
    config = str(members.root / "matcher" / "matcher.toml")
    done = CliRunner().invoke(padan, ["matcher", "status", "--config", config, "--json", *options])
    return {"exit": done.exit_code, **json.loads(done.stdout)}


@contextmanager
def serving(members: Members, reasons: list[str], listen: str = "127.0.0.1:0") -> Iterator[int]:
    server = MetricsServer(
        listen, Metrics(lambda: status(members)), lambda: reasons, members.config.tls
    )
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def test_a_running_matcher_counts_calls_and_tells_its_status(members: Members) -> None:
    settings = members.root / "matcher" / "matcher.toml"
    before = settings.read_text("utf-8")
    port = free_port()
    settings.write_text(f'{before}[metrics]\nlisten = "127.0.0.1:{port}"\n', "utf-8")
    try:
        with members.running():
            with members.channel(members.credentials[PARTY]) as channel:
                job_pb2_grpc.JobServiceStub(channel).ListJobs(job_pb2.ListJobsRequest(), timeout=20)
                bad = channel.unary_unary("/linkage.v1.JobService/GetJob")
                with pytest.raises(Exception, match="cannot be decoded"):
                    bad(b"\xff", timeout=20)
            listed, got = (f"/linkage.v1.JobService/{name}" for name in ("ListJobs", "GetJob"))
            told: dict[tuple[str, ...], float] = {}
            # A caller has its answer a moment before the call has ended.
            while ("padan_calls_total", got, "INVALID_ARGUMENT") not in told:
                code, text = get(f"http://127.0.0.1:{port}/metrics")
                assert code == 200
                told = values_in(text)
            assert told["padan_calls_total", listed, "OK"] == 1
            assert told["padan_calls_total", got, "INVALID_ARGUMENT"] == 1
            assert told["padan_call_duration_seconds_count", listed] == 1
            assert told["padan_jobs", "comparing"] == 0
            assert told["padan_log_entries_total",] == told["padan_log_published_total",] == 2
            assert told["process_resident_memory_bytes",] > 0
            # Nobody's name stands in a label.
            assert "dukcapil" not in text
            assert get(f"http://127.0.0.1:{port}/livez") == (200, "alive\n")
            assert get(f"http://127.0.0.1:{port}/readyz") == (200, "ready\n")
            assert get(f"http://127.0.0.1:{port}/")[0] == 404
            assert shown(members)["running"]
        after = shown(members, "--check")
        assert (after["running"], after["exit"]) == (False, 1)
        assert after["log_entries"] == after["log_published"] == 2
        # The certificates of tests end in days.
        assert any("certificate ends on" in problem for problem in after["problems"])
    finally:
        settings.write_text(before, "utf-8")


def test_who_is_not_ready_says_why(members: Members) -> None:
    with serving(members, ["the database is gone"]) as port:
        assert get(f"http://127.0.0.1:{port}/readyz") == (503, "the database is gone\n")
        assert get(f"http://127.0.0.1:{port}/livez")[0] == 200


def test_what_is_counted_is_told_while_the_database_is_away() -> None:
    def gone() -> Status:
        raise UnavailableError("the database is gone")

    made = Metrics(gone)
    made.ended("/linkage.v1.JobService/GetJob", "UNAVAILABLE", 0.1)
    told = values_in(generate_latest(made.registry).decode())
    assert told["padan_store_up",] == 0
    assert told["padan_calls_total", "/linkage.v1.JobService/GetJob", "UNAVAILABLE"] == 1


def test_beyond_this_machine_a_certificate_is_asked_for(members: Members, tmp_path: Path) -> None:
    right, wrong = members.credentials[PARTY], other_authority()
    with serving(members, [], "0.0.0.0:0") as port:
        for credential in (right, wrong, None):
            context = ssl.create_default_context(cadata=members.authority.certificate.decode())
            if credential is not None:
                (tmp_path / "c.pem").write_bytes(credential.certificate)
                (tmp_path / "k.pem").write_bytes(credential.private_key)
                context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
            url = f"https://127.0.0.1:{port}/livez"
            if credential is right:
                assert get(url, context) == (200, "alive\n")
            else:
                with pytest.raises((OSError, http.client.HTTPException)):
                    get(url, context)
        with pytest.raises((OSError, http.client.HTTPException)):
            get(f"http://127.0.0.1:{port}/livez")


def test_one_connection_too_many_is_closed_and_a_place_that_is_free_again_serves(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_SLOWEST_S", 600.0)
    with serving(members, []) as port, ExitStack() as stack:
        held = [stack.enter_context(connected(port)) for _ in range(16)]
        with connected(port) as more:
            assert more.recv(1) == b""
        held[0].sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert b"alive" in held[0].makefile("rb").read()
        with connected(port) as more:
            more.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            assert b"alive" in more.makefile("rb").read()


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:0"])
def test_who_connects_and_dawdles_is_ended_in_silence(
    members: Members,
    listen: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(metrics, "_SLOWEST_S", 0.5)
    before = threading.active_count()
    with serving(members, [], listen) as port, ExitStack() as stack:
        slow = [stack.enter_context(connected(port)) for _ in range(40)]
        slow[-1].sendall(b"G")
        assert slow[-1].recv(1) == b""  # one too many
        assert threading.active_count() <= before + 1 + 16
        with suppress(OSError):
            while True:  # each byte would be in time, the whole is not
                slow[0].sendall(b"G")
                time.sleep(0.1)
        for one in slow[1:]:
            with suppress(ConnectionResetError):
                one.recv(100)
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_told(members: Members) -> None:
    with (
        serving(members, []) as port,
        pytest.raises(UnavailableError, match="cannot listen there"),
        serving(members, [], f"127.0.0.1:{port}"),
    ):
        pass


def test_a_matcher_whose_metrics_have_no_place_ends_with_an_error(members: Members) -> None:
    """No thread keeps it alive: whoever started it learns why."""
    settings = members.root / "matcher" / "matcher.toml"
    before, threads = settings.read_text("utf-8"), set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings.write_text(f'{before}[metrics]\nlisten = "127.0.0.1:{port}"\n', "utf-8")
        try:
            done = CliRunner().invoke(padan, ["matcher", "serve", "--config", str(settings)])
        finally:
            settings.write_text(before, "utf-8")
    assert isinstance(done.exception, UnavailableError)
    assert f"127.0.0.1:{port}: cannot listen there" in str(done.exception)
    assert {one.name for one in set(threading.enumerate()) - threads} & {
        "worker",
        "lookups",
    } == set()
