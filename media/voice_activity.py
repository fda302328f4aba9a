"""Whose voice is heard: the level of each participant against its own background noise, on arrays.

A voice begins with BEGIN frames above the noise and ceases with CEASE frames below, so that neither a click
nor the pause before a plosive counts. How long somebody must speak to count as a speaker is not decided here.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["VoiceActivity"]

_BEGIN: Final = 3
"""Frames (60 ms)."""
_CEASE: Final = 8
"""Frames (160 ms)."""
_ABOVE: Final = 3.0
"""A voice is louder than the noise by this factor (9.5 dB)."""
_LEAST: Final = 150.0
"""Mean magnitude of the quietest frame that can be a voice: -47 dBFS."""
_FALL: Final = 0.2
"""Share of a lower level that the estimate of the noise takes at once."""
_RISE: Final = 1.002
"""Growth of the estimate in a frame: tenfold in 23 s, so that long speech is not taken for noise."""
_FLOOR: Final = 10.0
"""The least estimate."""


class VoiceActivity:
    """The voices of all participants of all rooms."""

    def __init__(self) -> None:
        self._keys: tuple[str, ...] = ()
        self._noise = np.zeros(0)
        self._run = np.zeros(0, np.int64)
        """Frames in a row that contradict ``_voice``."""
        self._voice = np.zeros(0, np.bool_)

    def arrange(self, keys: Sequence[str]) -> None:
        """Take new participants; what is known of those that remain is kept."""
        old = {key: row for row, key in enumerate(self._keys)}
        noise, run = np.full(len(keys), _FLOOR), np.zeros(len(keys), np.int64)
        voice = np.zeros(len(keys), np.bool_)
        for row, key in enumerate(keys):
            if (before := old.get(key)) is not None:
                noise[row], run[row] = self._noise[before], self._run[before]
                voice[row] = self._voice[before]
        self._keys, self._noise, self._run, self._voice = tuple(keys), noise, run, voice

    def update(self, levels: npt.NDArray[np.float64]) -> list[tuple[int, bool]]:
        """Take a frame; return whose voice has begun (True) or ceased, by row.

        Args:
            levels: mean magnitude of each participant's samples.
        """
        noise = self._noise
        lower = levels < noise
        noise = np.where(lower, noise + (levels - noise) * _FALL, np.minimum(noise * _RISE, levels))
        self._noise = np.maximum(noise, _FLOOR)
        loud = levels > np.maximum(self._noise * _ABOVE, _LEAST)
        self._run = np.where(loud != self._voice, self._run + 1, 0)
        turned = np.flatnonzero(self._run >= np.where(self._voice, _CEASE, _BEGIN))
        self._voice[turned] = ~self._voice[turned]
        self._run[turned] = 0
        return [(int(row), bool(self._voice[row])) for row in turned]
