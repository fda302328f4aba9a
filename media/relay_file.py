"""The raw file of a recording made by the relay: the packets of its two sides, with their times.

The file begins with ``MAGIC`` and the time of the recording's start. Each record is ``RECORD`` followed by
the payload. It is appended to in pieces of half a second; a piece may be cut by the death of the relay, and
what follows a cut begins with ``MAGIC`` again.
"""

import struct
from typing import Final

__all__ = ["CHILD", "HEADER", "MAGIC", "PARENT", "RECORD", "SYNC"]

MAGIC: Final = b"b2buaRTP"
HEADER: Final = struct.Struct("<8sd")
"""Magic; CLOCK_MONOTONIC seconds at which the recording began, the same in each header of a file."""

SYNC: Final = 0xB2
RECORD: Final = struct.Struct("<BBBBdIIHH")
"""``SYNC``; side; payload type (7 bits, 0 PCMU or 8 PCMA); 0; CLOCK_MONOTONIC seconds of arrival; SSRC; RTP
timestamp; sequence number; length of the payload in bytes."""

PARENT: Final = 0
CHILD: Final = 1
