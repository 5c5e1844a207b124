"""The interceptor that every call passes: identity, role, fields, deadline, errors.

Handlers behind it decode, call and encode; they hold no try and no check of who
is calling. Iteration of streams is guarded like the call itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message

from linkage.errors import DeniedError, LinkageError
from linkage.rpc.fields import check_fields
from linkage.rpc.limits import POLICIES
from linkage.rpc.peer import Admits, identity_of
from linkage.rpc.status import status_of

if TYPE_CHECKING:
    # Generic for type checkers only.
    _Context = grpc.aio.ServicerContext[Any, Any]
    _Handler = grpc.RpcMethodHandler[Any, Any]

_OURS = "/linkage.v1."


class Guard(grpc.aio.ServerInterceptor):
    """Guards every RPC of a server.

    Args:
        admits: tells whether an identity takes part in this service.
    """

    def __init__(self, admits: Admits) -> None:
        self._admits = admits
        self._log = structlog.get_logger("rpc")

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

        def admitted(request: Any) -> Any:
            if handler.request_streaming:
                return _checked_stream(request, method)
            _check(request, method)
            return request

        async def unary(request: Any, context: _Context) -> Any:
            async with self._call(method, context):
                return await inner(admitted(request), context)

        async def stream(request: Any, context: _Context) -> AsyncIterator[Any]:
            async with self._call(method, context):
                async for response in inner(admitted(request), context):
                    yield response

        if handler.response_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            return make(stream, handler.request_deserializer, handler.response_serializer)
        make_unary = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return make_unary(unary, handler.request_deserializer, handler.response_serializer)

    @asynccontextmanager
    async def _call(self, method: str, context: _Context) -> AsyncIterator[None]:
        try:
            policy = POLICIES.get(method)
            if policy is None:
                raise DeniedError("NO_POLICY", "this call is not offered")
            identity = identity_of(context)
            if not self._admits(identity) or identity.role not in policy.roles:
                raise DeniedError("NOT_ADMITTED", "this certificate may not make this call")
            async with asyncio.timeout(policy.deadline_s):
                yield
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the call took too long")
        except LinkageError as error:
            self._log.info("call refused", method=method, error=type(error).__name__)
            await _abort(context, error)
        except (asyncio.CancelledError, GeneratorExit, grpc.aio.AbortError):
            raise
        except Exception as error:  # noqa: BLE001 -- nothing unknown reaches the peer
            # The text may hold anything: the type and the place are enough to find the cause.
            self._log.error("call failed", method=method, error=type(error).__name__, at=_at(error))
            await _abort(context, error)


async def _abort(context: _Context, error: Exception) -> NoReturn:
    code, text, trailing = status_of(error)
    await context.abort(code, text, trailing)


async def _checked_stream(messages: AsyncIterator[Any], method: str) -> AsyncIterator[Any]:
    async for message in messages:
        _check(message, method)
        yield message


def _check(message: Message, method: str) -> None:
    if method.startswith(_OURS):
        check_fields(message)


def _at(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
