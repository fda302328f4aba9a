"""Levels and tones in int16 audio at 8 kHz, in dBFS: 0 dBFS is a sine that peaks at full scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
FULL_SCALE = 32767.0
FLOOR_DBFS = -120.0

Samples = NDArray[np.int16]


def sine(hz: float, level_dbfs: float, n_samples: int, first_sample: int = 0) -> Samples:
    """A sine wave that continues an earlier piece (`first_sample` since its beginning)."""
    at = np.arange(first_sample, first_sample + n_samples)
    wave: NDArray[np.float64] = np.sin(2 * np.pi * hz / RATE_HZ * at) * FULL_SCALE * 10 ** (level_dbfs / 20)
    return np.round(wave).astype(np.int16)


def level_dbfs(samples: Samples) -> float:
    """Level of the whole signal, as that of the sine wave with the same power."""
    if not len(samples):
        return FLOOR_DBFS
    power = float(np.mean(np.square(samples.astype(np.float64)))) * 2 / FULL_SCALE**2
    return max(FLOOR_DBFS, 10 * float(np.log10(power))) if power > 0 else FLOOR_DBFS


def tone_dbfs(samples: Samples, hz: float) -> float:
    """Level of one frequency: Goertzel's filter as one inner product, Hann window against leakage."""
    if not len(samples):
        return FLOOR_DBFS
    window = np.hanning(len(samples) + 2)[1:-1]
    turn = np.exp(-2j * np.pi * hz / RATE_HZ * np.arange(len(samples)))
    peak = 2 * abs(np.dot(samples * window, turn)) / float(np.sum(window)) / FULL_SCALE
    return max(FLOOR_DBFS, 20 * float(np.log10(peak))) if peak > 0 else FLOOR_DBFS


def holds_tone(samples: Samples, hz: float, min_dbfs: float = -25.0, purity_db: float = 4.0) -> bool:
    """Whether the frequency is present from beginning to end, and dominates the signal.

    Args:
        samples: int16[n] at 8000 Hz; each quarter must reach `min_dbfs`, so let them be 200 ms or more.
        hz: frequency; others that are nearer than 40 Hz cannot be told from it in 200 ms.
        min_dbfs: least level.
        purity_db: how far below the level of everything it may be; each of two equal tones is 3 dB below.
    """
    if any(tone_dbfs(quarter, hz) < min_dbfs for quarter in np.array_split(samples, 4)):
        return False
    return tone_dbfs(samples, hz) >= level_dbfs(samples) - purity_db


def clearest(samples: Samples, hz: float, seconds: float = 0.2) -> Samples:
    """The piece of this length (int16[n] at 8000 Hz) in which the tone is loudest.

    While a busy machine keeps the sender from the CPU there is a gap, and no fault of who recorded it. A
    level, a leak or a wrong tone is in every piece.
    """
    size = round(seconds * RATE_HZ)
    pieces = [samples[at : at + size] for at in range(0, max(1, len(samples) - size + 1), size // 8)]
    return max(pieces, key=lambda piece: tone_dbfs(piece, hz))


def up_to_last_sound(samples: Samples) -> Samples:
    """The samples without the silence at the end, whose length is not defined."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 800)
    return samples[: int(loud[-1]) + 1] if len(loud) else samples
