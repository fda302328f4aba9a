"""The raw file of a recording made by the relay: the packets of its two sides, with their times.

The file begins with ``MAGIC`` and the time of the recording's start. Each record is ``STAMP`` followed by an
RTP packet as it came or went, of whatever payload type. It is appended to in pieces of half a second; a piece
may be cut by the death of the relay, and what follows a cut begins with ``MAGIC`` again.
"""

import struct
from typing import Final

__all__ = ["CHILD", "HEADER", "MAGIC", "PARENT", "RECORD", "RTP_HEADER_BYTES", "STAMP", "SYNC"]

MAGIC: Final = b"b2buaRT2"
HEADER: Final = struct.Struct("<8sd")
"""Magic; CLOCK_MONOTONIC seconds at which the recording began, the same in each header of a file."""

SYNC: Final = 0xB2
STAMP: Final = struct.Struct("<Id")
"""One word of ``SYNC``, the side << 8 and the packet's size in bytes << 16; CLOCK_MONOTONIC seconds of the
packet's arrival."""
RTP_HEADER_BYTES: Final = 12
"""RFC 3550 §5.1, without contributors and extension."""
RECORD: Final = struct.Struct(f"<BBHd{RTP_HEADER_BYTES}s")
"""``STAMP`` taken apart, and the packet's header: all of a record but the payload of a plain packet."""

PARENT: Final = 0
CHILD: Final = 1
