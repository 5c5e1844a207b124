"""Metrics, liveness and readiness for those who watch a matcher; no names, no values.

    GET /metrics    Prometheus text format
    GET /livez      200 while the process answers
    GET /readyz     200 while calls can be served; else 503 and the reasons, a line each

On this machine alone (127.0.0.1, ::1) anybody may ask; on any other address only who shows a
certificate of the service's authority.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Histogram, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from linkage.errors import LinkageError, UnavailableError
from linkage.matcher.config import Tls
from linkage.matcher.status import Status

# Seconds. Lookups are answered in milliseconds; an upload may take an hour.
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0)
# Those who watch are few: connections at once, and the seconds of one, handshake included.
_MOST, _SLOWEST_S = 16, 10.0


class Metrics:
    """What is counted while a matcher runs, and what its status says.

    Args:
        status: how the matcher is now.
    """

    def __init__(self, status: Callable[[], Status]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._calls = Counter(
            "padan_calls", "Calls that have ended.", ["method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "padan_call_duration_seconds",
            "How long calls took, streams until their end.",
            ["method"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._alarms = Counter(
            "padan_lookup_alarms",
            "Signs of probing in lookups.",
            ["sign"],
            registry=self.registry,
        )
        self.registry.register(_StatusCollector(status))

    def alarmed(self, sign: str) -> None:
        """Count a sign of probing."""
        self._alarms.labels(sign).inc()

    def ended(self, method: str, status: str, seconds: float) -> None:
        """Count a call that has ended."""
        self._calls.labels(method, status).inc()
        self._seconds.labels(method).observe(seconds)


class _StatusCollector(Collector):
    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        try:
            status = self._status()
        except LinkageError:  # the database is away: what is counted in memory is told
            yield GaugeMetricFamily("padan_store_up", "Whether the database answers.", 0)
            return
        yield GaugeMetricFamily("padan_store_up", "Whether the database answers.", 1)
        jobs = GaugeMetricFamily("padan_jobs", "Jobs in each state.", labels=["state"])
        for state, count in status.jobs.items():
            jobs.add_metric([state.value], count)
        yield jobs
        if status.oldest_open is not None:
            yield GaugeMetricFamily(
                "padan_oldest_open_job_timestamp_seconds",
                "When the oldest job that has not ended was requested.",
                status.oldest_open.timestamp(),
            )
        yield CounterMetricFamily(
            "padan_comparisons", "Comparisons made in all jobs.", status.comparisons
        )
        yield CounterMetricFamily("padan_log_entries", "Entries of the log.", status.log_entries)
        yield CounterMetricFamily(
            "padan_log_published", "Entries under the published checkpoint.", status.log_published
        )
        yield GaugeMetricFamily("padan_registers", "Standing registers.", status.registers)
        yield GaugeMetricFamily(
            "padan_data_free_bytes", "Free on the disk of the data.", status.free_bytes
        )
        yield GaugeMetricFamily(
            "padan_certificate_not_after_timestamp_seconds",
            "End of the server's certificate.",
            status.certificate_until.timestamp(),
        )

    def describe(self) -> Iterable[Metric]:
        return ()  # else the library would ask for the status to learn the names


class _Server(ThreadingMixIn, WSGIServer):
    """Answers a few connections at once, each until its deadline, whatever it sends or reads."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._until: dict[Any, float] = {}
        self._lock = threading.Lock()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            full = len(self._until) >= _MOST
            if not full:
                self._until[request] = time.monotonic() + _SLOWEST_S
        if full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def service_actions(self) -> None:
        """End what took too long; called twice a second."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, until in self._until.items() if until < now]
        for request in late:
            # Past TLS, whose own object its thread works with: that reads an end, and closes.
            with suppress(OSError):
                socket.socket.shutdown(request, socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:  # before its caller can know: the place is free to who comes next
            self._until.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of who went away or was ended: it would be a trace with their address."""


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the library's name
        pass


class MetricsServer:
    """Answers those who watch, on threads of its own.

    Args:
        listen: host and port; port 0 takes a free one.
        metrics: what is told.
        unready: returns why calls cannot be served, nothing if they can.
        tls: shown, and asked for, wherever other machines can connect.

    Raises:
        UnavailableError: the address cannot be had.
    """

    def __init__(
        self, listen: str, metrics: Metrics, unready: Callable[[], list[str]], tls: Tls
    ) -> None:
        host, _, port = listen.rpartition(":")
        tell: Any = make_wsgi_app(metrics.registry)

        def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
                case "GET", "/metrics":
                    told: Iterable[bytes] = tell(environ, start)
                    return told
                case "GET", "/livez":
                    return _plain(start, "200 OK", ["alive"])
                case "GET", "/readyz":
                    reasons = unready()
                    status = "503 Service Unavailable" if reasons else "200 OK"
                    return _plain(start, status, reasons or ["ready"])
            return _plain(start, "404 Not Found", ["GET /metrics, /livez or /readyz"])

        try:
            self._server = make_server(host.strip("[]"), int(port), app, _Server, _Handler)
        except OSError as error:
            raise UnavailableError(f"{listen}: cannot listen there: {error.strerror}") from error
        if not _is_loopback(host):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(tls.certificate, tls.private_key)
            context.load_verify_locations(tls.authority)
            # The handshake in the caller's own thread: one that is slow holds up nobody.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics")

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _plain(start: Callable[..., Any], status: str, lines: list[str]) -> Iterator[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return iter([("\n".join(lines) + "\n").encode()])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
