"""Recording files: the raw files that a call leaves, and the finished file made from them.

While a call is recorded, the media library writes each of its two sides to a mono WAV of its own. The library
puts the sizes into the header only when it closes the file. A killed process leaves zeros there, and
``complete_header`` replaces them by the sizes derived from the length of the file.
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
    """A raw file is invalid, or the recording could not be written; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFile:
    """A finished recording."""

    path: Path
    duration_s: float
    """Length of the recorded sound, without skipped or trimmed parts."""
    channels: int
    """1 or 2; of two channels the first is the parent's."""
    clock_rate_hz: int
    size_bytes: int
    """Size of the file."""


def has_sound(path: Path) -> bool:
    """Return whether a raw file exists and holds at least one sample, be it silence."""
    try:
        return path.stat().st_size >= _HEADER_BYTES + _SAMPLE_BYTES
    except FileNotFoundError:
        return False


def complete_header(path: Path) -> bool:
    """Correct the sizes in the header of a raw file that is no longer being written.

    Returns: True if the sizes were wrong.

    Raises:
        RecordingError: the file is not what the recorder writes (mono WAV, PCM, 16 bit), or not writable.
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
