"""Measurement of audio: the level of one frequency, the overall level, and the cadence.

Levels are in dBFS as defined by AES17: a full-scale sine is 0 dBFS, in ``goertzel_dbfs`` and in ``rms_dbfs``
alike. Silence is FLOOR_DBFS. Samples are ``[n_frames]``: int16, or floating point within ±1.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FLOOR_DBFS", "goertzel_dbfs", "on_off_ms", "rms_dbfs"]

FLOOR_DBFS = -120.0
"""Level of digital silence; far below one step of 16 bits."""
_SOUNDING = 0.05
"""Share of the peak at or above which a sample belongs to a sound."""
_NOTHING = 10 ** (-50 / 20)
"""A peak below this share of full scale (-50 dBFS) is codec noise, not a sound."""
_GAP_MS = 60
"""Shorter pauses belong to the sound: a modulated tone is silent for about 15 ms in each period."""


def goertzel_dbfs(samples: npt.NDArray[Any], hz: float, rate: int) -> float:
    """Return the level of the frequency ``hz`` in ``samples``, taken as one block.

    The block is Hann-windowed: frequencies more than two periods per block away (5 Hz in 400 ms) do not
    count, and ``hz`` does not need a whole number of periods in the block.

    Args:
        samples: one channel; choose a part that sounds all the time.
        hz: 0 < hz < rate / 2.
        rate: clock rate of ``samples``.

    Raises:
        ValueError: no samples, more than one channel, or ``hz`` out of range.
    """
    block = _full_scale(samples)
    if not 0 < hz < rate / 2:
        raise ValueError(f"{hz} Hz at a clock rate of {rate} Hz")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(block.size) + 0.5) / block.size)
    turns = np.exp(-2j * np.pi * hz / rate * np.arange(block.size))
    return _dbfs(2 * abs(np.dot(block * window, turns)) / float(window.sum()))


def rms_dbfs(samples: npt.NDArray[Any]) -> float:
    """Return the overall level of ``samples``.

    Raises:
        ValueError: no samples, or more than one channel.
    """
    block = _full_scale(samples)
    return _dbfs(math.sqrt(2 * float(np.mean(block * block))))


def on_off_ms(samples: npt.NDArray[Any], rate: int) -> tuple[float, ...]:
    """Return the cadence of ``samples``: lengths of sound, silence, sound … in milliseconds.

    It begins with the first sound; silence before it does not count. The last length, of a sound or a
    silence, extends to the end of the samples. The result is empty if there is no sound.

    Raises:
        ValueError: no samples, or more than one channel.
    """
    loudness = np.abs(_full_scale(samples))
    peak = float(loudness.max())
    if peak < _NOTHING:
        return ()
    sounding = np.flatnonzero(loudness >= peak * _SOUNDING)
    pauses = np.flatnonzero(np.diff(sounding) > _GAP_MS * rate / 1000)
    starts = sounding[np.concatenate(([0], pauses + 1))]
    ends = sounding[np.concatenate((pauses, [sounding.size - 1]))] + 1
    edges = np.column_stack((starts, ends)).ravel()
    if loudness.size - edges[-1] > _GAP_MS * rate / 1000:
        edges = np.append(edges, loudness.size)
    return tuple(float(length) * 1000 / rate for length in np.diff(edges))


def _full_scale(samples: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"expected one channel with samples, got shape {samples.shape}")
    scale = 1 / 32768 if np.issubdtype(samples.dtype, np.integer) else 1.0
    block: npt.NDArray[np.float64] = samples.astype(np.float64) * scale
    return block


def _dbfs(amplitude: float) -> float:
    return max(FLOOR_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR_DBFS
