"""A limiter for the sums of conference rooms: what is too loud is turned down as a whole, not cut off."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Limiter"]

_FULL_SCALE: Final = 32767
_ATTACK: Final = 40
"""Samples (5 ms) in which the gain falls."""
_RELEASE: Final = 0.02
"""Rise of the gain in a tick: from a half to 1 takes half a second."""


class Limiter:
    """One gain for each room, so that all of its members hear the same loudness.

    A gain of 1 leaves samples as they are, to the bit.
    """

    def __init__(self) -> None:
        self._keys: tuple[str, ...] = ()
        self._gain = np.ones(0)

    def arrange(self, rooms: Sequence[str]) -> None:
        """Take new rooms; the gains of those that remain are kept."""
        old = dict(zip(self._keys, self._gain, strict=True))
        self._keys = tuple(rooms)
        self._gain = np.array([old.get(key, 1.0) for key in rooms])

    def limit(self, rows: npt.NDArray[np.int32], room: npt.NDArray[np.intp]) -> None:
        """Turn down, in place, the rows of rooms that are too loud.

        Args:
            rows: ``int32[n, samples]``.
            room: the room of each row.
        """
        if not rows.size or (
            rows.max() <= _FULL_SCALE and rows.min() >= -_FULL_SCALE and self._gain.min() == 1.0
        ):
            return
        peak = np.maximum(np.abs(rows).max(axis=1), 1)
        wanted = np.ones(self._gain.size)
        np.minimum.at(wanted, room, np.minimum(1.0, _FULL_SCALE / peak))
        before = self._gain
        after = self._gain = np.minimum(wanted, np.minimum(before + _RELEASE, 1.0))
        step = np.arange(1, rows.shape[1] + 1)
        fall = np.minimum(step / _ATTACK, 1.0)
        rise = step / rows.shape[1]
        for number in np.flatnonzero((before < 1.0) | (after < 1.0)):
            shape = fall if after[number] < before[number] else rise
            curve = before[number] + (after[number] - before[number]) * shape
            which = room == number
            rows[which] = np.rint(rows[which] * curve)
