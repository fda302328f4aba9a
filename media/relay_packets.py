"""Reading of a relay's raw file (``media.relay_file``): the headers of its packets, some at a time.

Only the relay writes such a file, but it may die, or the disk may fill up, in the middle of a record. What
has been appended afterwards begins with ``MAGIC``. So where no record begins, the reader searches for the
next ``MAGIC``, and first of all inside the latest record: if that was cut, the bytes that it seems to have
are those of the next piece.

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
from media.relay_file import CHILD, HEADER, MAGIC, PARENT, RECORD, SYNC

__all__ = ["LONGEST_S", "PACKET", "Packets", "packets"]

LONGEST_S: Final = 25 * 3600.0
"""Packets later than this are damage: a call lasts 24 hours at most."""

PACKET: Final = np.dtype(
    [
        ("sync", "u1"),
        ("side", "u1"),
        ("payload_type", "u1"),
        ("zero", "u1"),
        ("at", "<f8"),
        ("ssrc", "<u4"),
        ("timestamp", "<u4"),
        ("sequence", "<u2"),
        ("length", "<u2"),
        ("payload_at", "<i8"),
    ]
)
"""A record, with ``at`` in seconds since the start of the recording, and where in the file its payload is."""

Packets = npt.NDArray[np.void]
"""PACKET[n], in the order of the file."""

_BLOCK_BYTES: Final = 1 << 22
_FIRST_WORDS: Final = frozenset(
    struct.unpack("<I", bytes((SYNC, side, payload_type, 0)))[0]
    for side in (PARENT, CHILD)
    for payload_type in (PCMU, PCMA)
)
"""The first four bytes of a record, as a number."""
_WORD_AND_LENGTH: Final = struct.Struct("<I18xH")
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
        look, starts, words = _WORD_AND_LENGTH.unpack_from, self._starts, _FIRST_WORDS
        at, unsure = self._at, -1
        least = HEADER.size if self._is_last else RECORD.size
        while end - at >= least:
            word, length = look(block, at) if end - at >= RECORD.size else (0, 0)
            if word in words and self._began_at is not None:
                following = at + RECORD.size + length
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
        found = np.empty(len(starts), PACKET)
        as_bytes = found.view(np.uint8).reshape(len(starts), PACKET.itemsize)
        as_bytes[:, : RECORD.size] = np.lib.stride_tricks.sliding_window_view(raw, RECORD.size)[starts]
        found["at"] -= self._began_at
        found["payload_at"] = starts + self._block_at + RECORD.size
        at = found["at"]
        usable = (at >= _EARLIEST_S) & (at < LONGEST_S) & (found["length"] > 0)  # false for NaN
        kept: Packets = found[usable]
        return kept
