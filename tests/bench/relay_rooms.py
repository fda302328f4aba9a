"""What conference rooms cost in the relay: ``scripts/bench relay --room N``.

All members talk noise, 20 ms a packet, each in a phase of its own. One of each room claps once a second: the
delay is that from its ``send`` to another member's ``recv``, without the time of a frame, which is the same
in any call.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import struct
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from b2bua.relay.control import RecordRoom, RoomEntered, RoomMember, SetRoom

from .relay import SLOTS, WARM_S, Leg, cpu_s, running, set_up

FRAME = 160
HEAD = 12
EACH = 50
"""Packets between two claps."""
LOUD = bytes(1 if (code ^ 0x55) & 0x7F >= 0x68 else 0 for code in range(256))
"""A-law codes of the loudest samples."""
CLAP = bytes((0x7F ^ 0x55, 0xFF ^ 0x55)) * (FRAME // 2)
NOISES = 25


@dataclass
class Seen:
    """What was seen."""

    sent: int = 0
    received: int = 0
    delays_ms: list[float] = field(default_factory=list)


def _noise() -> bytes:
    """A frame of about -40 dBFS."""
    return bytes((random.randrange(0x30) | random.choice((0, 0x80))) ^ 0x55 for _ in range(FRAME))


def measure(given: argparse.Namespace) -> int:
    """Measure, print, and say whether packets were lost."""
    with tempfile.TemporaryDirectory(prefix="bench-rooms-") as temporary:
        folder = Path(temporary)
        with running(folder, given.calls, given.tick) as (pid, config, controller, edge):
            legs = set_up(given, folder, config, controller, edge)
            rooms = [legs[n : n + given.room] for n in range(0, len(legs), given.room)]
            for n, room in enumerate(rooms):
                members = tuple(RoomMember(leg=leg.key) for leg in room)
                controller.send(SetRoom(room=f"r{n}", members=members))
                if given.record:
                    path = str(folder / f"r{n}.raw")
                    controller.send(RecordRoom(room=f"r{n}", recording=path, path=path))
            for _ in legs:
                controller.expect(RoomEntered)
            seen, cpu, passed = _talk(rooms, pid, given.seconds)
    delays = sorted(seen.delays_ms)
    found = {
        "participants": len(legs),
        "rooms_of": given.room,
        "recorded": given.record,
        "cores": os.cpu_count(),
        "cpu_s_per_participant_s": round(cpu / passed / len(legs), 6),
        "us_per_participant_tick": round(cpu / passed / len(legs) / 50 * 1e6, 2),
        "packets_per_s": round(seen.received / passed),
        "lost_of_1000": round(1000 * (1 - seen.received / max(1, seen.sent)), 2),
        "delay_ms_p50": round(delays[len(delays) // 2], 2) if delays else None,
        "delay_ms_p95": round(delays[int(len(delays) * 0.95)], 2) if delays else None,
        "delay_ms_most": round(delays[-1], 2) if delays else None,
    }
    print(json.dumps(found))
    return 0 if found["lost_of_1000"] < 5 else 1


def _talk(rooms: list[list[Leg]], pid: int, seconds: float) -> tuple[Seen, float, float]:
    """Let everybody talk; return what was seen, the relay's CPU seconds and the seconds they took."""
    epoll = select.epoll()
    room_of = {leg.sock.fileno(): number for number, room in enumerate(rooms) for leg in room}
    legs = [leg for room in rooms for leg in room]
    clappers = {id(room[0]): number for number, room in enumerate(rooms)}
    by_fd = {leg.sock.fileno(): leg for leg in legs}
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)
    slots = [legs[n::SLOTS] for n in range(SLOTS)]
    noises = [_noise() for _ in range(NOISES)]
    clapped: dict[int, float] = {}
    """By room, when its latest clap was sent."""
    waiting: set[int] = set()
    """Sockets that have not heard it."""
    seen, cpu, began = Seen(), 0.0, 0.0
    buffer = bytearray(2048)
    clock = time.monotonic
    start = clock()
    for step in range(int((WARM_S + seconds) * 1000)):
        due = start + step / 1000
        if step == int(WARM_S * 1000):
            seen, cpu, began = Seen(), cpu_s(pid), clock()
        if (wait := due - clock()) > 0:
            time.sleep(wait)
        for leg in slots[step % SLOTS]:
            leg.seq = leg.seq + 1 & 0xFFFF
            leg.ts = leg.ts + FRAME & 0xFFFFFFFF
            struct.pack_into(">HI", leg.packet, 2, leg.seq, leg.ts)
            payload = noises[(leg.seq + step) % NOISES]
            if leg.seq % EACH == 0 and (number := clappers.get(id(leg))) is not None:
                payload, clapped[number] = CLAP, clock()
                waiting |= {other.sock.fileno() for other in rooms[number] if other is not leg}
            leg.packet[HEAD : HEAD + FRAME] = payload
            with contextlib.suppress(OSError):
                leg.sock.send(leg.packet)
            seen.sent += 1
        for fd, _ in epoll.poll(0, 8192):
            with contextlib.suppress(OSError):
                by_fd[fd].sock.recv_into(buffer)
                seen.received += 1
                if fd in waiting and buffer[HEAD : HEAD + FRAME].translate(LOUD).count(1) > FRAME // 4:
                    waiting.discard(fd)
                    seen.delays_ms.append((clock() - clapped[room_of[fd]]) * 1000)
    return seen, cpu_s(pid) - cpu, clock() - began
