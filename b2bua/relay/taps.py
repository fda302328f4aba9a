"""Taps: what passes a leg, as records of a raw file (``media.relay_file``).

A packet is written down as it is, header and all, and judged by whoever reads the file: while calls are up,
each step that is taken for each packet is taken 100 times a second for each call.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Final

from b2bua.relay.packet import HEADER
from media.relay_file import CHILD, PARENT, STAMP, SYNC

__all__ = ["CHILD", "PARENT", "Recording", "RoomTap", "Tap", "stamp", "write_down"]

Tap = tuple[Callable[[bytes | memoryview], object], int]
"""One side of a recording: what takes the parts of a record, and its first word but for the size."""

_ROOM: Final = 24 << 10
"""Bytes of a recording that usually wait to be written: half a second, with some packets more."""
_RATE: Final = 8000
_PLAIN: Final = 0x80
_PCMU: Final = 0
_ROOM_SSRC: Final = 1
"""Of the packets of a room's recording, which nobody is sent."""

stamp: Final = STAMP.pack
"""Make the beginning of a record: ``stamp(word | size << 16, now)``."""


def write_down(taps: Iterable[Tap], packet: bytes | memoryview, now: float) -> None:
    """Write a packet down in each of some recordings."""
    for write, word in taps:
        write(stamp(word | len(packet) << 16, now))
        write(packet)


class Recording:
    """What is to be written to one raw file.

    Its room is kept: to let it grow from nothing twice a second cost as much as all the rest.
    """

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room = BytesIO()

    def tap(self, side: int) -> Tap:
        """Return what writes one side of it."""
        return self._room.write, SYNC | side << 8

    def take(self) -> bytes:
        """Return what has come since the last time."""
        room = self._room
        used = room.tell()
        if not used:
            return b""
        room.seek(0)
        piece = room.read(used)
        room.seek(0)
        if used > _ROOM:
            room.truncate()
        return piece


class RoomTap:
    """The recording of a room: its frames become the packets of one stream."""

    __slots__ = ("_number", "_taps")

    def __init__(self, recording: Recording) -> None:
        self._taps = (recording.tap(PARENT),)
        self._number = -1

    def add_frame(self, payload: bytes, now: float) -> None:
        """Write down a frame of µ-law."""
        self._number += 1
        ts = round(now * _RATE) & 0xFFFFFFFF  # so that a pause of the room is one of the recording
        header = HEADER.pack(_PLAIN, _PCMU, self._number & 0xFFFF, ts, _ROOM_SSRC)
        write_down(self._taps, header + payload, now)
