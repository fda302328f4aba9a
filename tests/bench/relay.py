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

from .parties import HEAD, Leg, Seen, talk

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


def _say(leg: Leg) -> None:
    struct.pack_into(">d", leg.packet, HEAD, time.monotonic())


def _hear(leg: Leg, buffer: bytearray, seen: Seen) -> None:
    seen.delays_ms.append((time.monotonic() - struct.unpack_from(">d", buffer, HEAD)[0]) * 1000)


def main(arguments: list[str]) -> int:
    """Measure, print, and say whether packets were lost."""
    parser = argparse.ArgumentParser(prog="scripts/bench relay", description=__doc__)
    parser.add_argument(
        "--calls", type=int, default=0, metavar="N", help="of two legs each (default: 50, or one room)"
    )
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="for so long (default: 10)")
    parser.add_argument("--tick", type=float, default=5.0, metavar="MS", help="relay.tick_ms (default: 5)")
    parser.add_argument("--record", action="store_true", help="record both sides of each call")
    parser.add_argument("--turns", action="store_true", help="record in turns, and tell what that costs")
    parser.add_argument("--worker", action="store_true", help="do not join: two legs with their workers")
    parser.add_argument("--law", action="store_true", help="A-law on one side, µ-law on the other")
    parser.add_argument("--room", type=int, default=0, metavar="N", help="rooms of N legs, all talking")
    parser.add_argument("--talkers", type=int, default=0, metavar="N", help="of each room; the others listen")
    parser.add_argument(
        "--jitter",
        type=int,
        default=60,
        metavar="MS",
        help="that a room waits for: 0, 20, 40 or 60 (default)",
    )
    given = parser.parse_args(arguments)
    given.calls = given.calls or -(-given.room // 2) or 50
    if not 1 <= given.calls <= 1000 or not 1 <= given.seconds <= 3600:
        parser.error("1 to 1000 calls, 1 to 3600 seconds")
    if given.room:
        from . import relay_rooms

        return relay_rooms.measure(given)
    if given.turns:
        from . import relay_turns

        return relay_turns.measure(given)
    with tempfile.TemporaryDirectory(prefix="bench-relay-") as temporary:
        folder = Path(temporary)
        with running(folder, given.calls, given.tick) as (pid, config, controller, edge):
            legs = set_up(given, folder, config, controller, edge)
            seen = talk(legs, pid, given.seconds, _say, _hear)
    if given.law:  # the payload is translated between the two laws, and the time of sending in it
        seen.delays_ms.clear()
    found = {
        "calls": given.calls,
        "mode": "worker" if given.worker else "joined",
        "recorded": given.record,
        "cores": os.cpu_count(),
        "cpu_s_per_call_s": round(seen.cpu_s / seen.passed_s / given.calls, 6),
        "us_per_packet": round(seen.cpu_s / max(1, seen.received) * 1e6, 2),
        "packets_per_s": round(seen.received / seen.passed_s),
        "lost_of_1000": seen.lost_of_1000,
        "delay_ms_p50": seen.delay_ms(0.5),
        "delay_ms_p99": seen.delay_ms(0.99),
    }
    print(json.dumps(found))
    return 0 if seen.lost_of_1000 < 5 else 1
