"""A client's channel to the matcher: mutual TLS, deadlines, and a few repeats.

Calls that change nothing, or that repeat harmlessly, are tried again while the
matcher cannot be reached. All of the protocol's calls are of that kind.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import grpc

from linkage.rpc.limits import CLIENT_OPTIONS
from linkage.rpc.patience import Patience
from linkage.rpc.status import error_of
from linkage.rpc.tls import TlsFiles, channel_credentials

M = TypeVar("M")
T = TypeVar("T")


@contextmanager
def open_channel(address: str, files: TlsFiles) -> Iterator[grpc.Channel]:
    """Open a channel to a matcher and close it at the end.

    Args:
        address: host and port.
        files: what the client shows and trusts.

    Raises:
        ConfigError: a TLS file cannot be read.
    """
    channel = grpc.secure_channel(address, channel_credentials(files), options=CLIENT_OPTIONS)
    try:
        yield channel
    finally:
        channel.close()


@contextmanager
def translated() -> Iterator[None]:
    """Turn a failed call inside into the error that it stands for.

    Raises:
        LinkageError: the class that the matcher raised, or `UnavailableError`.
    """
    try:
        yield
    except grpc.RpcError as error:
        # Every error of a call that was made is a Call too; the stubs do not know it.
        raise error_of(cast("grpc.Call", error)) from None


@contextmanager
def outgoing(messages: Iterable[M]) -> Iterator[Iterator[M]]:
    """Give messages to a call inside; an error of the messages themselves is raised as it is.

    gRPC reads the messages on a thread of its own; an error of theirs would be printed there,
    and be told here only as that there was one. So the stream ends before it, and whatever the
    other side makes of half a stream, the error is raised here.

    Args:
        messages: what the call sends.
    """
    failed: list[Exception] = []

    def kept() -> Iterator[M]:
        try:
            yield from messages
        except Exception as error:  # noqa: BLE001 -- raised below
            failed.append(error)

    try:
        yield kept()
    except Exception:
        if failed:
            raise failed[0] from None
        raise
    if failed:
        raise failed[0]


def sent(call: Callable[[Iterator[M]], T], messages: Iterable[M]) -> T:
    """Make a call that takes a stream, as of `outgoing`, and return what it was answered."""
    with outgoing(messages) as stream:
        return call(stream)


def repeated(call: Callable[[], T], patience: Patience) -> T:
    """Make a call, and again while the matcher cannot be reached.

    Args:
        call: makes the call; may be made any number of times.
        patience: of the client.

    Raises:
        LinkageError: what the last try failed with.
    """

    def once() -> T:
        with translated():
            return call()

    return patience.call(once)
