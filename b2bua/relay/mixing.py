"""The mixing desk: all rooms in a few array operations a tick.

It imports numpy, which costs 25 MB and 0.2 s; ``room_loader`` imports it when the first room is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from b2bua.relay.seat import FRAME, DeskRoom, Frames, Seat
from media.g711 import PCMU, encode
from media.jitter import JitterBuffer
from media.mixing import Mixer, RoomSeats
from media.mixing import Seat as Place
from media.voice_activity import VoiceActivity

__all__ = ["MixingDesk", "Mixture"]

_MARGIN_S: Final = 0.005
"""Margin of a jitter buffer. Packets that are read when a room is mixed have margins of whole frames: of one
frame then, not of none, so that a slower clock is evened out in a pause before its packets are late."""
_BYTES: Final = 2 * FRAME
"""Of a frame of 16-bit samples."""


@dataclass(slots=True)
class Mixture:
    """See ``seat.Mix``."""

    heard: list[bytes | None]
    recordings: dict[str, bytes]
    voices: list[tuple[Seat, bool]] = field(default_factory=list)


class MixingDesk:
    """See ``seat.Desk``."""

    def __init__(self) -> None:
        self._mixer = Mixer()
        self._activity = VoiceActivity()
        self._seats: list[Seat] = []
        self._watched: frozenset[int] = frozenset()
        """Indices of the seats whose voices are wanted."""

    def buffer(self, law: int, most_s: float) -> Frames:
        """See ``seat.Desk``."""
        return JitterBuffer(law, _MARGIN_S, most_s)

    def arrange(self, rooms: Sequence[DeskRoom]) -> None:
        """See ``seat.Desk``."""
        self._seats = [seat for room in rooms for seat in room.seats.values()]
        watched = [room.voices for room in rooms for _ in room.seats]
        self._watched = frozenset(n for n, voices in enumerate(watched) if voices)
        self._mixer.measures = bool(self._watched)
        self._mixer.arrange([_seated(room) for room in rooms])
        self._activity.arrange(self._mixer.keys)

    def mix(self, sounds: dict[str, list[bytes]], private: dict[str, list[bytes]], now: float) -> Mixture:
        """See ``seat.Desk``."""
        frames = np.frombuffer(b"".join([seat.take(now) for seat in self._seats]), np.uint8)
        mixed = self._mixer.mix(
            frames.reshape(-1, FRAME),
            {room: _sum(parts) for room, parts in sounds.items()},
            {key: _sum(parts) for key, parts in private.items()},
        )
        payloads = mixed.payloads
        result = Mixture(
            [payloads[n] if n >= 0 else None for n in mixed.payload_of],
            {room: encode(PCMU, samples) for room, samples in mixed.recordings.items()},
        )
        if mixed.levels is not None:
            changed = self._activity.update(mixed.levels)
            result.voices = [(self._seats[n], voice) for n, voice in changed if n in self._watched]
        return result


def _seated(room: DeskRoom) -> RoomSeats:
    return RoomSeats(
        key=room.name,
        seats=tuple(
            Place(
                key=seat.key,
                law=seat.law,
                talks=seat.talks,
                recorded=seat.recorded,
                listens=seat.listens,
                coaches=_coached(room, seat),
            )
            for seat in room.seats.values()
        ),
        recorded=room.recorded,
    )


def _coached(room: DeskRoom, seat: Seat) -> str:
    """Key of the seat that alone hears ``seat``; one that is not there is a key of nobody."""
    if seat.coaches is None:
        return ""
    target = room.seats.get(seat.coaches)
    return target.key if target is not None else "nobody"


def _sum(parts: list[bytes]) -> npt.NDArray[np.int32]:
    total = np.zeros(FRAME, np.int32)
    for part in parts:
        samples = np.frombuffer(part[:_BYTES], "<i2")
        total[: samples.size] += samples
    return total
