"""Beeps that several phones send at the same moments, to tell how far apart recordings have them."""

from __future__ import annotations

import asyncio

import numpy as np

from .hearing import FRAME
from .pacer import PTIME_S, Pacer
from .tones import RATE_HZ, Samples, sine

__all__ = ["EVERY_S", "Metronome", "onsets_s"]

EVERY_S = 0.5
_EVERY = round(EVERY_S / PTIME_S)
_FRAMES = 2
_LOUD = 1500


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
        if not self._due:
            return []
        frames = np.arange(1, len(self._due) + 1)
        lateness = np.array(self._due) - frames * PTIME_S
        due = frames * PTIME_S + np.minimum.accumulate(lateness[::-1])[::-1]
        return [float(at) for at in due[frames % _EVERY == 0]]


def onsets_s(track: Samples) -> list[float]:
    """When beeps begin in a track, in seconds."""
    loud = np.flatnonzero(np.abs(track.astype(np.int32)) > _LOUD)
    if not len(loud):
        return []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(loud) > 0.1 * RATE_HZ) + 1))
    return [float(at) / RATE_HZ for at in loud[starts]]
