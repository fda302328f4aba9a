"""Raw files as the media library's recorder writes them: a plain header of 44 bytes, then samples."""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]


def tone(hz: float, seconds: float, level_dbfs: float = -12.0, rate: int = 8000) -> Samples:
    at = np.arange(round(seconds * rate))
    wave = np.sin(2 * np.pi * hz / rate * at) * 32767 * 10 ** (level_dbfs / 20)
    return np.rint(wave).astype(np.int16)


def quiet(seconds: float, rate: int = 8000) -> Samples:
    return np.zeros(round(seconds * rate), np.int16)


def write_raw(path: Path, *parts: Samples, rate: int = 8000, closed: bool = True) -> Path:
    """Write ``parts`` one after another; ``closed=False`` as a killed process leaves it, sizes 0."""
    data = np.concatenate(parts).astype("<i2").tobytes() if parts else b""
    size = len(data) if closed else 0
    riff = size + 36 if closed else 0
    header = struct.pack(
        "<4sI8sIHHIIHH4sI", b"RIFF", riff, b"WAVEfmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", size
    )
    path.write_bytes(header + data)
    return path
