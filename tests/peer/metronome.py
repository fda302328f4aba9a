"""Beeps that several phones send at the same moments, to tell how far apart recordings have them."""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from .hearing import FRAME
from .pacer import PTIME_S, Pacer
from .tones import RATE_HZ, Samples, sine

__all__ = ["EVERY_S", "UNSURE_S", "Metronome", "onsets_s"]

EVERY_S = 0.5
_EVERY = round(EVERY_S / PTIME_S)
_FRAMES = 2
_LOUD = 1500
_STALL_S = 0.01
UNSURE_S = 0.3
"""What is sent so near a stall is late, and nobody knows by how much."""


class Metronome:
    """Counts the frames that the phones of an event loop send; a beep begins with the same frame for all."""

    def __init__(self) -> None:
        self._due: list[float] = []
        """When each frame was sent."""
        Pacer.here().add(self)

    def close(self) -> None:
        Pacer.here().remove(self)

    def tick(self) -> None:
        """Begin a frame (called by the pacer, before the phones that were added later)."""
        self._due.append(asyncio.get_running_loop().time())

    def frame(self, hz: float) -> Samples:
        """The frame that is due: a beep's or silence."""
        number = len(self._due) % _EVERY
        return sine(hz, -12.0, FRAME, number * FRAME) if number < _FRAMES else np.zeros(FRAME, np.int16)

    def beeps(self) -> list[float]:
        """When beeps were due, in the loop's seconds; a beep that was sent late was due before."""
        frames, due = self._frames()
        return [float(at) for at in due[frames % _EVERY == 0]]

    def stalls(self) -> list[tuple[float, float]]:
        """When the test itself stood still for so long that the pacer began anew: from, until."""
        _, due = self._frames()
        return [
            (float(due[at]) - UNSURE_S, float(due[at + 1]) + UNSURE_S)
            for at in np.flatnonzero(np.diff(due) > PTIME_S + _STALL_S)
        ]

    def _frames(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The number of each frame, and when it was due."""
        frames = np.arange(1, len(self._due) + 1)
        lateness = np.array(self._due) - frames * PTIME_S
        return frames, frames * PTIME_S + np.minimum.accumulate(lateness[::-1])[::-1]


def onsets_s(track: Samples) -> list[float]:
    """When beeps begin in a track, in seconds."""
    loud = np.flatnonzero(np.abs(track.astype(np.int32)) > _LOUD)
    if not len(loud):
        return []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(loud) > 0.1 * RATE_HZ) + 1))
    return [float(at) / RATE_HZ for at in loud[starts]]
