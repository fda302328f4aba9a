"""Rooms of tones: each member says a tone of its own, and what the others hear is measured."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from media.g711 import PCMA, PCMU, decode, encode
from media.measure import goertzel_dbfs
from media.mixing import FRAME, Mixer, RoomSeats, Seat

RATE = 8000
SILENCE = {PCMU: b"\xff" * FRAME, PCMA: b"\xd5" * FRAME}

Samples = np.ndarray[Any, Any]


def tone(hz: float, dbfs: float, frames: int, start: int = 0) -> Samples:
    """int16 of ``frames`` frames of a sine, beginning with frame ``start`` of it."""
    t = np.arange(start * FRAME, (start + frames) * FRAME) / RATE
    return np.rint(32767 * 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * t)).astype(np.int16)


class Talk:
    """Rooms over time: what each member says goes in, what each hears comes out.

    Args:
        rooms: at the start.
        says: frame ``n`` of a member by its key: int16[FRAME]; without a function it is silent.
    """

    def __init__(self, *rooms: RoomSeats, **says: Callable[[int], Samples]) -> None:
        self.mixer = Mixer()
        self.says = says
        self.tick = 0
        self.heard: dict[str, list[Samples]] = {}
        self.recorded: dict[str, list[Samples]] = {}
        self.payloads: list[dict[str, bytes]] = []
        self.arrange(*rooms)

    def arrange(self, *rooms: RoomSeats) -> None:
        self.laws = {seat.key: seat.law for room in rooms for seat in room.seats}
        self.mixer.arrange(rooms)

    def run(self, ticks: int, sounds: Callable[[int], dict[str, Samples]] | None = None) -> None:
        for _ in range(ticks):
            frames = b"".join(self._frame(key) for key in self.mixer.keys)
            array = np.frombuffer(frames, np.uint8).reshape(-1, FRAME)
            mixed = self.mixer.mix(array, sounds(self.tick) if sounds else None)
            heard = {}
            for key, number in zip(self.mixer.keys, mixed.payload_of, strict=True):
                if number >= 0:
                    heard[key] = mixed.payloads[number]
                    codes = np.frombuffer(heard[key], np.uint8)
                    self.heard.setdefault(key, []).append(decode(self.laws[key], codes))
            for room, samples in mixed.recordings.items():
                self.recorded.setdefault(room, []).append(samples)
            self.payloads.append(heard)
            self.tick += 1

    def _frame(self, key: str) -> bytes:
        if key not in self.says:
            return SILENCE[self.laws[key]]
        return encode(self.laws[key], self.says[key](self.tick))

    def hears(self, key: str, skip: int = 2) -> Samples:
        """All that a member has heard, without the fades of the first frames."""
        return np.concatenate(self.heard[key][skip:])

    def level(self, key: str, hz: float, skip: int = 2) -> float:
        return goertzel_dbfs(self.hears(key, skip), hz, RATE)


def says(hz: float, dbfs: float = -20.0) -> Callable[[int], Samples]:
    return lambda tick: tone(hz, dbfs, 1, tick)


def room(*seats: Seat | str, key: str = "r", recorded: bool = False) -> RoomSeats:
    made = tuple(seat if isinstance(seat, Seat) else Seat(key=seat) for seat in seats)
    return RoomSeats(key=key, seats=made, recorded=recorded)


def steps(samples: Samples) -> float:
    """The largest step between two samples: a click is larger than any sound's own."""
    return float(np.abs(np.diff(samples.astype(np.int32))).max())


def ticks(seconds: float) -> Iterator[int]:
    return iter(range(round(seconds * 50)))
