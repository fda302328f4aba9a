"""What a recording is made of: the raw files that a call leaves, and the file that comes of them.

While a call is recorded each of its two sides goes to a mono WAV of its own, written by the media library.
The library puts sizes into the header only when it closes the file; a process that was killed leaves zeros
there, and ``complete_header`` puts in what the file's own size says.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["RecordingError", "RecordingFile", "complete_header", "has_sound"]

_RIFF_SIZE_AT: Final = 4
_DATA_SIZE_AT: Final = 40
_HEADER_BYTES: Final = 44
_SAMPLE_BYTES: Final = 2
_LARGEST: Final = 0xFFFFFFFF


class RecordingError(Exception):
    """A raw file is none, or the recording could not be written; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFile:
    """A finished recording."""

    path: Path
    duration_s: float
    """Of the sound in it: without what was skipped or trimmed."""
    channels: int
    """1 or 2; of two the parent is the first."""
    clock_rate_hz: int
    size_bytes: int
    """Of the file."""


def has_sound(path: Path) -> bool:
    """Whether there is a raw file with at least one sample in it (silence is sound too)."""
    try:
        return path.stat().st_size >= _HEADER_BYTES + _SAMPLE_BYTES
    except FileNotFoundError:
        return False


def complete_header(path: Path) -> bool:
    """Make the sizes in a raw file's header agree with the file; nobody may be writing it any more.

    Returns: True when they did not agree.

    Raises:
        RecordingError: it is not what the recorder writes (mono WAV, PCM, 16 bit), or cannot be written.
    """
    try:
        with path.open("r+b") as file:
            return _complete(file, path)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error


def _complete(file: BinaryIO, path: Path) -> bool:
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not _is_ours(header):
        raise RecordingError(f"{path}: not a mono 16-bit WAV with a plain header")
    samples = (os.fstat(file.fileno()).st_size - _HEADER_BYTES) // _SAMPLE_BYTES * _SAMPLE_BYTES
    data = min(samples, _LARGEST - _HEADER_BYTES)
    if struct.unpack_from("<I", header, _DATA_SIZE_AT)[0] == data:
        return False
    for at, size in ((_RIFF_SIZE_AT, data + _HEADER_BYTES - 8), (_DATA_SIZE_AT, data)):
        file.seek(at)
        file.write(struct.pack("<I", size))
    return True


def _is_ours(header: bytes) -> bool:
    format_tag, channels = struct.unpack_from("<HH", header, 20)
    (bits,) = struct.unpack_from("<H", header, 34)
    words = (header[0:4], header[8:16], header[36:40])
    return words == (b"RIFF", b"WAVEfmt ", b"data") and (format_tag, channels, bits) == (1, 1, 16)
