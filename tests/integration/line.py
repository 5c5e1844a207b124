"""A line between an agent and its matcher that delays, breaks and goes dark, as told."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Line:
    """A TCP proxy on 127.0.0.1.

    Args:
        target: host and port of the matcher.

    Attributes:
        address: where the agent connects to.
        delay_s: how long each piece takes, in either direction.
        n_connections: how many have been opened.
        n_up: bytes that came through to the matcher.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.delay_s = 0.0
        self.n_connections = self.n_up = 0
        self._up = threading.Event()
        self._up.set()
        self._dark = False
        self._cut_after: int | None = None
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, n_bytes: int) -> None:
        """Break all connections once so many bytes more have come through to the matcher."""
        self._cut_after = n_bytes

    def break_off(self) -> None:
        """Break all connections, and let no new one through until `restore`."""
        self._up.clear()
        self._close_all()

    def go_dark(self) -> None:
        """Swallow all that comes, without a word, until `restore`."""
        self._dark = True

    def restore(self) -> None:
        """Let new connections through; what was lost in the dark is lost."""
        if self._dark:
            self._close_all()
        self._dark = False
        self._up.set()

    def close(self) -> None:
        self._closed = True
        self._listener.close()
        self._close_all()

    def _close_all(self) -> None:
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._sockets.clear()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._up.is_set():
                client.close()
                continue
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            self.n_connections += 1
            with self._lock:
                self._sockets |= {client, server}
            for one, other, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(one, other, up), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, up: bool) -> None:
        with suppress(OSError):
            while piece := one.recv(1 << 16):
                if self.delay_s:
                    time.sleep(self.delay_s)
                if self._dark:
                    continue
                if up and self._cut_after is not None:
                    # In the middle of whatever is being said.
                    piece = piece[: self._cut_after]
                    self._cut_after -= len(piece)
                    other.sendall(piece)
                    self.n_up += len(piece)
                    if self._cut_after <= 0:
                        self._cut_after = None
                        self._close_all()
                        return
                    continue
                other.sendall(piece)
                self.n_up += len(piece) if up else 0
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(target: str) -> Iterator[Line]:
    """Open a line, and close it at the end."""
    line = Line(target)
    try:
        yield line
    finally:
        line.close()
