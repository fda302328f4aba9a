"""Taps: what passes a leg, as records of a raw file (``media.relay_file``)."""

from typing import Final

from b2bua.relay.packet import MIN_RTP, Packet, payload_of
from media.relay_file import CHILD, PARENT, RECORD, SYNC

__all__ = ["CHILD", "PARENT", "Recording", "Tap"]

_PACK: Final = RECORD.pack
_PLAIN: Final = 0x80
_G711: Final = (0, 8)


class Recording:
    """What is to be written to one raw file."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = bytearray()

    def take(self) -> bytes:
        """Return what has come since the last time."""
        piece = bytes(self.pending)
        self.pending.clear()
        return piece


class Tap:
    """One side of a recording: writes the packet in the buffer down."""

    __slots__ = ("_data", "_pending", "_side", "_views")

    def __init__(self, packet: Packet, recording: Recording, side: int) -> None:
        self._data = packet.data
        self._views = packet.views
        self._pending = recording.pending
        self._side = side

    def add(self, kind: int, seq: int, ts: int, ssrc: int, size: int, now: float) -> None:
        """Write down the packet of ``size`` bytes whose header has been read, if it is G.711."""
        if kind not in _G711:
            return
        begin, data = MIN_RTP, self._data
        if data[0] != _PLAIN:
            begin, size = payload_of(data, size)
        pending = self._pending
        pending += _PACK(SYNC, self._side, kind, 0, now, ssrc, ts, seq, size - begin)
        pending += self._views[size][begin:]
