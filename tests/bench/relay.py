"""What the relay costs: ``scripts/bench relay``. No SIP: its sockets, parties and workers played here.

Each call is two legs that send G.711 every 20 ms, in phases of their own. The relay's CPU time is the
kernel's count, its delay that from a party's ``send`` to the other's ``recv``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from b2bua.ipc.channel import BlockingChannel
from b2bua.relay.control import (
    DescribeLeg,
    EdgeHello,
    FromRelay,
    JoinLegs,
    LegDescribed,
    LegKey,
    LegsJoined,
    MediaDescription,
    OpenLeg,
    PairsGranted,
    RecordTaps,
    RelayConfig,
    RelayReady,
    Tap,
)
from tests.ports import port_block

FRAME_S = 0.02
SLOTS = 20
"""Phases of the senders, a millisecond apart."""
WARM_S = 1.0
LIMIT_S = 60.0
FORMATS = {"pcma": (8, "PCMA/8000"), "pcmu": (0, "PCMU/8000")}
HEADER = struct.Struct(">BBHIId")
"""RTP, and the time of sending at the beginning of the payload."""

Told = TypeVar("Told", bound=msgspec.Struct)


class Client:
    """A connection to the relay.

    Args:
        path: of its socket.
    """

    def __init__(self, path: Path) -> None:
        sock = socket.socket(socket.AF_UNIX)
        until = time.monotonic() + LIMIT_S
        while True:
            try:
                sock.connect(str(path))
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        decoder = msgspec.msgpack.Decoder(FromRelay)
        self._channel = cast(BlockingChannel[Any], BlockingChannel(sock, decoder))
        self._told: list[Any] = []

    def send(self, *messages: msgspec.Struct) -> None:
        """Send messages."""
        self._channel.send(messages)
        while self._channel._unsent:
            select.select((), [self._channel.socket], (), 1.0)
            self._channel.flush()

    def expect(self, kind: type[Told]) -> Told:
        """Return the next message of a kind; those before it are dropped."""
        until = time.monotonic() + LIMIT_S
        while True:
            for n, message in enumerate(self._told):
                if isinstance(message, kind):
                    del self._told[: n + 1]
                    return message
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._channel.socket], (), (), left)[0]:
                raise TimeoutError(f"the relay sends no {kind.__name__}")
            self._told += self._channel.receive()


@dataclass
class Leg:
    """A party, or a worker, that sends and receives."""

    key: LegKey
    sock: socket.socket
    packet: bytearray
    seq: int = 0
    ts: int = 0


@dataclass
class _Seen:
    sent: int = 0
    received: int = 0
    delays_ms: list[float] = field(default_factory=list)


def cpu_s(pid: int) -> float:
    """CPU time of a process and its threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def _bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((host, 0))
    return sock


@contextlib.contextmanager
def running(folder: Path, calls: int, tick_ms: float) -> Iterator[tuple[int, RelayConfig, Client, Client]]:
    """Run a relay; give its pid, its configuration, controller and edge."""
    path = folder / "relay.sock"
    process = subprocess.Popen([sys.executable, "-m", "b2bua.relay", "--control", str(path)])
    try:
        first = port_block(4 * calls + 200)
        config = RelayConfig(
            bind="127.0.0.1",
            ports=(first, first + 4 * calls + 199),
            inner_host=f"127.{random.randint(64, 250)}.{random.randint(0, 255)}.1",
            inner_ports=(10_000, 10_000 + 2 * calls + 99),
            tick_ms=tick_ms,
        )
        controller = Client(path)
        controller.send(config)
        controller.expect(RelayReady)
        edge = Client(path)
        edge.send(EdgeHello())
        yield process.pid, config, controller, edge
    finally:
        process.terminate()
        process.wait(10)


def set_up(
    given: argparse.Namespace, folder: Path, config: RelayConfig, controller: Client, edge: Client
) -> list[Leg]:
    """Open the legs, and join them unless they stay with their workers or are for rooms."""
    pairs: list[Any] = []
    legs: list[Leg] = []
    keys: list[LegKey] = []
    for n in range(2 * given.calls):
        while not pairs:
            pairs += edge.expect(PairsGranted).pairs
        pair = pairs.pop(0)
        key = LegKey(f"{n}@bench", "w")
        far, worker = _bound("127.0.0.1"), _bound(config.inner_host)
        formats = (FORMATS["pcmu" if given.law and n % 2 else "pcma"],)
        sides = []
        for sock in (far, worker):
            host, port = sock.getsockname()
            sides.append(MediaDescription(host=host, port=port, rtcp_host=host, rtcp_port=0, formats=formats))
        edge.send(OpenLeg(leg=key, pair=pair), DescribeLeg(leg=key, far=sides[0], near=sides[1]))
        keys.append(key)
        packet = bytearray(HEADER.size + 152)
        far.connect(("127.0.0.1", pair.outer))
        worker.connect((config.inner_host, pair.inner))
        controller.expect(LegDescribed)
        HEADER.pack_into(packet, 0, 0x80, formats[0][0], 0, 0, n + 1, 0.0)
        legs.append(Leg(key, far, packet))
        if given.worker:
            legs.append(Leg(key, worker, bytearray(packet)))
        else:
            worker.close()
    for one, other in zip(keys[::2], keys[1::2], strict=True):
        if not given.worker and not given.room:
            controller.send(JoinLegs(one=one, other=other))
            controller.expect(LegsJoined)
        if given.record:
            path = str(folder / f"{one.call_id}.raw")
            controller.send(RecordTaps(recording=path, path=path, parent=Tap(one), child=Tap(other)))
    return legs


