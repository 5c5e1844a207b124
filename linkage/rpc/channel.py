"""A client's channel to the matcher: mutual TLS, deadlines, and a few repeats.

Calls that change nothing, or that repeat harmlessly, are tried again while the
matcher cannot be reached. All of the protocol's calls are of that kind.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import grpc

from linkage.errors import UnavailableError
from linkage.rpc.limits import CLIENT_OPTIONS
from linkage.rpc.status import error_of
from linkage.rpc.tls import TlsFiles, channel_credentials

M = TypeVar("M")
T = TypeVar("T")

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


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


def sent(call: Callable[[Iterator[M]], T], messages: Iterable[M]) -> T:
    """Make a call that takes a stream; an error of the stream itself is raised as it is.

    gRPC reads the messages on a thread of its own, and says of an error there only that there
    was one.

    Args:
        call: makes the call.
        messages: what it sends.
    """
    failed: list[Exception] = []

    def kept() -> Iterator[M]:
        try:
            yield from messages
        except Exception as error:
            failed.append(error)
            raise

    try:
        return call(kept())
    except grpc.RpcError:
        if failed:
            raise failed[0] from None
        raise


def repeated(
    call: Callable[[], T], patience_s: float, sleep: Callable[[float], None] = time.sleep
) -> T:
    """Make a call, and again while the matcher cannot be reached.

    Args:
        call: makes the call; may be made any number of times.
        patience_s: stop trying after this time.
        sleep: waits between two tries.

    Raises:
        LinkageError: what the last try failed with.
    """
    waited, pause = 0.0, _FIRST_PAUSE_S
    while True:
        try:
            with translated():
                return call()
        except UnavailableError:
            if waited >= patience_s:
                raise
        sleep(pause)
        waited += pause
        pause = min(2 * pause, _LONGEST_PAUSE_S)
