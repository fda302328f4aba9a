"""Detection of DTMF tones in the audio, for legs that send keys neither by RFC 4733 nor by INFO.

A key is defined by ITU-T Q.24: two tones, one of each group, of about the same level, with hardly any other
sound, for 40 ms, of which up to 10 ms may be missing. Human voices contain tones of both groups now and then,
but never without other sound for two blocks of 13 ms in a row.

The code is plain Python, because the worker has no numpy: a second of sound takes 6 ms of processor time, a
second of silence 1 ms.
"""

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["KeyDetector"]

_ROWS_HZ: Final = (697, 770, 852, 941)
_COLUMNS_HZ: Final = (1209, 1336, 1477, 1633)
_KEYS: Final = ("123A", "456B", "789C", "*0#D")
_BLOCK_S: Final = 0.01275
"""102 samples at 8 kHz: adjacent tones of a group are a bin apart, and 40 ms always hold two whole blocks."""
_LEAST_DBFS: Final = -36.0
"""Minimum level of each tone, where a full-scale sine is 0: Q.24 has telephones down to -25 dBm."""
_TWIST_DB: Final = 9.0
"""Maximum difference in level between the two tones, in either direction."""
_LEAD_DB: Final = 5.0
"""Minimum lead of a tone over the others of its group."""
_SHARE: Final = 0.65
"""Minimum share of the two tones in the total power; a frequency that is 1.5 % off loses some power."""
_BLOCKS: Final = 2
"""Number of equal blocks in a row that begin or end a key."""


class KeyDetector:
    """Detects keys in the audio of one leg.

    Args:
        clock_rate_hz: clock rate of the samples.
    """

    def __init__(self, clock_rate_hz: int) -> None:
        self._size = round(clock_rate_hz * _BLOCK_S)
        self._factors = [2 * math.cos(2 * math.pi * hz / clock_rate_hz) for hz in _ROWS_HZ + _COLUMNS_HZ]
        # The power of a sine in a block: |X|² is (amplitude * size / 2)².
        self._least = (32768 * 10 ** (_LEAST_DBFS / 20) * self._size / 2) ** 2
        # The energy of a block with both tones at the minimum level.
        self._least_energy = (32768 * 10 ** (_LEAST_DBFS / 20)) ** 2 / 2 * self._size * 2
        self._rest: list[int] = []
        self._last = ""
        self._repeated = 0
        self._down = ""

    def feed(self, samples: Sequence[int]) -> str:
        """Process the next samples.

        Args:
            samples: 16-bit samples, any number.

        Returns:
            The keys that begin in these samples, rarely more than one.
        """
        self._rest.extend(samples)
        keys, start = "", 0
        while start + self._size <= len(self._rest):
            keys += self._block(self._rest[start : start + self._size])
            start += self._size
        del self._rest[:start]
        return keys

    def _block(self, block: Sequence[int]) -> str:
        """Return the key that begins with this block; empty if none does."""
        key = self._key_of(block)
        self._repeated = self._repeated + 1 if key == self._last else 1
        self._last = key
        if self._repeated < _BLOCKS or key == self._down:
            return ""
        self._down = key
        return key

    def _key_of(self, block: Sequence[int]) -> str:
        energy = sum([x * x for x in block])
        if energy < self._least_energy:
            return ""
        powers = [_power(block, factor) for factor in self._factors]
        rows, columns = powers[:4], powers[4:]
        row, column = max(rows), max(columns)
        if min(row, column) < self._least or not 10 ** (-_TWIST_DB / 10) <= row / column <= 10 ** (
            _TWIST_DB / 10
        ):
            return ""
        if not (_leads(row, rows) and _leads(column, columns)):
            return ""
        if (row + column) * 2 / self._size < _SHARE * energy:
            return ""
        return _KEYS[rows.index(row)][columns.index(column)]


def _leads(best: float, group: list[float]) -> bool:
    return sorted(group)[-2] * 10 ** (_LEAD_DB / 10) < best


def _power(block: Sequence[int], factor: float) -> float:
    """Return |X|² of one frequency (Goertzel)."""
    before = now = 0.0
    for x in block:
        before, now = now, x + factor * now - before
    return before * before + now * now - factor * before * now
