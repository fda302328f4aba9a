"""Ports for programs that need them as arguments: blocks that no other test run on this machine uses.

Test runs go on beside each other: workers of pytest-xdist, checkouts, users. Who asks the kernel for a free
port and then lets go of it, so that a program may bind it, has it no longer; and an RTP port is bound only
when a call comes. So a block is locked as long as the process that took it lives: byte n of one file stands
for port n. All are below the range from which the kernel takes ports by itself.
"""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from collections import deque
from pathlib import Path

_FIRST = 10_000
_BELOW = 32_768
"""Where Linux's ephemeral range begins by default."""
_MOST = 2_400
"""Blocks that a process keeps; beyond that the oldest are released, whose programs have long ended."""


class _Ports:
    """Blocks of this process; file locks belong to the process, so it counts its own."""

    def __init__(self) -> None:
        path = Path(tempfile.gettempdir(), "b2bua-test-ports")
        with contextlib.suppress(FileExistsError):
            path.touch(exist_ok=False)
            path.chmod(0o666)
        # Closing any descriptor of the file would give up all locks, so there is one, for good.
        self._file = os.open(path, os.O_RDWR)
        self._ours: deque[range] = deque()
        self._below = _below()
        self._next = random.randrange(_FIRST, self._below)

    def take(self, size: int) -> int:
        while sum(map(len, self._ours)) + size > _MOST and len(self._ours) > 1:
            self._give_back()
        while True:
            # Once around from where the last one ended: what was freed last is used last, for late packets.
            for _ in range((self._below - _FIRST) // size + 1):
                block = self._advance(size)
                if self._lock(block):
                    return block.start
            assert self._ours, f"no {size} ports in a row that nobody has"
            self._give_back()

    def _advance(self, size: int) -> range:
        first = self._next + self._next % 2  # RFC 3550 §11: RTP on even ports
        if first + size > self._below:
            first = _FIRST
        self._next = first + size
        return range(first, first + size)

    def _lock(self, block: range) -> bool:
        if any(block.start < ours.stop and ours.start < block.stop for ours in self._ours):
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, len(block), block.start)
        except OSError:
            return False
        if all(map(_is_free, block)):
            self._ours.append(block)
            return True
        fcntl.lockf(self._file, fcntl.LOCK_UN, len(block), block.start)
        return False

    def _give_back(self) -> None:
        block = self._ours.popleft()
        fcntl.lockf(self._file, fcntl.LOCK_UN, len(block), block.start)


def _below() -> int:
    """The first port of the ephemeral range, if there is room below it."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return _BELOW
    return first if first >= _FIRST + 2 * _MOST else _BELOW


def _is_free(port: int) -> bool:
    """A program that does not know our locks may use it."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            # As servers do: a connection that has ended and is waited out (TIME_WAIT) is no owner.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
            try:
                sock.bind(("", port))
            except OSError:
                return False
    return True


_ports: list[_Ports] = []


def port_block(size: int) -> int:
    """The first (even) of ``size`` consecutive ports that this process has to itself, UDP and TCP."""
    if not _ports:
        _ports.append(_Ports())
    return _ports[0].take(size)
