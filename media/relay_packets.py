"""Reading of a relay's raw file (``media.relay_file``): the headers of its packets, some at a time.

Only the relay writes such a file, but it may die, or the disk may fill up, in the middle of a record. What
has been appended afterwards begins with ``MAGIC``. So where no record begins, the reader searches for the
next ``MAGIC``, and first of all inside the latest record: if that was cut, the bytes that it seems to have
are those of the next piece.

The relay writes down whatever passes. What is no audio of G.711, as a key is, is left out here.

Payloads are not kept; ``payload_at`` tells where they are. Memory: 32 bytes a packet, for as many packets as
are asked for at a time.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from media.g711 import PCMA, PCMU
from media.recording import RecordingError
from media.relay_file import CHILD, HEADER, MAGIC, PARENT, RECORD, RTP_HEADER_BYTES, SYNC

__all__ = ["LONGEST_S", "PACKET", "Packets", "packets"]

LONGEST_S: Final = 25 * 3600.0
"""Packets later than this are damage: a call lasts 24 hours at most."""

PACKET: Final = np.dtype(
    [
        ("side", "u1"),
        ("payload_type", "u1"),
        ("at", "<f8"),
        ("ssrc", "<u4"),
        ("timestamp", "<u4"),
        ("sequence", "<u2"),
        ("length", "<u2"),
        ("payload_at", "<i8"),
    ]
)
"""Side; 7 bits, 0 PCMU or 8 PCMA; arrival in seconds since the start of the recording; the fields of RTP; the
payload's bytes, and where in the file it is."""

Packets = npt.NDArray[np.void]
"""PACKET[n], in the order of the file."""

_BLOCK_BYTES: Final = 1 << 22
_FIRST_WORDS: Final = frozenset(SYNC | side << 8 for side in (PARENT, CHILD))
"""The first two bytes of a record, as a number."""
_HEAD: Final = struct.Struct("<HH8xB")
"""Sync and side; size of the packet; first byte of the packet."""
_STAMP_BYTES: Final = RECORD.size - RTP_HEADER_BYTES
_RECORD: Final = np.dtype(
    [
        ("sync", "u1"),
        ("side", "u1"),
        ("size", "<u2"),
        ("at", "<f8"),
        ("first", "u1"),
        ("second", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
    ]
)
assert _RECORD.itemsize == RECORD.size
_PLAIN: Final = 0x80
_EARLIEST_S: Final = -1.0


def packets(path: Path, limit: int) -> Iterator[Packets]:
    """Yield the packets of a file in arrays of at most about ``limit`` (a block of the file more).

    Raises:
        RecordingError: the file has no beginning, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from _gathered(_Reader(file, path).blocks(), limit)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error


def _gathered(blocks: Iterator[Packets], limit: int) -> Iterator[Packets]:
    found: list[Packets] = []
    for block in blocks:
        found.append(block)
        if sum(map(len, found)) >= limit:
            yield np.concatenate(found)
            found = []
    if found:
        yield np.concatenate(found)


class _Reader:
    """Walks through a file from record to record, a block at a time. Positions are within the block."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._began_at: float | None = None
        self._block = b""
        self._block_at = 0
        """Where in the file the block begins."""
        self._at = 0
        """Where the next record begins."""
        self._piece_at = 0
        """Where the present piece's records begin, as far as it is in the block."""
        self._is_last = False
        self._starts: list[int] = []

    def blocks(self) -> Iterator[Packets]:
        while not self._is_last:
            self._read_on()
            self._walk()
            if self._starts:
                yield self._headers()
        if self._began_at is None and self._block_at + len(self._block):
            raise RecordingError(f"{self._path}: not a raw file of the relay's")

    def _read_on(self) -> None:
        more = self._file.read(_BLOCK_BYTES)
        self._is_last = len(more) < _BLOCK_BYTES
        self._block = self._block[self._at :] + more
        self._block_at += self._at
        self._piece_at = max(0, self._piece_at - self._at)
        self._at, self._starts = 0, []

    def _walk(self) -> None:
        """Find where records start, up to one that is not whole or whose successor is not in the block."""
        block, end = self._block, len(self._block)
        look, starts, words = _HEAD.unpack_from, self._starts, _FIRST_WORDS
        at, unsure = self._at, -1
        least = HEADER.size if self._is_last else RECORD.size
        while end - at >= least:
            word, size, first = look(block, at) if end - at >= RECORD.size else (0, 0, 0)
            is_record = word in words and size >= RTP_HEADER_BYTES and first & 0xC0 == _PLAIN
            if is_record and self._began_at is not None:
                following = at + _STAMP_BYTES + size
                if following <= end:
                    starts.append(at)
                    at = unsure = following
                    continue
                if not self._is_last:
                    break
            elif block.startswith(MAGIC, at):
                self._take_header(at)
                at = self._piece_at = at + HEADER.size
                continue
            at = self._next_piece(at)
        if at == unsure and not self._is_last:
            at = starts.pop()
        self._at = at

    def _next_piece(self, at: int) -> int:
        """Return where the next piece may begin; a latest record that contains it is dropped."""
        latest = self._starts[-1] if self._starts else -1
        found = self._block.find(MAGIC, max(self._piece_at, latest + 1))
        if found < 0:
            return max(at, len(self._block) - len(MAGIC) + 1)
        if found < at and latest >= self._piece_at:
            self._starts.pop()
        return found

    def _take_header(self, at: int) -> None:
        _, began_at = HEADER.unpack_from(self._block, at)
        if self._began_at is None and np.isfinite(began_at):
            self._began_at = began_at

    def _headers(self) -> Packets:
        raw = np.frombuffer(self._block, np.uint8)
        starts = np.array(self._starts, np.int64)
        records = np.lib.stride_tricks.sliding_window_view(raw, RECORD.size)[starts].view(_RECORD)[:, 0]
        found = np.empty(len(starts), PACKET)
        for field in ("side", "ssrc", "timestamp", "sequence"):
            found[field] = records[field]
        found["payload_type"] = records["second"] & 0x7F
        found["at"] = at = records["at"] - self._began_at
        found["length"] = records["size"] - RTP_HEADER_BYTES
        found["payload_at"] = starts + self._block_at + RECORD.size
        for number in np.flatnonzero(records["first"] != _PLAIN).tolist():
            begin, end = self._payload(int(starts[number]) + _STAMP_BYTES, int(records["size"][number]))
            found["payload_at"][number] = self._block_at + begin
            found["length"][number] = end - begin
        usable = (at >= _EARLIEST_S) & (at < LONGEST_S) & (found["length"] > 0)  # false for NaN
        kept: Packets = found[usable & np.isin(found["payload_type"], (PCMU, PCMA))]
        return kept

    def _payload(self, at: int, size: int) -> tuple[int, int]:
        """Return begin and end of the payload of the packet at ``at``; equal if it has none.

        RFC 3550 §5.1: contributors and the extension precede it, padding follows it.
        """
        block, first, end = self._block, self._block[at], at + size
        begin = at + RTP_HEADER_BYTES + 4 * (first & 0x0F)
        if first & 0x10:
            if begin + 4 > end:
                return end, end
            begin += 4 + 4 * int.from_bytes(block[begin + 2 : begin + 4], "big")
        if first & 0x20:
            end -= block[at + size - 1]
        return (begin, end) if begin < end else (end, end)
