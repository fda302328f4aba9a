"""Announcements to a caller by tones, without words.

Source: ITU-T E.180 §8 (special information tone) and Q.35; the reorder tone is that of the precise tone plan.
"""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile

__all__ = [
    "BEEP_S",
    "ERROR_ANNOUNCEMENT_S",
    "error_announcement",
    "write_beep",
    "write_error_announcement",
    "write_room_beeps",
]

_SIT_HZ: Final = (950, 1400, 1800)
_SIT_EACH_S: Final = 0.33
_REORDER_HZ: Final = (480, 620)
_REORDER_TIMES: Final = 4
_REORDER_HALF_S: Final = 0.25
_BEEP_HZ: Final = 1000
BEEP_S: Final = 0.4
_ROOM_HZ: Final = (660, 880)
_ROOM_EACH_S: Final = 0.15
_ROOM_RATE_HZ: Final = 8000
_ROOM_PEAK: Final = 0.0875
"""A sine of -18 dBm0: full scale is +3.17 dBm0 (G.711)."""
_PEAK: Final = 0.3
"""Peak of each part as a share of full scale: about -13 dBm0."""

ERROR_ANNOUNCEMENT_S: Final = len(_SIT_HZ) * _SIT_EACH_S + _REORDER_TIMES * 2 * _REORDER_HALF_S


def error_announcement(clock_rate_hz: int) -> npt.NDArray[np.int16]:
    """Return the announcement "this call cannot be completed": three rising tones, then the reorder tone.

    Returns: int16[n_frames] at ``clock_rate_hz``, ``ERROR_ANNOUNCEMENT_S`` long.
    """
    parts = [_tone((hz,), _SIT_EACH_S, clock_rate_hz) for hz in _SIT_HZ]
    beep = _tone(_REORDER_HZ, _REORDER_HALF_S, clock_rate_hz)
    parts += [beep, np.zeros_like(beep)] * _REORDER_TIMES
    return np.rint(np.concatenate(parts) * 32767).astype(np.int16)


def write_error_announcement(clock_rate_hz: int, path: Path) -> None:
    """Write ``error_announcement`` to ``path`` as a 16-bit WAV."""
    soundfile.write(path, error_announcement(clock_rate_hz), clock_rate_hz, subtype="PCM_16")


def write_beep(clock_rate_hz: int, path: Path) -> None:
    """Write the "speak now" beep to ``path`` as a 16-bit WAV, ``BEEP_S`` long."""
    beep = _tone((_BEEP_HZ,), BEEP_S, clock_rate_hz)
    ramp = np.minimum(1.0, np.arange(beep.size) / (0.01 * clock_rate_hz))  # avoids a click
    samples = np.rint(beep * ramp * ramp[::-1] * 32767).astype(np.int16)
    soundfile.write(path, samples, clock_rate_hz, subtype="PCM_16")


def write_room_beeps(folder: Path) -> None:
    """Write ``enter.wav`` (rising) and ``exit.wav`` (falling), for conference rooms: 8 kHz, -18 dBm0."""
    for name, frequencies_hz in (("enter", _ROOM_HZ), ("exit", _ROOM_HZ[::-1])):
        parts = []
        for hz in frequencies_hz:
            tone = _tone((hz,), _ROOM_EACH_S, _ROOM_RATE_HZ) * (_ROOM_PEAK / _PEAK)
            ramp = np.minimum(1.0, np.arange(tone.size) / (0.01 * _ROOM_RATE_HZ))
            parts.append(tone * ramp * ramp[::-1])
        samples = np.rint(np.concatenate(parts) * 32767).astype(np.int16)
        soundfile.write(folder / f"{name}.wav", samples, _ROOM_RATE_HZ, subtype="PCM_16")


def _tone(frequencies_hz: tuple[int, ...], seconds: float, rate: int) -> npt.NDArray[np.float64]:
    t = np.arange(round(seconds * rate)) / rate
    tones = [np.sin(2 * np.pi * hz * t) for hz in frequencies_hz]
    wave: npt.NDArray[np.float64] = np.sum(tones, axis=0) * (_PEAK / len(frequencies_hz))
    return wave
