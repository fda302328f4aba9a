"""A UDP socket for RTP that reports when the kernel received each packet.

A busy test process reads late and then many packets at once. What is measured (where audio lies on the
timeline, gaps, jitter) goes by when they came, not by when they were read.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable

from .ladder import Address

_SO_TIMESTAMPNS = 35  # Linux; Python has no name for it
_TIMESPEC = struct.Struct("@ll")

Received = Callable[[bytes, Address, float], None]
"""Datagram, source address, monotonic time of arrival."""


class RtpSocket:
    """Bound to a free even port; reads whenever the running loop lets it."""

    def __init__(self, host: str, received: Received) -> None:
        self._received = received
        self.came = 0
        """Packets that came."""
        self._socket = _even_socket(host)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)
        self.port = int(self._socket.getsockname()[1])

    def send(self, packet: bytes, address: Address) -> None:
        with contextlib.suppress(OSError):  # as on a network: what cannot go is lost
            self._socket.sendto(packet, address)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        while self._socket.fileno() >= 0:  # who is told of a packet may close us
            try:
                data, ancillary, _, address = self._socket.recvmsg(2048, socket.CMSG_SPACE(_TIMESPEC.size))
            except BlockingIOError:
                return
            except OSError:
                continue  # ICMP: nobody was there to take what we sent
            self.came += 1
            self._received(data, (address[0], address[1]), _arrival(ancillary))


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float:
    now = time.monotonic()
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return now - max(0.0, time.time() - seconds - nanoseconds / 1e9)
    return now


def _even_socket(host: str) -> socket.socket:
    """RFC 3550 §11: RTP uses an even port, so that our RTCP never arrives at another's RTP port."""
    while True:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, 0))
        if sock.getsockname()[1] % 2 == 0:
            sock.setblocking(False)
            return sock
        sock.close()
