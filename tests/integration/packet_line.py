"""A bad line between two hosts: two network namespaces, packets in between delayed or lost.

What `tc netem` does, for kernels that lack it as well: each namespace has a TUN device, and the
packets of one are handed to the other by this process, late, no faster than the line, or never.
Needs root and iproute2; where they are not there, what needs them skips by name.
"""

import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

# Of a range that is for documentation: nobody has them.
HERE, THERE = "192.0.2.1", "192.0.2.2"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_MTU, _QUEUE_S = 1500, 4.0


@dataclass(frozen=True)
class Quality:
    """How good a line is.

    Attributes:
        delay_s: of each packet, on its way.
        lost: share of the packets that are lost.
        bits_per_s: in each direction.
    """

    delay_s: float
    lost: float
    bits_per_s: float


class PacketLine:
    """The line between the hosts `HERE` and `THERE`.

    Args:
        quality: how good it is.
        seed: of the losses.

    Attributes:
        here: the namespace of the one host.
        there: that of the other.
        n_bytes: bytes that were put on the line from there, and from here.
        n_lost: packets that were lost.
    """

    def __init__(self, quality: Quality, seed: int) -> None:
        self.here, self.there = (f"padan-{os.getpid()}-{end}" for end in "ab")
        self.n_bytes, self.n_lost = [0, 0], 0
        self._quality, self._draw = quality, random.Random(seed)
        self._broken, self._stop = threading.Event(), threading.Event()
        self._ends: list[int] = []
        self._thread = threading.Thread(target=self._carry)

    def break_off(self) -> None:
        """Lose every packet from now on."""
        self._broken.set()

    def restore(self) -> None:
        """Let packets through again."""
        self._broken.clear()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Make both hosts and the line, and remove them at the end."""
        with ExitStack() as stack:
            for number, (name, address) in enumerate(((self.there, THERE), (self.here, HERE))):
                _run("ip", "netns", "add", name)
                stack.callback(_run, "ip", "netns", "delete", name)
                self._ends.append(self._device(name, f"pdn{os.getpid()}{number}", address))
                stack.callback(os.close, self._ends[-1])
            self._thread.start()
            stack.callback(self._thread.join)
            stack.callback(self._stop.set)
            yield

    @staticmethod
    def _device(namespace: str, device: str, address: str) -> int:
        """Make a device whose packets are read and written here, and hand it to a namespace."""
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(end, _TUNSETIFF, flags)
        _run("ip", "link", "set", device, "netns", namespace)
        inside = ("ip", "-n", namespace)
        _run(*inside, "address", "add", f"{address}/24", "dev", device)
        _run(*inside, "link", "set", device, "mtu", str(_MTU), "up")
        _run(*inside, "link", "set", "lo", "up")
        return end

    def _carry(self) -> None:
        waiting: list[tuple[float, int, int, bytes]] = []
        free_at, n_read = [0.0, 0.0], 0
        while not self._stop.is_set():
            pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 0.1
            ready, _, _ = select.select(self._ends, [], [], min(pause, 0.1))
            now = time.monotonic()
            for end in ready:
                number = self._ends.index(end)
                with suppress(BlockingIOError):
                    packet = os.read(end, 2 * _MTU)
                    n_read += 1
                    self.n_bytes[number] += len(packet)
                    sent_at = max(now, free_at[number])
                    lost = self._broken.is_set() or self._draw.random() < self._quality.lost
                    if lost or sent_at > now + _QUEUE_S:
                        self.n_lost += 1
                        continue
                    free_at[number] = sent_at + 8 * len(packet) / self._quality.bits_per_s
                    arrives = free_at[number] + self._quality.delay_s
                    heapq.heappush(waiting, (arrives, n_read, 1 - number, packet))
            while waiting and waiting[0][0] <= now:
                _, _, number, packet = heapq.heappop(waiting)
                with suppress(OSError):  # a device that is going down
                    os.write(self._ends[number], packet)


def skip_without_namespaces() -> None:
    """Skip where no network namespace can be made."""
    there = shutil.which("ip") and Path("/dev/net/tun").exists()
    if not there or os.geteuid() != 0:
        pytest.skip("needs root, /dev/net/tun and iproute2: apt-get install iproute2")
    trial = f"padan-{os.getpid()}-try"
    if _tried("ip", "netns", "add", trial).returncode:
        pytest.skip("needs leave to make network namespaces")
    _run("ip", "netns", "delete", trial)


def _run(*command: str) -> None:
    done = _tried(*command)
    assert done.returncode == 0, done.stderr


def _tried(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False)
