"""Concealment of lost frames: the last pitch period goes on, and fades to silence within 60 ms.

Source: the idea of ITU-T G.711 Appendix I, without its delay: the first frame after a loss is blended with
the continuation instead.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["HISTORY", "Concealment"]

HISTORY: Final = 320
"""Samples before a loss that are looked at: 40 ms."""
_SHORTEST: Final = 32
"""Samples of the highest pitch's period (250 Hz)."""
_LONGEST: Final = 133
"""The same of the lowest (60 Hz)."""
_FULL: Final = 80
"""Samples (10 ms) that are repeated at the full level."""
_SILENT: Final = 480
"""Samples (60 ms) after which there is silence."""
_JOINT: Final = 16
"""Samples (2 ms) in which the step to the first cycle vanishes."""
_BLEND: Final = 32
"""Samples (4 ms) in which the voice takes over again."""

Samples = npt.NDArray[np.int16]


class Concealment:
    """The continuation of one voice from where it was lost.

    Args:
        history: ``int16[HISTORY]``, the last samples before the loss.
    """

    def __init__(self, history: Samples) -> None:
        voice = history.astype(np.float32)
        period = _period(voice)
        self._cycle = voice[-period:].copy()
        # The end of the cycle is blended with what came before its start, so that it joins itself.
        overlap = period // 4
        weight = (np.arange(overlap, dtype=np.float32) + 1) / (overlap + 1)
        before = voice[-period - overlap : -period]
        self._cycle[-overlap:] = self._cycle[-overlap:] * (1 - weight) + before * weight
        self._step = float(voice[-1] - voice[-period - 1])
        """What a voice without a period lacks where the first cycle joins it."""
        self._at = 0

    @property
    def silent(self) -> bool:
        """Whether it has faded out."""
        return self._at >= _SILENT

    def next(self, count: int) -> Samples:
        """Return the next ``count`` samples."""
        index = np.arange(self._at, self._at + count)
        fade = np.clip((_SILENT - index) / (_SILENT - _FULL), 0.0, 1.0)
        joint = self._step * np.clip(1 - index / _JOINT, 0.0, 1.0)
        samples = np.clip((self._cycle[index % self._cycle.size] + joint) * fade, -32768, 32767)
        self._at += count
        return samples.astype(np.int16)

    def rejoin(self, frame: Samples) -> Samples:
        """Return the first frame after the loss, blended with the continuation."""
        weight = (np.arange(_BLEND, dtype=np.float32) + 1) / (_BLEND + 1)
        blended = frame.copy()
        blended[:_BLEND] = self.next(_BLEND) * (1 - weight) + frame[:_BLEND] * weight
        return blended


def _period(voice: npt.NDArray[np.float32]) -> int:
    """Return the period in samples with the highest normalised autocorrelation."""
    recent = voice[-160:]
    lags = np.arange(_SHORTEST, _LONGEST + 1)
    windows = np.lib.stride_tricks.sliding_window_view(voice, 160)[voice.size - 160 - lags]
    product = windows @ recent
    energy = np.sqrt((windows * windows).sum(axis=1) + 1.0)
    return int(lags[int(np.argmax(product / energy))])
