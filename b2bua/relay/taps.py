"""Taps: what passes a leg, as records of a raw file (``media.relay_file``)."""

import struct
from collections.abc import Callable
from typing import Final

from b2bua.relay.packet import MIN_RTP, SIZE, Packet, payload_of
from media.relay_file import CHILD, PARENT, RECORD, SYNC

__all__ = ["CHILD", "PARENT", "Recording", "RoomTap", "Tap"]

_PLAIN: Final = 0x80
PCMU: Final = 0
PCMA: Final = 8
_HEAD: Final = RECORD.size
_RATE: Final = 8000
_ROOM_SSRC: Final = 1
"""Of the packets of a room's recording, which nobody is sent."""
_ROOM: Final = 24 << 10
"""Bytes of a recording that wait to be written: half a second, with some packets more."""


def _record(length: int) -> Callable[..., None]:
    """Return what packs a record with ``length`` bytes of payload; its first four bytes are one number."""
    assert RECORD.format.startswith("<BBBB")
    return struct.Struct(f"<I{RECORD.format[5:]}{length}s").pack_into


_USUAL: Final = {length: _record(length) for length in range(SIZE)}
"""By length: one call for the header and the payload of a record."""


class Recording:
    """What is to be written to one raw file.

    The room is taken once: to let it grow from nothing twice a second cost as much as all the rest.
    """

    __slots__ = ("_full", "room", "used")

    def __init__(self) -> None:
        self.room = bytearray(_ROOM)
        self.used = 0
        """Bytes of ``room``."""
        self._full: list[bytes] = []

    def spill(self) -> None:
        """Make room."""
        self._full.append(bytes(memoryview(self.room)[: self.used]))
        self.used = 0

    def take(self) -> bytes:
        """Return what has come since the last time."""
        self.spill()
        piece = b"".join(self._full)
        self._full.clear()
        return piece


class Tap:
    """One side of a recording: writes the packet in the buffer down."""

    __slots__ = ("_data", "_first", "_recording", "_room")

    def __init__(self, packet: Packet, recording: Recording, side: int) -> None:
        self._data = packet.data
        self._recording = recording
        self._room = recording.room
        self._first = SYNC | side << 8

    def add(self, kind: int, seq: int, ts: int, ssrc: int, size: int, now: float) -> None:
        """Write down the packet of ``size`` bytes whose header has been read, if it is G.711."""
        if kind != PCMA and kind != PCMU:
            return
        begin, data = MIN_RTP, self._data
        if data[0] != _PLAIN:
            begin, size = payload_of(data, size)
        length = size - begin
        recording = self._recording
        used = recording.used
        if used + _HEAD + length > _ROOM:
            recording.spill()
            used = 0
        pack = _USUAL[length]
        pack(self._room, used, self._first | kind << 16, now, ssrc, ts, seq, length, data[begin:size])
        recording.used = used + _HEAD + length


class RoomTap:
    """The recording of a room: its frames become the packets of one stream.

    Args:
        tap: where they go.
        packet: the buffer.
    """

    __slots__ = ("_data", "_number", "_tap")

    def __init__(self, tap: Tap, packet: Packet) -> None:
        self._tap = tap
        self._data = packet.data
        self._number = -1

    def add_frame(self, payload: bytes, now: float) -> None:
        """Write down a frame of µ-law, by way of the buffer."""
        self._number += 1
        size = MIN_RTP + len(payload)
        self._data[0] = _PLAIN
        self._data[MIN_RTP:size] = payload
        ts = round(now * _RATE) & 0xFFFFFFFF  # so that a pause of the room is one of the recording
        self._tap.add(0, self._number & 0xFFFF, ts, _ROOM_SSRC, size, now)
