"""The interceptor that every call passes: identity, role, fields, deadline, errors.

Handlers behind it get messages that were checked, call and encode; they hold no try and no
check of who is calling. Iteration of streams is guarded like the call itself.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError, Message

from linkage.errors import (
    DeniedError,
    LinkageError,
    MalformedMessageError,
    QuotaExceededError,
)
from linkage.rpc.fields import check_fields
from linkage.rpc.limits import CALLS_AT_HAND, MAX_CALLS, POLICIES
from linkage.rpc.peer import Admits, Peer, peer_of
from linkage.rpc.rates import OFFICES_SHARE, Rates, Volumes, accounts_of
from linkage.rpc.status import status_of
from linkage.tracing import span

if TYPE_CHECKING:
    # Generic for type checkers only.
    _Context = grpc.aio.ServicerContext[Any, Any]
    _Handler = grpc.RpcMethodHandler[Any, Any]

_OURS = "/linkage.v1."
_NOT_ADMITTED = "this certificate may not make this call"


class Guard(grpc.aio.ServerInterceptor):
    """Guards every RPC of a server.

    Args:
        admits: tells whether a caller takes part in this service.
        rates: how many calls each may make.
        volumes: how many bytes each may send.
        ended: told the method, status and seconds of every call.
        calls_at_hand: most calls of one identity at once, over all its connections: nobody takes
            the places of all others. A party and its offices together have no more than are
            left free: alone half of `MAX_CALLS`, and each of n that want all 1/(n+1), so that
            there is always as much for whoever comes next. Its offices leave of that what is
            their head office's (`OFFICES_SHARE`).
    """

    def __init__(
        self,
        admits: Admits,
        rates: Rates | None = None,
        ended: Callable[[str, str, float], None] = lambda *_: None,
        volumes: Volumes | None = None,
        calls_at_hand: int = CALLS_AT_HAND,
    ) -> None:
        self._admits, self._rates, self._ended = admits, rates or Rates(), ended
        self._volumes, self._most_at_hand = volumes or Volumes(), calls_at_hand
        self._log = structlog.get_logger("rpc")
        # Calls at hand: gRPC keeps a connection whose certificate counts no more.
        self._calls: dict[asyncio.Task[Any], Peer] = {}
        self._n_calls: Counter[str] = Counter()
        self._cut: set[asyncio.Task[Any]] = set()
        # A single message that was taken is answered, by its deadline: what it asks for may be
        # done already, as when a party brings the revocation of the key that it came with.
        self._answering: set[asyncio.Task[Any]] = set()

    def recheck(self) -> None:
        """End the calls at hand of those who are admitted no more; on the server's loop."""
        for task in self._calls.keys() - self._cut - self._answering:
            if not self._admits(self._calls[task]):
                self._cut.add(task)
                task.cancel()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """Return the handler of a method, guarded."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        return self._guarded(handler, handler_call_details.method)

    def _guarded(self, handler: _Handler, method: str) -> _Handler:
        inner: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )

        # Decoded here and not by gRPC: of nobody who is not admitted, and what cannot be decoded
        # is refused in our words, not in the library's.
        deserialize: Any = handler.request_deserializer
        decode = partial(_decoded, deserialize=deserialize, method=method)
        of_day = method in POLICIES and POLICIES[method].bulk

        # A single message is taken as a stream of one: gRPC would wait for it before we are asked,
        # without a deadline, and who never sends it would hold the place of a call.
        @asynccontextmanager
        async def admitted(messages: AsyncIterator[bytes], context: _Context) -> AsyncIterator[Any]:
            who = peer_of(context).identity
            if handler.request_streaming:
                taken = partial(self._volumes.taken, who, of_day=of_day)
                # Closed here, or the collector would, which stops a thread where it stands.
                async with aclosing(self._each(messages, taken, decode)) as each:
                    yield each
                return
            request = await anext(aiter(messages), None)
            if request is None:
                raise MalformedMessageError("the call has no message: use a client of the protocol")
            with self._volumes.taken(who, len(request), of_day=of_day):
                yield decode(request)

        async def unary(messages: AsyncIterator[bytes], context: _Context) -> Any:
            async with self._call(method, context), admitted(messages, context) as message:
                task = asyncio.current_task()
                if task is not None and not handler.request_streaming:
                    self._answering.add(task)
                return await inner(message, context)

        async def stream(messages: AsyncIterator[bytes], context: _Context) -> None:
            # Written here and not yielded: so a call is ended by us also while it sends.
            async with self._call(method, context), admitted(messages, context) as message:
                responses = inner(message, context)
                if inspect.isawaitable(responses):  # such a handler writes for itself
                    await responses
                    return
                async with aclosing(responses):
                    async for response in responses:
                        await context.write(response)

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(stream, None, handler.response_serializer)
        return grpc.stream_unary_rpc_method_handler(unary, None, handler.response_serializer)

    @asynccontextmanager
    async def _call(self, method: str, context: _Context) -> AsyncIterator[None]:
        started, status = time.monotonic(), grpc.StatusCode.CANCELLED
        with span(method.rpartition("/")[2], **{"rpc.method": method}) as note:
            try:
                async with self._answered(method, context):
                    yield
                status = grpc.StatusCode.OK
            except grpc.aio.AbortError:
                status = context.code()
                raise
            finally:
                note("rpc.response.status_code", status.name)
                self._ended(method, status.name, time.monotonic() - started)

    @asynccontextmanager
    async def _answered(self, method: str, context: _Context) -> AsyncIterator[None]:
        try:
            policy = POLICIES.get(method)
            if policy is None:
                raise DeniedError("NO_POLICY", "this call is not offered")
            peer = peer_of(context)
            if not self._admits(peer) or peer.identity.role not in policy.roles:
                raise DeniedError("NOT_ADMITTED", _NOT_ADMITTED)
            if not self._rates.take_call(peer.identity):
                raise QuotaExceededError("too many calls at once: wait a second, and call again")
            async with asyncio.timeout(policy.deadline_s):
                with self._at_hand(peer):
                    yield
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the call took too long")
        except LinkageError as error:
            self._log.info("call refused", method=method, error=type(error).__name__)
            await _abort(context, error)
        except (asyncio.CancelledError, GeneratorExit, grpc.aio.AbortError):
            raise
        except NotImplementedError:  # the health service of gRPC has calls that it only names
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this call is not offered")
        except Exception as error:  # noqa: BLE001 -- nothing unknown reaches the peer
            # The text may hold anything: the type and the place are enough to find the cause.
            self._log.error("call failed", method=method, error=type(error).__name__, at=_at(error))
            await _abort(context, error)

    async def _each(
        self,
        messages: AsyncIterator[bytes],
        taken: Callable[[int], AbstractContextManager[None]],
        decode: Callable[[bytes], Message],
    ) -> AsyncGenerator[Message]:
        """Yield the messages of a stream, each counted until the next is asked for."""
        async for message in messages:
            with taken(len(message)):
                yield decode(message)

    @contextmanager
    def _at_hand(self, peer: Peer) -> Iterator[None]:
        """Keep a call where `recheck` finds it.

        Raises:
            QuotaExceededError: its caller has too many already.
        """
        task, who = asyncio.current_task(), peer.identity.uri
        accounts = accounts_of(peer.identity)
        if task is None:
            raise RuntimeError("a call without a task")
        if self._n_calls[who] >= self._most_at_hand:
            raise QuotaExceededError(
                f"{self._most_at_hand} calls at hand: wait until one has ended, and call again"
            )
        left = MAX_CALLS - len(self._calls)
        full = any(self._n_calls[name] >= share * left for name, share in accounts.items())
        if peer.identity.role == "party":
            # What its offices leave it is its own also where others have come since.
            full = full and self._n_calls[who] >= (1 - OFFICES_SHARE) * left
        if full:
            raise QuotaExceededError(
                "this party and its offices have as many calls at hand as are left for all others: "
                "wait until one has ended, and call again"
            )
        self._n_calls.update((who, *accounts))
        self._calls[task] = peer
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._cut:
                raise
            task.uncancel()
            raise DeniedError("NOT_ADMITTED", _NOT_ADMITTED) from None
        finally:
            self._calls.pop(task, None)
            self._cut.discard(task)
            self._answering.discard(task)
            self._n_calls.subtract((who, *accounts))


async def _abort(context: _Context, error: Exception) -> NoReturn:
    code, text, trailing = status_of(error)
    await context.abort(code, text, trailing)


def _decoded(data: bytes, *, deserialize: Callable[[bytes], Message], method: str) -> Message:
    try:
        message = deserialize(data)
    except DecodeError as error:
        raise MalformedMessageError(
            "the message cannot be decoded: use the protocol of this version"
        ) from error
    if method.startswith(_OURS):
        check_fields(message)
    return message


def _at(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
