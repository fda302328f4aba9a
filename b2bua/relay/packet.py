"""The one buffer that every packet is read into, changed in, and sent from."""

import struct
from collections.abc import Callable
from typing import Final

__all__ = ["HEADER", "MIN_RTP", "SIZE", "Packet", "Send", "nowhere", "payload_of"]

SIZE: Final = 2048
"""Bytes of the buffer; a datagram that fills it is longer than any packet of audio, and is dropped."""
MIN_RTP: Final = 12
HEADER: Final = struct.Struct(">BBHII")
"""RFC 3550 §5.1: version, padding, extension and CSRC count; marker and type; sequence number; timestamp;
SSRC."""

Send = Callable[[bytes | memoryview], object]
"""Sends to one address; raises OSError when the packet cannot go."""


def nowhere(data: bytes | memoryview) -> None:
    """Send to nobody: the address is not known."""


class Packet:
    """The buffer, and a view of each of its beginnings: slicing makes an object, an index makes none."""

    __slots__ = ("data", "views")

    def __init__(self) -> None:
        self.data = bytearray(SIZE)
        view = memoryview(self.data)
        self.views = [view[:size] for size in range(SIZE + 1)]


def payload_of(data: bytearray, size: int) -> tuple[int, int]:
    """Return begin and end of the payload of an RTP packet of ``size`` bytes; equal if it has none.

    RFC 3550 §5.1: CSRCs and the extension precede it, padding follows it.
    """
    first = data[0]
    if first == 0x80:
        return MIN_RTP, size
    begin = MIN_RTP + 4 * (first & 0x0F)
    if first & 0x10:
        if begin + 4 > size:
            return size, size
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
    end = size - data[size - 1] if first & 0x20 else size
    return (begin, end) if begin < end else (size, size)
