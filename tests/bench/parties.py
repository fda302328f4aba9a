"""The parties of the relay's benchmarks: all send G.711 every 20 ms, in phases of their own, and receive."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from b2bua.relay.control import LegKey

SLOTS = 20
"""Phases of the senders, a millisecond apart."""
WARM_S = 1.0
FRAME = 160
HEAD = 12


@dataclass(eq=False)
class Leg:
    """A party, or a worker, that sends and receives."""

    key: LegKey
    sock: socket.socket
    packet: bytearray
    seq: int = 0
    ts: int = 0


@dataclass
class Seen:
    """What was seen after the first second."""

    sent: int = 0
    received: int = 0
    delays_ms: list[float] = field(default_factory=list)
    """In the order of their ends."""
    gaps: int = 0
    """Frames that did not follow the one before them."""
    cpu_s: float = 0.0
    """Of the relay."""
    passed_s: float = 0.0

    @property
    def lost_of_1000(self) -> float:
        return round(1000 * (1 - self.received / max(1, self.sent)), 2)

    def delay_ms(self, share: float) -> float | None:
        """The delay that this share of all was not above; None: there is none."""
        delays = sorted(self.delays_ms)
        return round(delays[min(int(len(delays) * share), len(delays) - 1)], 2) if delays else None


def cpu_s(pid: int) -> float:
    """CPU time of a process and its threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def talk(
    legs: list[Leg],
    pid: int,
    seconds: float,
    say: Callable[[Leg], None],
    hear: Callable[[Leg, bytearray, Seen], None],
) -> Seen:
    """Let everybody talk.

    Args:
        legs: all that send and receive.
        pid: of the relay.
        seconds: for so long, after a second that does not count.
        say: writes what a leg says into its packet, whose sequence number and timestamp are written.
        hear: takes a packet that has come to a leg.
    """
    epoll = select.epoll()
    by_fd = {leg.sock.fileno(): leg for leg in legs}
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)
    slots = [legs[n::SLOTS] for n in range(SLOTS)]
    seen, before, began = Seen(), 0.0, 0.0
    buffer = bytearray(2048)
    clock = time.monotonic
    start = clock()
    for step in range(int((WARM_S + seconds) * 1000)):
        if step == int(WARM_S * 1000):
            seen, before, began = Seen(), cpu_s(pid), clock()
        if (wait := start + step / 1000 - clock()) > 0:
            time.sleep(wait)
        for leg in slots[step % SLOTS]:
            leg.seq = leg.seq + 1 & 0xFFFF
            leg.ts = leg.ts + FRAME & 0xFFFFFFFF
            struct.pack_into(">HI", leg.packet, 2, leg.seq, leg.ts)
            say(leg)
            with contextlib.suppress(OSError):
                leg.sock.send(leg.packet)
            seen.sent += 1
        for fd, _ in epoll.poll(0, 8192):
            leg = by_fd[fd]
            with contextlib.suppress(OSError):
                leg.sock.recv_into(buffer)
                seen.received += 1
                hear(leg, buffer, seen)
    epoll.close()
    seen.cpu_s, seen.passed_s = cpu_s(pid) - before, clock() - began
    return seen
