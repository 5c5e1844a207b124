"""Malformed messages over every RPC: a named status each, no word from inside, and work goes on."""

import ctypes
import gc
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from in_process import TWO_ROUNDS, Service, links, people
from malformed import Malformed, fields_in, method_of, parsed
from soak_results import keep_result

import linkage.matcher.server
from linkage.rpc.channel import open_channel
from linkage.rpc.guard import Guard
from linkage.rpc.limits import POLICIES
from linkage.rpc.rates import Rates

METHODS = sorted(POLICIES)
IN_TESTS, IN_SOAK = 30, 600
NAMED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
}
INSIDE = ("Traceback", "<class", 'File "', "linkage/", "site-packages", "Error:", "sqlite")
# A stream that waits for what comes next is left after this.
WAITS_S = 0.2
WAITING = ("WatchProgress", "Watch", "FetchQuestions")


class Recorder(Guard):
    """The guard, for as many calls as anybody likes; keeps what was sent."""

    seen: dict[str, list[bytes]]

    def __init__(self, admits: Any, **own: Any) -> None:
        super().__init__(admits, **{**own, "rates": Rates(1e9, 1e9)})

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        decode, kept = (
            handler.request_deserializer,
            self.seen.setdefault(handler_call_details.method, []),
        )

        def keep(data: bytes) -> Any:
            if len(kept) < 20:
                kept.append(data)
            return decode(data)

        async def recorded(_: Any) -> Any:
            return handler._replace(request_deserializer=keep)

        return await super().intercept_service(recorded, handler_call_details)


@dataclass(frozen=True)
class Served:
    """A matcher, what was sent to it, and the texts and bytes in that."""

    service: Service
    seen: dict[str, list[bytes]]
    known: dict[str, list[Any]]


@pytest.fixture(scope="module")
def served(new_service: Callable[..., Service]) -> Iterator[Served]:
    """A matcher that has run a job, and whose requests were recorded."""
    Recorder.seen = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkage.matcher.server, "Guard", Recorder)
        service = new_service(TWO_ROUNDS, dukcapil=people(60), imigrasi=people(50, skip=20))
        with service.running():
            service.run_all(service.request("dukcapil"))
            service.request("dukcapil")  # one that is open, for uploads
            Recorder.seen, seen = {}, {path: list(kept) for path, kept in Recorder.seen.items()}
            yield Served(service, seen, known_in(seen))


def known_in(seen: dict[str, list[bytes]]) -> dict[str, list[Any]]:
    known: dict[str, list[Any]] = {}
    for path, messages in seen.items():
        for data in messages:
            for name, value in fields_in(parsed(method_of(path).input_type, data)):
                values = known.setdefault(name, [])
                if value not in values and len(values) < 10:
                    values.append(value)
    return known


def send(channel: grpc.Channel, path: str, messages: list[bytes]) -> tuple[grpc.StatusCode, str]:
    """Send messages in one call; return its status and text."""
    method = method_of(path)
    kind = "_".join(
        "stream" if streams else "unary"
        for streams in (method.client_streaming, method.server_streaming)
    )
    call: Any = getattr(channel, kind)(path)
    waits = method.name in WAITING
    sent: Any = iter(messages) if method.client_streaming else messages[0]
    try:
        answer = call(sent, timeout=WAITS_S if waits else 20)
        if method.server_streaming:
            for _ in answer:
                pass
    except grpc.RpcError as error:
        made: Any = error
        if waits and made.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return grpc.StatusCode.OK, ""
        return made.code(), made.details() or ""
    return grpc.StatusCode.OK, ""


def storm(served: Served, path: str, calls: int, seed: int) -> Counter[str]:
    """Send malformed messages to a method; return how often which status came."""
    made = Malformed(served.seen, served.known, seed).messages(path)
    draw, told = random.Random(seed), Counter[str]()
    service = served.service
    with open_channel(service.site.address, service.session("imigrasi").tls) as channel:
        for _ in range(calls):
            count = draw.randint(1, 4) if method_of(path).client_streaming else 1
            messages = [next(made) for _ in range(count)]
            status, text = send(channel, path, messages)
            assert status in NAMED, (status, text, messages)
            assert not any(word in text for word in INSIDE), text
            told[status.name] += 1
    return told


@pytest.mark.parametrize("path", METHODS)
def test_malformed_messages_get_a_named_status(served: Served, path: str) -> None:
    told = storm(served, path, IN_TESTS, seed=METHODS.index(path))
    assert set(told) != {"OK"} or path.startswith("/grpc.health"), told


def test_a_job_runs_after_all_of_them(served: Served) -> None:
    outcomes = served.service.run_all(served.service.request("dukcapil"))
    assert len(links(outcomes["dukcapil"])) >= 28


@pytest.mark.soak
def test_ten_thousand_and_no_growth(served: Served) -> None:
    """Counts and memory go to `benchmarks/results/soak-malformed.json`."""
    for number, path in enumerate(METHODS):  # buffers and caches reach their size
        storm(served, path, 50, seed=1_000 + number)
    before, told = resident(), Counter[str]()
    for number, path in enumerate(METHODS):
        told += storm(served, path, IN_SOAK, seed=2_000 + number)
    grown = resident() - before
    result = {"calls": told.total(), "statuses": dict(told), "grown_bytes": grown}
    keep_result("malformed", result)
    assert told.total() >= 10_000
    # A leak of one message each would be some hundred MiB.
    assert grown < 64 << 20
    test_a_job_runs_after_all_of_them(served)


def resident() -> int:
    """Return the memory that is in use, without what the allocator only keeps."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
