"""What conference rooms cost in the relay: ``scripts/bench relay --room N``.

All members talk noise, or the first of each room do and the others are silent; each sends 20 ms a packet, in
a phase of its own. One of each room claps once a second: the delay is that from its ``send`` to another
member's ``recv``, without the time of a frame, which is the same in any call. Where one talks alone, the
frames of its noise are told apart: each that does not follow the one before it is a gap.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path

from b2bua.relay.control import RecordRoom, RoomEntered, RoomMember, SetRoom

from .parties import FRAME, HEAD, Leg, Seen, talk
from .relay import running, set_up

EACH = 50
"""Packets between two claps."""
LOUD = bytes(1 if (code ^ 0x55) & 0x7F >= 0x68 else 0 for code in range(256))
"""A-law codes of the loudest samples."""
CLAP = bytes((0x7F ^ 0x55, 0xFF ^ 0x55)) * (FRAME // 2)
SILENCE = b"\xd5" * FRAME
SIGNS = bytes(code >> 7 for code in range(256))
"""Signs of samples: frames of noise are told apart by them, as the others' silence is mixed to it."""
NOISES = 25
WINDOWS = 12
"""Parts of a run, whose median delays are compared."""


def _noise() -> bytes:
    """A frame of about -33 dBFS, without samples near 0."""
    return bytes((random.randrange(0x20, 0x30) | random.choice((0, 0x80))) ^ 0x55 for _ in range(FRAME))


class Talk:
    """What the members of rooms say, and what they make of what they hear.

    Args:
        rooms: the members of each; the first of each claps.
        talkers: so many of each room talk; 0: all.
    """

    def __init__(self, rooms: list[list[Leg]], talkers: int) -> None:
        self._room_of = {id(leg): number for number, room in enumerate(rooms) for leg in room}
        self._listeners = [{id(leg) for leg in room[1:]} for room in rooms]
        self._talk = {id(leg) for room in rooms for leg in (room[:talkers] if talkers else room)}
        self._clap = {id(room[0]) for room in rooms}
        self._noises = [_noise() for _ in range(NOISES)]
        self._number_of = {noise.translate(SIGNS): number for number, noise in enumerate(self._noises)}
        self._number_of[CLAP.translate(SIGNS)] = 0  # which it takes the place of
        self._witness = {id(rooms[0][-1])} if talkers == 1 else set()
        self._latest = -1
        """Number of the noise that the witness was to hear last; -1: it has heard none."""
        self._clapped: dict[int, float] = {}
        """By room, when its latest clap was sent."""
        self._waiting: set[int] = set()
        """Members that have not heard it."""

    def say(self, leg: Leg) -> None:
        """See ``parties.talk``."""
        who = id(leg)
        payload = self._noises[leg.seq % NOISES] if who in self._talk else SILENCE
        if who in self._clap and leg.seq % EACH == 0:
            room = self._room_of[who]
            payload, self._clapped[room] = CLAP, time.monotonic()
            self._waiting |= self._listeners[room]
        leg.packet[HEAD : HEAD + FRAME] = payload

    def hear(self, leg: Leg, buffer: bytearray, seen: Seen) -> None:
        """See ``parties.talk``."""
        who = id(leg)
        if who in self._waiting and buffer[HEAD : HEAD + FRAME].translate(LOUD).count(1) > FRAME // 4:
            self._waiting.discard(who)
            seen.delays_ms.append((time.monotonic() - self._clapped[self._room_of[who]]) * 1000)
        if who in self._witness:
            number = self._number_of.get(bytes(buffer[HEAD : HEAD + FRAME]).translate(SIGNS), -1)
            expected = (self._latest + 1) % NOISES
            if self._latest >= 0:
                seen.gaps += number != expected
            if number >= 0:
                self._latest = number
            elif self._latest >= 0:  # a frame that was concealed
                self._latest = expected


def measure(given: argparse.Namespace) -> int:
    """Measure, print, and say whether packets were lost."""
    with tempfile.TemporaryDirectory(prefix="bench-rooms-") as temporary:
        folder = Path(temporary)
        with running(folder, given.calls, given.tick) as (pid, config, controller, edge):
            legs = set_up(given, folder, config, controller, edge)
            rooms = [legs[n : n + given.room] for n in range(0, len(legs), given.room)]
            for n, room in enumerate(rooms):
                members = tuple(RoomMember(leg=leg.key, jitter_ms=given.jitter) for leg in room)
                controller.send(SetRoom(room=f"r{n}", members=members))
                if given.record:
                    path = str(folder / f"r{n}.raw")
                    controller.send(RecordRoom(room=f"r{n}", recording=path, path=path))
            for _ in legs:
                controller.expect(RoomEntered)
            talking = Talk(rooms, given.talkers)
            seen = talk(legs, pid, given.seconds, talking.say, talking.hear)
    count = len(seen.delays_ms)
    windows = [seen.delays_ms[n * count // WINDOWS : (n + 1) * count // WINDOWS] for n in range(WINDOWS)]
    medians = [sorted(window)[len(window) // 2] for window in windows if window]
    found = {
        "participants": len(legs),
        "rooms_of": given.room,
        "talkers": given.talkers or given.room,
        "jitter_ms": given.jitter,
        "recorded": given.record,
        "cores": os.cpu_count(),
        "seconds": round(seen.passed_s),
        "relay_cores": round(seen.cpu_s / seen.passed_s, 3),
        "cpu_s_per_participant_s": round(seen.cpu_s / seen.passed_s / len(legs), 6),
        "us_per_participant_tick": round(seen.cpu_s / seen.passed_s / len(legs) / 50 * 1e6, 2),
        "packets_per_s": round(seen.received / seen.passed_s),
        "lost_of_1000": seen.lost_of_1000,
        "gaps": seen.gaps if given.talkers == 1 else None,
        "delay_ms_p50": seen.delay_ms(0.5),
        "delay_ms_p95": seen.delay_ms(0.95),
        "delay_ms_most": seen.delay_ms(1.0),
        "delay_ms_medians": [round(median, 1) for median in medians],
    }
    print(json.dumps(found))
    return 0 if seen.lost_of_1000 < 5 else 1