def _talk(legs: list[Leg], pid: int, seconds: float) -> tuple[_Seen, float, float]:
    """Let everybody talk; return what was seen, the relay's CPU seconds and the seconds they took."""
    epoll = select.epoll()
    by_fd = {leg.sock.fileno(): leg for leg in legs}
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)
    slots = [legs[n::SLOTS] for n in range(SLOTS)]
    seen, cpu, began = _Seen(), 0.0, 0.0
    buffer = bytearray(2048)
    clock = time.monotonic
    start = clock()
    for step in range(int((WARM_S + seconds) * 1000)):
        due = start + step / 1000
        if step == int(WARM_S * 1000):
            seen, cpu, began = _Seen(), cpu_s(pid), clock()
        if (wait := due - clock()) > 0:
            time.sleep(wait)
        for leg in slots[step % SLOTS]:
            leg.seq = leg.seq + 1 & 0xFFFF
            leg.ts = leg.ts + 160 & 0xFFFFFFFF
            struct.pack_into(">HI", leg.packet, 2, leg.seq, leg.ts)
            struct.pack_into(">d", leg.packet, 12, clock())
            with contextlib.suppress(OSError):
                leg.sock.send(leg.packet)
            seen.sent += 1
        for fd, _ in epoll.poll(0, 8192):
            receive = by_fd[fd].sock.recv_into
            with contextlib.suppress(OSError):
                receive(buffer)
                seen.received += 1
                seen.delays_ms.append((clock() - struct.unpack_from(">d", buffer, 12)[0]) * 1000)
    return seen, cpu_s(pid) - cpu, clock() - began


def main(arguments: list[str]) -> int:
    """Measure, print, and say whether packets were lost."""
    parser = argparse.ArgumentParser(prog="scripts/bench relay", description=__doc__)
    parser.add_argument("--calls", type=int, default=50, metavar="N", help="of two legs each (default: 50)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="for so long (default: 10)")
    parser.add_argument("--tick", type=float, default=5.0, metavar="MS", help="relay.tick_ms (default: 5)")
    parser.add_argument("--record", action="store_true", help="record both sides of each call")
    parser.add_argument("--worker", action="store_true", help="do not join: two legs with their workers")
    parser.add_argument("--law", action="store_true", help="A-law on one side, µ-law on the other")
    parser.add_argument("--room", type=int, default=0, metavar="N", help="rooms of N legs, all talking")
    given = parser.parse_args(arguments)
    if not 1 <= given.calls <= 1000 or not 1 <= given.seconds <= 600:
        parser.error("1 to 1000 calls, 1 to 600 seconds")
    if given.room:
        from . import relay_rooms

        return relay_rooms.measure(given)
    with tempfile.TemporaryDirectory(prefix="bench-relay-") as temporary:
        folder = Path(temporary)
        with running(folder, given.calls, given.tick) as (pid, config, controller, edge):
            legs = set_up(given, folder, config, controller, edge)
            seen, cpu, passed = _talk(legs, pid, given.seconds)
    # Between the two laws the payload is translated, and the time of sending in it.
    delays = [] if given.law else sorted(seen.delays_ms)
    found = {
        "calls": given.calls,
        "mode": "worker" if given.worker else "joined",
        "recorded": given.record,
        "cores": os.cpu_count(),
        "cpu_s_per_call_s": round(cpu / passed / given.calls, 6),
        "us_per_packet": round(cpu / max(1, seen.received) * 1e6, 2),
        "packets_per_s": round(seen.received / passed),
        "lost_of_1000": round(1000 * (1 - seen.received / max(1, seen.sent)), 2),
        "delay_ms_p50": round(delays[len(delays) // 2], 2) if delays else None,
        "delay_ms_p99": round(delays[int(len(delays) * 0.99)], 2) if delays else None,
    }
    print(json.dumps(found))
    return 0 if found["lost_of_1000"] < 5 else 1
